"""The groups of the thesis: table 6.1, and what holds for any size."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scheduler.groups import activated, dynamic_quantum_s, groups, slice_s

TABLE_6_1 = groups((1, 2, 3, 4, 5, 6, 7, 8), 3)


def test_table_6_1_groups():
    assert TABLE_6_1 == ((1, 2, 3), (4, 5, 6), (7, 8))


@pytest.mark.parametrize(
    ("round_index", "expected"), [(1, (1, 4, 7)), (2, (2, 5, 8)), (3, (3, 6, 7)), (4, (1, 4, 8)), (5, (2, 5, 7))]
)
def test_table_6_1_activation(round_index, expected):
    assert activated(TABLE_6_1, round_index) == expected


@given(st.lists(st.integers(), max_size=60), st.integers(1, 70))
def test_groups_partition_the_members_in_order_and_nearly_evenly(members, q):
    found = groups(members, q)
    assert [member for group in found for member in group] == members
    sizes = [len(group) for group in found]
    assert sizes == sorted(sizes, reverse=True)
    assert not sizes or (max(sizes) - min(sizes) <= 1 and min(sizes) >= 1)
    assert len(found) == min(q, len(members))


@given(st.integers(1, 40), st.integers(1, 12))
def test_every_member_is_activated_once_in_as_many_rounds_as_its_group_is_large(count, q):
    grouped = groups(tuple(range(count)), q)
    for index, group in enumerate(grouped):
        seen = [activated(grouped, r)[index] for r in range(1, len(group) + 1)]
        assert sorted(seen) == sorted(group)


def test_nobody_may_charge_is_refused():
    with pytest.raises(ValueError, match="q is 0"):
        groups((1, 2), 0)
    with pytest.raises(ValueError, match="round 0"):
        activated(TABLE_6_1, 0)


def test_quantum_is_shared_by_the_group_and_never_below_the_minimum_on_time():
    assert dynamic_quantum_s(3600.0, 4) == 900.0
    assert slice_s(3600.0, 600.0, 4) == 900.0
    assert slice_s(3600.0, 600.0, 12) == 600.0
