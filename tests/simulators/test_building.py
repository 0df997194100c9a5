"""The building's load against the measured data and against circuit theory done by hand."""

import cmath
import csv
import gzip
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from math import acos, pi, sqrt
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import simulators.data
from domain.ids import ChargerId, EvseId, FeederId, MeterId, SiteId
from domain.site import Charger, CsmsSettings, Electrical, Evse, Feeder, Meter, Phase, Site, Transformer
from inventory.site_file import parse_site
from simulators.building import EXCERPT_START, HOURS, BuildingLoad, Home, home_profiles
from simulators.demo_site import demo_site
from simulators.homes import LOAD_MARGIN, building_load, homes_for
from simulators.phasors import evse_voltage_v, feeder_voltage_v, unit_phasors

A, B, C = Phase.A, Phase.B, Phase.C
MAIN, SUB = FeederId("main"), FeederId("sub")
MONDAY = datetime(2026, 3, 2, tzinfo=ZoneInfo("America/Vancouver"))


def a_site(
    transformer: Transformer | None = None, *, evses: Sequence[tuple[Phase, ...]] = (), volts: float = 208.0
) -> Site:
    chargers = tuple(
        Charger(ChargerId(f"C{n}"), (Evse(EvseId(f"E{n}"), ChargerId(f"C{n}"), 1, SUB, phases),))
        for n, phases in enumerate(evses)
    )
    return Site(
        SiteId("x"),
        "America/Vancouver",
        CsmsSettings("ws://x"),
        (
            Feeder(MAIN, 200, meter=MeterId("m")),
            Feeder(SUB, 100, parent=MAIN, meter=MeterId("s"), transformer=transformer),
        ),
        chargers,
        (Meter(MeterId("m")), Meter(MeterId("s"))),
        electrical=Electrical(line_to_line_v=volts),
    )


def line_currents(site: Site, loads: dict[tuple[Phase, ...], float], feeder: FeederId = SUB) -> np.ndarray:
    """Magnitudes [feeder, phase] of equal conductor currents per load."""
    total = sum(amps * unit_phasors(site, feeder, phases).sum(axis=2) for phases, amps in loads.items())
    return np.abs(total)


# --- phasors ---------------------------------------------------------------------------------------------------------


@given(st.floats(0.1, 100))
def test_balanced_line_to_line_gives_root_three(amps: float) -> None:
    seen = line_currents(a_site(), {(A, B): amps, (B, C): amps, (C, A): amps})
    assert seen == pytest.approx(np.full((2, 3), sqrt(3) * amps))


def test_the_order_of_two_legs_does_not_matter_and_three_phase_is_plain() -> None:
    site = a_site()
    assert line_currents(site, {(A, B): 10, (B, C): 7}) == pytest.approx(line_currents(site, {(B, A): 10, (C, B): 7}))
    assert line_currents(site, {(A, B, C): 16.0}) == pytest.approx(np.full((2, 3), 16.0))
    assert line_currents(site, {(B,): 12.0})[0] == pytest.approx([0, 12, 0])


@given(st.floats(0, 60), st.floats(0, 60))
def test_two_pairs_meet_at_the_stated_magnitude(ab: float, ca: float) -> None:
    """local-controller.md section 4: |I_A| = sqrt(I_AB^2 + I_CA^2 + I_AB I_CA)."""
    seen = line_currents(a_site(), {(A, B): ab, (C, A): ca})
    assert seen[0, 0] == pytest.approx(sqrt(ab**2 + ca**2 + ab * ca), abs=1e-9)
    assert seen[0, 1] == pytest.approx(ab, abs=1e-9)
    assert seen[0, 2] == pytest.approx(ca, abs=1e-9)


def test_delta_wye_is_not_monotone() -> None:
    """ems.md section 1: 20 A on b-c and 10 A on c-a put 10.0 A on a primary line, 11.55 A when c-a stops."""
    site = a_site(Transformer(1.0, "delta-wye"))
    both = line_currents(site, {(B, C): 20, (C, A): 10})
    alone = line_currents(site, {(B, C): 20})
    line = int(np.argmin(np.abs(both[0] - 10.0)))
    assert both[0, line] == pytest.approx(10.0)
    assert alone[0, line] == pytest.approx(20 / sqrt(3))
    assert both[1] == pytest.approx([10, 20, sqrt(700)])
    # The convention of Caltech's ACN: I_A = (I_a - I_c) / (sqrt(3) ratio), so b-c loads line C of the primary twice.
    assert alone[0] == pytest.approx([20 / sqrt(3), 20 / sqrt(3), 40 / sqrt(3)])


def test_balanced_load_through_transformers_divides_by_the_ratio() -> None:
    for winding in ("none", "delta-wye"):
        site = a_site(Transformer(480 / 208, winding), evses=[(A, B)], volts=480.0)
        seen = line_currents(site, {(A, B): 10, (B, C): 10, (C, A): 10})
        assert seen[0] == pytest.approx([sqrt(3) * 10 * 208 / 480] * 3)
        assert feeder_voltage_v(site, SUB) == pytest.approx(208)
        assert evse_voltage_v(site, site.evses[0]) == pytest.approx(208)


@settings(max_examples=60)
@given(
    currents=st.lists(st.floats(0, 40), min_size=6, max_size=6),
    ratio=st.floats(0.3, 5),
    winding=st.sampled_from(["none", "delta-wye"]),
)
def test_a_transformer_loses_no_power(currents: list[float], ratio: float, winding: str) -> None:
    """Sum of V conj(I) over the primary's lines = the loads' own power, known without any phasor."""
    site = a_site(Transformer(ratio, winding), volts=208.0 * ratio)
    kinds = [(A, B), (B, C), (C, A), (A,), (B,), (C,)]
    total = sum(y * unit_phasors(site, SUB, kind).sum(axis=2) for y, kind in zip(currents, kinds, strict=True))
    volts = np.array([cmath.exp(-2j * pi * k / 3) for k in range(3)]) * 208.0 * ratio / sqrt(3)
    power_va = complex((volts * np.conj(np.asarray(total)[0])).sum())
    loads_w = 208 * sum(currents[:3]) + 208 / sqrt(3) * sum(currents[3:])
    assert power_va.real == pytest.approx(loads_w, abs=1e-6)
    assert power_va.imag == pytest.approx(0, abs=1e-6)


# --- replay ----------------------------------------------------------------------------------------------------------


def one_home(**options: object) -> BuildingLoad:
    return BuildingLoad(a_site(), [Home(SUB, (A, B), 4)], **options)  # type: ignore[arg-type]


def test_excerpt_is_four_whole_weeks_of_twelve_homes() -> None:
    profiles = home_profiles()
    assert profiles.shape == (HOURS, 12)
    assert profiles.min() == 0
    assert 500 < profiles.mean() < 2000
    with gzip.open(Path(simulators.data.__path__[0]) / "homes_hourly.csv.gz", "rt") as text:
        rows = list(csv.reader(text))
    assert rows[1][0] == "2016-11-28T00:00"
    assert [float(value) for value in rows[18][1:]] == pytest.approx(list(profiles[17] / 1000))


@pytest.mark.parametrize("appliances", [False, True])
def test_every_hour_keeps_its_measured_energy(appliances: bool) -> None:
    homes = [Home(SUB, (A, B), profile) for profile in range(12)]
    load = BuildingLoad(a_site(), homes, appliances=appliances, fluctuation=0.0)
    for hour in range(0, HOURS, 7):
        power_w = load.power_w(hour * 3600.0 + np.arange(3600) + 0.5)
        assert power_w.min() >= 0
        # An appliance switches on a whole second: a little energy may fall into the next cycle.
        assert power_w.mean(axis=0) == pytest.approx(home_profiles()[hour], abs=15 if appliances else 0.01)


def test_smooth_power_is_continuous_and_appliances_step() -> None:
    def jumps(load: BuildingLoad) -> np.ndarray:
        power_w = np.concatenate([load.power_w(h * 3600.0 + np.arange(3600) + 0.5)[:, 0] for h in range(17, 24)])
        return np.abs(np.diff(power_w))

    assert jumps(one_home(appliances=False, fluctuation=0.0)).max() < 3
    assert jumps(one_home(fluctuation=0.0)).max() > 900


@pytest.mark.parametrize(
    ("evening_hour", "day"),
    [(17, 0), (3, 2), (20, 27)],
)
def test_follows_the_wall_clock_and_repeats_after_four_weeks(evening_hour: int, day: int) -> None:
    """MONDAY stands a whole number of weeks after the excerpt's first Monday; the load is checked in kWh by hand."""
    load = one_home(appliances=False, fluctuation=0.0)
    weeks = (MONDAY.replace(tzinfo=None) - EXCERPT_START).days // 7 % 4
    row = (weeks * 7 * 24 + day * 24 + evening_hour) % HOURS
    start = (MONDAY + timedelta(days=day)).replace(hour=evening_hour)
    mean_w = np.mean([208 * _two_leg_a(load, start + timedelta(seconds=s)) for s in range(0, 3600, 20)])
    measured_w = home_profiles()[row, 4]
    assert mean_w == pytest.approx(measured_w, rel=0.03, abs=20)
    assert load.phasors(start) == pytest.approx(load.phasors(start + timedelta(weeks=52)))  # 52 = 13 x 4


def _two_leg_a(load: BuildingLoad, at: datetime) -> float:
    """A-B current that takes the same power as phases A and B together do: P / 208 V, from the true phasors."""
    lines = load.phasors(at)[1]
    volts = np.array([cmath.exp(-2j * pi * k / 3) for k in range(3)]) * 208 / sqrt(3)
    return float((volts * np.conj(lines)).sum().real) / 208


def test_power_factor_and_legs() -> None:
    """1 kW on A-B is plug load: 500 W from each leg to neutral, at pf 0.97: 500 / (120.09 x 0.97) A, lagging."""
    load = BuildingLoad(a_site(), [Home(SUB, (A, B), 0)], appliances=False, fluctuation=0.0)
    lines = load._currents(np.array([[1000.0], [3200.0]]))
    small_a = 500 / (208 / sqrt(3) * 0.97)
    assert np.abs(lines[0, 1]) == pytest.approx([small_a, small_a, 0])
    assert cmath.phase(lines[0, 1, 0]) == pytest.approx(-acos(0.97))
    # 3.2 kW: 1.2 kW as plug load, 2 kW across the legs: 30 degrees ahead of V_A.
    plug_a, range_a = 600 / (208 / sqrt(3) * 0.97), 2000 / (208 * 0.97)
    assert abs(lines[1, 1, 0]) == pytest.approx(abs(plug_a + range_a * cmath.exp(1j * pi / 6)))
    assert np.abs(lines[1, 0]) == pytest.approx(np.abs(lines[1, 1]))


def test_european_homes_draw_from_line_to_neutral() -> None:
    load = BuildingLoad(a_site(volts=400.0), [Home(SUB, (B,), 0)], appliances=False, fluctuation=0.0)
    lines = np.abs(load._currents(np.array([[4600.0]])))[0]
    assert lines[1] == pytest.approx([0, 4600 / (400 / sqrt(3)) / 0.97, 0])


def test_same_seed_same_load_in_any_order_of_asking() -> None:
    site = a_site()
    instants = [MONDAY + timedelta(minutes=37 * n, seconds=n) for n in range(40)]
    forwards, backwards = BuildingLoad(site, homes_for(site), seed=3), BuildingLoad(site, homes_for(site), seed=3)
    seen = [forwards.phasors(at).copy() for at in instants]
    again = [backwards.phasors(at).copy() for at in reversed(instants)][::-1]
    assert np.array_equal(seen, again)
    other = BuildingLoad(site, homes_for(site), seed=4)
    assert not np.array_equal(seen, [other.phasors(at) for at in instants])


def test_no_meter_no_homes() -> None:
    site = Site(SiteId("x"), "UTC", CsmsSettings("ws://x"), (Feeder(MAIN, 100),), ())
    load = building_load(site)
    assert load.homes == ()
    assert not load.phasors(datetime(2026, 1, 1, tzinfo=UTC)).any()


def test_design_loads_are_kept() -> None:
    text = Path(__file__).parents[2] / "docs" / "examples" / "cedar-court.yaml"
    site = parse_site(text.read_text(), "cedar-court.yaml")
    load = building_load(site, seed=5)
    used = []
    for row, feeder in enumerate(site.feeders):
        assert feeder.base_load_max_a is not None
        for column, phase in enumerate(feeder.phases):
            used.append(LOAD_MARGIN * load.peak_a()[row, column] / feeder.base_load_max_a[phase])
    assert max(used) == pytest.approx(1.0)


# --- the demo's site -------------------------------------------------------------------------------------------------


def proof_margin_a(site: Site) -> float:
    """Usable - base - fall-backs, smallest over every phase of every feeder: the proof's arithmetic, done again."""
    margins = []
    for feeder in site.feeders:
        for phase in feeder.phases:
            base_a = feeder.base_load_max_a[phase] if feeder.base_load_max_a else 0.0
            below = [evse for evse in site.evses if feeder in list(site.path(evse.feeder)) and phase in evse.phases]
            margins.append(0.8 * feeder.rating_a - base_a - sum(evse.failsafe_a for evse in below))
    return min(margins)


@pytest.mark.parametrize("chargers", [1, 2, 5, 12, 13, 40])
def test_demo_site_is_valid_safe_and_scarce(chargers: int) -> None:
    site = parse_site(demo_site(chargers), "demo.yaml")
    assert len(site.evses) == len(site.chargers) == chargers
    assert proof_margin_a(site) >= 0
    assert all(evse.failsafe_proven and evse.failsafe_a in (0, evse.min_a) for evse in site.evses)
    if chargers < 6:
        return
    dedicated = [feeder for feeder in site.feeders if feeder.meter is None]
    assert dedicated
    for feeder in dedicated:
        for_all_a = max(6 * sum(phase in e.phases for e in site.evses_below(feeder.id)) for phase in Phase)
        assert 12 <= feeder.usable_a < for_all_a
    assert {evse.phases for evse in site.evses} == {(A, B), (B, C), (C, A)}


@pytest.mark.parametrize("seed", [0, 11])
def test_demo_base_load_alone_stays_below_usable(seed: int) -> None:
    site = parse_site(demo_site(12), "demo.yaml")
    load = building_load(site, seed=seed)
    usable_a = np.array([[feeder.usable_a] for feeder in site.feeders])
    # Looked at between the instants that the design load was measured at.
    assert (load.peak_a(every_s=7) <= usable_a).all()
    design_a = [[f.base_load_max_a[p] if f.base_load_max_a else np.inf for p in Phase] for f in site.feeders]
    assert (load.peak_a(every_s=7) <= np.array(design_a)).all()
    assert load.homes[0].scale == pytest.approx(1.0, abs=0.02 if seed == 0 else 0.4)


def test_demo_site_refuses_no_chargers() -> None:
    with pytest.raises(ValueError, match="1 to 500 chargers, not 0"):
        demo_site(0)
