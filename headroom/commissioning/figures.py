"""The figures of a report: what the meter showed, what the EVSE drew, and what it was allowed."""

from io import StringIO

import matplotlib as mpl
from matplotlib.figure import Figure

from headroom.commissioning.record import Finding, Step, Trace
from headroom.figure_style import COLOURS, QUIET, legend, new_figure, tidy


def svg(finding: Finding) -> str | None:
    """A finding's figure as SVG, for a page; None where nothing was recorded."""
    trace = finding.trace
    if trace is None or len(trace.at_s) < 2:
        return None
    figure = _meter(trace) if finding.step is Step.METER else _fall_back(trace)
    target = StringIO()
    with mpl.rc_context({"svg.hashsalt": f"{finding.evse}/{finding.step}", "svg.fonttype": "none"}):
        figure.savefig(target, format="svg", metadata={"Date": None, "Creator": None})
    text = target.getvalue()
    return text[text.index("<svg") :]


def _meter(trace: Trace) -> Figure:
    figure = new_figure(8.0, 3.2)
    axis = tidy(figure.subplots(), "Steps of the EVSE, and its meter less the other EVSEs", "s", "A")
    axis.step(trace.at_s, trace.drawn_a, where="post", color=COLOURS[1], label="EVSE, as its charger tells")
    for number, (phase, amps) in enumerate(trace.metered_a.items()):
        axis.plot(trace.at_s, amps, color=COLOURS[(0, 2, 3)[number % 3]], lw=1.2, label=f"meter, phase {phase}")
    axis.set_ylim(bottom=0.0)
    legend(axis, columns=4, loc="upper right")
    return figure


def _fall_back(trace: Trace) -> Figure:
    figure = new_figure(8.0, 3.2)
    axis = tidy(figure.subplots(), "What the EVSE drew, by the meter above it", "s", "A")
    if trace.window is not None:
        axis.axvspan(*trace.window, color="#e8eef6", label="judged")
    axis.plot(trace.at_s, trace.drawn_a, marker="o", ms=3, lw=1.2, color=COLOURS[0], label="EVSE, by the meter")
    if trace.allowed_a is not None:
        axis.axhline(trace.allowed_a, color=COLOURS[1], ls="--", lw=1.4, label=f"fall-back {trace.allowed_a:g} A")
    top = max([*trace.drawn_a, trace.allowed_a or 0.0, 1.0])
    for at_s, text in trace.marks:
        axis.axvline(at_s, color=QUIET, lw=0.8)
        axis.text(at_s, 1.13 * top, f" {text}", fontsize=7, color=QUIET, va="top")
    axis.set_ylim(min(0.0, *trace.drawn_a) - 0.5, 1.15 * top)
    legend(axis, columns=3, loc="lower right")
    return figure
