"""The bus over Redis Streams: one stream for each site. What is published here is heard in every process that asks."""

import asyncio
from collections.abc import Callable, Sequence

import structlog

from domain.events import Event
from domain.ids import SiteId
from headroom.bus import Handler, InProcessBus
from headroom.fleet.codec import Told
from headroom.fleet.connection import TROUBLE, Fleet
from headroom.fleet.outbox import Outbox
from headroom.fleet.reading import ReadingCounts, StreamReader

log = structlog.get_logger()

_RETRY_S = 0.5

SiteOfEvent = Callable[[Event], SiteId | None]
EpochOf = Callable[[Event], int | None]


class Publisher:
    """The half that tells. `epoch_of` names the link that an event comes from."""

    def __init__(self, outbox: Outbox, worker: str, site_of: SiteOfEvent, epoch_of: EpochOf = lambda _: None) -> None:
        self._outbox, self._worker, self._site_of, self._epoch_of = outbox, worker, site_of, epoch_of

    def publish(self, event: Event, *, repeated: bool = False) -> None:
        """Put an event on its way; never blocks and never raises. One of no site is nobody's business."""
        site = self._site_of(event)
        if site is None:
            return
        number = self._outbox.next_number(site)
        self._outbox.put(site, Told(event, self._worker, number, self._epoch_of(event), repeated))


class RedisBus:
    """A `Bus`. Hears the events of `sites` from the moment at which `run` has looked where their streams end."""

    def __init__(self, fleet: Fleet, worker: str, site_of: SiteOfEvent, sites: Sequence[SiteId]) -> None:
        self.outbox = Outbox(fleet)
        self.listening = asyncio.Event()
        self._fleet, self._sites = fleet, sites
        self._publisher = Publisher(self.outbox, worker, site_of)
        self._heard = InProcessBus()
        self._counts = ReadingCounts()

    def publish(self, event: Event) -> None:
        """See `Bus`."""
        self._publisher.publish(event)

    def subscribe(self, handler: Handler) -> None:
        """See `Bus`."""
        self._heard.subscribe(handler)

    async def run(self) -> None:
        """Carry events, for ever."""
        readers = [StreamReader(self._fleet, site, "0-0", self._counts) for site in self._sites]
        for reader in readers:
            reader.position = await reader.newest()
        self.listening.set()
        async with asyncio.TaskGroup() as group:
            group.create_task(self.outbox.run())
            for reader in readers:
                group.create_task(self._follow(reader))

    async def _follow(self, reader: StreamReader) -> None:
        while True:
            try:
                for _, told in await reader.wait():
                    if isinstance(told, Told):
                        self._heard.publish(told.event)
            except TROUBLE:
                await asyncio.sleep(_RETRY_S)
