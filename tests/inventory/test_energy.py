"""A session's energy: registers where there are any, power over time where not, and never less than before."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inventory_world import T0, after, site

from domain.metering import EvseSample
from inventory.energy import EnergyCounter, power_per_ampere_w


def counter(meter_start_wh: float | None = None, energy_wh: float = 0.0) -> EnergyCounter:
    """208 V between two lines, 32 A: 6.656 kW."""
    return EnergyCounter(208.0, 32.0, T0, meter_start_wh, energy_wh)


def sample(seconds: float, **values: float) -> EvseSample:
    return EvseSample(at=after(seconds), received_at=after(seconds), **{"current_a": None, **values})  # type: ignore[arg-type]


def counted(made: EnergyCounter, *samples: EvseSample) -> float:
    for one in samples:
        made.sample(one)
    return made.energy_wh


def test_watts_per_ampere_follow_the_wiring() -> None:
    two, _, three = site().evses
    assert power_per_ampere_w(site(), two) == 208.0
    assert power_per_ampere_w(site(), three) == pytest.approx(math.sqrt(3) * 208.0)


def test_the_register_counts_from_the_start_of_the_transaction() -> None:
    assert counted(counter(1_000.0), sample(600, energy_wh=1_400.0), sample(1_200, energy_wh=2_300.0)) == 1_300.0


def test_without_a_start_value_it_counts_from_the_first() -> None:
    assert counted(counter(), sample(600, energy_wh=1_400.0), sample(1_200, energy_wh=2_300.0)) == 900.0


def test_after_a_restart_it_goes_on_where_it_was() -> None:
    assert counted(counter(1_000.0, 400.0), sample(1_200, energy_wh=2_300.0)) == 1_300.0
    assert counted(counter(None, 400.0), sample(1_200, energy_wh=2_300.0), sample(1_260, energy_wh=2_400.0)) == 500.0


def test_a_register_that_falls_back_or_leaps_begins_anew() -> None:
    falls = (sample(600, energy_wh=1_400.0), sample(660, energy_wh=3.0), sample(720, energy_wh=103.0))
    assert counted(counter(1_000.0), *falls) == 500.0
    leaps = (sample(600, energy_wh=1_400.0), sample(660, energy_wh=9e9), sample(720, energy_wh=9e9 + 100))
    assert counted(counter(1_000.0), *leaps) == 500.0
    # A lifetime register beside a start value of zero.
    assert counted(counter(0.0), sample(60, energy_wh=7_654_321.0), sample(120, energy_wh=7_654_421.0)) == 100.0


def test_a_register_in_whole_kilowatt_hours_counts() -> None:
    assert (
        counted(counter(5_000.0), *(sample(s, energy_wh=5_000.0 + 1_000.0 * (s // 600)) for s in range(10, 3_601, 10)))
        == 6_000
    )


def test_power_is_integrated_where_there_is_no_register() -> None:
    steady = [sample(s, power_w=6_000.0) for s in range(0, 3_601, 60)]
    assert counted(counter(), *steady) == pytest.approx(6_000.0)
    ramp = [sample(s, power_w=s) for s in range(0, 3_601, 60)]
    assert counted(counter(), *ramp) == pytest.approx(1_800.0)
    from_current = [sample(s, current_a=10.0) for s in range(0, 3_601, 60)]
    assert counted(counter(), *from_current) == pytest.approx(2_080.0)


def test_silence_is_not_filled_with_power() -> None:
    assert counted(counter(), sample(0, power_w=6_000.0), sample(3_600, power_w=6_000.0)) == 0.0


_VALUES = st.sampled_from([0.0, 50.0, 1e4, 1e12, math.inf, math.nan, -5.0])


@given(
    st.lists(
        st.tuples(st.sampled_from([1, 60, 4_000]), st.sampled_from(["energy_wh", "power_w", "current_a"]), _VALUES)
    )
)
def test_energy_never_falls_and_is_never_more_than_could_be(steps: list[tuple[int, str, float]]) -> None:
    made, seconds, before = counter(0.0), 0, 0.0
    for gap, name, value in steps:
        seconds += gap
        energy = counted(made, sample(seconds, **{name: value}))
        assert before <= energy <= before + 3.0 * 208.0 * 32.0 * seconds / 3_600 + 1_500.0
        before = energy
