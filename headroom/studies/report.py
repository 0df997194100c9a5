"""What a study found, and how it is written down: Markdown, figures, tables, one JSON document."""

import csv
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from matplotlib.figure import Figure

from domain.errors import HeadroomError
from headroom.figure_style import save

Told = Callable[[float, str], None]
"""Told the share of the work that is done, 0 to 1, and what comes next."""
Verdict = Literal["reproduced", "in part", "not reproduced"]


class StudyError(HeadroomError):
    """A study cannot be run or written."""


@dataclass(frozen=True)
class Beside:
    """A number of the source beside ours; `why`: where they differ and why, one sentence."""

    what: str
    where: str
    source: str
    ours: str
    why: str


@dataclass(frozen=True)
class Claim:
    """A claim of the source and what our numbers say to it."""

    text: str
    verdict: Verdict
    evidence: str


@dataclass(frozen=True)
class Sheet:
    """A table; written as `name`.csv. `shown`: whether the report prints it too."""

    name: str
    title: str
    columns: tuple[str, ...]
    rows: Sequence[Sequence[object]]
    shown: bool = False


@dataclass(frozen=True)
class Plot:
    """A figure; written as `name`.png and `name`.svg."""

    name: str
    caption: str
    figure: Figure


@dataclass(frozen=True)
class Findings:
    """All that a study has to say. `values` are the numbers that tests and machines read."""

    name: str
    title: str
    method: tuple[str, ...]
    definitions: tuple[str, ...]
    beside: tuple[Beside, ...]
    claims: tuple[Claim, ...]
    sheets: tuple[Sheet, ...]
    plots: tuple[Plot, ...]
    values: dict[str, object]
    seed: int

    def as_json(self) -> dict[str, object]:
        """The document of `headroom study NAME --json`."""
        return {
            "study": self.name,
            "title": self.title,
            "seed": self.seed,
            "method": list(self.method),
            "definitions": list(self.definitions),
            "beside": [vars(one) for one in self.beside],
            "claims": [vars(one) for one in self.claims],
            "values": self.values,
            "tables": [sheet.name for sheet in self.sheets],
            "figures": [plot.name for plot in self.plots],
        }


def verdict(holds: bool, partly: bool = False) -> Verdict:
    """In words."""
    return "reproduced" if holds else "in part" if partly else "not reproduced"


def write(found: Findings, folder: Path) -> tuple[Path, ...]:
    """Write the report (Markdown), its figures (PNG, SVG), its tables (CSV) and the document (JSON).

    Returns:
        The files, in the order written.

    Raises:
        StudyError: the folder cannot be written to.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        files: list[Path] = []
        for plot in found.plots:
            files += save(plot.figure, folder, plot.name)
        for sheet in (*_comparisons(found), *found.sheets):
            files.append(folder / f"{sheet.name}.csv")
            with files[-1].open("w", encoding="utf-8", newline="") as target:
                writer = csv.writer(target, lineterminator="\n")
                writer.writerow(sheet.columns)
                writer.writerows([_cell(value) for value in row] for row in sheet.rows)
        files.append(folder / f"{found.name}.json")
        files[-1].write_text(json.dumps(found.as_json(), indent=1, allow_nan=False) + "\n", encoding="utf-8")
        files.append(folder / f"{found.name}.md")
        files[-1].write_text(markdown(found), encoding="utf-8")
    except OSError as problem:
        raise StudyError(f"--out: {folder} cannot be written: {problem.strerror or problem}") from problem
    return tuple(files)


def _comparisons(found: Findings) -> tuple[Sheet, Sheet]:
    """The source's numbers beside ours, and its claims, as tables."""
    head = ("quantity", "in_the_source", "source", "ours", "where_and_why_they_differ")
    numbers = [(one.what, one.where, one.source, one.ours, one.why) for one in found.beside]
    said = [(one.text, one.verdict, one.evidence) for one in found.claims]
    return (
        Sheet("source_and_ours", "The source's numbers beside ours", head, numbers),
        Sheet("claims", "Claims of the source", ("claim", "verdict", "our_numbers"), said),
    )


def markdown(found: Findings) -> str:
    """The report."""
    lines = [f"# {found.title}", "", f"`headroom study {found.name} --seed {found.seed}`", "", "## Method", ""]
    lines += [f"- {text}" for text in found.method]
    lines += ["", "## Definitions", "", *(f"- {text}" for text in found.definitions)]
    lines += ["", "## Claims of the source", ""]
    lines += _grid(
        ("claim", "verdict", "our numbers"), [(c.text, f"**{c.verdict}**", c.evidence) for c in found.claims]
    )
    lines += ["", "## The source's numbers beside ours", ""]
    head = ("quantity", "in the source", "source", "ours", "where and why they differ")
    lines += _grid(head, [(b.what, b.where, b.source, b.ours, b.why) for b in found.beside])
    for plot in found.plots:
        lines += ["", f"![{plot.caption}]({plot.name}.png)", "", f"*{plot.caption}*"]
    for sheet in found.sheets:
        lines += ["", f"## {sheet.title}", ""] if sheet.shown else []
        lines += _grid(sheet.columns, sheet.rows) if sheet.shown else []
    lines += [
        "",
        "Tables: "
        + ", ".join(f"[{sheet.title}]({sheet.name}.csv)" for sheet in (*_comparisons(found), *found.sheets))
        + ".",
    ]
    return "\n".join(lines) + "\n"


def _grid(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    def line(cells: Sequence[object]) -> str:
        return "| " + " | ".join(str(_cell(cell)).replace("|", "\\|") for cell in cells) + " |"

    return [line(columns), "|" + " --- |" * len(columns), *(line(row) for row in rows)]


def _cell(value: object) -> object:
    return f"{value:.6g}" if isinstance(value, float) else value
