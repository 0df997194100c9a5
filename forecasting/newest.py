"""The newest row of features for many series at once, equal to the last row of `forecasting.features.table`."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from forecasting.series import DAY_H, Matrix, Repaired, Vector, Whole, repair

HISTORY_H = 24 * 28
"""As many hours of history as any feature reaches back, and some."""


def repaired_block(loads: Sequence[Vector]) -> tuple[Matrix, Matrix]:
    """[series, hour] of equal length, without gaps: as seen once a gap is closed, and as filled from the past."""
    parts: list[Repaired] = [repair(load) for load in loads]
    return np.stack([part.closed for part in parts]), np.stack([part.open for part in parts])


def newest_rows(
    names: Sequence[str], closed: Matrix, opened: Matrix, horizon_h: int, hour: int, weekday: int, yearday: int
) -> Matrix:
    """[series, feature] of the last hour of each series; no outside variables.

    Args:
        names: the columns of a `Table`, which say what they are.
        closed: from `repaired_block`, at least `HISTORY_H` hours.
        opened: from `repaired_block`.
        horizon_h: how far ahead.
        hour: the last hour's place in the day, by the wall clock.
        weekday: 0 is Monday.
        yearday: 1 to 366.
    """
    columns = _columns(tuple(names))
    rows = np.empty((len(closed), len(names)))
    rows[:, columns.lagged] = closed[:, -1 - columns.lags]
    days = [DAY_H * back - horizon_h for back in range(1, 15) if DAY_H * back >= horizon_h]
    same = closed[:, -1 - np.array(days)]
    for column, what, hours in columns.running:
        values = same[:, :hours] if what.endswith("-same") else opened[:, -hours:]
        rows[:, column] = _running(what.removesuffix("-same"), values)
    rows[:, columns.calendar] = _calendar_row(columns.calendar_names, horizon_h, hour, weekday, yearday)
    return rows


@dataclass(frozen=True)
class _Columns:
    """What the names of a table's columns say: lags, statistics over so many hours (or days alike), the calendar."""

    lagged: Whole
    lags: Whole
    running: tuple[tuple[int, str, int], ...]
    calendar: Whole
    calendar_names: tuple[str, ...]


@lru_cache(maxsize=32)
def _columns(names: tuple[str, ...]) -> _Columns:
    lagged, lags, running, calendar = [], [], [], []
    for column, name in enumerate(names):
        what, _, rest = name.partition("-")
        if what in {"load", "same"}:
            lagged.append(column)
            lags.append(int(name.rsplit("-", 1)[1]))
        elif what in {"mean", "std", "max", "min"}:
            alike, hours = rest.startswith("same-"), int(rest.removeprefix("same-"))
            running.append((column, f"{what}-same" if alike else what, hours))
        else:
            calendar.append(column)
    return _Columns(
        np.array(lagged, dtype=np.int64),
        np.array(lags, dtype=np.int64),
        tuple(running),
        np.array(calendar, dtype=np.int64),
        tuple(names[column] for column in calendar),
    )


def _running(what: str, newest: Matrix) -> Vector:
    match what:
        case "mean":
            return np.asarray(newest.mean(axis=1))
        case "std":
            return np.asarray(newest.std(axis=1, ddof=1))
        case "max":
            return np.asarray(newest.max(axis=1))
        case _:
            return np.asarray(newest.min(axis=1))


@lru_cache(maxsize=256)
def _calendar_row(names: tuple[str, ...], horizon_h: int, hour: int, weekday: int, yearday: int) -> Vector:
    """The same for every series of a building: kept."""
    found = _calendar(horizon_h, hour, weekday, yearday, season="sin-season" in names)
    return np.array([found[name] for name in names])


def _calendar(horizon_h: int, hour: int, weekday: int, yearday: int, *, season: bool) -> dict[str, float]:
    at, day = (hour + horizon_h) % DAY_H, (weekday + (hour + horizon_h) // DAY_H) % 7
    found: dict[str, float] = {}
    for name, place, period in (("hour", at, 24.0), ("weekday", day, 7.0), ("season", yearday, 365.25)):
        angle = 2.0 * np.pi * place / period
        found |= {f"sin-{name}": float(np.sin(angle)), f"cos-{name}": float(np.cos(angle))}
    drivers = [(name, value) for name, value in found.items() if season or not name.endswith("season")]
    for number, (one, first) in enumerate(drivers):
        found |= {f"product-{one}-{other}": first * second for other, second in drivers[number + 1 :]}
    found |= {f"is-hour-{number}": float(number == at) for number in range(DAY_H)}
    found |= {f"is-weekday-{number}": float(number == day) for number in range(7)}
    found |= {f"is-weekend-hour-{number}": float(number == at and day >= 5) for number in range(DAY_H)}
    return found
