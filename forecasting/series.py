"""An hourly load series on an unbroken time axis, and how its gaps are repaired without looking ahead."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

Vector = npt.NDArray[np.float64]
Matrix = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Whole = npt.NDArray[np.int64]

DAY_H = 24
WEEK_H = 168
SHORT_GAP_H = 3
"""Gaps up to this long are interpolated once they are closed; longer ones are imputed from the week and day before."""
Zeros = Literal["auto", "missing", "real"]


@dataclass(frozen=True)
class HourlySeries:
    """Mean load of each hour, kW (or whatever unit the source has), on an unbroken hourly axis.

    `start` is the first hour's beginning as datetime64[h], UTC where the zone is known, else by the wall clock. `load`
    holds NaN where nothing was measured. `hour` (0 to 23), `weekday` (0 = Monday), `yearday` (1 to 366) are of the
    building's wall clock. `exogenous` has one column per outside variable as measured in each hour, gaps filled from
    the past.
    """

    name: str
    start: np.datetime64
    load: Vector
    hour: Whole
    weekday: Whole
    yearday: Whole
    exogenous: Matrix

    def __len__(self) -> int:
        return len(self.load)

    def until(self, end: int) -> "HourlySeries":
        """The first `end` hours: what was known when hour `end - 1` had passed."""
        return replace(
            self,
            load=self.load[:end],
            hour=self.hour[:end],
            weekday=self.weekday[:end],
            yearday=self.yearday[:end],
            exogenous=self.exogenous[:end],
        )

    def month_of(self, rows: Whole) -> list[str]:
        """The calendar month ("2017-03") of each row, for coverage by month."""
        return [str(moment) for moment in (self.start + rows.astype("timedelta64[h]")).astype("datetime64[M]")]


def without_false_zeros(load: Vector, zeros: Zeros = "auto") -> Vector:
    """Zeros as NaN where they mean "no reading"; negative and infinite values always.

    `auto`: a zero is no reading where the load otherwise stays clear of it: of the positive values in the first 60 %
    of the series, 99 % are above 2 % of the median, and less than 2 % of the values are zero. Only that early part is
    looked at, so that the rule does not depend on what comes later.
    """
    clean = np.where(np.isfinite(load) & (load >= 0.0), load, np.nan)
    early = clean[: max(1, int(0.6 * len(clean)))]
    positive = early[early > 0.0]
    missing = zeros == "missing"
    if zeros == "auto" and positive.size:
        rare = np.mean(early[np.isfinite(early)] == 0.0) < 0.02
        missing = bool(rare and np.quantile(positive, 0.01) > 0.02 * np.median(positive))
    return np.where(clean == 0.0, np.nan, clean) if missing else clean


def filled_from_past(load: Vector) -> Vector:
    """Every gap filled with what was known before it: a week before, else a day, two weeks, the last value, else 0."""
    full = load.copy()
    for row in np.flatnonzero(np.isnan(load)).tolist():
        known = (full[row - lag] for lag in (WEEK_H, DAY_H, 2 * WEEK_H, 1) if row >= lag)
        full[row] = next(known, 0.0)
    return full


@dataclass(frozen=True)
class Repaired:
    """A series without gaps, seen from any origin.

    `closed` is the value of an hour once its gap is over, `open` while it lasts; `gap_from[t]` is the first hour of the
    short gap that hour t lies in (a large number outside of gaps), so that an origin inside a gap never uses a value
    interpolated towards hours after it.
    """

    closed: Vector
    open: Vector
    gap_from: Whole

    def lagged(self, lags: Sequence[int]) -> Matrix:
        """[hour, lag] the value `lag` hours before each hour as known at that hour; NaN before the series begins."""
        hours = len(self.closed)
        found = np.full((hours, len(lags)), np.nan)
        for column, lag in enumerate(lags):
            if lag >= hours:
                continue
            values = self.closed[: hours - lag]
            inside = np.arange(hours - lag) >= self.gap_from[lag:]
            found[lag:, column] = np.where(inside, self.open[: hours - lag], values)
        return found


def repair(load: Vector) -> Repaired:
    """Interpolate closed gaps up to `SHORT_GAP_H` (seed 004, section 4.2), impute the rest from the past."""
    from_past = filled_from_past(load)
    closed, gap_from = from_past.copy(), np.full(len(load), np.iinfo(np.int64).max)
    missing = np.flatnonzero(np.isnan(load))
    for gap in np.split(missing, np.flatnonzero(np.diff(missing) > 1) + 1):
        if not 0 < len(gap) <= SHORT_GAP_H or gap[0] == 0 or gap[-1] == len(load) - 1:
            continue
        before, after = int(gap[0]) - 1, int(gap[-1]) + 1
        closed[gap] = np.interp(gap, [before, after], [load[before], load[after]])
        gap_from[gap] = gap[0]
    return Repaired(closed, from_past, gap_from)
