"""The model of ems.md section 3 in CVXPY, constraint by constraint as seed 004 prints it: readable, and built anew.

The rival of the benchmark and the oracle of the tests. It states what `ems.dro` states: the same worst case, the same
`certain` part in cvar, the same energy, the same small term for evenness.
"""

import cvxpy as cp
import numpy as np

from ems.dro_model import EVENNESS
from ems.problem import Vector
from ems.scenarios import Array, DroSettings, HorizonProblem, load_margin_a


def plan(problem: HorizonProblem, settings: DroSettings) -> tuple[float, Array]:
    """The worst-case expected weighted current of all steps, A, and the currents [M, T], A; ValueError without any."""
    evses, steps = len(problem.panel.evses), problem.steps
    y = cp.Variable((evses, steps), nonneg=True)
    mean = problem.available.mean(axis=0)
    radii = settings.radii(problem)
    value: cp.Expression = cp.Constant(0.0)
    doubt: list[cp.Expression] = []
    constraints: list[cp.Constraint] = []
    for m in range(evses):
        on = bool(problem.served[m])
        constraints.append(y[m, 0] <= (problem.high_a[m, 0] if on else 0.0))
        constraints.append(y[m, 0] >= problem.low_a[m])
        value += (problem.weight[m] if on else 0.0) * y[m, 0]
        for t in range(1, steps):
            constraints.append(y[m, t] <= problem.high_a[m, t])
            value += problem.weight[m] * mean[m, t] * y[m, t]
            doubt.append(radii[t] * problem.weight[m] * y[m, t])
        if steps > 1:
            energy_ah = max(problem.energy_ah[m], problem.low_a[m] * problem.step_h)
            constraints.append(problem.step_h * cp.sum(y[m]) <= energy_ah)
    if doubt:
        value -= cp.norm(cp.hstack(doubt), 2)
    margin_a = load_margin_a(problem, settings)
    now_a = problem.room_a[:, 0] - margin_a[:, 0]
    now_a = now_a if problem.now_a is None else np.minimum(now_a, problem.now_a)
    for r, line in enumerate(problem.panel.matrix):
        loads = np.flatnonzero(line).tolist()
        constraints.append(cp.sum([line[m] * y[m, 0] for m in loads]) <= max(0.0, now_a[r]))
        for t in range(1, steps):
            room_a = max(problem.room_a[r, t], margin_a[r, t] + 1e-6)
            constraints += _row(problem, settings, [line[m] * y[m, t] for m in loads], loads, r, t, room_a)
    high_a = np.maximum(np.where(problem.served, problem.high_a[:, 0], 0.0), 1.0)
    even = cp.sum(cp.multiply(problem.weight / high_a, cp.square(y[:, 0])))
    model = cp.Problem(cp.Maximize(value - EVENNESS / 2.0 * even), constraints)
    model.solve(solver=cp.CLARABEL)
    if y.value is None:
        raise ValueError(f"CVXPY: {model.status}")
    return float(value.value), np.asarray(y.value)


def _row(
    problem: HorizonProblem,
    settings: DroSettings,
    drawn: list[cp.Expression],
    loads: list[int],
    r: int,
    t: int,
    room_a: float,
) -> list[cp.Constraint]:
    """(5.17) and (5.23) for one row and step."""
    sigma_a: Vector = problem.carries[r] * problem.sigma_a[:, t]
    reach = float(settings.reach(problem)[t])
    samples = problem.load_a.shape[0]
    if settings.risk == "cvar":
        certain = cp.Variable(len(loads), nonneg=True)
        rest = cp.hstack(drawn) - certain
        tau = cp.Variable()
        excess = [
            cp.pos(problem.available[s, loads, t] @ rest + problem.carries[r] @ problem.load_a[s, :, t] - tau)
            for s in range(samples)
        ]
        tail = tau + cp.sum(cp.hstack(excess)) / (settings.level * samples)
        norm = cp.norm(cp.hstack([rest, sigma_a]), 2)
        return [certain <= cp.hstack(drawn), cp.sum(certain) + tail + reach * norm <= room_a]
    there = np.ones(len(loads)) if settings.boxed else problem.available[:, loads, t].mean(axis=0)
    load_a = problem.load_a[:, :, t]
    mean_a = problem.carries[r] @ (load_a.max(axis=0) if settings.boxed else load_a.mean(axis=0))
    doubt_a = 0.0 if settings.boxed else settings.confidence_z * float(problem.carries[r] @ problem.sigma_a[:, t])
    norm = cp.norm(cp.hstack([*drawn, *sigma_a]), 2)
    return [there @ cp.hstack(drawn) + mean_a + reach * norm + doubt_a <= room_a]
