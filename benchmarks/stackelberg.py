"""Stackelberg: certificates of equilibrium on 1,000 random trees, and how time grows with the number of EVSEs.

Certificates (ems.md section 4), worst of all trees: the players' KKT residual; the largest difference between a
follower's own best response to its grant (three followers per tree, at any depth) and its share of the equilibrium;
what the leader gains by moving grants between followers; the difference to one central quadratic program (CVXPY with
Clarabel). Growth: CPU time per EVSE at 500, 1,000 and 2,000 EVSEs over that at 200, at most 1 where growth is no worse
than linear.
"""

from dataclasses import dataclass, field
from time import process_time
from typing import Literal

import numpy as np

from benchmarks._central_game import central_optimum
from benchmarks._instances import random_problem, three_level_site
from benchmarks.report import Line, Measured
from ems.asked import Asked, asked
from ems.panel import compile_panel
from ems.problem import Allocation, Problem, Vector
from ems.stackelberg import CERTAIN, Equilibrium, Stackelberg, Terms, play, respond

_TREES = 1000
_SIZES = (500, 1000, 2000)
_ROUNDS = 7
_ASKED = 3
_MODELS: tuple[Literal["arithmetic", "phasor"], ...] = ("arithmetic", "phasor")


@dataclass
class _Certificates:
    """Worst of all trees so far; in A, the leader's gain in weighted A."""

    residual: list[float] = field(default_factory=list)
    follower_a: list[float] = field(default_factory=list)
    leader: list[float] = field(default_factory=list)
    central_a: list[float] = field(default_factory=list)
    rationed: list[float] = field(default_factory=list)


def _followers(problem: Problem) -> list[Vector]:
    """The panels below the main one, each as the EVSEs that it supplies (1) or not (0)."""
    matrix, rows = problem.panel.matrix, problem.panel.rows
    found = {row.feeder: np.zeros(matrix.shape[1]) for row in rows}
    for row, line in zip(rows, matrix, strict=True):
        found[row.feeder] = np.maximum(found[row.feeder], line > 0.0)
    return [np.array(each) for each in dict.fromkeys(tuple(m) for name, m in found.items() if name != "main")]


def _grant(problem: Problem, given: Asked, members: Vector, current_a: Vector) -> Vector:
    """x_n - delta_n on rows that others load as well; what it carries on the follower's own."""
    matrix = problem.panel.matrix
    shared = ((matrix > 0.0) & (members == 0.0)).any(axis=1)
    return np.where(shared, matrix @ (members * current_a), given.room_a)


def _check(problem: Problem, generator: np.random.Generator, seen: _Certificates) -> None:
    assert problem.on is not None
    given = asked(problem, problem.on)
    assert isinstance(given, Asked), given
    terms = Terms.of(given, problem.alpha, float(generator.choice([1.0, 1.0, 1.5])))
    found = play(problem.panel, given, terms)
    assert isinstance(found, Equilibrium), found
    seen.residual.append(found.residual)
    seen.rationed.append(float(found.rounds > 1))
    seen.central_a.append(float(np.abs(central_optimum(problem.panel, given, terms) - found.current_a).max()))
    below = _followers(problem)
    for place in generator.permutation(len(below))[:_ASKED]:
        members = below[place]
        answer_a = respond(problem.panel, given, terms, members, _grant(problem, given, members, found.current_a))
        assert answer_a is not None
        seen.follower_a.append(float(np.abs(answer_a - members * found.current_a).max()))
    top = [m for m in below if not any((n > m).any() and (n >= m).all() for n in below)]
    pair = [top[place] for place in generator.permutation(len(top))[:2]]
    grants = [_grant(problem, given, members, found.current_a) for members in pair]
    spare_a = grants[1] - problem.panel.matrix @ (pair[1] * given.low_a)
    moved_a = np.minimum(generator.choice([0.01, 0.3, 3.0]) * generator.random(len(given.room_a)), spare_a)
    gained = 0.0
    for members, grant_a in ((pair[0], grants[0] + moved_a), (pair[1], grants[1] - moved_a)):
        answer_a = respond(problem.panel, given, terms, members, grant_a)
        assert answer_a is not None
        gained += terms.utility(answer_a) - terms.utility(members * found.current_a)
    seen.leader.append(gained)


def _certificates() -> list[Line]:
    seen = _Certificates()
    generator = np.random.default_rng(0)
    places = [
        (site, compile_panel(site))
        for size in (12, 20, 36)
        for model in _MODELS
        for site in [three_level_site(size, model)]
    ]
    for number in range(_TREES):
        site, panel = places[number % len(places)]
        _check(random_problem(site, panel, generator, base_frac=float(generator.uniform(0.2, 0.7))), generator, seen)
    name = f"{_TREES} trees"
    return [
        Line(f"{name}: KKT residual", Measured((max(seen.residual),)), None, "", bar=CERTAIN),
        Line(f"{name}: follower's best response differs", Measured((max(seen.follower_a),)), None, "A", bar=1e-4),
        Line(f"{name}: leader gains by deviating", Measured((max(seen.leader),)), None, "", bar=1e-5),
        Line(f"{name}: central CVXPY solve differs", Measured((max(seen.central_a),)), None, "A", bar=1e-4),
        Line(f"{name}: share in which the leader rations", Measured((float(np.mean(seen.rationed)),)), None, ""),
    ]


def _per_evse(size: int, model: Literal["arithmetic", "phasor"]) -> Measured:
    """Seconds of CPU per EVSE and decision."""
    site = three_level_site(size, model)
    panel = compile_panel(site)
    seconds = []
    for seed in range(_ROUNDS + 1):
        problem = random_problem(site, panel, np.random.default_rng(seed))
        begin = process_time()
        answer = Stackelberg().allocate(problem)
        seconds.append((process_time() - begin) / size)
        assert isinstance(answer, Allocation), answer
    return Measured(tuple(seconds[1:]))


def run() -> list[Line]:
    """All lines; about a minute and a half on one core."""
    lines = _certificates()
    for model in _MODELS:
        base = _per_evse(200, model)
        for size in _SIZES:
            lines.append(Line(f"{model}, {size} over 200 EVSEs, per EVSE", _per_evse(size, model), base, "s", bar=1.0))
    return lines
