"""Intervals that keep their promise while the building changes: adaptive conformal prediction.

The errors of the newest four weeks, each divided by what is usual at that hour of day, give the quantiles; the levels
at which they are read follow the misses, one tail each (Gibbs and Candes, "Adaptive Conformal Inference Under
Distribution Shift", 2021): after a miss the tail widens by rate (1 - a), after a hit it narrows by rate a, so that over
any span of T hours the share of misses is within about 1 / (rate T) of a, whatever the building does.
"""

from bisect import bisect_left, insort
from collections import deque
from dataclasses import dataclass
from math import floor

import numpy as np

from forecasting.narx import Checked
from forecasting.series import DAY_H, Vector

COVERAGE = 0.90
WINDOW_H = 28 * DAY_H
RATE = 0.01
_FADE = 1.0 / 15.0
_BEYOND = 1.25
"""How far outside the largest error seen the band goes when even that one was not enough."""


@dataclass(frozen=True, slots=True)
class Band:
    """Errors that a forecast is expected to have, in the load's unit: [low, high] holds `COVERAGE` of them."""

    low: float
    high: float


class AdaptiveInterval:
    """The errors of one forecast at one horizon. No clock: an hour passes with each `observe`."""

    def __init__(self, checked: Checked, coverage: float = COVERAGE) -> None:
        """From errors of a model on rows that it was not fitted to; none at all gives a band of zero width."""
        self._tail = (1.0 - coverage) / 2.0
        self._levels = [self._tail, self._tail]
        self._newest: deque[float] = deque()
        self._ordered: list[float] = []
        sizes = np.abs(checked.errors)
        whole = float(sizes.mean()) if sizes.size else 0.0
        self._floor = 0.2 * whole + 1e-9
        self._usual = [
            float((sizes[checked.hours == hour].sum() + 5.0 * whole) / (np.sum(checked.hours == hour) + 5.0))
            for hour in range(DAY_H)
        ]
        for error, hour in zip(checked.errors[-WINDOW_H:].tolist(), checked.hours[-WINDOW_H:].tolist(), strict=True):
            self._keep(error / self._scale(hour))

    def band(self, hour: int) -> Band:
        """The band for a target at this hour of day."""
        scale = self._scale(hour)
        return Band(scale * self._read(self._levels[0], upper=False), scale * self._read(self._levels[1], upper=True))

    def upper(self, hour: int, quantile: float) -> float:
        """The error that is passed with probability 1 - `quantile` (above one half); adapted as the band is."""
        adapted = self._levels[1]
        level = (1.0 - quantile) * adapted / self._tail if adapted > 0.0 else adapted + (1.0 - quantile) - self._tail
        return self._scale(hour) * self._read(level, upper=True)

    def median(self, hour: int) -> float:
        """The error that is passed half of the time at this hour."""
        return self._scale(hour) * self._read(0.5, upper=False)

    def samples(self, hour: int) -> Vector:
        """The newest four weeks of errors, scaled to this hour: what a distributionally robust plan draws from."""
        return self._scale(hour) * np.array(self._newest)

    def sigma(self, hour: int) -> float:
        """The standard deviation of those samples."""
        return float(self.samples(hour).std()) if self._newest else 0.0

    def observe(self, hour: int, error: float, issued: Band) -> None:
        """A target has become known: its error, and the band that was promised for it."""
        for side, missed in ((0, error < issued.low), (1, error > issued.high)):
            moved = self._levels[side] + RATE * (self._tail - float(missed))
            self._levels[side] = min(max(moved, -0.05), 0.45)
        self._keep(error / self._scale(hour))
        self._usual[hour] += _FADE * (abs(error) - self._usual[hour])

    def _scale(self, hour: int) -> float:
        return max(self._usual[hour], self._floor)

    def _keep(self, score: float) -> None:
        self._newest.append(score)
        insort(self._ordered, score)
        if len(self._newest) > WINDOW_H:
            del self._ordered[bisect_left(self._ordered, self._newest.popleft())]

    def _read(self, level: float, *, upper: bool) -> float:
        """The score passed with probability `level`, between those seen; at 0 and below beyond the outermost."""
        seen = self._ordered
        if not seen:
            return 0.0
        if level <= 0.0:
            outermost = max(seen[-1], 0.0) if upper else min(seen[0], 0.0)
            return outermost * (_BEYOND - 5.0 * level)
        place = (1.0 - level if upper else level) * (len(seen) + 1) - 1.0
        below = min(max(floor(place), 0), len(seen) - 1)
        above = min(below + 1, len(seen) - 1)
        return seen[below] + (seen[above] - seen[below]) * min(max(place - below, 0.0), 1.0)
