"""How long a decision takes, beside the same model in PuLP with CBC.

Random buildings of 54, 200 and 500 two-phase EVSEs on a three-level tree, 200 instances each, in both forms. *decide*:
from the snapshot to set-points with reasons, turns, both stages and guard included. *milp*: both stages alone. Rivals:
both stages as a plain PuLP model (`_pulp_milp`, built once per stage), and its first stage alone, a single MILP. Before
anything is timed the answers are compared. Subject and rival take turns in one run over the first instances (20 for the
single MILP, 4 to 1 for both stages, which take it seconds); p50, p99 and the maximum are of all.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from time import perf_counter
from typing import Literal, TypeVar

import numpy as np

from benchmarks._instances import Asks, random_asks, snapshot_of, three_level_site
from benchmarks._pulp_milp import single_stage, two_stages, with_cbc
from benchmarks.report import Line, Measured
from domain.ids import DecisionId
from domain.setpoint import Rung
from domain.site import Site
from domain.snapshot import SiteSnapshot
from ems.decide import Plan, compile_plan, decide
from ems.milp import Milp
from ems.panel import capacity
from ems.problem import Allocation, Panel, Problem
from ems.water_filling import WaterFilling

Model = Literal["arithmetic", "phasor"]

AT = datetime(2026, 1, 15, 18, 0, tzinfo=UTC)
CBC_ROUNDING_A = 1e-4
TOTAL_AGREES = 1e-6
SHARE_AGREES = 5e-3

INSTANCES = 200
BESIDE = 20
"""So many of them with the single MILP beside."""
FILLS = 5
"""An absolute bar in milliseconds: the best of a few runs, so that it is not the machine's other work that counts."""
RIVAL_INSTANCES = {54: 4, 200: 2, 500: 1}

T = TypeVar("T")


@dataclass(frozen=True)
class _Case:
    """One building's instant, as the live system, the strategy and the rival are given it."""

    plan: Plan
    snapshot: SiteSnapshot
    problem: Problem


def run() -> list[Line]:
    """A block of lines per size and form; about four minutes."""
    lines = []
    for model in ("arithmetic", "phasor"):
        for evses in RIVAL_INSTANCES:
            lines += _lines(evses, model)
    return lines


def _lines(evses: int, model: Model) -> list[Line]:
    site = three_level_site(evses, model)
    plan = compile_plan(site)
    cases = [_case(site, plan, seed) for seed in range(BESIDE)]
    _warm(_case(site, plan, INSTANCES))  # not one that is measured: the strategy keeps its newest answers
    timings: dict[str, list[float]] = {name: [] for name in ("decide", "milp", "fill", "single", "two")}
    for number, case in enumerate(cases):
        timings["decide"].append(_ms(partial(_decided, case))[0])
        taken, ours = _ms(partial(Milp().allocate, case.problem))
        timings["milp"].append(taken)
        fills = [_ms(partial(WaterFilling().allocate, case.problem))[0] for _ in range(FILLS)]
        timings["fill"].append(min(fills))
        timings["single"].append(_ms(partial(single_stage, case.problem, with_cbc()))[0])
        if number < RIVAL_INSTANCES[evses]:
            taken, (total, theirs) = _ms(partial(two_stages, case.problem, with_cbc(), CBC_ROUNDING_A))
            timings["two"].append(taken)
            _must_agree(case.problem, ours, total, theirs)
    measured = {name: Measured(tuple(values)) for name, values in timings.items()}
    rest = (_ms(partial(_decided, _case(site, plan, seed)))[0] for seed in range(BESIDE, INSTANCES))
    every = [*timings["decide"], *rest]
    what = f"{evses} EVSEs, {model}"
    both_bar, single_bar = 0.1, (1.0 if model == "arithmetic" else None)
    fill_bar = 1.0 if evses == 500 and model == "arithmetic" else None
    p50, p99, most = np.percentile(every, [50.0, 99.0, 100.0])
    return [
        Line(f"decide, {what}: p50 of {INSTANCES}", Measured((float(p50),)), None, "ms"),
        Line(f"decide, {what}: p99 of {INSTANCES}", Measured((float(p99),)), None, "ms"),
        Line(f"decide, {what}: maximum of {INSTANCES}", Measured((float(most),)), None, "ms"),
        Line(f"decide, {what}: PuLP+CBC, both stages", measured["decide"], measured["two"], "ms", both_bar),
        Line(f"decide, {what}: PuLP+CBC, one stage", measured["decide"], measured["single"], "ms", single_bar),
        Line(f"milp alone, {what}: PuLP+CBC, both stages", measured["milp"], measured["two"], "ms", both_bar),
        Line(f"water-filling, {what}", measured["fill"], None, "ms", fill_bar),
    ]


def _case(site: Site, plan: Plan, seed: int) -> _Case:
    asks = random_asks(site, np.random.default_rng(seed))
    return _Case(plan, snapshot_of(site, asks, AT), _problem(site, plan.layout.panel, asks))


def _problem(site: Site, panel: Panel, asks: Asks) -> Problem:
    """What `decide` asks of the strategy there: in these buildings the minima of all who ask fit."""
    least = np.full(len(panel.evses), 6.0)
    return Problem(panel, capacity(panel, site, asks.base_a), least, asks.upper_a, asks.alpha, asks.upper_a > 0.0)


def _decided(case: _Case) -> None:
    made = decide(case.snapshot, case.plan, AT, trigger="benchmark", decision_id=DecisionId("d"))
    if made.rung is not Rung.STRATEGY:
        raise AssertionError(f"the strategy did not answer: {made.rung_why}")


def _warm(case: _Case) -> None:
    _decided(case)
    Milp().allocate(case.problem)
    WaterFilling().allocate(case.problem)


def _must_agree(problem: Problem, ours: object, total: float, theirs: np.ndarray) -> None:
    """Both stages: the total, and every share as far as CBC's eight digits carry."""
    if not isinstance(ours, Allocation):
        raise AssertionError(f"no answer: {ours}")
    found = float(problem.panel.conductors @ ours.current_a)
    if abs(found - total) > TOTAL_AGREES * total:
        raise AssertionError(f"totals differ: {found} A and {total} A")
    weight = np.maximum(problem.alpha * problem.upper_a, 1.0)
    apart = float(np.abs(np.sort(ours.current_a / weight) - np.sort(theirs / weight)).max())
    if apart > SHARE_AGREES:
        raise AssertionError(f"the fair shares differ by {apart}")


def _ms(call: Callable[[], T]) -> tuple[float, T]:
    start = perf_counter()
    found = call()
    return (perf_counter() - start) * 1e3, found
