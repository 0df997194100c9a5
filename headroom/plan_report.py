"""A plan on paper: figure, tables and the explanation, written to a folder; and its lines on a terminal."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator, MultipleLocator

from ems.planning.horizon import clock
from headroom.figure_style import COLOURS
from headroom.plan_fields import PlanInputError
from headroom.plan_outcome import Outcome, Panel

_MOST_NAMES = 8
_QUIET = {"head-room", "limit", "cars", "grid"}


def write_report(outcome: Outcome, folder: Path, text: str | None = None) -> tuple[Path, ...]:
    """Write the figure (PNG), the tables (CSV), the document (JSON) and the explanation (Markdown).

    Returns:
        The files, in the order written.

    Raises:
        PlanInputError: the folder cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return _write(outcome, folder, text)
    except OSError as problem:
        raise PlanInputError(
            "--out", None, "", f"{folder} cannot be written: {problem.strerror or problem}"
        ) from problem


def _write(outcome: Outcome, folder: Path, text: str | None) -> tuple[Path, ...]:
    files = [folder / f"{outcome.model}.png"]
    _save(day_figure(outcome), files[0])
    if outcome.points:
        files.append(folder / f"{outcome.model}_pareto.png")
        _save(pareto_figure(outcome), files[-1])
    tables = [("slots", _slot_rows(outcome)), ("schedule", _schedule_rows(outcome))]
    if outcome.points:
        tables.append(("pareto", [("weight", "cost", "carbon_kg"), *((w, c, kg) for c, kg, w in outcome.points)]))
    for name, rows in tables:
        files.append(folder / f"{outcome.model}_{name}.csv")
        with files[-1].open("w", encoding="utf-8", newline="") as sheet:
            csv.writer(sheet).writerows(rows)
    files.append(folder / f"{outcome.model}.json")
    files[-1].write_text(json.dumps(outcome.document, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    files.append(folder / f"{outcome.model}.md")
    files[-1].write_text("\n".join(lines(outcome, text)) + "\n", encoding="utf-8")
    return tuple(files)


def lines(outcome: Outcome, text: str | None = None) -> list[str]:
    """What a person reads: the explanation, the savings of many days where there are any, a longer text where asked."""
    said = [f"# {outcome.model}", "", *(f"- {sentence}" for sentence in outcome.sentences)]
    many = outcome.document.get("monte_carlo")
    if isinstance(many, dict):
        said += ["", *(f"- {_interval(name, many[name])}" for name in ("as_planned", "equal_energy"))]
    return said if text is None else [*said, "", text]


def _interval(name: str, saving: dict[str, float | None]) -> str:
    title = {"as_planned": "as planned", "equal_energy": "at equal delivered energy"}[name]
    frac, low, high = saving["saving_frac"], saving["low_95"], saving["high_95"]
    if frac is None:
        return f"Over {saving['days']} days {title}: the baseline costs nothing, so a saving is not defined."
    reach = "" if low is None or high is None else f" (95 % interval {low:.1%} to {high:.1%})"
    return f"Over {saving['days']} days {title}: {frac:.1%}{reach}."


def day_figure(outcome: Outcome) -> Figure:
    """All panels of a plan above one another, on the clock of the day."""
    heights = [
        2.4 if panel.image is not None else (2.2 if place == 0 else 1.5) for place, panel in enumerate(outcome.panels)
    ]
    figure = Figure(figsize=(9.0, 0.8 + sum(heights)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights, squeeze=False)[:, 0]
    slot_h, start_h = outcome.facts.slot_h, outcome.facts.start_h
    for axis, panel in zip(axes, outcome.panels, strict=True):
        _draw(axis, panel, slot_h, start_h)
        axis.set_title(panel.title, loc="left", fontsize=10)
        axis.set_ylabel(panel.unit, fontsize=9)
        axis.tick_params(labelsize=8)
    span = outcome.facts.plan_kwh.shape[0] * slot_h
    axes[-1].set_xlim(start_h, start_h + span)
    step = next((s for s in (0.5, 1, 2, 3, 6) if span / s <= 13), 12)
    axes[-1].xaxis.set_major_locator(MultipleLocator(step))
    axes[-1].xaxis.set_major_formatter(FuncFormatter(lambda hour, _: clock(0, 1.0, hour)))
    axes[-1].set_xlabel("time of day", fontsize=9)
    figure.suptitle(_title(outcome), fontsize=11, x=0.01, ha="left")
    return figure


def _title(outcome: Outcome) -> str:
    facts = outcome.facts
    frac = outcome.document["saving_frac"]
    share = f", {abs(frac):.1%} {'saved' if frac >= 0 else 'more'}" if isinstance(frac, float) else ""
    return f"{outcome.model}: {facts.cost:.2f} {facts.currency} against {facts.baseline_cost:.2f} unmanaged{share}"


def _draw(axis: Axes, panel: Panel, slot_h: float, start_h: float) -> None:
    if panel.image is not None:
        rows, slots = panel.image.shape
        edges = start_h + np.arange(slots + 1) * slot_h
        drawn = axis.pcolormesh(edges, np.arange(rows + 1) + 0.5, panel.image, cmap="viridis", rasterized=True)
        axis.yaxis.set_major_locator(MaxNLocator(integer=True))
        bar = axis.figure.colorbar(drawn, ax=axis, pad=0.01)
        bar.ax.tick_params(labelsize=8)
        bar.set_label("cars", fontsize=8)
        return
    for place, (name, values) in enumerate(panel.lines.items()):
        edges = start_h + np.arange(values.shape[0] + (panel.look == "steps")) * slot_h
        colour = "#555555" if name in _QUIET else COLOURS[place % len(COLOURS)]
        style = ":" if name in {"head-room", "limit"} else "-"
        if panel.look == "steps":
            axis.stairs(values, edges, baseline=None, color=colour, linestyle=style, linewidth=1.5, label=name)
        else:
            axis.plot(edges, values, color=colour, linestyle=style, linewidth=1.5, label=name)
    if panel.limit is not None:
        axis.axhline(panel.limit, color="#555555", linestyle=":", linewidth=1.2, label="site limit")
    low = min(float(values.min()) for values in panel.lines.values())
    if panel.look == "steps" and low >= 0:
        axis.set_ylim(bottom=0.0)
    axis.grid(visible=True, axis="y", alpha=0.3)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
    if len(panel.lines) > 1 or panel.limit is not None:
        columns = len(panel.lines) + (panel.limit is not None)
        if columns <= _MOST_NAMES:
            axis.legend(fontsize=8, frameon=False, loc="lower right", bbox_to_anchor=(1.0, 0.98), ncols=columns)


def pareto_figure(outcome: Outcome) -> Figure:
    """Cost against carbon, one point per weight."""
    figure = Figure(figsize=(6.5, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axis = figure.subplots()
    cost, carbon = np.array([(c, kg) for c, kg, _ in outcome.points]).T
    axis.plot(cost, carbon, "o-", color=COLOURS[0], linewidth=1.2, markersize=4)
    last: tuple[float, float] | None = None
    width, height = max(float(np.ptp(cost)), 1e-9), max(float(np.ptp(carbon)), 1e-9)
    for at_cost, at_carbon, label in outcome.points:
        here = (at_cost / width, at_carbon / height)
        if last is None or np.hypot(here[0] - last[0], here[1] - last[1]) > 0.06:
            axis.annotate(label, (at_cost, at_carbon), textcoords="offset points", xytext=(5, 5), fontsize=8)
            last = here
    axis.set_xlabel(f"energy cost, {outcome.facts.currency}")
    axis.set_ylabel("carbon, kg CO2")
    axis.set_title("Cost against carbon; labels are the weight lambda", loc="left", fontsize=10)
    axis.grid(visible=True, alpha=0.3)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
    return figure


def _save(figure: Figure, file: Path) -> None:
    figure.savefig(file, dpi=130)


def _slot_rows(outcome: Outcome) -> list[Sequence[object]]:
    facts = outcome.facts
    head = ("slot", "time", "price_per_kwh", "plan_kw", "baseline_kw")
    rows: list[Sequence[object]] = [head]
    for t in range(facts.plan_kwh.shape[0]):
        powers = (facts.plan_kwh[t] / facts.slot_h, facts.baseline_kwh[t] / facts.slot_h)
        at = clock(t, facts.slot_h, facts.start_h)
        rows.append((t, at, round(float(facts.price_per_kwh[t]), 6), *(round(float(power), 6) for power in powers)))
    return rows


def _schedule_rows(outcome: Outcome) -> list[Sequence[object]]:
    """One row per car or class and series, one column per slot."""
    entries = outcome.document["schedule"]
    rows: list[Sequence[object]] = []
    for entry in entries if isinstance(entries, list) else []:
        plain = {name: value for name, value in entry.items() if not isinstance(value, list)}
        for name, values in entry.items():
            if isinstance(values, list):
                if not rows:
                    rows.append([*plain, "series", *(f"slot_{t}" for t in range(len(values)))])
                rows.append([*plain.values(), name, *values])
    return rows
