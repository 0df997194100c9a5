"""Persistence with an interval: the load stays as it is, and may rise as it has been seen to rise."""

from bisect import bisect_left, insort
from collections import deque
from datetime import datetime

from domain.ids import FeederId
from domain.site import Phase, PhaseAmps

HORIZONS_S = (60.0, 300.0, 900.0, 3600.0)
"""Rises are learned over these; a question about another horizon is answered for the next longer one."""

_STEP_S = 10.0
_KEPT = 8640
_FIRST_RISE_A = 2.0
_ENOUGH = 60


class _Rises:
    """How much a series rose within one horizon, from its lowest value inside it; the newest `_KEPT` samples."""

    def __init__(self, horizon_s: float) -> None:
        self.horizon_s = horizon_s
        self._lowest: deque[tuple[float, float]] = deque()  # values increase: the front is the window's minimum
        self._newest: deque[float] = deque()
        self._ordered: list[float] = []

    def observe(self, at_s: float, value_a: float) -> None:
        while self._lowest and self._lowest[-1][1] >= value_a:
            self._lowest.pop()
        self._lowest.append((at_s, value_a))
        while at_s - self._lowest[0][0] > self.horizon_s:
            self._lowest.popleft()
        rise_a = value_a - self._lowest[0][1]
        self._newest.append(rise_a)
        insort(self._ordered, rise_a)
        if len(self._newest) > _KEPT:
            del self._ordered[bisect_left(self._ordered, self._newest.popleft())]

    def upper(self, quantile: float) -> float:
        if len(self._ordered) < _ENOUGH:
            return max(_FIRST_RISE_A, self._ordered[-1])
        return self._ordered[min(len(self._ordered) - 1, int(quantile * len(self._ordered)))]


class _Series:
    """One phase of one feeder on a grid of `_STEP_S`: within a step the largest value counts."""

    def __init__(self) -> None:
        self.newest_a = 0.0
        self._step_at_s: float | None = None
        self._rises = tuple(_Rises(horizon_s) for horizon_s in HORIZONS_S)

    def observe(self, at_s: float, value_a: float) -> None:
        if self._step_at_s is not None and at_s < self._step_at_s:
            return
        if self._step_at_s is not None and at_s - self._step_at_s < _STEP_S:
            self.newest_a = max(self.newest_a, value_a)
            return
        self._step_at_s, self.newest_a = at_s, value_a
        for rises in self._rises:
            rises.observe(at_s, value_a)

    def upper(self, horizon_s: float, quantile: float) -> float:
        rises = next((known for known in self._rises if known.horizon_s >= horizon_s), self._rises[-1])
        return self.newest_a + rises.upper(quantile)


class Persistence:
    """The newest load plus the `quantile` of its rises within the horizon, over the last day (10 s grid).

    In its first ten minutes: plus the largest rise seen, at least 2 A. A `Forecaster`. A horizon beyond the longest
    of `HORIZONS_S` is answered for that one.
    """

    def __init__(self, quantile: float = 0.95) -> None:
        self._quantile = quantile
        self._series: dict[FeederId, dict[Phase, _Series]] = {}

    def observe(self, feeder: FeederId, at: datetime, base_a: PhaseAmps) -> None:
        """One more value per phase, in A; one older than the newest is ignored."""
        phases = self._series.setdefault(feeder, {})
        for phase, value_a in base_a.items():
            phases.setdefault(phase, _Series()).observe(at.timestamp(), value_a)

    def upper(self, feeder: FeederId, at: datetime, horizon_s: float) -> PhaseAmps | None:  # noqa: ARG002 - the port's
        """Newest value + the rise quantile over the horizon, in A per phase; None for a feeder never observed."""
        phases = self._series.get(feeder)
        if not phases:
            return None
        return {phase: series.upper(horizon_s, self._quantile) for phase, series in phases.items()}
