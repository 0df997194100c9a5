"""After a pause at 0 A: who comes back, who does not, and who charges at full current at first."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inventory_world import after

from domain.session import EvseState
from inventory.awakening import ASLEEP_S, Awakening

RESPONSE_S = 30.0
LATE_S = ASLEEP_S + RESPONSE_S


def paused(at_s: float = 100) -> Awakening:
    """A car that drew 16 A and was then held at 0 A."""
    one = Awakening(6.0, RESPONSE_S)
    one.told(16.0, after(0))
    one.sample(16.0, after(10))
    one.told(0.0, after(at_s))
    one.sample(0.0, after(at_s + 10))
    return one


def test_a_car_that_draws_again_within_its_limit_resumes() -> None:
    one = paused()
    one.told(10.0, after(200))
    one.sample(9.8, after(210))
    assert one.learned == "resumes"
    assert not one.asleep(after(1000))


def test_a_first_draw_well_above_the_limit_is_remembered_for_good() -> None:
    one = paused()
    one.told(6.0, after(200))
    one.sample(5.0, after(205))
    assert one.learned == "resumes", "on its way up"
    one.sample(31.5, after(210))
    assert one.learned == "full_current"
    one.told(0.0, after(300))
    one.told(6.0, after(400))
    one.sample(6.0, after(410))
    assert one.learned == "full_current"


def test_a_draw_that_lags_behind_a_lower_limit_is_no_surge_and_nor_is_one_long_after() -> None:
    one = paused()
    one.told(24.0, after(200))
    one.sample(23.5, after(210))
    one.told(10.0, after(220))
    one.sample(23.5, after(221))
    assert one.learned == "resumes"
    one.sample(32.0, after(200 + LATE_S + 1))
    assert one.learned == "resumes", "that is disobedience, and none of a pause's"


def test_one_wake_up_then_the_charger_counts_as_one_that_stays_paused() -> None:
    one = paused()
    one.told(6.0, after(200))
    assert not one.asleep(after(200 + LATE_S - 1))
    assert one.asleep(after(200 + LATE_S))
    one.wake()
    assert not one.asleep(after(200 + LATE_S)), "once"
    one.told(0.0, after(300))
    one.told(6.0, after(320))
    assert not one.settle(EvseState.SUSPENDED_EVSE, after(320 + LATE_S - 1))
    assert one.settle(EvseState.SUSPENDED_EVSE, after(320 + LATE_S))
    assert (one.learned, one.stuck_since) == ("stays_paused", after(320 + LATE_S))
    assert not one.settle(EvseState.SUSPENDED_EVSE, after(900)), "news once"
    one.sample(6.0, after(1000))
    assert (one.learned, one.stuck_since) == ("resumes", None)


@pytest.mark.parametrize("state", [EvseState.SUSPENDED_EV, EvseState.AVAILABLE, EvseState.FINISHING])
def test_a_car_that_refuses_by_itself_is_woken_once_and_held_against_nobody(state: EvseState) -> None:
    one = paused()
    one.told(6.0, after(200))
    assert one.asleep(after(400))
    one.wake()
    one.told(0.0, after(400))
    one.told(6.0, after(420))
    assert not one.settle(state, after(5000))
    assert (one.learned, one.stuck_since) == (None, None)


def test_a_car_that_never_drew_and_the_next_car_tell_nothing() -> None:
    one = Awakening(6.0, RESPONSE_S)
    one.told(0.0, after(0))
    one.told(16.0, after(10))
    assert not one.asleep(after(5000))
    other = paused()
    other.told(6.0, after(200))
    other.another_car()
    assert not other.asleep(after(5000))


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("told"), st.sampled_from([0.0, 6.0, 16.0])),
            st.tuples(st.just("sample"), st.sampled_from([0.0, 6.0, 16.0, 32.0])),
            st.tuples(st.just("wait"), st.sampled_from([1.0, 50.0, 200.0])),
            st.tuples(st.just("car"), st.just(0.0)),
        ),
        max_size=30,
    )
)
def test_never_more_than_one_wake_up_in_a_pause_and_none_while_the_car_draws_or_is_held_at_zero(
    steps: list[tuple[str, float]],
) -> None:
    one, now_s, told_a, drew_since_told, wakes = Awakening(6.0, RESPONSE_S), 0.0, 0.0, False, 0
    for kind, value in steps:
        now_s += 1.0
        if kind == "told":
            one.told(value, after(now_s))
            told_a, drew_since_told = value, False
        elif kind == "sample":
            one.sample(value, after(now_s))
            if value > 1.0:
                drew_since_told, wakes = True, 0
        elif kind == "car":
            one.another_car()
            wakes = 0
        else:
            now_s += value
        if one.asleep(after(now_s)):
            assert told_a >= 6.0
            assert not drew_since_told
            wakes += 1
            assert wakes == 1
            one.wake()
