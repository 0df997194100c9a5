"""The groups of dynamic round robin as the thesis draws them (seed 004, sections 3.1 and 6.3, table 6.1)."""

from collections.abc import Sequence
from typing import TypeVar

Member = TypeVar("Member")


def groups(members: Sequence[Member], q: int) -> tuple[tuple[Member, ...], ...]:
    """`members`, in order, cut into `q` groups of sizes as equal as possible, the larger ones first.

    Table 6.1: 8 members, q = 3 -> {1,2,3} {4,5,6} {7,8}. Eq. 3.1's floor form (all but the last group hold
    floor(E / q), the last the rest) contradicts that table: {1,2} {3,4} {5,6,7,8}; the table is built.

    Args:
        members: who asks, in the order of the queue.
        q: how many may charge at once, at least 1. With q above the number of members every member is a group.

    Returns:
        min(q, len(members)) groups, none empty.
    """
    if q < 1:
        raise ValueError(f"q is {q}; at least one must be allowed to charge at once")
    count = min(q, len(members))
    if count == 0:
        return ()
    size, larger = divmod(len(members), count)
    found: list[tuple[Member, ...]] = []
    start = 0
    for index in range(count):
        end = start + size + (1 if index < larger else 0)
        found.append(tuple(members[start:end]))
        start = end
    return tuple(found)


def activated(grouped: Sequence[Sequence[Member]], round_index: int) -> tuple[Member, ...]:
    """Who charges in round R = `round_index` (1, 2, ...): member ((R - 1) mod |G_g|) + 1 of each group."""
    if round_index < 1:
        raise ValueError(f"round {round_index}; rounds are counted from 1")
    return tuple(group[(round_index - 1) % len(group)] for group in grouped)


def dynamic_quantum_s(quantum_s: float, group_size: int) -> float:
    """t_d = t_q / |G| in seconds (004 eq. 3.2)."""
    return quantum_s / max(1, group_size)


def slice_s(quantum_s: float, min_on_s: float, group_size: int) -> float:
    """How long one turn lasts: max(t_d, min_on), as t_q / |G| falls below the minimum on-time in large groups."""
    return max(dynamic_quantum_s(quantum_s, group_size), min_on_s)
