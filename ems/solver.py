"""HiGHS behind the few words that the strategies need. Deterministic: one thread, limits in iterations, not seconds."""

from typing import Any

import highspy
import numpy as np

from ems.problem import Mask, Vector

_TOLERANCE = 1e-9
_ITERATIONS_PER_LINE = 200
_NODES = 20_000


class Solved:
    """An optimum: objective, columns, and per row and column what the objective gains per unit more there."""

    def __init__(self, value: float, solution: Any) -> None:
        self.value = value
        self._solution = solution

    @property
    def column(self) -> Vector:
        """The columns' values."""
        return np.array(self._solution.col_value)

    @property
    def row_price(self) -> Vector:
        """The rows' duals."""
        return np.array(self._solution.row_dual)

    @property
    def column_price(self) -> Vector:
        """The columns' reduced costs."""
        return np.array(self._solution.col_dual)


class LinearProgram:
    """maximise gain' x subject to matrix x <= row_upper, lower <= x <= upper; kept, so that changes start warm.

    `integer` columns make it a mixed-integer program (prices are then 0), proven to optimality or given up.
    """

    def __init__(
        self,
        matrix: Vector,
        row_upper: Vector,
        gain: Vector,
        lower: Vector,
        upper: Vector,
        integer: Mask | None = None,
    ) -> None:
        rows, columns = matrix.shape
        column, row = np.nonzero(matrix.T)
        program = highspy.HighsLp()
        program.num_col_, program.num_row_ = columns, rows
        program.sense_ = highspy.ObjSense.kMaximize
        program.col_cost_, program.col_lower_, program.col_upper_ = gain, lower, upper
        program.row_lower_, program.row_upper_ = np.full(rows, -np.inf), row_upper
        program.a_matrix_.format_ = highspy.MatrixFormat.kColwise
        program.a_matrix_.start_ = np.searchsorted(column, np.arange(columns + 1))
        program.a_matrix_.index_ = row
        program.a_matrix_.value_ = matrix[row, column]
        if integer is not None:
            kinds = (highspy.HighsVarType.kContinuous, highspy.HighsVarType.kInteger)
            program.integrality_ = [kinds[int(flag)] for flag in integer]
        self._row_upper = row_upper
        self._columns = np.arange(columns, dtype=np.int32)
        self._highs = highspy.Highs()
        for option, value in _options(rows + columns, mixed=integer is not None).items():
            self._highs.setOptionValue(option, value)
        self._highs.passModel(program)

    def bound_columns(self, lower: Vector, upper: Vector) -> None:
        """New bounds for all columns."""
        self._highs.changeColsBounds(len(self._columns), self._columns, lower, upper)

    def hold_rows(self, held: Mask, slack: float) -> None:
        """From now on the rows `held` are equalities, to `slack`."""
        for row in np.flatnonzero(held).tolist():
            bound = float(self._row_upper[row])
            self._highs.changeRowBounds(row, bound - slack, bound)

    def solve(self) -> Solved | None:
        """The optimum, or None where there is none or it was not found and proven within the limits."""
        self._highs.run()
        if self._highs.getModelStatus() != highspy.HighsModelStatus.kOptimal:
            return None
        return Solved(float(self._highs.getObjectiveValue()), self._highs.getSolution())


def _options(lines: int, *, mixed: bool) -> dict[str, Any]:
    options: dict[str, Any] = {
        "output_flag": False,
        "threads": 1,
        "primal_feasibility_tolerance": _TOLERANCE,
        "dual_feasibility_tolerance": _TOLERANCE,
        "simplex_iteration_limit": _ITERATIONS_PER_LINE * (lines + 10),
    }
    if mixed:
        return options | {
            "mip_rel_gap": 0.0,
            "mip_abs_gap": 1e-6,
            "mip_feasibility_tolerance": _TOLERANCE,
            "mip_max_nodes": _NODES,
            "random_seed": 0,
        }
    # Presolve would cost more than it saves at this size, and would lose the basis to start from.
    return options | {"presolve": "off", "solver": "simplex"}
