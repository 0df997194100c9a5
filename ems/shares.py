"""What each kind of EVSE would get of the panel if all who ask shared it, and how many of them that feeds at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from domain.ids import EvseId
from ems.asked import Asked, Bounds
from ems.max_min import fairest_of_largest_total
from ems.problem import Infeasible, Mask, Panel, Vector
from ems.solver import LinearProgram
from ems.water_filling import fill
from scheduler.contender import Share

_ROUNDING = 1e-6
_COSTS_A = 1e-3
_STEPS = 10
_KEPT = 0.75
"""The largest total may cost a kind at most a quarter of what an even rise would give it."""
_TRIES = 24
"""Seats beyond the whole ones of every share are tried this many times at most: each try is a small LP."""


def kind_name(kind: int) -> str:
    """The name under which the scheduler knows a kind."""
    return f"k{kind}"


def shares(
    panel: Panel, room_a: Vector, asking: Mask, upper_a: Vector, low_a: Vector, volts: Vector
) -> dict[str, Share]:
    """A share per kind that asks, without minima: how the panel carries most, unless a kind would lose by that.

    `seats`: the share in whole minima, and one more where that costs nothing of the largest total that the panel could
    carry. Filling seats beyond the share instead would load one pair of phases at the others' cost.
    """
    question = tuple(part.tobytes() for part in (room_a, asking, upper_a, low_a, volts))
    known = panel.memo.get(question)
    if not isinstance(known, dict):
        # A decision is mostly followed by one on the rises that had to wait for its falls: the same question.
        known = _worked_out(panel, np.maximum(room_a, 0.0), asking, upper_a, low_a, volts)
        panel.memo.clear()
        panel.memo[question] = known
    return dict(known)


def _worked_out(
    panel: Panel, room_a: Vector, asking: Mask, upper_a: Vector, low_a: Vector, volts: Vector
) -> dict[str, Share]:
    kinds = panel.kinds
    count = len(kinds.conductors)
    most_a = np.bincount(kinds.of_evse, np.where(asking, upper_a, 0.0), count).astype(np.float64)
    members = np.bincount(kinds.of_evse, asking, count).astype(np.float64)
    least_a, watts = np.zeros(count), np.zeros(count)
    np.maximum.at(least_a, kinds.of_evse[asking], low_a[asking])
    np.maximum.at(watts, kinds.of_evse[asking], volts[asking])
    rows = np.flatnonzero(kinds.matrix @ most_a > room_a)
    gain = kinds.conductors.astype(np.float64)
    program = LinearProgram(kinds.matrix[rows], room_a[rows], gain, np.zeros(count), most_a)
    share_a = _shared(panel, room_a, most_a, program)
    seats = np.minimum(members, np.floor(share_a / np.maximum(least_a, _ROUNDING) + _ROUNDING)).astype(np.int64)
    wanting = [kind for kind in np.argsort(-members, kind="stable").tolist() if seats[kind] < members[kind]]
    low_a = np.minimum(seats * least_a, most_a)
    for kind in _extra(wanting[:_TRIES], low_a, least_a, most_a, _Rows(kinds.matrix[rows], room_a[rows], program)):
        seats[kind] += 1
    return {
        kind_name(kind): Share(float(share_a[kind] * watts[kind]), int(seats[kind]))
        for kind in np.flatnonzero(members).tolist()
    }


def _shared(panel: Panel, room_a: Vector, most_a: Vector, program: LinearProgram) -> Vector:
    """Per kind, A: the fairest of the largest total; where it leaves a kind too little, plain progressive filling."""
    none = np.zeros(len(most_a))
    fair_a = fill(panel.of_kinds.entries, room_a, Bounds(none, most_a, most_a)).current_a
    largest = program.solve()
    if largest is None or panel.kinds.conductors @ fair_a >= largest.value - _COSTS_A:
        return fair_a
    most = fairest_of_largest_total(panel.of_kinds, Asked(none, most_a, most_a, most_a > 0.0, room_a))
    if isinstance(most, Infeasible) or (most.current_a < _KEPT * fair_a).any():
        return fair_a
    return most.current_a


@dataclass(frozen=True)
class _Rows:
    """The rows that can fill, over kinds, and the program of the largest total on them."""

    matrix: Vector
    room_a: Vector
    program: LinearProgram


def _extra(wanting: Sequence[int], low_a: Vector, least_a: Vector, most_a: Vector, rows: _Rows) -> list[int]:
    """The kinds that can have one seat more while the largest total stays what it is beside the seats `low_a`."""
    rows.program.bound_columns(low_a, most_a)
    before = rows.program.solve() if wanting else None
    found: list[int] = []
    for kind in wanting if before is not None else ():
        more_a = low_a.copy()
        more_a[kind] = min(most_a[kind], low_a[kind] + least_a[kind])
        if (rows.matrix @ more_a > rows.room_a).any():
            continue
        rows.program.bound_columns(more_a, most_a)
        after = rows.program.solve()
        if after is not None and before is not None and after.value >= before.value - _COSTS_A:
            low_a = more_a
            found.append(kind)
    return found


def paces(pace: Mapping[EvseId, float], names: tuple[EvseId, ...]) -> Vector:
    """Weights >= 1 in proportion to the paces, in powers of two: time passing must not move limits every minute.

    At most `_STEPS` doublings apart; 1 where none is known.
    """
    known = np.array([pace.get(name, 0.0) for name in names])
    most = float(known.max(initial=0.0))
    if most <= 0.0:
        return np.ones(len(names))
    doublings = np.round(np.log2(np.maximum(known / most, 2.0**-_STEPS)))
    return np.asarray(2.0 ** (doublings - doublings[known > 0.0].min()).clip(0.0))
