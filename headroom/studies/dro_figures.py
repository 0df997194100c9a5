"""Figures of the DRO study."""

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from ems.scenarios import Array
from headroom.figure_style import COLOURS, QUIET, legend, new_figure, tidy
from headroom.studies.dro_case import HOURS, MAIN_A, SUPPLY_V, UNIT_A, UNITS, Day, History

_UNIT, _TEST_FROM = 0, 21
_Z90 = 1.645


def z_scores(history: History) -> Array:
    """[hour] mean over homes and test days of |error| / sigma, sigma of that home and hour's errors before."""
    wrong = history.load_a - history.forecast_a
    sigma = np.maximum(wrong[7:_TEST_FROM].std(axis=0), 0.1)
    return np.asarray((np.abs(wrong[_TEST_FROM:]) / sigma).mean(axis=(0, 1)))


def forecast_figure(history: History, day: int) -> Figure:
    """One unit's day with the 90 % band of past errors."""
    figure = new_figure(9.0, 3.6)
    axis = figure.subplots()
    scale = SUPPLY_V / 1000.0
    forecast, load = history.forecast_a[day, _UNIT] * scale, history.load_a[day, _UNIT] * scale
    spread = _Z90 * (history.load_a - history.forecast_a)[7:day, _UNIT].std(axis=0) * scale
    hours = np.arange(HOURS)
    band = (np.maximum(forecast - spread, 0.0), forecast + spread)
    axis.fill_between(hours, *band, color=COLOURS[5], alpha=0.35, linewidth=0, label="90 % of past errors")
    axis.plot(hours, forecast, "--", color=COLOURS[1], linewidth=1.6, label="forecast")
    axis.plot(hours, load, "o-", color=COLOURS[0], linewidth=1.6, markersize=3, label="measured")
    tidy(axis, "One unit, one day", "hour of day", "kW").set_ylim(bottom=0.0)
    legend(axis, loc="upper left", columns=3)
    return figure


def z_figure(history: History) -> Figure:
    """Bars by hour."""
    figure = new_figure(9.0, 3.2)
    axis = figure.subplots()
    values = z_scores(history)
    axis.bar(np.arange(HOURS), values, color=[COLOURS[1] if v == values.max() else COLOURS[0] for v in values])
    tidy(axis, "Size of the forecast's error in units of the past errors of that hour", "hour of day", "mean |z|")
    axis.axhline(
        np.sqrt(2 / np.pi), color=QUIET, linestyle=":", linewidth=1.2, label="if errors were as before and normal"
    )
    legend(axis, loc="upper right")
    return figure


def allocation_figure(day: Day, plan_a: Array) -> Figure:
    """Stacked set-points over the building's own load."""
    figure = new_figure(9.0, 4.2)
    axis = figure.subplots()
    edges = np.arange(HOURS + 1)
    base = day.load_a.sum(axis=0)
    axis.stairs(base, edges, fill=True, color="#BBBBBB", label="non-EV load")
    below = base
    for unit in range(UNITS):
        above = below + plan_a[unit]
        colour = COLOURS[unit % 6]
        axis.fill_between(edges, _ends(below), _ends(above), step="post", color=colour, alpha=0.85 if unit < 6 else 0.5)
        axis.stairs(above, edges, baseline=below, color="white", linewidth=0.6)
        axis.text(23.5, (below[-1] + above[-1]) / 2, f"EVSE {unit + 1}", fontsize=7, ha="center", va="center")
        below = above
    axis.axhline(MAIN_A, color=COLOURS[6], linestyle="--", linewidth=1.2, label="main panel, 250 A")
    tidy(axis, "Set-points if every car were there; about 70 % are, 20 % from 08:00 to 15:00", "hour of day", "A")
    axis.set_xlim(0, HOURS)
    axis.set_ylim(0, 330)
    legend(axis, loc="upper left", columns=2)
    return figure


def _ends(values: Array) -> Array:
    return np.append(values, values[-1])


def evening_figure(day: Day, plan_a: Array) -> Figure:
    """Minute by minute from 18:00 to 20:00, hourly load interpolated as in the thesis."""
    figure = new_figure(12.0, 5.6)
    axes = figure.subplots(2, UNITS // 2, sharex=True, sharey=True)
    minutes = np.arange(120)
    at = 18.0 + minutes / 60.0
    for unit, axis in enumerate(axes.flat):
        load = np.interp(at, np.arange(HOURS) + 0.5, day.load_a[unit])
        spread = np.interp(at, np.arange(HOURS) + 0.5, day.problem.sigma_a[unit])
        set_point = plan_a[unit][at.astype(int)]
        total = load + set_point
        axis.fill_between(at, total, total + spread, color=COLOURS[5], alpha=0.4, linewidth=0, label="load's deviation")
        axis.plot(at, set_point, color=COLOURS[0], linewidth=1.4, label="EVSE")
        axis.plot(at, load, color=QUIET, linewidth=1.4, label="non-EV load")
        axis.plot(at, total, color=COLOURS[1], linewidth=1.6, label="total")
        axis.axhline(UNIT_A, color=COLOURS[6], linestyle="--", linewidth=1.0, label="usable, 40 A")
        left_ah = float(np.maximum(UNIT_A - total, 0.0).mean()) * 2.0
        tidy(
            axis,
            f"unit {unit + 1}: {left_ah:.0f} Ah left",
            "hour of day" if unit >= 4 else "",
            "A" if unit % 4 == 0 else "",
        )
        axis.set_ylim(0, 56)
        axis.set_xticks([18, 18.5, 19, 19.5, 20], ["18:00", "", "19:00", "", "20:00"])
    handles, labels = axes.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=5, fontsize=8, frameon=False)
    return figure


def bands_figure(main_a: Mapping[str, Array]) -> Figure:
    """Mean and standard deviation per method."""
    figure = new_figure(12.0, 6.2)
    axes = figure.subplots(2, 2, sharex=True, sharey=True)
    hours = np.arange(HOURS)
    colours = (COLOURS[1], COLOURS[2], COLOURS[3], COLOURS[0])
    for axis, (name, runs), colour in zip(axes.flat, main_a.items(), colours, strict=True):
        mean, spread = runs.mean(axis=0), runs.std(axis=0)
        axis.fill_between(hours, mean - spread, mean + spread, color=colour, alpha=0.3, linewidth=0)
        axis.plot(hours, mean, color=colour, linewidth=1.8)
        run, hour = np.nonzero(runs > MAIN_A + 1e-6)
        axis.plot(hour, runs[run, hour], ".", color=COLOURS[6], markersize=3)
        axis.axhline(MAIN_A, color=COLOURS[6], linestyle="--", linewidth=1.2)
        over = f"{len(run)} of {runs.size} run-hours above 250 A"
        tidy(axis, f"{name}: mean {runs.mean():.0f} A, {over}", "", "")
    for axis in axes[:, 0]:
        axis.set_ylabel("main panel, A", fontsize=9)
    for axis in axes[1]:
        axis.set_xlabel("hour of day", fontsize=9)
    return figure
