"""Figures of the MILP study."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from domain.site import PHASES
from ems.problem import Vector
from ems.scenarios import Array
from headroom.figure_style import COLOURS, QUIET, legend, new_figure, tidy
from headroom.studies.milp_case import LEGS, LINE_V, MAX_A, STEP_MIN, USABLE_A


def day_figure(hourly_a: Array, base_kw: Vector) -> Figure:
    """Stacked bars over the non-EV load."""
    figure = new_figure(9.5, 4.2)
    axis = figure.subplots()
    hours = np.arange(24)
    axis.bar(hours, base_kw, color="#BBBBBB", width=0.9, label="non-EV load")
    below = base_kw.copy()
    for evse, row in enumerate(hourly_a):
        power = row * LINE_V / 1000.0
        axis.bar(
            hours, power, bottom=below, color=COLOURS[evse], width=0.9, label=f"EVSE {evse + 1}, {MAX_A[evse]:.0f} A"
        )
        below += power
    limit = 3 * USABLE_A * 120.0 / 1000.0
    axis.axhline(limit, color="black", linestyle="--", linewidth=1.2, label=f"usable if balanced, {limit:.1f} kW")
    tidy(axis, "", "hour of day", "kW").set_ylim(0.0, 1.45 * limit)
    axis.set_xticks(range(0, 24, 3))
    legend(axis, columns=4, loc="upper left")
    return figure


def phases_figure(minute_a: Array, base_a: Array) -> Figure:
    """One panel per phase: non-EV load, and the EVSEs on that phase stacked on it."""
    figure = new_figure(12.0, 3.9)
    axes = figure.subplots(1, 3, sharey=True)
    at = 18.0 + np.arange(minute_a.shape[1]) / 60.0
    for axis, phase, base in zip(axes, PHASES, base_a, strict=True):
        axis.fill_between(at, base, color="#BBBBBB", linewidth=0, label="non-EV load")
        below = base.copy()
        for evse, row in enumerate(minute_a):
            if phase in LEGS[evse % 3]:
                axis.fill_between(at, below, below + row, color=COLOURS[evse], linewidth=0, label=f"EVSE {evse + 1}")
                below = below + row
        axis.axhline(USABLE_A, color="black", linestyle="--", linewidth=1.2)
        tidy(axis, f"phase {phase}: at most {below.max():.1f} A of 160 A", "time of day", "").set_ylim(0.0, 230.0)
        axis.set_xticks([18, 18.5, 19, 19.5, 20], ["18:00", "", "19:00", "", "20:00"])
        legend(axis, columns=2, loc="upper left")
    axes[0].set_ylabel("A", fontsize=9)
    return figure


def soc_figure(soc: Array, left: Array, day: int) -> Figure:
    """The month above, one day below."""
    figure = new_figure(9.5, 5.4)
    above, below = figure.subplots(2, 1, height_ratios=(3, 2))
    per_day = 24 * 60 // STEP_MIN
    days = np.arange(soc.shape[1]) / per_day
    begin = (day - 1) * per_day
    for ev, row in enumerate(soc):
        name = f"EV {ev + 1}: leaves with {100.0 * left[ev].mean():.1f} %"
        above.plot(days, 100.0 * row, color=COLOURS[ev], linewidth=0.9, label=name)
        below.plot(np.arange(per_day) / 4.0, 100.0 * row[begin : begin + per_day], color=COLOURS[ev], linewidth=1.4)
    tidy(above, "", "day", "state of charge, %").set_ylim(40.0, 122.0)
    above.set_yticks(range(40, 101, 20))
    legend(above, columns=3, loc="upper center")
    tidy(below, f"day {day}", "hour of day", "state of charge, %")
    below.set_xticks(range(0, 25, 3))
    return figure


def time_figure(times: Sequence[tuple[int, float, float | None, float]]) -> Figure:
    """Up to 50 and up to 2,000: who is on given, free, and the MILP as printed."""
    figure = new_figure(10.5, 4.0)
    axes = figure.subplots(1, 2)
    series = (
        ("eq. 4.1 as printed", "^-", COLOURS[2], [(t[0], t[3]) for t in times]),
        ("live, who is on is free (scarce)", "s--", COLOURS[1], [(t[0], t[2]) for t in times if t[2] is not None]),
        ("live, who is on is given", "o-", COLOURS[0], [(t[0], t[1]) for t in times]),
    )
    for axis, most in zip(axes, (50, 2000), strict=True):
        for name, style, colour, points in series:
            shown = [(size, millis) for size, millis in points if size <= most]
            axis.plot(*zip(*shown, strict=True), style, color=colour, markersize=4, label=name)
    axes[0].plot(50, 6.0, "x", color=QUIET, markersize=9, label="thesis, 50 EVSEs")
    tidy(axes[0], "N to 50", "EVSEs", "CPU time, ms").set_ylim(0.0, 1.5 * axes[0].get_ylim()[1])
    tidy(axes[1], "N to 2,000", "EVSEs", "CPU time, ms").set_ylim(bottom=0.0)
    legend(axes[0], loc="upper left")
    return figure
