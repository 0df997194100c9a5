"""Figures of the Stackelberg study."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ems.scenarios import Array
from headroom.figure_style import COLOURS, QUIET, legend, new_figure, tidy
from headroom.studies.murb_case import MAIN_USABLE_A, OPENS_H, STEP_MIN, STEPS, Building, Demand

_NON_EV, _DC, _LEVEL_II = "#BBBBBB", COLOURS[1], COLOURS[0]


def _hours() -> Array:
    return np.asarray(OPENS_H + np.arange(STEPS) * STEP_MIN / 60.0)


def _clock(axis: Axes) -> None:
    ticks = range(OPENS_H, OPENS_H + 25, 3)
    axis.set_xticks(list(ticks), [f"{hour % 24:02d}:00" for hour in ticks])
    axis.set_xlim(OPENS_H, OPENS_H + 24)


def _asked_and_given(axis: Axes, case: Building, demand: Demand, set_a: Array, feeder: str, *, dc: bool) -> None:
    rows = (np.array(case.feeder) == feeder) & (case.is_dc == dc)
    colour = _DC if dc else _LEVEL_II
    name = "DC" if dc else "Level II"
    hours = _hours()
    axis.plot(
        hours, demand.request_a[rows].sum(axis=0), color=colour, linewidth=0.8, alpha=0.6, label=f"{name} requested"
    )
    axis.fill_between(hours, set_a[rows].sum(axis=0), color=colour, alpha=0.75, linewidth=0, label=f"{name} set-points")


def sub_feeder_figure(case: Building, demand: Demand, set_a: Array, feeder: str) -> Figure:
    """DC above, Level II below, and the non-EV load where there is one."""
    parts = ["dc", "ac", *(["non-EV"] if feeder == "sf3" else [])]
    figure = new_figure(9.5, 1.9 * len(parts) + 0.4)
    axes = figure.subplots(len(parts), 1, sharex=True)
    for axis, part in zip(axes, parts, strict=True):
        if part == "non-EV":
            axis.fill_between(_hours(), demand.sf3_a, color=_NON_EV, linewidth=0, label="non-EV load, served first")
        else:
            _asked_and_given(axis, case, demand, set_a, feeder, dc=part == "dc")
        tidy(axis, "", "", "A at 600 V").set_ylim(bottom=0.0)
        legend(axis, columns=2, loc="lower right", bbox_to_anchor=(1.0, 0.98))
    _clock(axes[-1])
    axes[-1].set_xlabel("time of day", fontsize=9)
    return figure


def main_figure(case: Building, demand: Demand, set_a: Array) -> Figure:
    """All loads on top of one another below the usable 1000 A."""
    figure = new_figure(9.5, 4.2)
    axis = figure.subplots()
    dc, level_2 = set_a[case.is_dc].sum(axis=0), set_a[~case.is_dc].sum(axis=0)
    layers = (demand.sf2_a, demand.sf3_a, dc, level_2)
    names = ("non-EV, sub-feeder 2", "non-EV, sub-feeder 3", "DC fast chargers", "Level II EVSEs")
    axis.stackplot(_hours(), *layers, labels=names, colors=("#999999", "#CCCCCC", _DC, _LEVEL_II), linewidth=0)
    wanted = demand.sf2_a + demand.sf3_a + demand.request_a.sum(axis=0)
    axis.plot(_hours(), wanted, color=QUIET, linewidth=0.8, label="all that is requested")
    axis.axhline(MAIN_USABLE_A, color="black", linestyle="--", linewidth=1.2, label="usable, 1000 A")
    tidy(axis, "", "time of day", "A at 600 V").set_ylim(0.0, 1.3 * max(MAIN_USABLE_A, float(wanted.max())))
    _clock(axis)
    legend(axis, columns=3, loc="upper left")
    return figure


def sensitivity_figure(swings: Mapping[str, tuple[float, float]], times: Sequence[tuple[int, float]]) -> Figure:
    """Tornado on the left, milliseconds on the right."""
    figure = new_figure(11.0, 3.6)
    left, right = figure.subplots(1, 2)
    for place, (low, high) in enumerate(swings.values()):
        left.barh(place, low, color=COLOURS[4], height=0.6, label="20 % lower" if place == 0 else None)
        left.barh(place, high, color=COLOURS[0], height=0.6, label="20 % higher" if place == 0 else None)
    tidy(left, "(a) followers' utility at the scarcest step", "change, %", "")
    left.set_yticks(range(len(swings)), list(swings))
    left.axvline(0.0, color=QUIET, linewidth=0.8)
    legend(left, loc="lower right")
    counts, millis = zip(*times, strict=True)
    right.plot(counts, millis, "o-", color=COLOURS[0], markersize=4)
    tidy(right, "(b) one equilibrium", "EVSEs", "CPU time, ms").set_ylim(0.0, 1.2 * max(millis))
    return figure
