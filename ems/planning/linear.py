"""Sparse linear programs straight to HiGHS: one passing of arrays, no modelling language in between."""

from dataclasses import dataclass
from typing import Literal

import highspy
import numpy as np
from scipy import sparse

from ems.planning.horizon import Vector

# Measured on transportation-like programs of this package: below some ten thousand columns the dual simplex wins, above
# it the interior point with crossover is up to five times faster where the site's capacity binds.
_INTERIOR_FROM_COLUMNS = 15_000


@dataclass(frozen=True)
class Program:
    """min cost' x subject to row_lower <= matrix x <= row_upper, lower <= x <= upper (`matrix` rows x columns, CSC).

    `recurrence` marks long recurrences x(t+1) = a x(t) + ...: a basis (and presolve) may run them backwards, which
    multiplies by a^-T, so they are solved by the interior point alone, without presolve and without a vertex.
    """

    cost: Vector
    matrix: sparse.csc_array
    row_lower: Vector
    row_upper: Vector
    lower: Vector
    upper: Vector
    recurrence: bool = False


@dataclass(frozen=True)
class Optimum:
    """A solution (a vertex, but for recurrences): `x`, its `value`, `row_price` = d value / d the active bound."""

    x: Vector
    value: float
    row_price: Vector


@dataclass(frozen=True, slots=True)
class NoOptimum:
    """The constraints contradict each other; callers say why in the model's words."""


@dataclass(frozen=True, slots=True)
class _Attempt:
    """One way to ask HiGHS: a method, with or without presolve, with or without a vertex in the end."""

    method: Literal["simplex", "ipm"]
    presolve: bool = False
    vertex: bool = True


def minimise(program: Program) -> Optimum | NoOptimum:
    """Solve one program on one core; deterministic, feasible to 1e-7, the value exact to 1e-8 relative or better.

    Raises:
        ArithmeticError: neither an optimum nor a proof that there is none (also when the objective has no lower bound).
    """
    status = highspy.HighsModelStatus.kNotset
    for attempt in _attempts(program):
        solver = _loaded(program, attempt)
        solver.run()
        status = solver.getModelStatus()
        if status == highspy.HighsModelStatus.kOptimal:
            solution = solver.getSolution()
            return Optimum(
                x=np.asarray(solution.col_value, dtype=np.float64),
                value=float(solver.getInfo().objective_function_value),
                row_price=np.asarray(solution.row_dual, dtype=np.float64),
            )
        # Presolve's own verdict is not trusted: it was seen to refuse feasible programs with bounds of 1e-7.
        if status == highspy.HighsModelStatus.kInfeasible and not attempt.presolve:
            return NoOptimum()
    raise ArithmeticError(f"the linear program was not solved (HiGHS: {solver.modelStatusToString(status)})")


def _attempts(program: Program) -> tuple[_Attempt, ...]:
    if program.recurrence:
        return (_Attempt("ipm", vertex=False), _Attempt("ipm"), _Attempt("simplex"))
    if program.matrix.shape[1] >= _INTERIOR_FROM_COLUMNS:
        return (_Attempt("ipm", presolve=True), _Attempt("ipm"), _Attempt("simplex"))
    return (_Attempt("simplex", presolve=True), _Attempt("simplex"), _Attempt("ipm"))


def _loaded(program: Program, attempt: _Attempt) -> highspy.Highs:
    matrix = sparse.csc_array(program.matrix)
    lp = highspy.HighsLp()
    lp.num_row_, lp.num_col_ = matrix.shape
    lp.col_cost_ = program.cost
    lp.col_lower_, lp.col_upper_ = program.lower, program.upper
    lp.row_lower_, lp.row_upper_ = program.row_lower, program.row_upper
    lp.a_matrix_.format_ = highspy.MatrixFormat.kColwise
    lp.a_matrix_.start_, lp.a_matrix_.index_, lp.a_matrix_.value_ = matrix.indptr, matrix.indices, matrix.data
    solver = highspy.Highs()
    solver.setOptionValue("output_flag", False)
    solver.setOptionValue("parallel", "off")
    solver.setOptionValue("solver", attempt.method)
    solver.setOptionValue("presolve", "choose" if attempt.presolve else "off")
    if not attempt.vertex:
        solver.setOptionValue("run_crossover", "off")
        solver.setOptionValue("ipm_optimality_tolerance", 1e-10)
    solver.passModel(lp)
    return solver
