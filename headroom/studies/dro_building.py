"""Study `dro-building`: table 5.1 and figures 5.1-5.5 of seed 004."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from multiprocessing import get_context

import numpy as np

from ems.dro import HorizonPlan, Models, solve_dro
from ems.problem import Panel
from ems.scenarios import BOX, SAMPLE_AVERAGE, Array, DroSettings
from headroom.studies import dro_figures as draw
from headroom.studies.dro_case import (
    HOURS,
    MAIN_A,
    SUPPLY_V,
    UNIT_A,
    UNITS,
    Day,
    History,
    day_of,
    plugged_in,
    units_panel,
)
from headroom.studies.dro_words import DEFINITIONS, METHOD, besides, claims
from headroom.studies.report import Findings, Plot, Sheet, StudyError, Told
from simulators.building import home_profiles

METHODS: Mapping[str, DroSettings] = {
    "SO": SAMPLE_AVERAGE,
    "RO": BOX,
    "DRO as printed": DroSettings(risk="expectation"),
    "DRO, CVaR": DroSettings(risk="cvar", level=0.05),
}
FIRST_DAY = 21
"""The days before it are what plans know of; those from it on are lived through."""
EVENING = (18, 20)
PART = 8
"""Runs that share compiled programs. The split does not depend on the machine, so neither do the numbers."""
_PROCESSES = 2

Plans = Mapping[str, Array]
"""[unit, hour] set-points in A by method."""


@dataclass
class Lived:
    """What a method's plans came to: [run, hour] total at the main panel in A, and per unit [run, unit, hour]."""

    main_a: list[Array] = field(default_factory=list)
    unit_a: list[Array] = field(default_factory=list)
    drawn_a: list[Array] = field(default_factory=list)


@dataclass(frozen=True)
class Worked:
    """Everything computed. `plan_a` [unit, hour] of `Day` under DRO with CVaR."""

    history: History
    day: Day
    plan_a: Array
    lived: Mapping[str, Lived]


def run(*, seed: int = 0, told: Told, runs: int = 100) -> Findings:
    """The whole study; tests reduce `runs`."""
    done = _compute(seed, told, runs)
    values = {**_values(done), "runs": runs}
    return Findings(
        name="dro-building",
        title="Distributionally robust charging of an eight-unit building, beside SO and RO",
        method=METHOD,
        definitions=DEFINITIONS,
        beside=besides(values),
        claims=claims(values),
        sheets=_sheets(done, values),
        plots=_plots(done),
        values=values,
        seed=seed,
    )


@dataclass(frozen=True)
class Drawn:
    """A run: its number of the calendar, its day, and who is there by hour [unit, hour]."""

    date: int
    day: Day
    there: Array


def _compute(seed: int, told: Told, runs: int) -> Worked:
    history, panel = History.of(np.asarray(home_profiles() / 1000.0)), units_panel()
    generator = np.random.default_rng([5, seed])
    drawn = [_drawn(history, panel, generator) for _ in range(runs)]
    plans = plans_of(drawn, lambda done: told(done, f"{round(done * runs)} of {runs} runs planned"))
    lived = {name: Lived() for name in METHODS}
    for one, plan in zip(drawn, plans, strict=True):
        for name, plan_a in plan.items():
            _live(one.day, panel, plan_a, one.there, lived[name])
    return Worked(history, drawn[0].day, plans[0]["DRO, CVaR"], lived)


def _drawn(history: History, panel: Panel, generator: np.random.Generator) -> Drawn:
    date = FIRST_DAY + int(generator.integers(len(history.load_a) - FIRST_DAY))
    day = day_of(history, panel, date, 0.05, generator)
    there = plugged_in(generator, 1, UNITS)[0]
    there[:, 0] = day.problem.served
    return Drawn(date, day, there)


def plans_of(drawn: Sequence[Drawn], told: Callable[[float], None]) -> list[Plans]:
    """Every method's plan of each run, in the order given; two processes where there is work for two.

    Runs of one date stand together, because their programs have one shape and are laid out once for a part.
    """
    order = sorted(range(len(drawn)), key=lambda run: drawn[run].date)
    parts = [order[first : first + PART] for first in range(0, len(order), PART)]
    found: dict[int, Plans] = {}
    for part, plans in _worked_through([(part, [drawn[run].day for run in part]) for part in parts]):
        found.update(zip(part, plans, strict=True))
        told(len(found) / len(drawn))
    return [found[run] for run in range(len(drawn))]


def _worked_through(parts: Sequence[tuple[list[int], list[Day]]]) -> Iterable[tuple[list[int], list[Plans]]]:
    """Each part with its plans, as they are ready."""
    if len(parts) == 1:
        yield parts[0][0], _plan_part(parts[0][1])
        return
    with ProcessPoolExecutor(_PROCESSES, mp_context=get_context("spawn")) as pool:
        at_work = {pool.submit(_plan_part, days): part for part, days in parts}
        for ready in as_completed(at_work):
            yield at_work[ready], ready.result()


def _plan_part(days: Sequence[Day]) -> list[Plans]:
    models = Models()
    return [{name: _plan(day, settings, models) for name, settings in METHODS.items()} for day in days]


def _plan(day: Day, settings: DroSettings, models: Models) -> Array:
    plan = solve_dro(day.problem, settings, models)
    if not isinstance(plan, HorizonPlan):
        raise StudyError(f"dro-building: no plan: {plan.why}")
    return np.column_stack([plan.now_a, plan.later_a])


def _live(day: Day, panel: Panel, plan_a: Array, there: Array, lived: Lived) -> None:
    """Cars that are there draw what they were given; homes draw what they really drew."""
    drawn_a = there * plan_a
    total_a = panel.matrix @ drawn_a + day.problem.carries @ day.load_a
    main = [row.feeder == "main" for row in panel.rows].index(True)
    units = [next(n for n, row in enumerate(panel.rows) if row.feeder == f"u{unit}") for unit in range(UNITS)]
    lived.main_a.append(total_a[main])
    lived.unit_a.append(total_a[units])
    lived.drawn_a.append(drawn_a)


def _values(done: Worked) -> dict[str, object]:
    methods = {}
    for name, lived in done.lived.items():
        main_a, unit_a = np.array(lived.main_a), np.array(lived.unit_a)
        over = main_a > MAIN_A + 1e-6
        evening = slice(*EVENING)
        methods[name] = {
            "main_over_hours": int(over.sum()),
            "main_over_runs": int(over.any(axis=1).sum()),
            "worst_main_a": round(float(main_a.max()), 1),
            "unit_over_percent": round(100.0 * float((unit_a > UNIT_A + 1e-6).mean()), 3),
            "delivered_ah_per_day": round(float(np.array(lived.drawn_a).sum(axis=(1, 2)).mean()), 1),
            "mean_main_a": round(float(main_a.mean()), 1),
            "evening_mean_a": round(float(main_a[:, evening].mean()), 1),
            "evening_sd_a": round(float(main_a[:, evening].std(axis=0).mean()), 1),
            "highest_band_a": round(float((main_a.mean(axis=0) + main_a.std(axis=0)).max()), 1),
        }
    wrong_kw = (done.history.load_a - done.history.forecast_a)[FIRST_DAY:] * SUPPLY_V / 1000.0
    per_day = np.sqrt((wrong_kw**2).mean(axis=2))
    return {
        "methods": methods,
        "forecast_rmse_kw": {
            "one_unit_one_day": round(float(per_day[0, 0]), 4),
            "mean_of_days": round(float(per_day.mean()), 4),
        },
    }


def _sheets(done: Worked, values: dict[str, object]) -> tuple[Sheet, ...]:
    methods = values["methods"]
    assert isinstance(methods, dict)
    first = next(iter(methods.values()))
    hourly = [
        (name, hour, round(float(column.mean()), 2), round(float(column.std()), 2), int((column > MAIN_A + 1e-6).sum()))
        for name, lived in done.lived.items()
        for hour, column in enumerate(np.array(lived.main_a).T)
    ]
    z = draw.z_scores(done.history)
    plan = [(unit + 1, *(round(float(v), 2) for v in row)) for unit, row in enumerate(done.plan_a)]
    return (
        Sheet(
            "methods",
            "What each method came to",
            ("method", *first),
            [(n, *v.values()) for n, v in methods.items()],
            True,
        ),
        Sheet(
            "hourly", "Main panel by hour (fig. 5.5)", ("method", "hour", "mean_a", "sd_a", "runs_over_250_a"), hourly
        ),
        Sheet("z_scores", "z-scores (fig. 5.2)", ("hour", "z"), [(h, round(float(v), 3)) for h, v in enumerate(z)]),
        Sheet("allocation", "Set-points in A (fig. 5.3)", ("unit", *(f"h{h}" for h in range(HOURS))), plan),
    )


def _plots(done: Worked) -> tuple[Plot, ...]:
    return (
        Plot(
            "fig_5_1", "Fig. 5.1: forecast and measured load of one unit", draw.forecast_figure(done.history, FIRST_DAY)
        ),
        Plot("fig_5_2", "Fig. 5.2: z-score of the forecast's error by hour of day", draw.z_figure(done.history)),
        Plot(
            "fig_5_3", "Fig. 5.3: set-points over a day under DRO (CVaR)", draw.allocation_figure(done.day, done.plan_a)
        ),
        Plot(
            "fig_5_4", "Fig. 5.4: the eight sub-feeders from 18:00 to 20:00", draw.evening_figure(done.day, done.plan_a)
        ),
        Plot(
            "fig_5_5",
            "Fig. 5.5: total at the main panel, mean and standard deviation over the runs; dots: single runs above "
            "the limit",
            draw.bands_figure({name: np.array(lived.main_a) for name, lived in done.lived.items()}),
        ),
    )
