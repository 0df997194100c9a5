"""DRO: new data and a re-solve against CVXPY building the model anew; and what its plans are worth on unseen days.

Bars: a twentieth of CVXPY's time (the model of `_cvxpy_dro.py`, constraint by constraint; both with Clarabel), `cvar`
on 8 sub-feeders x 24 steps x 50 samples in under 0.5 s. Seconds are CPU time of this process.

Out of sample: the case study of table 5.1 on metered homes, 100 days drawn from the half of the history that no plan
has seen, 10 draws of who is plugged in for each, no guard. A constraint (row and hour) is overloaded in k of 1,000
realisations; the figure is the upper end of the one-sided 95 % interval of the worst constraint. SO and RO plan from
the same samples. Delivered current is what cars that are there draw at the planned set-points.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from time import process_time

import numpy as np
from scipy import stats

from benchmarks import _cvxpy_dro
from benchmarks._building_days import homes_kwh
from benchmarks.report import Line, Measured
from ems.dro import HorizonPlan, Models, solve_dro
from ems.problem import Panel
from ems.radius import FixedRadius
from ems.scenarios import BOX, SAMPLE_AVERAGE, Array, DroSettings, HorizonProblem
from headroom.studies.dro_case import HOURS, UNIT_A, UNITS, Day, History, carries, day_of, plugged_in, units_panel

_LEVEL = 0.05
_SAMPLES = 50
_DAYS, _DRAWS = 100, 10
_EXPECTATION = DroSettings(risk="expectation")
_CVAR = DroSettings(level=_LEVEL)


def _random_problem(panel: Panel, units: int, steps: int, main_a: float, seed: int) -> HorizonProblem:
    """Random homes and cars; EVSEs share their unit's row of 40 A each."""
    generator = np.random.default_rng(seed)
    evses = len(panel.evses)
    unit_a = UNIT_A * evses / units
    limit_a = np.array([main_a if row.feeder == "main" else unit_a for row in panel.rows])
    served = generator.random(evses) < 0.7
    return HorizonProblem(
        panel=panel,
        step_h=1.0,
        hours=tuple(range(steps)),
        room_a=np.tile(limit_a[:, None], (1, steps)),
        served=served,
        low_a=np.where(served, 6.0, 0.0),
        high_a=np.tile(generator.uniform(25.0, 32.0, evses)[:, None], (1, steps)),
        energy_ah=generator.uniform(40.0, 200.0, evses),
        weight=np.ones(evses),
        load_a=generator.gamma(2.0, 3.0, (_SAMPLES, units, steps)),
        carries=carries(panel, units),
        available=plugged_in(generator, _SAMPLES, evses)[:, :, :steps],
    )


def _seconds(work: Callable[[], object]) -> float:
    begin = process_time()
    work()
    return process_time() - begin


def _speed(
    name: str, panel: Panel, units: int, steps: int, main_a: float, settings: DroSettings, rounds: int
) -> list[Line]:
    """Re-solves on new data, then the same problems built anew by CVXPY; the same values, or it does not count."""
    problems = [_random_problem(panel, units, steps, main_a, seed) for seed in range(max(rounds, 9) + 1)]
    models = Models()
    scratch = _seconds(lambda: solve_dro(problems[-1], settings, models))
    ours = [_seconds(partial(solve_dro, problem, settings, models)) for problem in problems[:-1]]
    theirs, gaps = [], []
    for problem in problems[:rounds]:
        begin = process_time()
        value, _ = _cvxpy_dro.plan(problem, settings)
        theirs.append(process_time() - begin)
        mine = solve_dro(problem, settings, models)
        assert isinstance(mine, HorizonPlan), mine
        gaps.append(abs(mine.value / value - 1.0))
    bar_s = 0.5 if settings.risk == "cvar" and steps > 1 else None
    return [
        Line(f"{name}: against CVXPY anew", Measured(tuple(ours)), Measured(tuple(theirs)), "s", bar=1 / 20),
        Line(f"{name}: re-solve", Measured(tuple(ours)), None, "s", bar=bar_s),
        Line(f"{name}: laid out and solved the first time", Measured((scratch,)), None, "s"),
        Line(f"{name}: relative gap of the value", Measured(tuple(gaps)), None, "", bar=1e-4),
    ]


@dataclass
class _Score:
    """How often each constraint [rows, hours] was overloaded, in how many realisations, and the current delivered."""

    over: Array
    runs: int
    delivered: list[float]

    @property
    def worst(self) -> float:
        """Upper end of the one-sided 95 % interval (Clopper-Pearson) of the constraint overloaded most often."""
        count = float(self.over.max())
        return float(stats.beta.ppf(0.95, count + 1.0, self.runs - count))

    @property
    def mean(self) -> float:
        """Share of all constraints and realisations."""
        return float(self.over.mean()) / self.runs


def _score(day: Day, settings: DroSettings, models: Models, there: Array, score: _Score) -> None:
    plan = solve_dro(day.problem, settings, models)
    assert isinstance(plan, HorizonPlan), plan
    drawn_a = there * np.column_stack([plan.now_a, plan.later_a])
    panel = day.problem.panel
    total_a = np.einsum("rm,smt->srt", panel.matrix, drawn_a) + day.problem.carries @ day.load_a
    score.over += (total_a > day.problem.room_a + 1e-6).sum(axis=0)
    score.runs += len(there)
    score.delivered += drawn_a.sum(axis=(1, 2)).tolist()


def unseen_days(days: int, draws: int) -> dict[str, _Score]:
    """Every method on the same days; the radius of `adaptive` is recalibrated for each day."""
    history, panel, models = History.of(homes_kwh()), units_panel(), Models()
    count = history.load_a.shape[0]
    first = max(21, count // 2)
    generator = np.random.default_rng(0)
    scores: dict[str, _Score] = {}
    for _ in range(days):
        day = day_of(history, panel, first + int(generator.integers(count - first)), _LEVEL, generator)
        there = plugged_in(generator, draws, UNITS)
        there[:, :, 0] = day.problem.served
        methods = {
            "SO": SAMPLE_AVERAGE,
            "RO": BOX,
            "DRO expectation": _EXPECTATION,
            "DRO cvar, fixed": replace(_CVAR, radius=FixedRadius(0.1)),
            "DRO cvar, adaptive": replace(_CVAR, radius=day.radius),
        }
        for name, settings in methods.items():
            score = scores.setdefault(name, _Score(np.zeros((len(panel.rows), HOURS)), 0, []))
            _score(day, settings, models, there, score)
    return scores


def run() -> list[Line]:
    """All lines; about two and a half minutes on one core."""
    panel, many = units_panel(), units_panel(per_unit=4, units=50, main_a=4000.0)
    lines = [
        *_speed("expectation 8 x 24", panel, 8, HOURS, 250.0, _EXPECTATION, 3),
        *_speed("cvar, present step, 50 x 4", many, 50, 1, 4000.0, _CVAR, 3),
        *_speed("cvar 8 x 24, 50 samples", panel, 8, HOURS, 250.0, _CVAR, 1),
    ]
    scores = unseen_days(_DAYS, _DRAWS)
    box = Measured((float(np.mean(scores["RO"].delivered)),))
    for name, score in scores.items():
        safe = _LEVEL if name == "DRO cvar, adaptive" else None
        gain = 1.0 if name.startswith("DRO cvar") else None
        total = Measured((float(np.mean(score.delivered)),))
        lines.append(Line(f"{name}: worst overload frequency", Measured((score.worst,)), None, "", bar=safe))
        lines.append(Line(f"{name}: mean overload frequency", Measured((score.mean,)), None, ""))
        lines.append(Line(f"{name}: delivered over RO", total, box, "Ah/day", bar=gain, at_least=True))
    return lines
