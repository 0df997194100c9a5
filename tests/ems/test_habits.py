"""How an EVSE is used: by hand, and against a count of minutes."""

import math
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.ids import EvseId
from ems.habits import DAY_H, PRIOR, PRIOR_DAYS, Habits, Stay, habits

ONE, TWO = EvseId("one"), EvseId("two")
START = datetime(2026, 3, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)


def nights(evse: EvseId, days: int, wh: float = 9_000.0) -> list[Stay]:
    return [Stay(evse, START + day * 24 * HOUR, START + (day * 24 + 6) * HOUR, wh) for day in range(days)]


def test_an_evse_without_history_is_used_as_in_the_case_study() -> None:
    found = habits([], [ONE, TWO], START, START, UTC)
    np.testing.assert_allclose(found.there, np.vstack([PRIOR, PRIOR]))
    assert found.linked == 0.0
    assert found.more_wh(0.0) == math.inf
    chances = found.chances(np.array([True, False]), np.full(2, np.inf), [7, 8, 9])
    np.testing.assert_allclose(chances, [[1.0, 0.2, 0.2], [0.0, 0.2, 0.2]])


def test_history_outweighs_the_prior_and_hours_are_the_sites_own() -> None:
    zone = ZoneInfo("America/Vancouver")  # 8 hours behind before the change of 8 March
    found = habits(nights(ONE, 5), [ONE, TWO], START, START + 5 * 24 * HOUR, zone)
    there, away = (5 + PRIOR_DAYS * PRIOR) / (5 + PRIOR_DAYS), PRIOR_DAYS * PRIOR / (5 + PRIOR_DAYS)
    local = (np.arange(DAY_H) >= 16) & (np.arange(DAY_H) < 22)
    np.testing.assert_allclose(found.there[0], np.where(local, there, away))
    np.testing.assert_allclose(found.there[1], away)
    assert 0.5 < found.linked <= 0.99


def test_what_a_car_still_takes_is_the_mean_of_those_that_took_more() -> None:
    stays = [Stay(ONE, START + n * HOUR, START + (n + 1) * HOUR, 1_000.0 * n) for n in range(1, 12)]
    found = habits(stays, [ONE], START, START + 24 * HOUR, UTC)
    assert found.more_wh(9_000.0) == pytest.approx(1_500.0)
    assert found.more_wh(20_000.0) == 0.0
    assert habits(stays[:5], [ONE], START, START + 24 * HOUR, UTC).more_wh(0.0) == math.inf


def test_a_told_departure_holds_until_then() -> None:
    known = Habits(np.full((1, DAY_H), 0.4), 0.5, np.empty(0))
    chances = known.chances(np.array([True]), np.array([1.5]), [1, 2, 3, 4])
    np.testing.assert_allclose(chances, [[1.0, 1.0, 0.4 * (1 - 0.5**0.5), 0.4 * (1 - 0.5**1.5)]])


@settings(deadline=None, max_examples=30)
@given(
    times=st.lists(st.tuples(st.integers(-600, 6_000), st.integers(1, 3_000)), max_size=6),
    open_ended=st.booleans(),
)
def test_presence_is_the_count_of_minutes(times: list[tuple[int, int]], open_ended: bool) -> None:
    days, minute = 3, timedelta(minutes=1)
    until = START + days * 24 * HOUR
    stays, begin = [], -700
    for gap, length in times:  # one car at a time
        begin = max(begin, gap)
        stays.append(Stay(ONE, START + begin * minute, START + (begin + length) * minute, 1.0))
        begin += length
    if stays and open_ended:
        stays[-1] = Stay(ONE, stays[-1].started_at, None, 1.0)
    there = np.zeros(days * 24 * 60)
    for stay in stays:
        first = int((stay.started_at - START) / minute)
        last = int(((stay.ended_at or until) - START) / minute)
        there[max(first, 0) : max(last, 0)] = 1.0
    expected = (there.reshape(days, 24, 60).mean(axis=2).sum(axis=0) + PRIOR_DAYS * PRIOR) / (days + PRIOR_DAYS)
    found = habits(stays, [ONE], START, until, UTC)
    np.testing.assert_allclose(found.there[0], expected, atol=1e-9)
    assert ((found.there >= 0.0) & (found.there <= 1.0)).all()
