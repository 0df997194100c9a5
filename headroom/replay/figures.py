"""The plots of a replay: the worst day, how long each load lasted, what drivers got, how many more fit."""

from collections.abc import Sequence
from datetime import timedelta
from zoneinfo import ZoneInfo

import numpy as np
from matplotlib.dates import DateFormatter, HourLocator, date2num
from matplotlib.figure import Figure

from domain.site import PHASES
from headroom.figure_style import COLOURS, QUIET, legend, new_figure, tidy
from headroom.replay.day_grid import Grid
from headroom.replay.growth import Growth
from headroom.replay.shadow import Shadow
from headroom.replay.verdict import called

UNCONTROLLED, CONTROLLED = COLOURS[1], COLOURS[0]


def _worst_line(run: Shadow, grid: Grid) -> tuple[int, int]:
    """Feeder and phase with the highest loading of a run."""
    rating = np.array([feeder.rating_a for feeder in grid.site.feeders])[:, None]
    feeder, phase = np.unravel_index(int((run.total_a.max(axis=0) / rating).argmax()), run.total_a.shape[1:])
    return int(feeder), int(phase)


def worst_day(grid: Grid, free: Shadow, run: Shadow) -> tuple[Figure, str]:
    """The day of the highest load without control, on the line where it was; with a caption."""
    feeder, phase = _worst_line(free, grid)
    zone = ZoneInfo(grid.site.timezone)
    peak = int(free.total_a[:, feeder, phase].argmax())
    span = round(timedelta(hours=12) / grid.step)
    first, last = max(0, peak - span), min(grid.steps, peak + span)
    walls = [grid.at(step).astimezone(zone).replace(tzinfo=None) for step in range(first, last)]
    times = date2num(walls)
    line = (slice(first, last), feeder, phase)
    site = grid.site.feeders[feeder]
    figure = new_figure(9.5, 4.0)
    axis = figure.subplots()
    axis.fill_between(times, grid.base_a[line], step="post", color="#BBBBBB", linewidth=0, label="building without EVs")
    axis.step(times, free.total_a[line], where="post", color=UNCONTROLLED, linewidth=1.5, label="with EVs, no control")
    axis.step(
        times, run.total_a[line], where="post", color=CONTROLLED, linewidth=1.8, label=f"with EVs, {called(run.name)}"
    )
    axis.axhline(site.rating_a, color="black", linewidth=1.2, label=f"breaker, {site.rating_a:.0f} A")
    axis.axhline(site.usable_a, color="black", linestyle="--", linewidth=1.2, label=f"limit, {site.usable_a:.0f} A")
    tidy(axis, "", "time of day", "A").set_ylim(0.0, 1.35 * max(site.rating_a, float(free.total_a[line].max())))
    axis.xaxis.set_major_locator(HourLocator(byhour=range(0, 24, 3)))
    axis.xaxis.set_major_formatter(DateFormatter("%H:%M"))
    axis.set_xlim(times[0], times[-1])
    legend(axis, columns=3, loc="upper left")
    text = (
        f"Panel {site.id}, phase {PHASES[phase]}, around the highest load without control "
        f"({walls[peak - first]:%d %B %Y})."
    )
    return figure, text


def durations(grid: Grid, free: Shadow, run: Shadow) -> Figure:
    """Loading of the most loaded line of each step, sorted, over hours of the recording."""
    usable = np.array([feeder.usable_a for feeder in grid.site.feeders])[:, None]
    hours = np.arange(grid.steps) * (grid.step / timedelta(hours=1))
    figure = new_figure(9.5, 3.6)
    axis = figure.subplots()
    for name, total, colour, style in (
        ("building without EVs", grid.base_a, QUIET, ":"),
        ("with EVs, no control", free.total_a, UNCONTROLLED, "-"),
        (f"with EVs, {called(run.name)}", run.total_a, CONTROLLED, "-"),
    ):
        loading = 100.0 * np.sort((total / usable).max(axis=(1, 2)))[::-1]
        axis.plot(hours, loading, style, color=colour, linewidth=1.7, label=name)
    axis.axhline(100.0, color="black", linestyle="--", linewidth=1.2, label="limit")
    tidy(axis, "", "hours of the recording with at least this load", "load of the fullest line, % of its limit")
    axis.set_ylim(0.0, 1.3 * axis.get_ylim()[1])
    axis.set_xlim(0.0, hours[-1])
    legend(axis, columns=2, loc="upper right")
    return figure


def drivers(run: Shadow) -> Figure:
    """Energy received over energy possible, and waits, of all stays."""
    figure = new_figure(9.5, 3.4)
    left, right = figure.subplots(1, 2)
    shares = [100.0 * one.share for one in run.served]
    left.hist(shares, bins=np.arange(0.0, 105.0, 5.0), color=CONTROLLED)
    tidy(left, f"energy received, {called(run.name)}", "% of what the car could have taken", "stays")
    waits = [one.longest_wait_s / 60.0 for one in run.served]
    right.hist(waits, bins=20, range=(0.0, max(60.0, *waits) if waits else 60.0), color=CONTROLLED)
    tidy(right, f"longest wait of each stay, {called(run.name)}", "minutes without current", "stays")
    return figure


def growth_figure(evses: int, found: Sequence[Growth]) -> Figure:
    """EVSEs that are there and EVSEs that fit."""
    figure = new_figure(9.5, 0.9 + 0.6 * len(found))
    axis = figure.subplots()
    for place, one in enumerate(found):
        name = called(one.strategy)
        colour = UNCONTROLLED if one.strategy == "none" else CONTROLLED
        axis.barh(place, evses, color="#BBBBBB", height=0.6, label="in the recording" if place == 0 else None)
        axis.barh(place, one.fits, left=evses, color=colour, height=0.6)
        more = (
            f"{one.fits} more" + ("" if one.first is not None else " at least")
            if one.first != 0
            else "already violated"
        )
        axis.text(evses + one.fits, place, f" {name}: {more}", va="center", fontsize=9)
    axis.set_ylim(-0.6, len(found) + 0.1)
    tidy(axis, "", "EVSEs", "").set_yticks([])
    axis.set_xlim(0, 1.45 * (evses + max(one.fits for one in found)))
    axis.grid(visible=False)
    axis.spines["left"].set_visible(False)
    legend(axis, loc="upper left")
    return figure
