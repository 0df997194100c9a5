"""Fairness measures: their bounds and their known values."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.fairness import jain, longest_wait_s, smallest_share, switches

T0 = datetime(2026, 1, 5, 18, 0, tzinfo=UTC)
SHARES = st.lists(st.floats(0.0, 1e3).map(lambda x: round(x, 3)), min_size=1, max_size=20)


@given(SHARES)
def test_jain_is_between_one_nth_and_one_and_does_not_see_scale(shares):
    assert 1.0 / len(shares) - 1e-9 <= jain(shares) <= 1.0 + 1e-9
    assert jain([3.0 * share for share in shares]) == pytest.approx(jain(shares))


def test_jain_of_one_who_has_everything():
    assert jain([0.0, 0.0, 8.0, 0.0]) == pytest.approx(0.25)
    assert jain([2.0, 2.0]) == pytest.approx(1.0)
    assert jain([]) == 1.0
    assert jain([0.0, 0.0]) == 1.0


@given(SHARES)
def test_smallest_share_is_one_only_for_equals(shares):
    share = smallest_share(shares)
    assert 0.0 <= share <= 1.0 + 1e-9
    if share > 1.0 - 1e-12 and sum(shares):
        assert jain(shares) == pytest.approx(1.0)


def test_smallest_share_of_one_left_out_is_zero():
    assert smallest_share([0.0, 5.0]) == 0.0
    assert smallest_share([1.0, 3.0]) == pytest.approx(0.5)


def test_longest_wait_counts_to_the_end_and_across_entries():
    def record(*flags):
        return [(T0 + timedelta(minutes=10 * i), flag) for i, flag in enumerate(flags)]

    assert longest_wait_s(record(True, False, False, True, False)) == 1200.0
    assert longest_wait_s(record(False, False, True, False, False, False, False)) == 1800.0
    assert longest_wait_s(record(True, True)) == 0.0
    assert longest_wait_s([]) == 0.0


def test_switches_are_changes_between_zero_and_not():
    assert switches([0.0, 6.0, 16.0, 0.0, 0.0, 6.0]) == 3
    assert switches([]) == 0
