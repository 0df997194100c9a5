"""So many turns a second for all: what chargers have kept does not come over a CSMS that is just back in one flood."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Hashable


class Pace:
    """Turns one after another, first come first served. Each of many who asks again after its turn gets as many as the
    others, however much it has to say.
    """

    def __init__(self, per_s: float) -> None:
        self._every_s = 1.0 / per_s
        self._loop = asyncio.get_running_loop()
        self._waiting: OrderedDict[Hashable, Callable[[], None]] = OrderedDict()
        self._timer: asyncio.TimerHandle | None = None
        self._next_s = 0.0

    def ask(self, who: Hashable, go: Callable[[], None]) -> None:
        """Call `go` when it is the turn of `who`; asking twice takes one place."""
        self._waiting[who] = go
        self._arm()

    def leave(self, who: Hashable) -> None:
        """Give up one's place."""
        self._waiting.pop(who, None)

    def _arm(self) -> None:
        if self._timer is None and self._waiting:
            self._timer = self._loop.call_at(max(self._next_s, self._loop.time()), self._turn)

    def _turn(self) -> None:
        self._timer = None
        if self._waiting:
            self._next_s = self._loop.time() + self._every_s
            _, go = self._waiting.popitem(last=False)
            go()
        self._arm()
