"""Study `milp-building`: tables 4.1 and 4.2, figures 4.3-4.6 of seed 004."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from time import process_time

import numpy as np

from ems.milp import Milp
from ems.panel import compile_panel
from ems.problem import Allocation, Problem, Vector
from ems.scenarios import Array
from headroom.studies import milp_figures as draw
from headroom.studies.milp_case import (
    LINE_V,
    MAX_A,
    MONDAY,
    PEAK_KW,
    RATING_A,
    UNITS,
    USABLE_A,
    Building,
    Month,
    allocate,
    building,
    live_month,
    peak_day,
    site_of,
)
from headroom.studies.milp_printed import largest_total_a
from headroom.studies.milp_words import DEFINITIONS, METHOD, besides, claims
from headroom.studies.report import Findings, Plot, Sheet, StudyError, Told
from simulators.building import home_profiles

SIZES = (1, 2, 5, 10, 15, 20, 25, 30, 35, 40, 45, 50, 100, 200, 500, 1000, 2000)
_REPEATS = 10
_MOST_FREE = 200


@dataclass(frozen=True)
class Day:
    """`hourly_a` [EVSE, hour] and `base_kw` [hour]; 18:00 to 20:00 by the minute: EVSEs, and non-EV load per phase."""

    hourly_a: Array
    base_kw: Vector
    minute_a: Array
    minute_base_a: Array


def run(*, seed: int = 0, told: Told, days: int = 30, sizes: tuple[int, ...] = SIZES) -> Findings:
    """The whole study; tests reduce `days` and `sizes`."""
    case = building(seed)
    told(0.0, "a day")
    day = _live_day(case, seed)
    month = live_month(case, days, seed, lambda done: told(0.05 + 0.5 * done, "a month"))
    times = []
    for place, size in enumerate(sizes):
        told(0.55 + 0.45 * place / len(sizes), f"{size} EVSEs")
        times.append(_timed(size, seed))
    values = _values(case, day, month, times)
    shown = min(15, days)
    return Findings(
        name="milp-building",
        title="MILP energy management of an eight-unit building with six EVSEs",
        method=METHOD,
        definitions=DEFINITIONS,
        beside=besides(values),
        claims=claims(values),
        sheets=_sheets(day, month, times),
        plots=(
            Plot(
                "fig_4_3",
                "Fig. 4.3: power of each EVSE over the day of the largest load",
                draw.day_figure(day.hourly_a, day.base_kw),
            ),
            Plot(
                "fig_4_4",
                "Fig. 4.4: phase currents by the minute, 18:00 to 20:00",
                draw.phases_figure(day.minute_a, day.minute_base_a),
            ),
            Plot(
                "fig_4_5",
                f"Fig. 4.5: state of charge over {days} days; below: day {shown}",
                draw.soc_figure(month.soc, month.left, shown),
            ),
            Plot(
                "fig_4_6",
                "Fig. 4.6: time of one allocation; left as in the thesis, right on to 2,000 EVSEs",
                draw.time_figure([(t.size, t.given, t.free, t.printed) for t in times]),
            ),
        ),
        values={**values, "days": days},
        seed=seed,
    )


def _live_day(case: Building, seed: int) -> Day:
    """From 18:00 to 07:00 all six ask, in the day some do, as in the thesis."""
    generator = np.random.default_rng([4, 1, seed])
    begins = MONDAY + timedelta(days=peak_day())
    hourly_a = np.zeros((len(MAX_A), 24))
    for hour in range(24):
        day_time = 7 <= hour < 18
        asks = generator.random(len(MAX_A)) < 0.4 if day_time else np.ones(len(MAX_A), dtype=np.bool_)
        at = begins + timedelta(hours=hour, minutes=30)
        hourly_a[:, hour] = allocate(case, case.base_a(at), np.where(asks, MAX_A, 0.0))
    watts = home_profiles()[24 * peak_day() : 24 * peak_day() + 24, :UNITS].sum(axis=1)
    minute_a, minute_base_a = np.zeros((len(MAX_A), 120)), np.zeros((3, 120))
    for minute in range(120):
        base_a = case.base_a(begins + timedelta(hours=18, minutes=minute, seconds=30))
        minute_base_a[:, minute] = base_a
        minute_a[:, minute] = allocate(case, base_a, np.array(MAX_A))
    return Day(hourly_a, np.asarray(watts * 2.0 * case.load.homes[0].scale / 1000.0), minute_a, minute_base_a)


@dataclass(frozen=True)
class Timed:
    """Mean CPU milliseconds at a size: the live strategy with who is on given and free, and eq. 4.1 as printed."""

    size: int
    given: float
    free: float | None
    printed: float


def _timed(size: int, seed: int) -> Timed:
    generator = np.random.default_rng([4, 6, seed, size])
    site = site_of(tuple(generator.uniform(22.0, 32.0, size).tolist()), RATING_A * size / len(MAX_A))
    panel = compile_panel(site)
    millis: dict[str, list[float]] = {"given": [], "free": [], "printed": []}

    def clocked(name: str, work: Callable[[], float]) -> float:
        began = process_time()
        total_a = work()
        millis[name].append(1000.0 * (process_time() - began))
        return total_a

    for _ in range((_REPEATS if size <= _MOST_FREE else 4) + 1):
        upper_a = generator.uniform(16.0, 32.0, size)
        wanted_a, one = panel.matrix @ upper_a, np.ones(size)
        plain = Problem(panel, 0.6 * wanted_a, one, upper_a, one, np.ones(size, dtype=np.bool_))
        scarce = Problem(panel, 0.15 * wanted_a, 6.0 * one, upper_a, one, None)
        total_a = clocked("given", partial(_total_a, plain))
        printed_a = clocked("printed", partial(largest_total_a, plain))
        if abs(total_a - printed_a) > 0.01 * max(1.0, printed_a):
            raise StudyError(f"milp-building: totals differ: {total_a:.3f} A and {printed_a:.3f} A as printed")
        if size <= _MOST_FREE:
            clocked("free", partial(_total_a, scarce))
    means = {name: float(np.mean(values[1:])) if values else None for name, values in millis.items()}
    return Timed(size, means["given"] or 0.0, means["free"], means["printed"] or 0.0)


def _total_a(problem: Problem) -> float:
    found = Milp().allocate(problem)
    if not isinstance(found, Allocation):
        raise StudyError(f"milp-building: {found.why}")
    return float(found.current_a @ problem.panel.conductors)


def _values(case: Building, day: Day, month: Month, times: list[Timed]) -> dict[str, object]:
    minute_total = day.minute_base_a + np.array([case.line_a(column) for column in day.minute_a.T]).T
    hourly_kw = day.hourly_a.sum(axis=0) * LINE_V / 1000.0
    night = np.r_[0:7, 18:24]
    full = np.array(MAX_A).sum() * LINE_V / 1000.0
    peak_hour = int(day.base_kw.argmax())
    return {
        "peak_non_ev_kw": round(float(day.base_kw.max()), 2),
        "usable_kw": round(3 * USABLE_A * 120.0 / 1000.0, 1),
        "full_power_evses_without_ems": int(
            (3 * USABLE_A * 120.0 / 1000.0 - PEAK_KW) // (max(MAX_A) * LINE_V / 1000.0) + 1
        ),
        "evse_kw_at_peak": round(float(hourly_kw[peak_hour]), 2),
        "evse_kw_night_mean": round(float(hourly_kw[night].mean()), 2),
        "evse_kw_all_full": round(float(full), 2),
        "largest_phase_a": round(float(max(minute_total.max(), month.total_a[:, month.set_a.any(axis=0)].max())), 3),
        "minutes_curtailed": int((day.minute_a.sum(axis=0) < sum(MAX_A) - 0.01).sum()),
        "mean_soc_at_departure_percent": [round(100.0 * float(v), 1) for v in month.left.mean(axis=1)],
        "lowest_soc_at_departure_percent": round(100.0 * float(month.left.min()), 1),
        "ms_at": {str(one.size): round(one.given, 3) for one in times},
        "ms_free_at": {str(one.size): round(one.free, 3) for one in times if one.free is not None},
        "ms_printed_at": {str(one.size): round(one.printed, 3) for one in times},
        "exponents": {
            "given, 5 to 50": _exponent([(one.size, one.given) for one in times if 5 <= one.size <= 50]),
            "given, from 50": _exponent([(one.size, one.given) for one in times if one.size >= 50]),
            "free, from 5": _exponent([(one.size, one.free) for one in times if one.free and one.size >= 5]),
            "as printed, 5 to 50": _exponent([(one.size, one.printed) for one in times if 5 <= one.size <= 50]),
            "as printed, from 50": _exponent([(one.size, one.printed) for one in times if one.size >= 50]),
        },
    }


def _exponent(points: list[tuple[int, float]]) -> float | None:
    if len(points) < 3:
        return None
    return round(float(np.polyfit(np.log([p[0] for p in points]), np.log([p[1] for p in points]), 1)[0]), 2)


def _sheets(day: Day, month: Month, times: list[Timed]) -> tuple[Sheet, ...]:
    names = [f"evse_{n + 1}" for n in range(len(MAX_A))]
    hours = [
        (h, round(float(day.base_kw[h]), 3), *(round(float(a) * LINE_V / 1000.0, 3) for a in day.hourly_a[:, h]))
        for h in range(24)
    ]
    minutes = [
        (m, *(round(float(v), 2) for v in day.minute_base_a[:, m]), *(round(float(v), 2) for v in day.minute_a[:, m]))
        for m in range(120)
    ]
    left = [(d + 1, *(round(100.0 * float(v), 2) for v in month.left[:, d])) for d in range(month.left.shape[1])]
    rows = [(t.size, round(t.given, 3), "" if t.free is None else round(t.free, 3), round(t.printed, 3)) for t in times]
    return (
        Sheet("hourly", "Power by hour, kW (fig. 4.3)", ("hour", "non_ev_kw", *(f"{n}_kw" for n in names)), hours),
        Sheet("minutes", "18:00 to 20:00, A (fig. 4.4)", ("minute", "A", "B", "C", *names), minutes),
        Sheet("soc", "State of charge at departure, %", ("day", *names), left),
        Sheet(
            "solve_time",
            "Time of one allocation (fig. 4.6)",
            ("EVSEs", "ms, who is on is given", "ms, free", "ms, eq. 4.1 as printed"),
            rows,
            True,
        ),
    )
