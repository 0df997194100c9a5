"""The breaker bank against its own closed form and against what the standards demand."""

from math import inf

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.breaker import BreakerBank, trip_time_s


def seconds_to_trip(multiple: float, *, dt_s: float = 1.0, most_s: float = 7200) -> float:
    bank = BreakerBank(np.array([100.0]))
    bank.heat = np.zeros((1, 3))
    current_a = np.array([[0.0, 100.0 * multiple, 0.0]])
    passed_s = 0.0
    while passed_s < most_s:
        bank.step(current_a, dt_s)
        passed_s += dt_s
        if bank.trips[0]:
            return passed_s
    return inf


@pytest.mark.parametrize(
    ("multiple", "at_least_s", "at_most_s"),
    [
        (1.0, inf, inf),  # UL 489: carries its rating for ever
        (1.13, inf, inf),  # IEC 60898-1: conventional non-tripping current
        (1.35, 60, 3600),  # UL 489: within the hour up to 50 A
        (1.45, 60, 3600),  # IEC 60898-1: conventional tripping current
        (2.0, 10, 120),  # UL 489: two minutes for the smallest frame
        (2.55, 1, 60),  # IEC 60898-1: 1 to 60 s up to 32 A
        (10.0, 0, 0),
    ],
)
def test_curve_keeps_the_standards(multiple: float, at_least_s: float, at_most_s: float) -> None:
    assert at_least_s <= trip_time_s(multiple) <= at_most_s


@given(st.floats(0.1, 12), st.floats(0.1, 12))
def test_curve_is_monotone(one: float, other: float) -> None:
    low, high = sorted((one, other))
    assert trip_time_s(low) >= trip_time_s(high)


@settings(max_examples=15, deadline=None)
@given(st.floats(1.2, 7.9))
def test_the_bank_integrates_the_curve(multiple: float) -> None:
    assert seconds_to_trip(multiple) == pytest.approx(trip_time_s(multiple), abs=1.0 + 1e-6)


def test_step_length_does_not_matter() -> None:
    assert seconds_to_trip(1.5, dt_s=0.5) == pytest.approx(seconds_to_trip(1.5, dt_s=5.0), abs=5.0)


def test_never_trips_at_its_rating_and_counts_each_feeder_once() -> None:
    bank = BreakerBank(np.array([100.0, 50.0]))
    for _ in range(4 * 3600):
        bank.step(np.array([[100.0] * 3, [50.0] * 3]), 1.0)
    assert bank.trips.tolist() == [0, 0]
    bank.step(np.array([[1000.0] * 3, [50.0] * 3]), 1.0)
    assert bank.trips.tolist() == [1, 0]


def test_a_warm_breaker_trips_sooner_and_a_pause_cools() -> None:
    warm = BreakerBank(np.array([100.0]))
    warm.step(np.array([[100.0] * 3]), 1.0)
    seconds = 0
    while not warm.trips[0]:
        warm.step(np.array([[150.0] * 3]), 1.0)
        seconds += 1
    assert seconds < trip_time_s(1.5) / 2

    pausing = BreakerBank(np.array([100.0]))
    pausing.step(np.zeros((1, 3)), 1.0)
    for _ in range(20):
        for current_a, seconds in ((150.0, 60), (40.0, 120)):
            for _ in range(seconds):
                pausing.step(np.array([[current_a] * 3]), 1.0)
    assert pausing.trips[0] == 0
    assert trip_time_s(1.5) < 20 * 60
