"""Weighted max-min fair shares by progressive filling: no solver, no way to fail once the minima fit.

The rung below the chosen strategy (ems.md section 6.6). All EVSEs rise together in s_m = y_m / (alpha_m requested_m)
from their minima until a row is full; its EVSEs stop there and the others go on. It gives every EVSE the largest share
that takes nothing from a smaller one, which is not the largest total: on A-B, B-C, C-A it may leave current unused that
`milp` finds.
"""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ems.asked import Asked, Bounds, admit_in_order, asked
from ems.problem import Allocation, Entries, Infeasible, Mask, Panel, Problem, Vector

_EXACT_A = 1e-9
_ITERATIONS = 200
_PLAIN_STEPS = 5
_HALVE_EVERY = 5
_FLAT = 1e-9


@dataclass(frozen=True, slots=True)
class WaterFilling:
    """Progressive filling as a `Strategy`. Where z is free it serves in the order of columns while the minima fit.

    `Allocation.price` of a row that stopped EVSEs is what those EVSEs together would gain per A more there; what
    others would lose by it further along is not counted.
    """

    name: str = "water_filling"

    def allocate(self, problem: Problem) -> Allocation | Infeasible:
        """The max-min fair currents; Infeasible only where the minima of the admitted do not fit."""
        given = asked(problem, admit_in_order(problem) if problem.on is None else problem.on)
        if isinstance(given, Infeasible):
            return given
        filled = fill(problem.panel.entries, given.room_a, given)
        price = _gains(problem.panel, given, filled.current_a, filled.binding)
        return Allocation(filled.current_a, price, filled.binding)


@dataclass(frozen=True)
class Filled:
    """Per EVSE: its current in A, the row that stopped it (-1: none, it has all it asked) and the level of that."""

    current_a: Vector
    binding: npt.NDArray[np.int64]
    level: Vector


@dataclass(frozen=True)
class _Rising:
    """The entries of EVSEs that still rise, at rows that can still fill, in the order of rows.

    `at` are the rows that occur, `place` the position of each entry's row in `at`, `first` each row's first entry.
    """

    row: npt.NDArray[np.int64]
    column: npt.NDArray[np.int64]
    coefficient: Vector
    low: Vector
    high: Vector
    weight: Vector
    first: npt.NDArray[np.int64] = field(init=False)
    place: npt.NDArray[np.int64] = field(init=False)
    at: npt.NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        starts = np.ones(self.row.size, dtype=np.bool_)
        np.not_equal(self.row[1:], self.row[:-1], out=starts[1:])
        object.__setattr__(self, "first", np.flatnonzero(starts))
        object.__setattr__(self, "place", np.cumsum(starts) - 1)
        object.__setattr__(self, "at", self.row[self.first])

    def where(self, kept: Mask) -> "_Rising":
        """Only the entries that are kept."""
        index = np.flatnonzero(kept)
        return _Rising(
            self.row[index],
            self.column[index],
            self.coefficient[index],
            self.low[index],
            self.high[index],
            self.weight[index],
        )

    def can_fill(self, room_a: Vector, counted: Mask) -> Mask:
        """Per entry: whether its row would be more than full if the EVSEs that count had all they asked."""
        asked_a = self.sums(np.where(counted, self.coefficient * self.high, 0.0))
        return np.asarray((asked_a > room_a[self.at])[self.place])

    def sums(self, values: Vector) -> Vector:
        """The sum of the entries' values per row, in the order of `at`."""
        return np.asarray(np.add.reduceat(values, self.first))


def fill(entries: Entries, room_a: Vector, given: Bounds) -> Filled:
    """Progressive filling of rows with coefficients > 0 over the EVSEs of `given`; `room_a` are their right-hand sides.

    In rounds: the level at which a row is full if all its EVSEs rise alike can only grow when some of them stop
    earlier. So an EVSE that is content below every level it meets gets all it asked, and a row whose level is the
    lowest that any of its EVSEs meets stops them all; the globally lowest row does so in every round, most others too.
    """
    rows, count = len(room_a), len(given.low_a)
    current_a = given.high_a.copy()
    binding = np.full(count, -1, dtype=np.int64)
    content = np.divide(given.high_a, given.weight_a, out=np.zeros(count), where=given.weight_a > 0.0)
    stop = content.copy()
    room_a = room_a.copy()
    level = np.zeros(rows)
    rising = _rising(entries, given)
    rising = rising.where(rising.can_fill(room_a, rising.high > 0.0))
    while rising.row.size:
        level[rising.at] = _levels(rising, room_a[rising.at], level[rising.at])
        met = np.full(count, np.inf)
        np.minimum.at(met, rising.column, level[rising.row])
        stopping = (content > met)[rising.column]
        lowest = np.minimum.reduceat(np.where(stopping, met[rising.column], np.inf), rising.first)
        stops = stopping & (level[rising.at] <= lowest)[rising.place]
        stopped, at = rising.column[stops], rising.row[stops]
        binding[stopped], stop[stopped] = at, level[at]
        wanted_a = np.maximum(level[at] * given.weight_a[stopped], given.low_a[stopped])
        current_a[stopped] = np.minimum(wanted_a, given.high_a[stopped])
        stopping &= (binding < 0)[rising.column]
        taken_a = np.where(stopping, 0.0, rising.coefficient * current_a[rising.column])
        room_a[rising.at] -= rising.sums(taken_a)
        rising = rising.where(stopping & rising.can_fill(room_a, stopping))
    return Filled(current_a, binding, stop)


def level_of(coefficient: Vector, room_a: float, given: Bounds) -> float:
    """The level at which one row is full if all its EVSEs rise alike; for a row that can fill."""
    loads = np.flatnonzero(coefficient)
    row = _Rising(
        np.zeros(loads.size, dtype=np.int64),
        loads,
        coefficient[loads],
        given.low_a[loads],
        given.high_a[loads],
        given.weight_a[loads],
    )
    return float(_levels(row, np.array([room_a]), np.zeros(1))[0])


def _rising(entries: Entries, given: Bounds) -> _Rising:
    low, high, weight = (part[entries.column] for part in (given.low_a, given.high_a, given.weight_a))
    return _Rising(entries.row, entries.column, entries.coefficient, low, high, weight)


def _levels(rising: _Rising, room_a: Vector, start: Vector) -> Vector:
    """Per row the t at which sum coefficient clip(t weight, low, high) = room, for rows that can fill; t in [0, 1].

    Newton on a function that is piecewise linear and increasing, so exact once the pieces stand; kept inside a
    bracket, `start` being a lower bound (levels only grow from round to round).
    """
    scaled = rising.coefficient * rising.weight
    below, above = start, np.ones(len(start))
    # A level of an earlier round stands where none of the row's EVSEs has stopped since.
    level = np.where(start > 0.0, start, np.minimum(room_a / rising.sums(scaled), above))
    for step in range(_ITERATIONS):
        wanted = level[rising.place] * rising.weight
        given = np.minimum(np.maximum(wanted, rising.low), rising.high)
        short_a = room_a - rising.sums(rising.coefficient * given)
        solved = np.abs(short_a) <= _EXACT_A
        if solved.all():
            break
        slope = rising.sums(scaled * (given == wanted))
        newton = level + short_a / np.maximum(slope, _FLAT)
        if step < _PLAIN_STEPS:
            level = np.where(solved, level, np.minimum(np.maximum(newton, start), above))
            continue
        # Between kinks Newton may go back and forth: keep a bracket, and halve it now and then.
        below = np.where(short_a >= 0.0, level, below)
        above = np.where(short_a <= 0.0, level, above)
        usable = (newton >= below) & (newton <= above) & (step % _HALVE_EVERY != 0)
        level = np.where(solved, level, np.where(usable, newton, (below + above) / 2.0))
    return level


def _gains(panel: Panel, given: Asked, current_a: Vector, binding: npt.NDArray[np.int64]) -> Vector:
    """What the EVSEs that each row stopped would gain per A: they rise in proportion to their weights."""
    rows = len(panel.rows)
    stopped = np.flatnonzero((binding >= 0) & (current_a > given.low_a))
    at, weight = binding[stopped], given.weight_a[stopped]
    gain = np.bincount(at, weight * panel.conductors[stopped], minlength=rows)
    cost = np.bincount(at, weight * panel.matrix[at, stopped], minlength=rows)
    return np.divide(gain, cost, out=np.zeros(rows), where=cost > 0.0)
