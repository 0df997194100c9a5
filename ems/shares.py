"""What each kind of EVSE would get of the panel if all who ask shared it, and how many of them that feeds at once."""

from collections.abc import Mapping

import numpy as np

from domain.ids import EvseId
from ems.asked import Asked, Bounds
from ems.max_min import fairest_of_largest_total
from ems.problem import Entries, Infeasible, Kinds, Mask, Panel, Vector
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
    kinds, room_a = panel.kinds, np.maximum(room_a, 0.0)
    count = len(kinds.conductors)
    most_a = np.bincount(kinds.of_evse, np.where(asking, upper_a, 0.0), count).astype(np.float64)
    members = np.bincount(kinds.of_evse, asking, count).astype(np.float64)
    least_a, watts = np.zeros(count), np.zeros(count)
    np.maximum.at(least_a, kinds.of_evse[asking], low_a[asking])
    np.maximum.at(watts, kinds.of_evse[asking], volts[asking])
    share_a = _shared(panel, room_a, most_a)
    seats = np.minimum(members, np.floor(share_a / np.maximum(least_a, _ROUNDING) + _ROUNDING)).astype(np.int64)
    seats = _with_extra(kinds, room_a, seats, members, least_a, most_a)
    return {
        kind_name(kind): Share(float(share_a[kind] * watts[kind]), int(seats[kind]))
        for kind in np.flatnonzero(members).tolist()
    }


def _shared(panel: Panel, room_a: Vector, most_a: Vector) -> Vector:
    """Per kind, A: the fairest of the largest total; where it leaves a kind too little, plain progressive filling."""
    bounds = Bounds(np.zeros(len(most_a)), most_a, most_a)
    row, kind = np.nonzero(panel.kinds.matrix)
    fair_a = fill(Entries(row, kind, panel.kinds.matrix[row, kind]), room_a, bounds).current_a
    whole = Panel(
        tuple(EvseId(kind_name(number)) for number in range(len(most_a))),
        panel.rows,
        panel.kinds.matrix,
        panel.usable_a,
        panel.kinds.conductors,
    )
    most = fairest_of_largest_total(whole, Asked(bounds.low_a, most_a, most_a, most_a > 0.0, room_a))
    if isinstance(most, Infeasible) or (most.current_a < _KEPT * fair_a).any():
        return fair_a
    return most.current_a


def _with_extra(
    kinds: Kinds, room_a: Vector, seats: np.ndarray, members: Vector, least_a: Vector, most_a: Vector
) -> np.ndarray:
    """One seat more for the kinds, most members first, where the largest total stays what it is."""
    rows = np.flatnonzero(kinds.matrix @ most_a > room_a)
    wanting = [kind for kind in np.argsort(-members, kind="stable").tolist() if seats[kind] < members[kind]]
    if not rows.size or not wanting:
        return seats
    seats = seats.copy()
    low_a = np.minimum(seats * least_a, most_a)
    gain = kinds.conductors.astype(np.float64)
    program = LinearProgram(kinds.matrix[rows], room_a[rows], gain, low_a, most_a)
    before = program.solve()
    if before is None:
        return seats
    for kind in wanting[:_TRIES]:
        more_a = low_a.copy()
        more_a[kind] = min(most_a[kind], (seats[kind] + 1) * least_a[kind])
        if (kinds.matrix[rows] @ more_a > room_a[rows]).any():
            continue
        program.bound_columns(more_a, most_a)
        after = program.solve()
        if after is not None and after.value >= before.value - _COSTS_A:
            low_a = more_a
            seats[kind] += 1
    return seats


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
