"""The allocation of ems.md section 2 as a plain PuLP model: its readable definition, the tests' oracle, a rival.

    maximise    sum_m c_m y_m                                                   (seed 004 eq. 4.1)
    subject to  sum_m A_im y_m <= capacity_i        every row i                 (4.1a, on a tree of feeders)
                min_m z_m <= y_m <= upper_m z_m     z_m given, or free          (4.1d with z written out)

With z free the number served comes first. Then, with z and the total kept, lexicographic max-min of
y_m / (alpha_m upper_m): level by level the largest t with y_m >= t alpha_m upper_m for all open m; those whose
constraint has a positive dual cannot do better in any optimum and are closed at t.
"""

import warnings

import numpy as np
import pulp

from ems.problem import Mask, Problem, Vector

_CLOSED = 1e-7
_NO_BOUND = -1e6


def with_cbc() -> pulp.LpSolver:
    """PuLP's default: a CBC process that reads and writes temporary files."""
    with warnings.catch_warnings():
        # PuLP 4 will want CBC installed beside it; the pinned version brings its own.
        warnings.simplefilter("ignore", DeprecationWarning)
        return pulp.PULP_CBC_CMD(msg=False)


def with_highs() -> pulp.LpSolver:
    """In this process, and to full precision (CBC's answers come back as text with eight digits)."""
    return pulp.HiGHS(msg=False)


def single_stage(problem: Problem, solver: pulp.LpSolver) -> Vector:
    """Currents of a largest total, with no word on how it is shared; the z that are given are fixed binaries."""
    model, current, _ = _model(problem)
    model.setObjective(_total(problem, current))
    return _solved(model, solver, current)


def two_stages(problem: Problem, solver: pulp.LpSolver, slack_a: float = 1e-6) -> tuple[float, Vector]:
    """The definition: the largest total (conductors counted) and the currents, both in A.

    `slack_a` is what the total and closed currents may lose to the solver's rounding.
    Raises ValueError where the minima of the admitted do not fit, or the solver fails.
    """
    model, current, served = _model(problem)
    if problem.on is None:
        model.setObjective(pulp.lpSum(served))
        _solved(model, solver, current)
        model += pulp.lpSum(served) >= round(sum(z.value() for z in served))
    model.setObjective(_total(problem, current))
    _solved(model, solver, current)
    on = np.array([round(z.value() or 0.0) == 1 for z in served])
    total = float(pulp.value(model.objective))
    for more in (1.0, 10.0):
        try:
            return total, _fair(problem, on, total, more * slack_a, solver)
        except ValueError:
            # What a solver calls optimal at one level may be a hair outside the next one.
            continue
    return total, _fair(problem, on, total, 100.0 * slack_a, solver)


def _model(problem: Problem) -> tuple[pulp.LpProblem, list[pulp.LpVariable], list[pulp.LpVariable]]:
    model = pulp.LpProblem("allocation", pulp.LpMaximize)
    count = len(problem.panel.evses)
    possible = (problem.upper_a > 0.0) & (problem.upper_a >= problem.min_a)
    most = possible if problem.on is None else possible & problem.on
    least = np.zeros(count, dtype=np.bool_) if problem.on is None else most
    current = [model.add_variable(f"y{m}", 0.0) for m in range(count)]
    served = [model.add_variable(f"z{m}", int(least[m]), int(most[m]), pulp.LpInteger) for m in range(count)]
    for m in range(count):
        model += current[m] >= float(problem.min_a[m]) * served[m]
        model += current[m] <= float(problem.upper_a[m]) * served[m]
    _add_rows(model, problem, current)
    return model, current, served


def _add_rows(model: pulp.LpProblem, problem: Problem, current: list[pulp.LpVariable]) -> None:
    for coefficients, capacity_a in zip(problem.panel.matrix, problem.capacity_a, strict=True):
        loaded = np.flatnonzero(coefficients).tolist()
        model += pulp.lpSum(float(coefficients[m]) * current[m] for m in loaded) <= max(0.0, float(capacity_a))


def _total(problem: Problem, current: list[pulp.LpVariable]) -> pulp.LpAffineExpression:
    return pulp.lpSum(int(c) * y for c, y in zip(problem.panel.conductors, current, strict=True))


def _fair(problem: Problem, on: Mask, total: float, slack_a: float, solver: pulp.LpSolver) -> Vector:
    low = np.where(on, problem.min_a, 0.0)
    high = np.where(on, problem.upper_a, 0.0)
    weight = high * problem.alpha
    open_ = set(np.flatnonzero(on).tolist())
    model = pulp.LpProblem("levels", pulp.LpMaximize)
    level = model.add_variable("t", 0.0)
    current = [model.add_variable(f"y{m}", float(low[m]), float(high[m])) for m in range(len(low))]
    model.setObjective(level)
    _add_rows(model, problem, current)
    model += _total(problem, current) >= total - slack_a
    for m in sorted(open_):
        model += current[m] >= float(weight[m]) * level, f"share{m}"
    share = {m: model.get_constraint_by_name(f"share{m}") for m in open_}
    answer = low
    while open_:
        answer = _solved(model, solver, current)
        found = {m for m in open_ if abs(share[m].pi or 0.0) * weight[m] > _CLOSED}
        if not found:
            raise ValueError("the solver gave no duals")
        for m in found:
            reached_a = min(float(high[m]), level.value() * float(weight[m]))
            current[m].lowBound = max(float(low[m]), reached_a - slack_a)
            share[m].changeRHS(_NO_BOUND)
        open_ -= found
    return answer


def _solved(model: pulp.LpProblem, solver: pulp.LpSolver, current: list[pulp.LpVariable]) -> Vector:
    status = model.solve(solver)
    if status != pulp.LpStatusOptimal:
        raise ValueError(f"the model is {pulp.LpStatus[status]}")
    return np.array([y.value() or 0.0 for y in current])
