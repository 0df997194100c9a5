"""The ladder (ems.md 6.6): chosen strategy, then water-filling, then fall-backs. A decision always comes."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from domain.setpoint import Rung
from domain.site import Site
from domain.site import Strategy as StrategyName
from ems.baselines import Equal, FirstCome
from ems.dro import Dro
from ems.milp import Milp
from ems.problem import Allocation, Infeasible, Problem, Strategy, Vector
from ems.situation import SLACK_A
from ems.stackelberg import Stackelberg
from ems.water_filling import WaterFilling

_RUNGS = tuple(Rung)
_BUILT: dict[StrategyName, Callable[[], Strategy]] = {
    "milp": Milp,
    "dro": Dro,
    "so": lambda: Dro("so"),
    "ro": lambda: Dro("ro"),
    "stackelberg": Stackelberg,
    "equal": Equal,
    "fcfs": FirstCome,
}
_TOLERANCE_A = 1e-4


@dataclass(frozen=True)
class Ladder:
    """The strategies of a site, best first. `failsafe_a`: each EVSE's fall-back current."""

    name: StrategyName
    chosen: Strategy | None
    simple: Strategy
    failsafe_a: Vector


@dataclass(frozen=True)
class Answer:
    """Which rung answered, with what, and why not a higher one, or what its answer lacks (empty: nothing). `fell`: one
    above failed.
    """

    allocation: Allocation
    rung: Rung
    why: str
    fell: bool


def build_ladder(site: Site) -> Ladder:
    """The rungs of a site. A strategy that is not built into this version leaves its rung empty."""
    build = _BUILT.get(site.strategy)
    failsafe = np.array([evse.failsafe_a for evse in site.evses])
    return Ladder(site.strategy, None if build is None else build(), WaterFilling(), failsafe)


def climb_down(ladder: Ladder, problem: Problem, from_rung: Rung, why: str) -> Answer:
    """The best rung that answers, from `from_rung` down; an answer that breaks a row or a bound is no answer."""
    reasons = [why] if why else []
    fell = from_rung is not Rung.STRATEGY
    for rung in _RUNGS[_RUNGS.index(from_rung) : _RUNGS.index(Rung.FALLBACK)]:
        strategy = ladder.chosen if rung is Rung.STRATEGY else ladder.simple
        if strategy is None:
            fell = ladder.name != "none"
            reasons.append(
                f"strategy '{ladder.name}' is not built into this version" if fell else "the site chose no strategy"
            )
            continue
        answer = _ask(strategy, problem)
        if isinstance(answer, Allocation):
            return Answer(answer, rung, "; ".join([*reasons, answer.note] if answer.note else reasons), fell)
        reasons.append(f"{strategy.name}: {answer.why}")
        fell = True
    return Answer(_fall_back(ladder, problem), Rung.FALLBACK, "; ".join(reasons), fell=True)


def _ask(strategy: Strategy, problem: Problem) -> Allocation | Infeasible:
    try:
        answer = strategy.allocate(problem)
    except Exception as error:
        return Infeasible(f"{type(error).__name__}: {error}")
    if isinstance(answer, Infeasible):
        return answer
    current = answer.current_a
    if current.shape != problem.upper_a.shape or not np.isfinite(current).all():
        return Infeasible("it answered with something that is no current")
    served = current > SLACK_A
    low, high = np.where(served, problem.min_a, 0.0), np.where(served, problem.upper_a, SLACK_A)
    allowed = np.ones(len(current), dtype=np.bool_) if problem.on is None else problem.on
    if (current < low - _TOLERANCE_A).any() or (current > high + _TOLERANCE_A).any() or (served & ~allowed).any():
        return Infeasible("it answered with a current outside its bounds")
    room = np.maximum(problem.capacity_a, 0.0)
    if (problem.panel.load_a(current) > room + _TOLERANCE_A).any():
        return Infeasible("it answered with more than a panel carries")
    return replace(answer, current_a=np.where(served, np.clip(current, low, high), 0.0))


def _fall_back(ladder: Ladder, problem: Problem) -> Allocation:
    """Each admitted EVSE at its fall-back current, first come first, as long as that fits."""
    room = np.maximum(problem.capacity_a, 0.0)
    load = np.zeros(len(room))
    current = np.zeros(len(problem.upper_a))
    columns = range(len(current)) if problem.order is None else problem.order
    for column in columns:
        wanted = float(ladder.failsafe_a[column])
        asked = problem.upper_a[column] >= wanted > 0.0 and (problem.on is None or bool(problem.on[column]))
        more = load + problem.panel.matrix[:, column] * wanted
        if asked and (more <= room + SLACK_A).all():
            load, current[column] = more, wanted
    binding = np.full(len(current), -1, dtype=np.int64)
    return Allocation(current, np.zeros(len(room)), binding)
