"""Study `stackelberg-murb`: table 6.2 and figures 6.3-6.6 of seed 004."""

from dataclasses import dataclass, replace
from itertools import product
from time import process_time

import numpy as np
import numpy.typing as npt

from ems.asked import Asked, asked
from ems.problem import Problem, Vector
from ems.scenarios import Array
from ems.stackelberg import Equilibrium, Terms, play
from headroom.studies import murb_figures as draw
from headroom.studies.murb_case import (
    BETA,
    DC_PRIORITY,
    MAIN_USABLE_A,
    STEPS,
    Building,
    Demand,
    ask,
    building,
    draw_demand,
    time_of_use,
)
from headroom.studies.murb_words import DEFINITIONS, METHOD, besides, claims
from headroom.studies.report import Findings, Plot, Sheet, StudyError, Told

_SWING = 0.2


@dataclass(frozen=True)
class Day:
    """[EVSE, step] set-points in A, and per step the price at the main panel, rounds and KKT residual.

    `played`: the steps at which a game was played; in between set-points are held.
    """

    set_a: Array
    price: Vector
    rounds: Vector
    residual: Vector
    played: npt.NDArray[np.int64]


def run(
    *, seed: int = 0, told: Told, every: int = 1, copies: tuple[int, ...] = (1, 2, 4, 8, 14, 28), rounds: int = 15
) -> Findings:
    """The whole study; tests look at `every` n-th step only and time fewer `copies` of the building."""
    case = building()
    demand = draw_demand(case, seed)
    day = _live_through(case, demand, every, told)
    swings = _sensitivity(case, demand, int(np.argmax(day.price)))
    told(0.6, "computation time")
    times = [_timed(count, seed, rounds) for count in copies]
    values = _values(case, demand, day, swings, times)
    return Findings(
        name="stackelberg-murb",
        title="A Stackelberg game between the panels of a building",
        method=METHOD,
        definitions=DEFINITIONS,
        beside=besides(values),
        claims=claims(values),
        sheets=_sheets(case, demand, day, swings, times),
        plots=(
            Plot("fig_6_3", "Fig. 6.3: sub-feeder 1", draw.sub_feeder_figure(case, demand, day.set_a, "sf1")),
            Plot(
                "fig_6_4",
                "Fig. 6.4: sub-feeder 3, with its non-EV load",
                draw.sub_feeder_figure(case, demand, day.set_a, "sf3"),
            ),
            Plot(
                "fig_6_5",
                "Fig. 6.5: all loads at the main panel, 17:00 to 17:00",
                draw.main_figure(case, demand, day.set_a),
            ),
            Plot(
                "fig_6_6",
                "Fig. 6.6: sensitivity of the sub-feeders' utility, and computation time",
                draw.sensitivity_figure(swings, times),
            ),
        ),
        values=values,
        seed=seed,
    )


def _equilibrium(problem: Problem, given: Asked, beta: float) -> Equilibrium:
    found = play(problem.panel, given, Terms.of(given, problem.alpha, beta))
    if not isinstance(found, Equilibrium):
        raise StudyError(f"stackelberg-murb: {found.why}")
    return found


def _live_through(case: Building, demand: Demand, every: int, told: Told) -> Day:
    set_a = np.zeros((len(case.max_a), STEPS))
    price, rounds, residual = np.zeros(STEPS), np.zeros(STEPS), np.zeros(STEPS)
    main = [row.feeder == "main" for row in case.panel.rows].index(True)
    for step in range(0, STEPS, every):
        problem, given = ask(case, demand, step)
        found = _equilibrium(problem, given, BETA)
        here = slice(step, step + every)
        set_a[:, here] = found.current_a[:, None]
        price[here], rounds[here], residual[here] = found.price[main], found.rounds, found.residual
        told(0.5 * step / STEPS, "a day of games")
    return Day(set_a, price, rounds, residual, np.arange(0, STEPS, every))


def _sensitivity(case: Building, demand: Demand, step: int) -> dict[str, tuple[float, float]]:
    """Change of the followers' total utility in % when a parameter is 20 % lower and higher, at the scarcest step."""
    problem, given = ask(case, demand, step)

    def utility(problem: Problem, beta: float) -> float:
        chosen = asked(problem, problem.on if problem.on is not None else problem.upper_a > 0.0)
        assert isinstance(chosen, Asked)
        found = _equilibrium(problem, chosen, beta)
        return Terms.of(chosen, problem.alpha, beta).utility(found.current_a)

    base = utility(problem, BETA)
    served = np.flatnonzero(given.served)

    def fewer(count: int) -> Problem:
        on = np.zeros(len(problem.upper_a), dtype=np.bool_)
        on[served[np.linspace(0, len(served) - 1, count).round().astype(int)]] = True
        return replace(problem, on=on)

    def swung(**change: tuple[Vector, Vector]) -> tuple[float, float]:
        low, high = ({name: pair[end] for name, pair in change.items()} for end in (0, 1))
        return utility(replace(problem, **low), BETA), utility(replace(problem, **high), BETA)  # type: ignore[arg-type]

    less, more = 1.0 - _SWING, 1.0 + _SWING
    alphas = [np.where(case.is_dc, DC_PRIORITY * part, problem.alpha) for part in (less, more)]
    ends = {
        "beta": (utility(problem, BETA * less), utility(problem, BETA * more)),
        "x_n (room at the panels)": swung(capacity_a=(problem.capacity_a * less, problem.capacity_a * more)),
        "i_m (requested current)": swung(upper_a=(problem.upper_a * less, problem.upper_a * more)),
        "alpha of DC": swung(alpha=(alphas[0], alphas[1])),
        "M (EVSEs that ask; lower only)": (utility(fewer(max(1, round(less * len(served)))), BETA), base),
    }
    found = {name: (100.0 * (low / base - 1.0), 100.0 * (high / base - 1.0)) for name, (low, high) in ends.items()}
    return dict(sorted(found.items(), key=lambda item: max(map(abs, item[1]))))


def _timed(copies: int, seed: int, rounds: int) -> tuple[int, float]:
    """EVSEs and median milliseconds of CPU per equilibrium, everyone asking, a fifth short of the demand."""
    case = building(copies)
    count = len(case.max_a)
    generator = np.random.default_rng([7, seed])
    seconds = []
    for _ in range(rounds + 1):
        request = case.max_a * generator.uniform(0.6, 1.0, count)
        room_a = np.full(len(case.panel.rows), 0.8 * request.sum())
        problem = Problem(case.panel, room_a, case.min_a, request, np.where(case.is_dc, 1.5, 1.0), request > 0.0)
        given = asked(problem, request > 0.0)
        assert isinstance(given, Asked), given
        began = process_time()
        _equilibrium(problem, given, BETA)
        seconds.append(process_time() - began)
    return count, 1000.0 * float(np.median(seconds[1:]))


def _values(
    case: Building, demand: Demand, day: Day, swings: dict[str, tuple[float, float]], times: list[tuple[int, float]]
) -> dict[str, object]:
    set_a, asked_a = day.set_a[:, day.played], demand.request_a[:, day.played]
    total = (demand.sf2_a + demand.sf3_a)[day.played] + set_a.sum(axis=0)
    windows = np.array([time_of_use(step) for step in day.played.tolist()])
    scarce = day.price[day.played] > 1e-9

    def served(mask: npt.NDArray[np.bool_], rows: npt.NDArray[np.bool_]) -> float | None:
        wanted = asked_a[np.ix_(rows, mask)].sum()
        return None if wanted <= 0.0 else round(100.0 * float(set_a[np.ix_(rows, mask)].sum() / wanted), 1)

    shares = {
        window: {"DC": served(windows == window, case.is_dc), "Level II": served(windows == window, ~case.is_dc)}
        for window in ("on-peak", "mid-peak", "off-peak")
    }
    counts, millis = np.array(times, dtype=np.float64).T
    return {
        "max_total_a": round(float(total.max()), 3),
        "scarce_percent": round(100.0 * float(scarce.mean()), 1),
        "use_when_scarce_percent": round(100.0 * float(total[scarce].min() / MAIN_USABLE_A), 3)
        if scarce.any()
        else None,
        "served_percent": shares,
        "served_when_scarce_percent": {"DC": served(scarce, case.is_dc), "Level II": served(scarce, ~case.is_dc)},
        "highest_residual": float(day.residual.max()),
        "rounds": int(day.rounds.max()),
        "swings_percent": {name: [round(v, 2) for v in pair] for name, pair in swings.items()},
        "time_exponent": round(float(np.polyfit(np.log(counts), np.log(millis), 1)[0]), 2) if len(times) > 1 else None,
        "ms_at": {str(count): round(value, 2) for count, value in times},
        "price_at_18": round(float(day.price[12]), 3),
    }


def _sheets(
    case: Building, demand: Demand, day: Day, swings: dict[str, tuple[float, float]], times: list[tuple[int, float]]
) -> tuple[Sheet, ...]:
    kinds = [
        (f"{feeder}_{kind}_a", np.array(case.feeder) == feeder, is_dc)
        for feeder, (kind, is_dc) in product(("sf1", "sf3"), (("dc", True), ("level2", False)))
    ]
    rows = []
    for step in range(STEPS):
        minute = (17 * 60 + step * 5) % 1440
        sums = [float(day.set_a[mask & (case.is_dc == is_dc), step].sum()) for _, mask, is_dc in kinds]
        clock = f"{minute // 60:02d}:{minute % 60:02d}"
        rows.append((clock, time_of_use(step), demand.sf2_a[step], demand.sf3_a[step], *sums, float(day.price[step])))
    head = ("time", "window", "sf2_non_ev_a", "sf3_non_ev_a", *(name for name, _, _ in kinds), "price")
    return (
        Sheet("day", "The day in steps of 5 min, A at 600 V", head, rows),
        Sheet(
            "sensitivity",
            "Change of utility in %",
            ("parameter", "20 % lower", "20 % higher"),
            [(n, *p) for n, p in swings.items()],
            True,
        ),
        Sheet("computation_time", "Computation time (fig. 6.6b)", ("EVSEs", "ms"), times, True),
    )
