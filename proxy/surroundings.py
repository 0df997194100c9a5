"""What the links of a server share: clocks, counters, and where events go."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from domain.events import Event
from domain.ports import Clock
from proxy.afterthoughts import Afterthoughts
from proxy.protocol.effects import Instant
from proxy.settings import Counters

if TYPE_CHECKING:
    from proxy.link import Link


class Moments:
    """Reads the clocks once for everything that happens at one reading of the loop's clock.

    uvloop reads that once in each of its turns, and in milliseconds: `at` and `mono_s` are as old as that at most.
    """

    __slots__ = ("_clock", "_mono", "_now", "_time")

    def __init__(self, clock: Clock, mono: Callable[[], float]) -> None:
        self._clock, self._mono, self._time = clock, mono, asyncio.get_running_loop().time
        self._now = Instant(clock.now(), self._time(), mono())

    def now(self) -> Instant:
        """Now."""
        now, s = self._now, self._time()
        if now.s != s:
            self._now = now = Instant(self._clock.now(), s, self._mono())
        return now


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every link of a server shares. `mono` reads the clock of latencies. `durable` returns when every event that
    was published would survive a crash, and raises where that fails; without it nothing waits for a disk. `moments` are
    made of its clocks.
    """

    clock: Clock
    mono: Callable[[], float]
    publish: Callable[[Event], None]
    counters: Counters
    on_over: "Callable[[Link], None]"
    afterthoughts: Afterthoughts
    durable: Callable[[], Awaitable[None]] | None = None
    moments: Moments = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "moments", Moments(self.clock, self.mono))
