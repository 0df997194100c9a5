"""Figures of the fairness study."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure

from headroom.figure_style import COLOURS, HEAT, QUIET, legend, new_figure, tidy
from headroom.studies.drr_cells import Cluster, HeatMap, Setting
from headroom.studies.drr_example import STAYS
from headroom.studies.drr_nights import Floats
from headroom.studies.drr_year import NAMES, POLICIES, Policy

POLICY_COLOURS: Mapping[Policy, str] = dict(zip(POLICIES, (COLOURS[4], COLOURS[1], COLOURS[0]), strict=True))


def heat_figure(maps: Mapping[tuple[Setting, Policy], HeatMap], setting: Setting) -> Figure:
    """Three heat maps beside one another."""
    figure = new_figure(13.5, 4.9)
    axes = figure.subplots(1, len(POLICIES), sharey=True)
    bar_of: QuadMesh | None = None
    for axis, policy in zip(axes, POLICIES, strict=True):
        score = maps[setting, policy].score
        axis.set_facecolor("#D0D0D0")
        edges = np.arange(score.shape[0] + 1) + 0.5
        bar_of = axis.pcolormesh(edges, edges, score, cmap=HEAT, vmin=0.0, vmax=100.0)
        for (row, column), value in np.ndenumerate(score):
            if np.isfinite(value):
                colour = "white" if value < 55.0 else "black"
                axis.text(column + 1, row + 1, f"{value:.0f}", ha="center", va="center", fontsize=7.5, color=colour)
        tidy(axis, f"{NAMES[policy]}, {setting}", "queue size: EVs per active EVSE", "")
        axis.grid(visible=False)
        axis.set_xticks(range(1, score.shape[1] + 1))
        axis.set_yticks(range(1, score.shape[0] + 1))
    axes[0].set_ylabel("active EVSEs", fontsize=9)
    assert bar_of is not None
    bar = figure.colorbar(bar_of, ax=axes, pad=0.01)
    bar.set_label("overall satisfaction S^T, % of all EV-days", fontsize=9)
    bar.ax.tick_params(labelsize=8)
    return figure


def example_figure(energy: Mapping[Policy, Floats]) -> Figure:
    """Energy of the four EVs over four hours."""
    figure = new_figure(9.0, 3.4)
    axes = figure.subplots(1, len(energy), sharey=True)
    for axis, (policy, found) in zip(axes, energy.items(), strict=True):
        hours = np.arange(found.shape[1] + 1) / 60.0
        for place, (name, (begins, ends)) in enumerate(STAYS.items()):
            curve = np.concatenate([[0.0], found[place]])
            stay = slice(begins, ends + 1)
            axis.plot(hours[stay], curve[stay], color=COLOURS[place], linewidth=1.6, label=name)
            axis.plot(hours[ends], curve[ends], "o", color=COLOURS[place], markersize=4)
        tidy(axis, f"{NAMES[policy]}: EV4 leaves with {found[3, -1]:.1f} kWh", "hours", "")
    axes[0].set_ylabel("energy charged, kWh", fontsize=9)
    legend(axes[0], loc="upper left")
    return figure


def cluster_figure(found: Mapping[Policy, Sequence[Cluster]]) -> Figure:
    """Violins of the three clusters under each policy, their medians dashed."""
    figure = new_figure(9.0, 4.0)
    axes = figure.subplots(1, len(found), sharey=True)
    for axis, (policy, parts) in zip(axes, found.items(), strict=True):
        _violins(axis, parts, POLICY_COLOURS[policy])
        tidy(axis, NAMES[policy], "K-means cluster", "")
    axes[0].set_ylabel("S: share of the day's need received, %", fontsize=9)
    return figure


def _violins(axis: Axes, parts: Sequence[Cluster], colour: str) -> None:
    for place, part in enumerate(parts, start=1):
        if np.ptp(part.values) > 1e-6:
            drawn: Any = axis.violinplot([100.0 * part.values], [place], widths=0.8, showextrema=False, points=60)
            for body in drawn["bodies"]:
                body.set_facecolor(colour)
                body.set_alpha(0.55)
        axis.plot([place - 0.4, place + 0.4], [100.0 * part.median] * 2, "--", color="black", linewidth=1.2)
        text = f"median {100.0 * part.median:.0f} %\n{part.population} EV-days"
        above = part.median < 0.75
        offset, side = ((0, 6), "bottom") if above else ((0, -6), "top")
        axis.annotate(
            text,
            (place, 100.0 * part.median),
            xytext=offset,
            textcoords="offset points",
            ha="center",
            va=side,
            fontsize=8,
        )
    axis.set_xticks([1, 2, 3], ["lowest", "middle", "highest"])
    axis.set_ylim(-8.0, 108.0)


def penalty_figure(counts: Mapping[Policy, Sequence[int]]) -> Figure:
    """Penalties over queue size."""
    figure = new_figure(7.5, 3.8)
    axis = figure.subplots()
    for (policy, values), mark in zip(counts.items(), "s^o", strict=True):
        sizes = range(1, len(values) + 1)
        axis.plot(sizes, values, f"{mark}-", color=POLICY_COLOURS[policy], label=NAMES[policy], markersize=5)
    tidy(axis, "EV-days below S_min = 30 % in a year, 7 active EVSEs, with EMS", "queue size", "penalties")
    axis.set_xticks(range(1, len(next(iter(counts.values()))) + 1))
    axis.axhline(0.0, color=QUIET, linewidth=0.8)
    legend(axis, loc="upper left")
    return figure
