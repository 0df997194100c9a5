"""Waking somebody at an instant of the product's clock, which may run fast or be virtual."""

import asyncio
from collections.abc import Callable
from datetime import datetime
from heapq import heappop, heappush

from domain.ports import Clock


class Alarm:
    """Rings once for every instant that was set, at it or just after; several that have come ring together."""

    def __init__(self, clock: Clock, ring: Callable[[], None]) -> None:
        self._clock, self._ring = clock, ring
        self._loop = asyncio.get_running_loop()
        self._due: list[datetime] = []
        self._waiting: asyncio.Task[None] | None = None

    def set(self, at: datetime) -> None:
        """Ring at that instant; one that is set already is not set twice."""
        if at in self._due:
            return
        heappush(self._due, at)
        if self._due[0] == at:
            self._restart()

    def cancel(self) -> None:
        """Ring no more."""
        self._due.clear()
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _restart(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
        self._waiting = self._loop.create_task(self._wait(), name="alarm")

    async def _wait(self) -> None:
        while self._due:
            now = self._clock.now()
            if self._due[0] > now:
                await self._clock.sleep((self._due[0] - now).total_seconds())
                continue
            while self._due and self._due[0] <= now:
                heappop(self._due)
            self._loop.call_soon(self._ring)
        self._waiting = None
