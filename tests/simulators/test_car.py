"""A car against energy books kept apart from it."""

from math import sqrt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.car import Car
from simulators.car_models import CAR_MODELS


def settled(car: Car, offered_a: float, *, seconds: int = 60, conductors: int = 2, voltage_v: float = 208.0) -> float:
    for _ in range(seconds):
        car.step(offered_a, 1.0, conductors, voltage_v)
    return car.current_a


@pytest.mark.parametrize(
    ("offered_a", "conductors", "drawn_a"),
    [
        (32, 2, 32),
        (32, 1, 32),
        (32, 3, 16),  # the onboard charger's three-phase limit
        (40, 2, 32),  # its single-phase limit
        (13.5, 2, 13.5),
        (6, 2, 6),
        (5.9, 2, 0),
        (0, 2, 0),
    ],
)
def test_takes_what_is_offered_up_to_its_own_limit(offered_a: float, conductors: int, drawn_a: float) -> None:
    car = Car(60, 0.2, 32, max_three_phase_a=16)
    assert settled(car, offered_a, conductors=conductors) == pytest.approx(drawn_a)


def test_wakes_then_ramps() -> None:
    car = Car(60, 0.2, 32, ramp_up_a_per_s=3.0, wake_s=4.0)
    drawn = [car.step(32, 1.0, 2, 208.0) for _ in range(10)]
    assert drawn == [0, 0, 0, 0, 3, 6, 9, 12, 15, 18]


@pytest.mark.parametrize("response_s", [0.0, 2.0, 5.0, 30.0])
def test_a_reduction_is_noticed_late_and_done_in_time(response_s: float) -> None:
    car = Car(60, 0.2, 32, response_s=response_s)
    assert settled(car, 32) == 32
    drawn = [car.step(8, 0.5, 2, 208.0) for _ in range(int(2 * response_s) + 2)]
    assert drawn[-1] == 8
    assert sorted(drawn, reverse=True) == drawn
    early = [current_a for number, current_a in enumerate(drawn) if (number + 1) * 0.5 < response_s / 2]
    assert early == [32] * len(early)


def test_a_second_reduction_does_not_restart_the_first() -> None:
    car = Car(60, 0.2, 32, response_s=10)
    settled(car, 32)
    for second in range(12):
        car.step(20 - second, 1.0, 2, 208.0)
    assert car.current_a <= 20


def test_stays_asleep_until_woken() -> None:
    car = Car(60, 0.2, 32, sleeps_after_s=60)
    assert settled(car, 16) == 16
    settled(car, 0, seconds=120)
    assert settled(car, 16) == 0
    assert car.asleep
    assert car.wants
    car.wake()
    assert settled(car, 16) == 16


def test_a_short_refusal_does_not_put_it_to_sleep() -> None:
    car = Car(60, 0.2, 32, sleeps_after_s=60)
    settled(car, 16)
    settled(car, 0, seconds=30)
    assert settled(car, 16) == 16


def test_tapers_above_ninety_percent_and_stops_when_full() -> None:
    car = Car(20, 0.85, 32, efficiency=(1.0, 1.0))
    seen: list[tuple[float, float]] = []
    while car.wants:
        car.step(32, 10.0, 2, 208.0)
        seen.append((car.soc, car.current_a))
        assert len(seen) < 10_000
    assert all(current_a == 32 for soc, current_a in seen[5:] if soc < 0.9)
    tapering = [current_a for soc, current_a in seen if 0.91 < soc < 0.999]
    assert tapering == sorted(tapering, reverse=True)
    assert tapering[-1] < 6  # less than the smallest offer, as real cars do
    assert car.soc == pytest.approx(1.0)
    assert settled(car, 32) == 0
    assert car.energy_wh == pytest.approx(3000)


def test_stops_at_the_energy_asked() -> None:
    car = Car(60, 0.2, 16, target_wh=500)
    settled(car, 16, seconds=1200)
    assert car.energy_wh == pytest.approx(500, abs=1e-6)
    assert not car.wants
    assert car.current_a == 0


def test_power_of_each_connection() -> None:
    """One hour at 10 A: 120 V x 10 A, 208 V x 10 A, sqrt(3) x 208 V x 10 A."""
    for conductors, voltage_v, power_w in ((1, 120.0, 1200), (2, 208.0, 2080), (3, 208 / sqrt(3), sqrt(3) * 2080)):
        car = Car(60, 0.1, 32, wake_s=0, ramp_up_a_per_s=1e6)
        settled(car, 10, seconds=3600, conductors=conductors, voltage_v=voltage_v)
        assert car.energy_wh == pytest.approx(power_w)


def test_a_two_phase_car_on_three_phases() -> None:
    car = Car(60, 0.1, 16, wake_s=0, ramp_up_a_per_s=1e6, phase_share=(1.0, 1.0, 0.0))
    settled(car, 10, seconds=3600, conductors=3, voltage_v=230.0)
    assert car.energy_wh == pytest.approx(2 * 2300)


@settings(max_examples=60, deadline=None)
@given(
    offers=st.lists(st.tuples(st.floats(0, 40), st.integers(1, 40)), min_size=1, max_size=20),
    soc=st.floats(0, 1),
    target_wh=st.floats(0, 5000),
    conductors=st.sampled_from([1, 2, 3]),
    response_s=st.floats(0, 30),
)
def test_books_balance_and_limits_hold(
    offers: list[tuple[float, int]], soc: float, target_wh: float, conductors: int, response_s: float
) -> None:
    car = Car(
        10, soc, 24, max_three_phase_a=16, target_wh=target_wh, efficiency=(0.8, 0.9), response_s=response_s, wake_s=2
    )
    drawn_wh, recent = 0.0, [0.0]
    for offered_a, seconds in offers:
        for _ in range(seconds):
            current_a = car.step(offered_a, 1.0, conductors, 120.0)
            recent.append(offered_a)
            allowed_a = max(recent[-int(response_s + 3) :])
            assert 0 <= current_a <= min(allowed_a, 16 if conductors == 3 else 24) + 1e-9
            drawn_wh += current_a * 120 * (3 if conductors == 3 else 1) / 3600
    assert car.energy_wh == pytest.approx(drawn_wh)
    assert car.energy_wh <= target_wh + 1e-6
    stored_wh = (car.soc - soc) * 10_000
    assert 0.8 * drawn_wh - 1e-6 <= stored_wh <= 0.9 * drawn_wh + 1e-6
    assert car.soc <= 1


@pytest.mark.parametrize("wrong", [{"soc": 1.2}, {"soc": -0.1}, {"battery_kwh": 0.0}, {"max_a": -1.0}])
def test_refuses_what_is_no_car(wrong: dict[str, float]) -> None:
    sizes = {"battery_kwh": 60.0, "soc": 0.5, "max_a": 16.0} | wrong
    with pytest.raises(ValueError, match="a car needs"):
        Car(**sizes)
    with pytest.raises(ValueError, match="largest phase share"):
        Car(60, 0.5, 16, phase_share=(0.5, 0.5, 0.5))


def test_models_are_plausible() -> None:
    assert len({model.name for model in CAR_MODELS}) == 8
    for model in CAR_MODELS:
        assert 40 < model.battery_kwh < 100
        assert model.onboard_a >= model.onboard_three_phase_a >= 16
        assert all(0.6 < value <= 0.95 for value in (*model.efficiency, *model.efficiency_three_phase))
