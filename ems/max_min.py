"""The fair stage of `milp`: among all splits of the largest total, the lexicographic max-min one.

Wanted is the lexicographic maximum of the sorted s_m = y_m / weight_m over the optimal face F of

    maximise c' y  subject to  A y <= b, low <= y <= high                                              (1)

The plain way is one LP per level. Instead:

1. F by complementary slackness: with any dual optimum, F is the feasible set with every priced row held at equality
   and every column of non-zero reduced cost held at its bound.
2. Let D = {y >= low : y <= y' for some y' in F}. Since F is inside D and every y in D can be raised into F, both have
   the same lexicographic maximum. D is a packing set: it is given by rows with coefficients >= 0, those of A and others
   that are combinations of them. On a packing set progressive filling (`water_filling.fill`) *is* the lexicographic
   maximum.
3. The other rows of D are too many to list, so they are found as they are needed: fill on the rows known so far (an
   outer approximation, so no share comes out too small), ask one LP how much of the result F can cover, and if not all
   of it, its dual gives a row of D that the result violates. It is repeated at the lower level where that row is full
   until the result capped at that level is covered. EVSEs that have stopped there are final; then on upwards.

EVSEs of one feeder and the same phases enter (1) by their sum alone, so the LPs have a column per kind of EVSE.
"""

from dataclasses import dataclass

import numpy as np

from ems.asked import Asked, Bounds
from ems.problem import Entries, Infeasible, Kinds, Mask, Panel, Vector
from ems.solver import LinearProgram
from ems.water_filling import fill, level_of

_PRICED = 1e-9
_TOTAL_A = 1e-7
_COVERED_A = 1e-8
_HELD_A = 3e-8
_ROUNDING_A = 1e-6
_LEVEL = 1e-9


@dataclass(frozen=True)
class Fairest:
    """`current_a` per EVSE; `price` per row of the panel: A of total set-point per A of capacity, 0 where not full."""

    current_a: Vector
    price: Vector


@dataclass(frozen=True)
class _Face:
    """The optimal face F over kinds: bounds, and the rows that can fill with their right-hand sides."""

    matrix: Vector
    room_a: Vector
    low_a: Vector
    high_a: Vector
    gain: Vector
    total_a: float


def fairest_of_largest_total(panel: Panel, given: Asked) -> Fairest | Infeasible:
    """Both stages with z given: the largest sum of c_m y_m, then its lexicographic max-min split.

    Deterministic, and the split is unique. Infeasible only where the solver gives no answer.
    """
    kinds = panel.kinds
    low_a, high_a = (_per_kind(kinds, part) for part in (given.low_a, given.high_a))
    rows = np.flatnonzero(kinds.matrix @ high_a > given.room_a)
    if not rows.size:
        return Fairest(given.high_a, np.zeros(len(panel.rows)))
    matrix, room_a = kinds.matrix[rows], given.room_a[rows]
    gain = kinds.conductors.astype(np.float64)
    none = np.zeros(len(gain))
    # Columns twice: what counts towards the shares, and what F needs beyond it (none at first).
    program = LinearProgram(
        np.hstack([matrix, matrix]),
        room_a,
        np.concatenate([gain, none]),
        np.concatenate([low_a, none]),
        np.concatenate([high_a, none]),
    )
    largest = program.solve()
    if largest is None:
        return Infeasible("the solver found no largest total")
    priced = largest.row_price
    price = np.zeros(len(panel.rows))
    price[rows] = np.where(priced > _PRICED, priced, 0.0)
    reduced = largest.column_price[: len(gain)]
    # A kind at a bound with a reduced cost stays there on all of F, and with it each of its EVSEs.
    stuck_low, stuck_high = reduced < -_PRICED, reduced > _PRICED
    face = _Face(
        matrix,
        room_a,
        np.where(stuck_high, high_a, low_a),
        np.where(stuck_low, low_a, high_a),
        gain,
        float(gain @ largest.column[: len(gain)]),
    )
    bounds = Bounds(
        np.where(stuck_high[kinds.of_evse], given.high_a, given.low_a),
        np.where(stuck_low[kinds.of_evse], given.low_a, given.high_a),
        given.weight_a,
    )
    program.hold_rows(priced > _PRICED, _HELD_A)
    current_a = _Split(kinds, face, bounds, program).found()
    if current_a is None:
        return Infeasible("the solver found no fair split of the largest total")
    return Fairest(current_a, price)


class _Split:
    """Step 3: fill, ask, add rows, until the result is covered."""

    def __init__(self, kinds: Kinds, face: _Face, bounds: Bounds, program: LinearProgram) -> None:
        self.kinds, self.face, self.bounds, self.program = kinds, face, bounds, program
        self.matrix, self.room_a = face.matrix, face.room_a
        self.final: Mask = np.zeros(len(face.gain), dtype=np.bool_)
        self.current_a = bounds.low_a
        self.stop = np.zeros(len(bounds.low_a))
        self._fill()

    def found(self) -> Vector | None:
        """The currents, or None where the solver stops short (never seen: the caller's ladder has a next rung)."""
        level, capped_a = np.inf, self.current_a
        waiting: list[tuple[Vector, float]] = []
        for _ in range(8 * len(self.face.gain) + 50):
            wanted_a = np.clip(_per_kind(self.kinds, capped_a), self.face.low_a, self.face.high_a)
            if self.face.gain @ wanted_a >= self.face.total_a - _TOTAL_A:
                return capped_a
            rows = self._violated(wanted_a)
            if rows is None:
                return None
            if rows:
                waiting += rows
                level = self._full_at(rows, capped_a)
                capped_a = np.clip(level * self.bounds.weight_a, self.bounds.low_a, capped_a)
            elif level == np.inf:
                return capped_a
            else:
                self._add(waiting)
                waiting = []
                if not self._finish(level):
                    return None
                level, capped_a = np.inf, self.current_a
        return None

    def _violated(self, wanted_a: Vector) -> list[tuple[Vector, float]] | None:
        """Rows of D (coefficients per kind, right-hand side) that `wanted_a` breaks; empty where F covers it.

        The LP: maximise the gain of x subject to x + z in F, low <= x <= wanted, 0 <= z <= high - wanted. A dual
        combination d = prices' A bounds d' (x + z) on F; raising what has d < 0 to its upper bound leaves a row with
        coefficients >= 0. Parts of the combination that do not cancel against one another are rows by themselves.
        """
        face, final = self.face, self.final
        none = np.zeros(len(wanted_a))
        beyond = np.where(final, 0.0, face.high_a - wanted_a)
        low = np.where(final, wanted_a, face.low_a)
        self.program.bound_columns(np.concatenate([low, none]), np.concatenate([wanted_a, beyond]))
        solved = self.program.solve()
        if solved is None:
            return None
        short_a = face.gain @ wanted_a - solved.value
        if short_a <= _COVERED_A:
            return []
        price = solved.row_price
        used = np.flatnonzero(np.abs(price) > _PRICED)
        parts = price[used, None] * face.matrix[used]
        right = price[used] * face.room_a[used] - parts @ np.where(final, wanted_a, 0.0)
        parts[:, final] = 0.0
        found = []
        for part in _independent(parts):
            row = parts[part].sum(axis=0)
            side = float(right[part].sum() - np.minimum(row, 0.0) @ face.high_a)
            row = np.where(row > _PRICED, row, 0.0)
            if row.any() and row @ wanted_a > side + _COVERED_A / (2.0 * len(used)):
                found.append((row / row.max(), side / float(row.max())))
        # Without a row it is rounding among kinds that are final, or no answer at all.
        return found if found or short_a <= _ROUNDING_A else None

    def _full_at(self, rows: list[tuple[Vector, float]], capped_a: Vector) -> float:
        """The level at which the first of `rows` is full, rising from the minima towards the present currents."""
        bounds = Bounds(self.bounds.low_a, capped_a, self.bounds.weight_a)
        return min(level_of(row[self.kinds.of_evse], side, bounds) for row, side in rows)

    def _add(self, rows: list[tuple[Vector, float]]) -> None:
        self.matrix = np.vstack([self.matrix, *(row for row, _ in rows)])
        self.room_a = np.concatenate([self.room_a, [side for _, side in rows]])

    def _fill(self) -> None:
        """Progressive filling on the rows known so far; final kinds keep what they have."""
        of_evse = self.kinds.of_evse
        held = self.final[of_evse]
        columns = np.flatnonzero(~held)
        left_a = self.room_a - self.matrix @ _per_kind(self.kinds, np.where(held, self.current_a, 0.0))
        filled = fill(_over_evses(self.matrix, of_evse[columns]), left_a, _picked(self.bounds, columns))
        self.current_a = self.current_a.copy()
        self.current_a[columns], self.stop[columns] = filled.current_a, filled.level

    def _finish(self, level: float) -> bool:
        """Fill with the new rows; kinds all of whose EVSEs stop at or below `level` are final. False if none is new."""
        self._fill()
        final = np.bincount(self.kinds.of_evse, self.stop > level + _LEVEL, len(self.final)) == 0.0
        new = bool((final & ~self.final).any())
        self.final |= final
        return new


def _independent(parts: Vector) -> list[Mask]:
    """Groups of rows that cancel in no column: rows that meet with both signs in a column belong together."""
    meets = parts[:, (parts > 0.0).any(axis=0) & (parts < 0.0).any(axis=0)] != 0.0
    label = np.arange(len(parts))
    while True:
        of_column = np.where(meets, label[:, None], len(label)).min(axis=0, initial=len(label))
        lowest = np.minimum(label, np.where(meets, of_column, len(label)).min(axis=1, initial=len(label)))
        if (lowest == label).all():
            return [label == group for group in np.unique(label)]
        label = lowest


def _per_kind(kinds: Kinds, per_evse: Vector) -> Vector:
    return np.asarray(np.bincount(kinds.of_evse, per_evse, len(kinds.conductors)), dtype=np.float64)


def _picked(bounds: Bounds, columns: np.ndarray) -> Bounds:
    return Bounds(bounds.low_a[columns], bounds.high_a[columns], bounds.weight_a[columns])


def _over_evses(matrix: Vector, of_evse: np.ndarray) -> Entries:
    """The rows over kinds as rows over the EVSEs whose kinds are `of_evse`."""
    by_kind = np.argsort(of_evse, kind="stable")
    first = np.searchsorted(of_evse[by_kind], np.arange(matrix.shape[1] + 1))
    row, kind = np.nonzero(matrix)
    size = first[kind + 1] - first[kind]
    within = np.arange(size.sum()) - np.repeat(np.cumsum(size) - size, size)
    return Entries(
        np.repeat(row, size), by_kind[np.repeat(first[kind], size) + within], np.repeat(matrix[row, kind], size)
    )
