"""What a benchmark gives back, and how it is printed."""

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Measured:
    """Repeated measurements of one thing, in one unit."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The middle value: what ratios are made of."""
        return median(self.values)

    def as_json(self) -> dict[str, float]:
        """Median, minimum and maximum."""
        return {"median": self.median, "min": min(self.values), "max": max(self.values)}


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a benchmark's table.

    `ratio` is subject over rival, or the subject's own figure where `rival` is None; `bar` is what it must not exceed
    (or, with `at_least`, not fall below); None where there is no bar.
    """

    case: str
    subject: Measured
    rival: Measured | None
    unit: str
    bar: float | None = None
    at_least: bool = False

    @property
    def ratio(self) -> float:
        """Subject over rival, of medians."""
        return self.subject.median if self.rival is None else self.subject.median / self.rival.median

    @property
    def holds(self) -> bool:
        """Whether the bar is met; True without one."""
        if self.bar is None:
            return True
        return self.ratio >= self.bar if self.at_least else self.ratio <= self.bar

    def as_json(self) -> dict[str, object]:
        """The row as docs and scripts read it."""
        return {
            "case": self.case,
            "subject": self.subject.as_json(),
            "rival": None if self.rival is None else self.rival.as_json(),
            "unit": self.unit,
            "ratio": self.ratio,
            "bar": self.bar,
            "holds": self.holds,
        }


def machine() -> str:
    """The machine in one line: figures in milliseconds mean nothing without it."""
    return f"{os.cpu_count()} cores, {platform.machine()}, {platform.system()}, Python {platform.python_version()}"


def as_json(name: str, lines: Sequence[Line]) -> str:
    """The whole table as one JSON document."""
    return json.dumps({"name": name, "machine": machine(), "rows": [line.as_json() for line in lines]})


def as_table(name: str, lines: Sequence[Line]) -> str:
    """The whole table for a reader."""
    head = f"{name} ({machine()})"
    width = max((len(line.case) for line in lines), default=4)
    rows = [f"{'case':<{width}}  {'subject':>24}  {'rival':>24}  {'ratio':>8}  {'bar':>8}  holds"]
    for line in lines:
        bar = "-" if line.bar is None else f"{'>=' if line.at_least else '<='}{line.bar:g}"
        verdict = "-" if line.bar is None else ("yes" if line.holds else "NO")
        rows.append(
            f"{line.case:<{width}}  {_figure(line.subject, line.unit):>24}  {_figure(line.rival, line.unit):>24}"
            f"  {line.ratio:>8.3f}  {bar:>8}  {verdict}"
        )
    return "\n".join([head, *rows])


def _figure(measured: Measured | None, unit: str) -> str:
    return "-" if measured is None else f"{measured.median:.4g} {unit} [{min(measured.values):.3g}]"
