"""Token buckets: how often a caller may ask. Pure: the time comes in."""

from collections import OrderedDict

_MOST_CALLERS = 10_000


class Buckets:
    """One bucket for each caller: `burst` at once, refilled at `rate_per_s`. The longest silent are forgotten."""

    def __init__(self, rate_per_s: float, burst: float) -> None:
        self._rate_per_s, self._burst = rate_per_s, burst
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def wait_s(self, caller: str, now_s: float) -> float:
        """Take one from the caller's bucket: 0 where there was one, else how long until there is."""
        level, at_s = self._levels.pop(caller, (self._burst, now_s))
        level = min(self._burst, level + max(0.0, now_s - at_s) * self._rate_per_s)
        waits_s = 0.0 if level >= 1.0 else (1.0 - level) / self._rate_per_s
        self._levels[caller] = (level if waits_s else level - 1.0, now_s)
        if len(self._levels) > _MOST_CALLERS:
            self._levels.popitem(last=False)
        return waits_s
