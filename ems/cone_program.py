"""A quadratic program over second-order cones for Clarabel, written once and then changed in its values only."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import clarabel  # type: ignore[import-untyped, unused-ignore]  # a compiled module without types
import numpy as np
import numpy.typing as npt
from scipy import sparse

from ems.problem import Vector

Index = npt.NDArray[np.int64]

_SOLVED = ("Solved", "AlmostSolved")


@dataclass
class ConeProgram:
    """Minimise x' diag(curve) x / 2 + slope' x: `inequalities` lines A x <= b, then b - A x inside each of `cones`.

    Coefficients are added in blocks, in any order; a block may get new values later, its places stay. Every place is
    kept, even with the value 0, so that Clarabel's symbolic work is done once.
    """

    columns: int
    inequalities: int
    cones: Sequence[int]
    _line: list[Index] = field(default_factory=list)
    _column: list[Index] = field(default_factory=list)
    _value: list[Vector] = field(default_factory=list)
    _order: Index | None = None
    _solver: clarabel.DefaultSolver | None = None

    def add(self, line: Index, column: Index, value: Vector | float) -> int:
        """A block of coefficients; the arguments are broadcast. Returns its number, for `change`."""
        line, column, values = np.broadcast_arrays(line, column, np.asarray(value, dtype=np.float64))
        self._line.append(line.reshape(-1))
        self._column.append(column.reshape(-1))
        self._value.append(values.reshape(-1).copy())
        return len(self._value) - 1

    def change(self, block: int, value: Vector) -> None:
        """New values of a block, in the order in which it was added."""
        self._value[block] = np.asarray(value, dtype=np.float64).reshape(-1)

    def solve(self, curve: Vector, slope: Vector, bound: Vector) -> Vector | str:
        """The optimal x, or what Clarabel says instead; deterministic."""
        values = np.concatenate(self._value)
        if self._solver is not None and self._order is not None:
            self._solver.update(P=curve, q=slope, A=values[self._order], b=bound)
            solution = self._solver.solve()
            if str(solution.status) in _SOLVED:
                return np.asarray(solution.x)
        # The first one, or the scaling that was found for earlier values does not suit these.
        self._solver = self._first(values, curve, slope, bound)
        solution = self._solver.solve()
        status = str(solution.status)
        return np.asarray(solution.x) if status in _SOLVED else status

    def _first(self, values: Vector, curve: Vector, slope: Vector, bound: Vector) -> clarabel.DefaultSolver:
        line, column = np.concatenate(self._line), np.concatenate(self._column)
        self._order = np.lexsort((line, column))
        starts = np.searchsorted(column[self._order], np.arange(self.columns + 1))
        shape = (self.inequalities + sum(self.cones), self.columns)
        matrix = sparse.csc_matrix((values[self._order], line[self._order], starts), shape=shape)
        diagonal = np.arange(self.columns)
        quadratic = sparse.csc_matrix((curve, diagonal, np.arange(self.columns + 1)), shape=(self.columns,) * 2)
        options = clarabel.DefaultSettings()
        options.verbose = False
        # What presolve takes away could not be changed any more.
        options.presolve_enable = False
        options.max_threads = 1
        cones = [
            clarabel.NonnegativeConeT(self.inequalities),
            *(clarabel.SecondOrderConeT(size) for size in self.cones),
        ]
        return clarabel.DefaultSolver(quadratic, slope, matrix, bound, cones, options)
