"""Events on their way to Redis: taken without waiting, written in order by one task, kept while Redis is gone."""

import asyncio
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass

import structlog

from domain.events import EvseMetered
from domain.ids import SiteId
from headroom.fleet.codec import Acknowledged, CodecError, Told, encode
from headroom.fleet.connection import TROUBLE, Fleet
from headroom.waiting import unless_cancelled

log = structlog.get_logger()

STREAM_LENGTH = 100_000
"""At most about so many events of a site stay in Redis, where no controller takes them up (`StreamReader.trim`)."""
CAPACITY = 50_000
_BATCH = 500
_RETRY_S = 0.25
_LONGEST_RETRY_S = 2.0


@dataclass(slots=True)
class OutboxCounts:
    """Since the start. `dropped` were too many while Redis was gone; `unreadable` could not be put into words."""

    written: int = 0
    dropped: int = 0
    unreadable: int = 0
    failures: int = 0


class Outbox:
    """One for a process. At most `capacity` wait: samples of what is drawn go first, then the oldest of all.

    Of a site of which something was dropped `lost` tells once Redis takes events again: how its links stand has then
    to be told anew.
    """

    def __init__(self, fleet: Fleet, *, capacity: int = CAPACITY) -> None:
        self.counts = OutboxCounts()
        self._fleet, self._capacity = fleet, capacity
        self._waiting: deque[tuple[SiteId, Told | Acknowledged]] = deque()
        self._light = 0
        self._numbers: Counter[SiteId] = Counter()
        self._lost: set[SiteId] = set()
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self.reaches = True
        """Whether Redis took what was written last."""

    def __len__(self) -> int:
        return len(self._waiting)

    def next_number(self, site: SiteId) -> int:
        """The number of the next message about a site."""
        self._numbers[site] += 1
        return self._numbers[site]

    def put(self, site: SiteId, told: Told | Acknowledged) -> None:
        """Take one; never waits, never fails."""
        self._waiting.append((site, told))
        self._light += _is_light(told)
        if len(self._waiting) > self._capacity:
            self._drop_some()
        self._idle.clear()
        self._wake.set()

    def lost(self) -> set[SiteId]:
        """The sites of which something was dropped since this was last asked; none while Redis is gone."""
        if not self.reaches:
            return set()
        found, self._lost = self._lost, set()
        return found

    async def run(self) -> None:
        """Write what waits, for ever."""
        retry_s = _RETRY_S
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                while self._waiting:
                    await self._write_some()
                self._idle.set()
                self.reaches, retry_s = True, _RETRY_S
            except TROUBLE as error:
                unless_cancelled()
                self.counts.failures += 1
                if self.reaches:
                    log.error("events_wait_for_redis", error=f"{type(error).__name__}: {error}")
                self.reaches = False
                self._wake.set()
                await asyncio.sleep(retry_s)
                retry_s = min(2 * retry_s, _LONGEST_RETRY_S)

    async def flushed(self) -> None:
        """Returns when nothing waits any more."""
        await self._idle.wait()

    async def _write_some(self) -> None:
        """One batch. What was written although the answer was lost is written again: readers know it by its number."""
        batch = [self._waiting[index] for index in range(min(_BATCH, len(self._waiting)))]
        async with self._fleet.client.pipeline(transaction=False) as pipe:
            for site, fields in self._encoded(batch):
                pipe.xadd(self._fleet.keys.events(site), fields, maxlen=STREAM_LENGTH, approximate=True)  # type: ignore[arg-type]
            await pipe.execute()
        self.counts.written += len(batch)
        for written in batch:
            # Something older may have been dropped meanwhile, to make room.
            if self._waiting and self._waiting[0] is written:
                self._waiting.popleft()
                self._light -= _is_light(written[1])

    def _encoded(
        self, batch: Iterable[tuple[SiteId, Told | Acknowledged]]
    ) -> Iterable[tuple[SiteId, dict[str, str | bytes]]]:
        for site, told in batch:
            try:
                yield site, encode(told, self._fleet.boot)
            except CodecError as error:
                self.counts.unreadable += 1
                log.error("event_not_told", kind=type(getattr(told, "event", told)).__name__, error=str(error))

    def _drop_some(self) -> None:
        """Make room: all old samples at once where they are many, else the oldest."""
        if self._light > self._capacity // 4:
            young = max(1, self._capacity // 8)
            old = [self._waiting.popleft() for _ in range(len(self._waiting) - young)]
            kept = [one for one in old if not _is_light(one[1])]
            dropped = [site for site, told in old if _is_light(told)]
            self._waiting.extendleft(reversed(kept))
            self._light -= len(dropped)
        else:
            site, told = self._waiting.popleft()
            self._light -= _is_light(told)
            dropped = [site]
        self.counts.dropped += len(dropped)
        self._lost.update(dropped)


def _is_light(told: Told | Acknowledged) -> bool:
    return isinstance(told, Told) and isinstance(told.event, EvseMetered)
