"""The newest row of features for many series at once, equal to the last row of `forecasting.features.table`."""

from collections.abc import Sequence

import numpy as np

from forecasting.series import DAY_H, Matrix, Repaired, Vector, repair

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
    lags = [int(name.rsplit("-", 1)[1]) for name in names if name.startswith(("load-", "same-"))]
    lagged = closed[:, -1 - np.array(lags)] if lags else np.empty((len(closed), 0))
    days = [DAY_H * back - horizon_h for back in range(1, 15) if DAY_H * back >= horizon_h]
    same = closed[:, -1 - np.array(days)]
    held = {
        "mean-same-7": same[:, :7].mean(axis=1),
        "mean-same-14": same.mean(axis=1),
        "min-same-14": same.min(axis=1),
        "max-same-14": same.max(axis=1),
    }
    for name in names:
        what, _, hours = name.partition("-")
        if what in {"mean", "std", "max", "min"} and hours.isdigit():
            held[name] = _running(what, opened[:, -int(hours) :])
    calendar = _calendar(horizon_h, hour, weekday, yearday, season="sin-season" in names)
    rows, place = np.empty((len(closed), len(names))), 0
    for column, name in enumerate(names):
        if name.startswith(("load-", "same-")):
            rows[:, column] = lagged[:, place]
            place += 1
        elif name in held:
            rows[:, column] = held[name]
        else:
            rows[:, column] = calendar[name]
    return rows


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
