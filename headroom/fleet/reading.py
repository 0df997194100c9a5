"""A site's stream, read in order from an id on; what Redis lost when it was restarted is noticed."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import structlog

from domain.ids import SiteId
from headroom.fleet.codec import Acknowledged, CodecError, Told, decode
from headroom.fleet.connection import BLOCK_MS, Fleet, text

log = structlog.get_logger()

BEGINNING = "0-0"
_PAGE = 500
_KEPT_BEHIND_S = 300
"""Of what is taken up so much stays, by Redis's clock: a worker may be reading on from a position that it looked up a
moment ago, and a database that is replaced by its replica may know an earlier one.
"""

Entry = tuple[str, Told | Acknowledged]


@dataclass(slots=True)
class ReadingCounts:
    """Since the start: entries of kinds that this version does not know, and those that it could not read."""

    unknown: int = 0
    unreadable: int = 0


class StreamReader:
    """Reads one site's events. `position` is the id of the newest that was given out."""

    def __init__(self, fleet: Fleet, site: SiteId, position: str, counts: ReadingCounts) -> None:
        self.position = position
        self._fleet, self._key, self._counts = fleet, fleet.keys.events(site), counts

    async def newest(self) -> str:
        """The id of the stream's newest entry; the beginning where there is none."""
        found = await self._fleet.client.xrevrange(self._key, count=1)
        return text(found[0][0]) if found else BEGINNING

    async def rest(self) -> AsyncIterator[Entry]:
        """What is there already, without waiting for more. Raises what Redis does (`TROUBLE`)."""
        until = await self.newest()
        while _order(self.position) < _order(until):
            page = await self._fleet.client.xrange(self._key, f"({self.position}", until, count=_PAGE)
            if not page:
                return
            for entry in self._decoded(page):
                yield entry

    async def wait(self, block_ms: int = BLOCK_MS) -> list[Entry]:
        """What is new, waiting for it for about `block_ms`; empty where nothing comes. Raises what Redis does."""
        answer = await self._fleet.blocking.xread({self._key: self.position}, count=_PAGE, block=block_ms)
        return list(self._decoded(entries_of(answer)))

    async def look_back(self) -> bool:
        """After trouble: whether Redis has lost this stream or its end. It is then read from its beginning."""
        if _order(await self.newest()) >= _order(self.position):
            return False
        self.position = BEGINNING
        return True

    async def trim(self, durable: str) -> None:
        """Give up what nobody will read again: all that is older than `_KEPT_BEHIND_S` before `durable`, a position of
        this reader's that the database holds. About: whole nodes of the stream go. Raises what Redis does (`TROUBLE`).
        """
        milliseconds, _ = min(_order(durable), _order(self.position))
        await self._fleet.client.xtrim(self._key, minid=f"{max(0, milliseconds - 1000 * _KEPT_BEHIND_S)}")

    def _decoded(self, page: Any) -> Iterator[Entry]:
        for entry_id, fields in page:
            self.position = text(entry_id)
            try:
                told = decode(fields, self._fleet.boot)
            except CodecError as error:
                self._counts.unreadable += 1
                log.error("event_not_readable", stream=self._key, id=self.position, error=str(error))
                continue
            if told is None:
                self._counts.unknown += 1
            else:
                yield self.position, told


def entries_of(answer: Any) -> list[tuple[bytes, dict[bytes, bytes]]]:
    """The entries of the one stream that was read; none where nothing came in time."""
    return answer[0][1] if answer else []


def _order(entry_id: str) -> tuple[int, int]:
    milliseconds, _, number = entry_id.partition("-")
    return int(milliseconds), int(number or 0)
