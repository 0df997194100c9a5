"""The offset of a charger's clock, from its stamps and the times that the CSMS gives it."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.protocol.charger_clock import ChargerClock

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def test_unknown_is_ours_and_says_so():
    clock = ChargerClock()
    assert (clock.known, clock.offset_s, clock.now(T0)) == (False, 0.0, T0)


def test_a_time_that_the_csms_gives_sets_it():
    clock = ChargerClock()
    clock.was_set(after(-42), T0)
    assert (clock.known, clock.offset_s, clock.now(after(10))) == (True, -42.0, after(-32))


@given(
    st.floats(-200.0, 7200.0),
    st.lists(st.floats(0.0, 20.0), min_size=1, max_size=20),
)
def test_stamps_are_lower_bounds_so_the_estimate_is_never_late(offset_s, delays_s):
    """Whatever the delays, the estimate is at most the true offset: a dead-man step is never late by it."""
    clock = ChargerClock()
    for n, delay_s in enumerate(delays_s):
        at = after(60.0 * n)
        assert clock.stamped(at + timedelta(seconds=offset_s - delay_s), at)
    assert clock.offset_s <= offset_s + 1e-5
    assert clock.offset_s >= offset_s - min(delays_s[-8:]) - 1e-5


def test_a_queue_being_emptied_tells_nothing_of_the_clock():
    clock = ChargerClock()
    clock.was_set(T0, T0)
    lates = [clock.stamped(after(-3600 + 60 * n), after(n * 0.5)) for n in range(50)]
    assert not any(lates)
    assert clock.offset_s == 0.0


def test_a_clock_that_stays_behind_is_believed_after_half_a_minute():
    clock = ChargerClock()
    clock.was_set(T0, T0)
    assert clock.stamped(T0, T0)
    assert not clock.stamped(after(-3600), T0)
    assert not clock.stamped(after(-3590), after(10))
    assert clock.stamped(after(-3560), after(40))
    assert clock.offset_s == -3600.0


def test_a_setting_voids_older_stamps():
    clock = ChargerClock()
    clock.stamped(after(500), T0)
    clock.was_set(after(10), after(10))
    assert clock.offset_s == 0.0
    assert clock.stamped(after(20), after(20))


def test_a_charger_that_ignores_the_setting_keeps_its_own_time():
    clock = ChargerClock()
    clock.stamped(after(500), T0)
    clock.was_set(after(10), after(10))
    clock.stamped(after(520), after(20))
    assert clock.offset_s == 500.0
    clock.was_set(after(30), after(30))
    assert clock.offset_s == 500.0
    clock.stamped(after(541), after(40))
    assert clock.offset_s == pytest.approx(501.0)


def test_a_wild_stamp_from_the_future_is_forgotten():
    clock = ChargerClock()
    clock.stamped(T0 + timedelta(days=10_000), T0)
    for n in range(1, 60):
        clock.stamped(after(10 * n), after(10 * n))
    assert clock.offset_s == 0.0
