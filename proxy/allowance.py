"""How much a peer may say: a bucket of tokens that fills up with time."""

from collections.abc import Callable


class Allowance:
    """`per_s` messages a second in the long run, `burst` at once. `time` is the loop's clock."""

    __slots__ = ("_at_s", "_burst", "_per_s", "_time", "_tokens")

    def __init__(self, per_s: float, burst: float, time: Callable[[], float]) -> None:
        self._per_s, self._burst, self._time = per_s, burst, time
        self._tokens, self._at_s = burst, time()

    def spend(self, messages: int) -> float:
        """Take so many: what has been said cannot be unsaid, so that the bucket may go below empty. Returns how long
        to hear no more, in s.
        """
        now_s = self._time()
        self._tokens = min(self._burst, self._tokens + (now_s - self._at_s) * self._per_s) - messages
        self._at_s = now_s
        return max(0.0, -self._tokens / self._per_s)
