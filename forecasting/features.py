"""What a forecast looks at: lags, seasonal reference values, running statistics, calendar and outside variables.

Every row belongs to an origin hour t and uses hours up to and including t only; the calendar is that of the hour
forecast, t + h. Equal to what a truncated series gives (`HourlySeries.until`), which is what the tests check.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from forecasting.series import DAY_H, WEEK_H, HourlySeries, Mask, Matrix, Repaired, Vector, Whole, repair

Preset = Literal["default", "thesis"]

THESIS_LAGS = (1, 2, 3, 6, 12, 18, 24, 25, 48, 72, 168)
"""Seed 004, equation 4.2."""
_RECENT = (*range(26), 46, 47, 48, 49, 71, 72, 95, 119, 143, 144, 167, 168, 169)
_YEAR_D = 365.25
DRIVERS = ("sin-", "cos-")


@dataclass(frozen=True)
class Table:
    """One row per origin hour. `stepwise` marks the columns that thresholds matter for, `binary` those of 0 and 1.

    `compact` are the columns that a network sees rank-transformed: all but middle lags and products, which are linear.
    """

    values: Matrix
    names: tuple[str, ...]
    stepwise: Mask
    binary: Mask
    compact: Mask

    @property
    def usable(self) -> Mask:
        """Rows with all lags inside the series."""
        return np.asarray(np.isfinite(self.values).all(axis=1))


Bends = tuple[tuple[float, float], ...]


def bends_of(series: HourlySeries, end: int) -> Bends:
    """Where the response to each outside variable may bend: its 40 % and 80 % quantiles over the first `end` hours.

    Heating and cooling without a word about units or climate; part of the artefact, so that they stay what they were.
    """
    return tuple(
        (float(np.quantile(column[:end], 0.4)), float(np.quantile(column[:end], 0.8))) for column in series.exogenous.T
    )


def knows_seasons(series: HourlySeries) -> bool:
    """Whether a year has been seen: before, a season is a trend that would be drawn on beyond what was measured."""
    return len(series) >= 24 * 365


def table(
    series: HourlySeries, horizon_h: int, preset: Preset = "default", bends: Bends = (), *, season: bool = True
) -> Table:
    """Features for a forecast `horizon_h` hours ahead, one row per hour of the series.

    Args:
        series: the load; only hours up to each origin are used for its row.
        horizon_h: how far ahead.
        preset: ours, or the thesis's.
        bends: from `bends_of` the training span.
        season: whether the time of year is among them; see `knows_seasons`. The thesis always has it.
    """
    known = repair(series.load)
    if preset == "thesis":
        blocks = _thesis(series, known, horizon_h)
    else:
        blocks = _default(series, known, horizon_h, bends, season)
    names, columns = zip(*((name, values) for block in blocks for name, values in block), strict=True)
    stepwise = np.array(
        [name.startswith(("load-", "same-", "mean-", "min-", "max-")) and _near(name) for name in names]
    )
    binary = np.array([name.startswith("is-") for name in names])
    middle = np.array([name.startswith("product-") or not _near(name) for name in names])
    return Table(np.stack(columns, axis=1), tuple(names), stepwise, binary, ~middle)


Block = list[tuple[str, Vector]]


def _near(name: str) -> bool:
    if not name.startswith("load-"):
        return True
    lag = int(name.removeprefix("load-"))
    return lag < 12 or DAY_H - 2 <= lag <= DAY_H + 2


def _default(series: HourlySeries, known: Repaired, horizon_h: int, bends: Bends, season: bool) -> list[Block]:
    same = [DAY_H * days - horizon_h for days in range(1, 15) if DAY_H * days >= horizon_h]
    near = [lag + step for lag in same[:2] for step in (-1, 1) if lag + step >= 0]
    weekly = [WEEK_H * weeks - horizon_h for weeks in (1, 2, 3) if WEEK_H * weeks >= horizon_h]
    lags = sorted({*_RECENT} - {*same[:8], *weekly})
    days = known.lagged(same)
    blocks = [
        [(f"load-{lag}", column) for lag, column in zip(lags, known.lagged(lags).T, strict=True)],
        [(f"same-{lag}", column) for lag, column in zip(same[:8], days[:, :8].T, strict=True)],
        [(f"same-week-{lag}", column) for lag, column in zip(weekly, known.lagged(weekly).T, strict=True)],
        [(f"same-near-{lag}", column) for lag, column in zip(near, known.lagged(near).T, strict=True)],
        [
            ("mean-same-7", days[:, :7].mean(axis=1)),
            ("mean-same-14", days.mean(axis=1)),
            ("min-same-14", days.min(axis=1)),
            ("max-same-14", days.max(axis=1)),
        ],
        _running(known),
        [part for part in _calendar(series, horizon_h, one_hot=True) if season or not part[0].endswith("season")],
    ]
    outside = zip(series.exogenous.T, bends, strict=True)
    blocks += [_outside(column, number, bend) for number, (column, bend) in enumerate(outside)]
    drivers = [part for block in blocks for part in block if part[0].startswith(DRIVERS) or part[0] in _newest(series)]
    return [*blocks, _products(drivers)]


def _newest(series: HourlySeries) -> set[str]:
    return {f"outside-{number}-0" for number in range(series.exogenous.shape[1])}


def members(names: Sequence[str]) -> dict[str, Whole]:
    """Columns of the three linear members: `whole`, what the thesis looks at (`lags`), and days alike (`profile`).

    A small one errs differently from a large one; their mean, weighted by how each did, is better than any.
    """
    wanted = {lag - 1 for lag in THESIS_LAGS}
    lagged: list[int] = []
    found: set[int] = set()
    for column, name in enumerate(names):
        if name.startswith(("load-", "same-")):
            lag = int(name.rsplit("-", 1)[1])
            if lag in wanted - found:
                found.add(lag)
                lagged.append(column)
    drivers = [
        column
        for column, name in enumerate(names)
        if name.startswith((*DRIVERS, "product-")) or (name.startswith("outside-") and name.endswith("-0"))
    ]
    alike = [
        column
        for column, name in enumerate(names)
        if name.startswith(("same-", "mean-", "is-weekend-hour", "outside-", "sin-hour", "cos-hour", "sin-w", "cos-w"))
    ]
    return {
        "whole": np.array([column for column, name in enumerate(names) if not name.startswith("product-")]),
        "lags": np.array(sorted({*lagged, *drivers})),
        "profile": np.array(sorted({*lagged, *alike})),
    }


def two_days_before(horizon_h: int) -> int:
    """The lag, from the origin, of the value 48 h before the hour forecast (or the next multiple that is known)."""
    return -horizon_h % (2 * DAY_H)


def _thesis(series: HourlySeries, known: Repaired, horizon_h: int) -> list[Block]:
    """Lags of equation 4.2, cyclic calendar, the outside variables and products among those."""
    lags = sorted({*(lag - 1 for lag in THESIS_LAGS), two_days_before(horizon_h)})
    cyclic = _calendar(series, horizon_h, one_hot=False)
    outside = [(f"outside-{number}", column) for number, column in enumerate(series.exogenous.T)]
    drivers = [*cyclic, *outside]
    lagged = [(f"load-{lag}", column) for lag, column in zip(lags, known.lagged(lags).T, strict=True)]
    return [lagged, drivers, _products(drivers)]


def _products(drivers: Block) -> Block:
    return [
        (f"product-{one}-{other}", first * second)
        for number, (one, first) in enumerate(drivers)
        for other, second in drivers[number + 1 :]
    ]


def _running(known: Repaired) -> Block:
    """Statistics of the newest hours as filled from the past: no value here was interpolated towards a later one."""
    load = pd.Series(known.open)
    wanted = [(hours, "mean") for hours in (3, 6, 24, 168)] + [(24, "std"), (24, "max"), (24, "min"), (168, "std")]
    wanted.append((168, "min"))
    return [(f"{what}-{hours}", np.asarray(load.rolling(hours).agg(what))) for hours, what in wanted]


def _calendar(series: HourlySeries, horizon_h: int, *, one_hot: bool) -> Block:
    """Of the hour forecast, by the wall clock; a change of clocks between origin and target is not foreseen."""
    hour = (series.hour + horizon_h) % DAY_H
    weekday = (series.weekday + (series.hour + horizon_h) // DAY_H) % 7
    block: Block = []
    turns = (("hour", hour, DAY_H), ("weekday", weekday, 7), ("season", series.yearday, _YEAR_D))
    for name, place, period in turns:
        angle = 2.0 * np.pi * place / period
        block += [(f"sin-{name}", np.sin(angle)), (f"cos-{name}", np.cos(angle))]
    if one_hot:
        weekend = weekday >= 5
        block += [(f"is-hour-{number}", _is(hour == number)) for number in range(DAY_H)]
        block += [(f"is-weekday-{number}", _is(weekday == number)) for number in range(7)]
        block += [(f"is-weekend-hour-{number}", _is((hour == number) & weekend)) for number in range(DAY_H)]
    return block


def _is(condition: Mask) -> Vector:
    return condition.astype(float)


def _outside(values: Vector, number: int, bend: tuple[float, float]) -> Block:
    """An outside variable as measured up to the origin: recent values, running means, and its bends."""
    low, high = bend
    running = pd.Series(values)
    day, three = (np.asarray(running.rolling(hours).mean()) for hours in (24, 72))
    lags: Whole = np.array([0, 1, 2, 3, 6, 12, 23, 47])
    recent = [(f"outside-{number}-{lag}", _shifted(values, int(lag))) for lag in lags]
    bends = [
        (f"outside-{number}-below", np.maximum(low - values, 0.0)),
        (f"outside-{number}-above", np.maximum(values - high, 0.0)),
        (f"outside-{number}-day-below", np.maximum(low - day, 0.0)),
        (f"outside-{number}-day-above", np.maximum(day - high, 0.0)),
    ]
    return [*recent, (f"outside-{number}-day", day), (f"outside-{number}-three-days", three), *bends]


def _shifted(values: Vector, lag: int) -> Vector:
    return np.concatenate([np.full(lag, np.nan), values[: len(values) - lag]])


def target(series: HourlySeries, horizon_h: int) -> Vector:
    """The measured load `horizon_h` hours after each hour; NaN where it is missing or beyond the end."""
    return np.concatenate([series.load[horizon_h:], np.full(min(horizon_h, len(series)), np.nan)])
