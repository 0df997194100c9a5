"""When to trust the network: drift of its errors, and which forecast was best over the last week."""

from collections import deque
from collections.abc import Mapping

from forecasting.series import WEEK_H

MARGIN = 1.05
"""The network is set aside when its squared error over the last week is above this times the best rival's."""


class DriftDetector:
    """Page-Hinkley's test on the size of errors: has their mean risen for good?

    Sums how far each error's size lies above the mean so far plus a tolerance, and compares with the lowest sum yet
    (Page, "Continuous inspection schemes", 1954). Sizes are divided by that mean, so that the threshold has no unit.
    """

    def __init__(self, tolerance: float = 0.2, threshold: float = 40.0, least: int = 48) -> None:
        """`tolerance` and `threshold` in mean errors; nothing is said before `least` errors."""
        self._tolerance, self._threshold, self._least = tolerance, threshold, least
        self.reset()

    def reset(self) -> None:
        """After a retraining: what was usual is learned again."""
        self._seen, self._mean, self._sum, self._lowest = 0, 0.0, 0.0, 0.0

    @property
    def drifted(self) -> bool:
        """Whether the errors have grown; stays so until `reset`, or until the sum has fallen back."""
        return self._seen >= self._least and self._sum - self._lowest > self._threshold

    def observe(self, error: float) -> bool:
        """One more error of the forecast; whether it has drifted."""
        size = abs(error)
        self._seen += 1
        # The mean follows the first errors and then ever more slowly, so that a rise is not taken for the usual.
        self._mean += (size - self._mean) / min(self._seen, 24 * WEEK_H)
        if self._mean > 0.0:
            self._sum += min(size / self._mean, 10.0) - 1.0 - self._tolerance
            self._lowest = min(self._lowest, self._sum)
        return self.drifted


class Contest:
    """Squared errors of several forecasts of the same hours over the last week."""

    def __init__(self, preferred: str, window_h: int = WEEK_H, least: int = 24) -> None:
        """`preferred` answers unless another was better by `MARGIN` over at least `least` common hours."""
        self._preferred, self._window_h, self._least = preferred, window_h, least
        self._squares: dict[str, deque[float]] = {}

    def observe(self, forecasts: Mapping[str, float], truth: float) -> None:
        """What each said about an hour, and what it was."""
        for name, forecast in forecasts.items():
            kept = self._squares.setdefault(name, deque(maxlen=self._window_h))
            kept.append((forecast - truth) ** 2)

    def mean_square(self, name: str) -> float | None:
        """The mean over the window; None below the least number of hours."""
        kept = self._squares.get(name, ())
        return sum(kept) / len(kept) if len(kept) >= self._least else None

    def best(self, available: Mapping[str, float]) -> str:
        """Who is to answer, of those that have a forecast; the preferred one where nothing speaks against it.

        Without the preferred the lowest mean square answers, and the first of `available` while nothing is known.
        """
        known = {name: mean for name in available if (mean := self.mean_square(name)) is not None}
        if not known:
            return self._preferred if self._preferred in available else next(iter(available))
        leader = min(known, key=lambda name: known[name])
        if self._preferred not in available:
            return leader
        mine = known.get(self._preferred)
        return leader if mine is not None and mine > MARGIN * known[leader] else self._preferred
