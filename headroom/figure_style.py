"""One look for every figure: colours that all readers can tell apart, thin frames, labels with units."""

from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
"""Okabe and Ito: apart for readers with any colour vision."""
QUIET = "#555555"
HEAT = "cividis"
"""A colour map that reads the same with any colour vision and in grey."""


def new_figure(width: float = 9.0, height: float = 4.0) -> Figure:
    """An empty figure, inches, that needs no display."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def tidy(axis: Axes, title: str, x: str, y: str) -> Axes:
    """Title on the left, labels with units, a light grid along the value axis, no frame on top and right."""
    axis.set_title(title, loc="left", fontsize=10)
    axis.set_xlabel(x, fontsize=9)
    axis.set_ylabel(y, fontsize=9)
    axis.tick_params(labelsize=8)
    axis.grid(visible=True, axis="y", alpha=0.3)
    axis.set_axisbelow(True)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
    return axis


def legend(axis: Axes, columns: int = 1, **place: object) -> None:
    """A legend without a frame; `place` as in matplotlib."""
    axis.legend(fontsize=8, frameon=False, ncols=columns, **place)


def save(figure: Figure, folder: Path, name: str) -> tuple[Path, Path]:
    """Write `name`.png and `name`.svg, the same bytes for the same figure."""
    png, svg = folder / f"{name}.png", folder / f"{name}.svg"
    with mpl.rc_context({"svg.hashsalt": name, "svg.fonttype": "none"}):
        figure.savefig(png, dpi=110, metadata={"Software": None})
        figure.savefig(svg, metadata={"Date": None, "Creator": None})
    return png, svg
