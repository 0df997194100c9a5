"""Strategy `dro` (ems.md section 3; seed 004 ch. 5): many sub-feeders; who will come and what homes draw is unknown.

xi = (A_mt availability, delta_lt non-EV load); samples of it; P any distribution within type-2 Wasserstein distance rho
of them. For a linear loss beta' xi the worst case over P adds a multiple of ||beta||_2 (5.8):

    maximise    C' y_0 + mean(sum_mt C_m A_mt y_mt) - ||rho_t C_m y_mt||                                   (5.24)
    subject to  expectation: mean(sum_m a_rm A_mt y_mt + delta_rt) + rho ||h_rt(y)|| + eps_rt <= p_rt       (5.17, 5.23)
                cvar: CVaR(sum_m a_rm A_mt y_mt + delta_rt) + rho / sqrt(level) ||h_rt(y)|| <= p_rt
                dt sum_t y_mt <= remaining energy;  I_min z <= y_m0 <= I_max z;  0 <= y_mt <= I_max        (5.25a)

with a row r per phase of every feeder and per AC or DC cap (5.25b, c). h_rt(y) has the entries a_rm y_mt and the loads'
standard deviations, load being measured in those.

Differences from the seed: it minimises, which would send every current to its lower bound: here the smallest expected
current is maximised. Its constraint bounds a mean, no overload: `cvar` (the default) bounds the probability of overload
of each row and step by `level`, for every P in the ball; eps_rt is 0 there, because the samples carry the forecast's
error already. The present step is known: A_m0 is observed, is in no norm and no average. Distances are scaled. Energy
couples the steps. In `cvar` part of an EVSE's current may count as if it were there for certain (A <= 1 bounds the
support), which is never less safe and keeps a large rho from forbidding everything. Among equal optima of the present
step the one with even shares is taken, by a small quadratic term. The radius may follow the newest errors
(`ems.radius`).

`solve_dro` is the plan over the horizon: it takes up to half a second, so it runs off the loop. `Dro` is the strategy
of the live step, which is linear and always on time: it keeps what the newest plan gives the present step, as far as
that fits, and shares out the rest.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from ems.asked import Asked, Bounds, admit_in_order, asked
from ems.fitted import binding_rows, fitted
from ems.max_min import fairest_of_largest_total
from ems.problem import Allocation, Infeasible, Panel, Problem, Vector
from ems.scenarios import Array, DroSettings, HorizonProblem, load_margin_a
from ems.water_filling import fill

NO_OUTLOOK = "no plan over the coming hours: decided from the present load's upper quantile alone"

_NOTHING_A = 0.02


@dataclass(frozen=True)
class HorizonPlan:
    """Currents per conductor, A: `now_a` [M], 0 or within its bounds and inside every row; `later_a` [M, T - 1], what
    each EVSE would be set to if a car is there. `value`: the worst-case expected weighted current summed over steps, A.
    """

    now_a: Vector
    later_a: Array
    value: float


@dataclass
class Models:
    """Compiled programs by shape, for one panel at a time: a changed topology drops them all."""

    panel: Panel | None = None
    by_shape: dict[object, object] = field(default_factory=dict)


def solve_dro(
    problem: HorizonProblem, settings: DroSettings | None = None, models: Models | None = None
) -> HorizonPlan | Infeasible:
    """Plan the horizon. The same problem gives the same plan, to the solver's tolerance.

    Args:
        problem: the coming steps.
        settings: risk, level, radius; `SAMPLE_AVERAGE` (SO) and `BOX` (RO) of `ems.scenarios` are the baselines.
        models: where compiled programs are kept; without it each call compiles (seconds).
    """
    from ems.dro_model import DroModel, Shape

    settings = settings or DroSettings()
    models = models or Models()
    given = _present(problem, settings)
    if isinstance(given, Infeasible):
        return given
    if models.panel is not problem.panel:
        models.panel, models.by_shape = problem.panel, {}
    shape = Shape.of(problem, settings)
    model = models.by_shape.get(shape)
    if not isinstance(model, DroModel):
        model = models.by_shape[shape] = DroModel(problem.panel, shape)
    bounded = replace(problem, served=given.served, low_a=given.low_a)
    found = model.solve(bounded, settings, given.room_a)
    if isinstance(found, Infeasible):
        return found
    later_a = np.clip(found.later_a, 0.0, problem.high_a[:, 1:])
    later_a[later_a < _NOTHING_A] = 0.0
    return HorizonPlan(fitted(problem.panel, given, found.now_a), later_a, found.value)


def _present(problem: HorizonProblem, settings: DroSettings) -> Asked | Infeasible:
    """Bounds and rows of the present step: what the load's margin leaves, and no more than is known to be free."""
    room_a = problem.room_a[:, 0] - load_margin_a(problem, settings)[:, 0]
    if problem.now_a is not None:
        room_a = np.minimum(room_a, problem.now_a)
    ask = Problem(problem.panel, room_a, problem.low_a, problem.high_a[:, 0], np.ones(len(problem.low_a)), None)
    return asked(ask, problem.served)


@dataclass(frozen=True, slots=True)
class Dro:
    """The live step as a `Strategy`; `name` is `dro`, `so` or `ro`, by the settings of the plans that it is given.

    First every EVSE gets what the plan has for it now (where that no longer fits, the same part of it along each full
    row); then, with that as lower bound, the largest total and its fairest split. Without a plan (`Problem.outlook`
    None) that second part is all, and `Allocation.note` says so. `Allocation.price` as in `milp`, of the second part.
    """

    name: str = "dro"

    def allocate(self, problem: Problem) -> Allocation | Infeasible:
        """Linear programs only, no cone program: milliseconds."""
        given = asked(problem, admit_in_order(problem) if problem.on is None else problem.on)
        if isinstance(given, Infeasible):
            return given
        note = NO_OUTLOOK
        if problem.outlook is not None:
            note, given = "", replace(given, low_a=_kept(problem, given, problem.outlook.planned_a))
        found = fairest_of_largest_total(problem.panel, given)
        if isinstance(found, Infeasible):
            return found
        binding = binding_rows(problem.panel, given, found.current_a, found.price)
        return Allocation(found.current_a, found.price, binding, note)


def _kept(problem: Problem, given: Asked, planned_a: Vector) -> Vector:
    """The plan's currents within the bounds, and as much of them as fits, A."""
    wanted_a = np.clip(planned_a, given.low_a, given.high_a)
    filled = fill(problem.panel.entries, given.room_a, Bounds(given.low_a, wanted_a, wanted_a))
    return fitted(problem.panel, replace(given, high_a=wanted_a), filled.current_a)
