"""What a worker knows of the chargers that connect to it: the database's state, and what the stream tells beyond it.

Looked up anew whenever a charger connects, because it may come from another worker; many at once share one look. What
this worker has told of its own links and nobody has taken up yet is kept on top.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import structlog
from sqlalchemy import Connection

from domain import events as e
from domain.errors import HeadroomError, StorageError
from domain.events import Event, OcppVersion
from domain.ids import ChargerId, SiteId
from domain.ports import Clock
from domain.quirks import KnownQuirks, Model, Quirks
from domain.site import Site
from headroom.charger_lore import SiteBook
from headroom.fleet.codec import Told
from headroom.fleet.connection import TROUBLE, Fleet
from headroom.fleet.reading import BEGINNING, ReadingCounts, StreamReader
from headroom.waiting import unless_cancelled
from inventory.live import LiveState
from inventory.records import RestoredState
from inventory.repository import load_position, load_state
from inventory.store import Store

log = structlog.get_logger()

LOOK_AGAIN_S = 30.0
"""How soon a person's word about a charger (its quirks) reaches the workers."""
_OF_USE = (e.QuirksLearned, e.CsmsProfilesChanged, e.SessionStarted, e.SessionEnded, e.EvseMetered)

OwnEvents = Callable[[SiteId], Sequence[Event]]


class SiteLore:
    """One site's. A `KnownQuirks` that stays the same object while what it knows is replaced."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.live = LiveState(site)
        self.looked = False

    def of_charger(self, charger: ChargerId) -> Quirks:
        """See `KnownQuirks`."""
        return self.live.quirks.of_charger(charger)

    def model_of(self, charger: ChargerId) -> Model | None:
        """See `KnownQuirks`."""
        return self.live.quirks.model_of(charger)

    def as_model(self, charger: ChargerId, model: Model) -> Quirks:
        """See `KnownQuirks`."""
        return self.live.quirks.as_model(charger, model)


class WorkerLore:
    """A `ChargerLore`. `own_events` are what this worker's own links told last, oldest first."""

    def __init__(self, book: SiteBook, fleet: Fleet, store: Store, clock: Clock, own_events: OwnEvents) -> None:
        self.failures = 0
        self._book, self._fleet, self._store, self._clock, self._own_events = book, fleet, store, clock, own_events
        self._sites: dict[SiteId, SiteLore] = {}
        self._looks: dict[SiteId, tuple[asyncio.Task[bool], asyncio.Task[bool] | None]] = {}
        self._counts = ReadingCounts()

    # What the proxy asks.

    def site_of(self, charger: ChargerId) -> Site | None:
        """See `ChargerLore`."""
        site = self._book.of_charger(charger)
        return None if site is None else self._book.sites[site]

    def transactions(self, charger: ChargerId) -> Mapping[int, str]:
        """See `ChargerLore`."""
        return self._of(charger).live.transactions(charger)

    def csms_profiles(self, charger: ChargerId, version: OcppVersion) -> Sequence[Mapping[str, Any]]:
        """See `ChargerLore`."""
        return self._of(charger).live.csms_profiles(charger, version)

    def quirks_at(self, site: Site) -> KnownQuirks:
        """See `ChargerLore`."""
        return self._lore(site.id)

    # Keeping it new.

    async def look(self, site: SiteId) -> bool:
        """Look anew, from now; whether that could be done. Whoever asks while a look has begun shares the next one."""
        current, following = self._looks.get(site, (None, None))
        if current is None or current.done():
            current = following if following is not None and not following.done() else self._begin(site, None)
            self._looks[site] = (current, None)
            return await asyncio.shield(current)
        if following is None:
            following = self._begin(site, current)
            self._looks[site] = (current, following)
        return await asyncio.shield(following)

    def heard(self, site: SiteId, event: Event) -> None:
        """This worker tells an event itself."""
        if isinstance(event, _OF_USE) and site in self._sites:
            self._take(self._sites[site].live, event)

    async def keep_new(self, sites: Callable[[], set[SiteId]]) -> None:
        """Look now and then at the sites that have links here, for ever."""
        while True:
            await asyncio.sleep(LOOK_AGAIN_S)
            for site in sites():
                await self.look(site)

    def _begin(self, site: SiteId, after: asyncio.Task[bool] | None) -> asyncio.Task[bool]:
        return asyncio.get_running_loop().create_task(self._look(site, after), name=f"lore of {site}")

    async def _look(self, site: SiteId, after: asyncio.Task[bool] | None) -> bool:
        if after is not None:
            await asyncio.wait({after})
        lore = self._lore(site)

        def question(conn: Connection) -> tuple[RestoredState, str | None]:
            return load_state(conn, lore.site), load_position(conn, site)

        try:
            restored, position = await self._store.query(question)
        except StorageError as error:
            self.failures += 1
            log.warning("lore_not_read", site=site, error=str(error))
            return False
        live = LiveState(lore.site, restored=restored)
        try:
            await self._read_on(live, site, position or BEGINNING)
        except TROUBLE as error:
            unless_cancelled()
            self.failures += 1
            log.warning("lore_without_stream", site=site, error=f"{type(error).__name__}: {error}")
        for event in self._own_events(site):
            self._take(live, event)
        lore.live, lore.looked = live, True
        return True

    async def _read_on(self, live: LiveState, site: SiteId, position: str) -> None:
        reader = StreamReader(self._fleet, site, position, self._counts)
        await reader.look_back()
        async for _, told in reader.rest():
            if isinstance(told, Told) and isinstance(told.event, _OF_USE):
                self._take(live, told.event)

    def _take(self, live: LiveState, event: Event) -> None:
        try:
            live.apply(event, self._clock.now())
        except HeadroomError as error:
            log.warning("lore_event_left_out", kind=type(event).__name__, error=str(error))

    def _of(self, charger: ChargerId) -> SiteLore:
        site = self._book.of_charger(charger)
        assert site is not None, "only chargers of a site are let in"
        return self._lore(site)

    def _lore(self, site: SiteId) -> SiteLore:
        return self._sites.setdefault(site, SiteLore(self._book.sites[site]))
