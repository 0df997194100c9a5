"""The parts of one process of a fleet, wired by its role."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

import structlog
from sqlalchemy import Connection
from starlette.types import ASGIApp

from domain.ids import SiteId
from headroom.access.links import read_link
from headroom.api.driver import signing_key
from headroom.bootstrap import Outside, first_notice_id, proxy_of
from headroom.bus import InProcessBus
from headroom.charger_lore import SiteBook
from headroom.clock import lease_clock_s
from headroom.control_loop import SiteController
from headroom.decider import Decider
from headroom.feed import Feed
from headroom.fleet.connection import Fleet
from headroom.fleet.controllers import Controllers
from headroom.fleet.forward import Signpost
from headroom.fleet.lease import Leases
from headroom.fleet.lore import WorkerLore
from headroom.fleet.outages import keep_telling
from headroom.fleet.reign import Throne
from headroom.fleet.service import FleetService, JointStore, Role, SiteBuses
from headroom.fleet.worker import Worker, new_name
from headroom.forecast_keeper import KeeperOptions
from headroom.message_log import MessageLog
from headroom.notifications.settings import NotifySettings
from headroom.notifications.watched import Watched
from headroom.notifications.wiring import Notifiers
from headroom.outer_parts import outer_parts
from inventory.locks import lock
from inventory.repository import load_state, save_site
from inventory.store import Store

log = structlog.get_logger()

Part = Callable[[], Awaitable[object]]

_HAND_OVER_S = 3.0
_LOOK_EVERY_S = 1.0


class Process:
    """`parts` are what is to run. A worker's and a controller's are made by `work` and `reign`."""

    def __init__(self, book: SiteBook, outside: Outside, fleet: Fleet, role: Role) -> None:
        self.parts: list[Part] = []
        self._outside, self._fleet, self._book = outside, fleet, book
        self._buses, self._feed = SiteBuses(book), Feed(first_id=first_notice_id(outside.clock))
        self._worker: Worker | None = None
        self._reigning: Controllers | None = None
        self._reaches = True
        controllers: dict[SiteId, SiteController] = {}
        if role in {"all", "proxy"}:
            self._worker = Worker(new_name(), book, fleet, outside.store, outside.clock)
        messages = MessageLog(outside.store, outside.clock) if self._worker is not None else None
        publish, lore, prepare = self._buses.publish, self._no_lore(), None
        if self._worker is not None:
            publish, lore, prepare = self._worker.publish, self._worker.lore, self._worker.prepare
        self.service = FleetService(
            clock=outside.clock,
            bus=self._buses,
            feed=self._feed,
            store=JointStore(outside.store, self._reigning_stores),
            proxy=proxy_of(outside, publish, lore, messages, prepare),
            controllers=controllers,
            messages=messages,
            role=role,
            book=book,
            worker=self._worker,
            fleet=fleet,
            reaches=lambda: self._reaches,
        )
        if self._worker is not None:
            self._worker.proxy = self.service.proxy

    def _no_lore(self) -> WorkerLore:
        """Of a process that lets nobody in."""
        return WorkerLore(self._book, self._fleet, self._outside.store, self._outside.clock, lambda _: ())

    def _reigning_stores(self) -> list[Store]:
        reigns = () if self._reigning is None else self._reigning.reigns.values()
        return [reign.store for reign in reigns if reign.store is not None]

    async def work(self, spool: str) -> None:
        """Be a worker, whose spool of outages has this name. `StorageError` where the database does not answer."""
        assert self._worker is not None
        assert self.service.messages is not None
        messages, clock = self.service.messages, self._outside.clock
        for site in self._book.sites.values():

            def known(conn: Connection, site=site) -> bytes:  # type: ignore[no-untyped-def]
                lock(conn, f"site {site.id}")
                save_site(conn, site, clock.now())
                return load_state(conn, site).salt

            messages.add_site(site.id, await self._outside.store.transact(known))
        telling = partial(keep_telling, self._fleet, spool, lambda: self.service.proxy.office, clock)
        self.parts += [self._worker.run, messages.run, messages.keep_within_bounds, telling]

    def reign(
        self, deciders: Mapping[SiteId, Decider], url: str, forecasts: KeeperOptions, notify: NotifySettings
    ) -> None:
        """Be a controller. `HeadroomError` where somebody is to be told and cannot be."""
        clock, notifiers = self._outside.clock, Notifiers(notify, self._outside.new_id, self.service.webhooks)

        async def parts(controller: SiteController, store: Store, bus: InProcessBus, after: int) -> list[Part]:
            mine = {controller.site.id: controller}
            watched = Watched(mine, self._feed, store, clock, after, is_fleet=True)
            return [*await outer_parts(mine, store, clock, bus.publish, forecasts), *notifiers.parts(watched)]

        name = new_name()
        throne = Throne(self._fleet, self._outside, self._book, self._feed, name, parts)
        leases = Leases(self._fleet, name, url, lease_clock_s)
        self._reigning = self._buses.controllers = Controllers(leases, deciders, throne)
        self.service.reigning, self.service.controllers = self._reigning, self._reigning.controllers
        self.parts.append(self._reigning.run)

    def signpost(self, app: ASGIApp, *, health_only: bool) -> Signpost:
        """What stands before the API."""

        def is_here(site: SiteId) -> bool | None:
            return site in self.service.controllers if site in self._book.sites else None

        async def evse_of_link(link: str) -> str | None:
            found = read_link(await signing_key(self.service), link)
            return None if found is None else found[0]

        return Signpost(app, self._fleet, is_here, self.service.site_of, evse_of_link, health_only=health_only)

    async def watch_redis(self) -> None:
        """Look whether Redis answers, for ever."""
        while True:
            self._reaches = await self._fleet.answers()
            await asyncio.sleep(_LOOK_EVERY_S)

    async def end(self, drain_s: float) -> None:
        """Let the chargers go one by one, tell what is to be told, and leave the sites to others."""
        self.service.draining = True
        if self._worker is not None:
            await self.service.proxy.drain(drain_s)
            await self.service.proxy.close(2.0)
        if self.service.messages is not None:
            await self.service.messages.flush()
        if self._worker is not None:
            await self._worker.leave()
        if self._reigning is not None:
            await self._reigning.hand_over(_HAND_OVER_S)
        self._feed.close()
