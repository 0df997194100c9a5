"""What changed, for everybody who watches: the source of the server-sent events, with a short memory for resuming."""

import asyncio
import json
import math
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from functools import cached_property

_REMEMBERED = 2000
_WATCHER_QUEUE = 1000


@dataclass(frozen=True)
class Notice:
    """One change: `data` is ready for JSON."""

    id: int
    site: str
    kind: str
    data: dict[str, object]

    @cached_property
    def json(self) -> str:
        """`data` as JSON, made once for all who watch, and not where nobody does."""
        return json.dumps(self.data, default=str)


class Feed:
    """Fans notices out. A watcher that does not keep up is ended rather than slowing anybody; it may resume."""

    def __init__(self, first_id: int = 1) -> None:
        """`first_id` must be above every id of an earlier run, so that a watcher who resumes is told that it missed
        something rather than nothing: milliseconds since 1970 are.
        """
        self._next_id = first_id
        self.closed = False
        self._remembered: deque[Notice] = deque(maxlen=_REMEMBERED)
        self._watchers: set[asyncio.Queue[Notice | None]] = set()

    def publish(self, site: str, kind: str, data: dict[str, object]) -> None:
        """Tell every watcher; never blocks."""
        notice = Notice(self._next_id, site, kind, data)
        self._next_id += 1
        self._remembered.append(notice)
        for queue in tuple(self._watchers):
            if queue.qsize() >= _WATCHER_QUEUE:
                self._end(queue)
            else:
                queue.put_nowait(notice)

    async def watch(self, site: str, after: int | None = None) -> AsyncIterator[Notice]:
        """Notices of a site: those remembered after id `after` (none if None), then new ones until too slow.

        A `reset` comes first where what followed `after` is not remembered: the watcher should look at all anew.
        """
        async with aclosing(self.batches(site, after)) as batches:
            async for batch in batches:
                for notice in batch:
                    yield notice

    async def batches(
        self, site: str, after: int | None = None, gather_s: float = 0.0
    ) -> AsyncGenerator[list[Notice], None]:
        """The same by the handful: each at least `gather_s` after the one before, with all that came meanwhile."""
        loop, told_s = asyncio.get_running_loop(), -math.inf
        queue: asyncio.Queue[Notice | None] = asyncio.Queue()
        missed = [] if after is None else [notice for notice in self._remembered if notice.id > after]
        newest = self._next_id - 1
        forgotten = after is not None and not (missed[0].id if missed else newest + 1) - 1 <= after <= newest
        self._watchers.add(queue)
        try:
            if forgotten:
                yield [Notice(newest - len(missed), site, "reset", {"why": "what came between is not remembered"})]
            batch: list[Notice | None] = list(missed)
            while True:
                mine = [notice for notice in batch if notice is not None and notice.site == site]
                if mine:
                    told_s = loop.time()
                    yield mine
                if batch and batch[-1] is None:
                    return
                batch = [await queue.get()]
                if gather_s and batch[0] is not None:
                    await asyncio.sleep(max(0.0, told_s + gather_s - loop.time()))
                while not queue.empty():
                    batch.append(queue.get_nowait())
        finally:
            self._watchers.discard(queue)

    @property
    def newest(self) -> int:
        """The id of the newest notice."""
        return self._next_id - 1

    def close(self) -> None:
        """End every watcher."""
        self.closed = True
        for queue in tuple(self._watchers):
            self._end(queue)

    def _end(self, queue: "asyncio.Queue[Notice | None]") -> None:
        self._watchers.discard(queue)
        queue.put_nowait(None)
