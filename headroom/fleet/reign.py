"""One process's control of one site, from winning its lease to losing it or handing it over.

The order of a take-over: nobody older can write any more (the database's fence), the state is read, the stream is read
on from where that state stands, the workers tell how their links stand, and acknowledge. Then the site is decided on.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

import structlog
from sqlalchemy import Connection

from domain.errors import StorageError
from domain.events import ChargerDisconnected, Event
from domain.ids import ChargerId
from domain.site import Site
from headroom.bootstrap import Commanding, Outside, controller_of
from headroom.bus import InProcessBus
from headroom.charger_lore import SiteBook
from headroom.control_loop import SiteController
from headroom.decider import Decider
from headroom.feed import Feed
from headroom.fleet.codec import Acknowledged, not_after
from headroom.fleet.connection import TROUBLE, Fleet
from headroom.fleet.lease import HELD_S, Lease
from headroom.fleet.link_order import LinkOrder
from headroom.fleet.orders import Orders
from headroom.fleet.reading import BEGINNING, Entry, ReadingCounts, StreamReader
from headroom.fleet.registry import Registry
from headroom.waiting import unless_cancelled
from inventory.fencing import Fence, take_over
from inventory.locks import lock
from inventory.records import RestoredState, StreamPosition
from inventory.repository import load_position, load_state, save_site
from inventory.store import Store

log = structlog.get_logger()

_ACKNOWLEDGED_WITHIN_S = 1.0
_SWEEP_EVERY_S = 0.7
_GONE_AFTER = 3
"""So many sweeps in a row find a link nowhere before it counts as gone."""
_RETRY_S = 0.3
_TRIM_EVERY_S = 60.0

Parts = Callable[[SiteController, Store, InProcessBus, int], Awaitable[list[Callable[[], Awaitable[object]]]]]
"""What runs beside a site's control: meters that are fetched, forecasts, and who tells others what the feed has after
a notice.
"""


@dataclass(frozen=True)
class Throne:
    """What every reign of this process is given. `parts` makes what runs beside the control of a site."""

    fleet: Fleet
    outside: Outside
    book: SiteBook
    feed: Feed
    name: str
    parts: Parts


class Reign:
    """`run` it once."""

    def __init__(self, site: Site, lease: Lease, decider: Decider, throne: Throne) -> None:
        self.site, self.lease = site, lease
        self.bus = InProcessBus()
        self.order = LinkOrder(throne.book.charger_of)
        self.over = asyncio.Event()
        self.orders = Orders(throne.fleet, lease, throne.outside.clock, self.order.places.get, self)
        self.handing_over = False
        self.controller: SiteController | None = None
        self.counts = ReadingCounts()
        self.took_s: float | None = None
        """How long the take-over took from winning the lease."""
        self.reads = True
        """Whether Redis gives out the site's events."""
        self._decider, self._throne = decider, throne
        self._registry = Registry(throne.fleet)
        self._acknowledged: set[str] = set()
        self._missed: set[str] = set()
        self._missing: Counter[ChargerId] = Counter()
        self.store: Store | None = None
        """The site's records go there, as long as nobody newer reigns."""
        self._reader: StreamReader

    async def run(self, on_charge: Callable[[SiteController], None]) -> None:
        """Until the lease is lost or handed over; `on_charge` is told when the site is under control.

        Raises:
            StorageError: the database does not give or take the state; `LeaseLostError` where the lease is not the
                newest there.
            TROUBLE: Redis does not give the stream.
        """
        mono, begun_s, told = self._throne.outside.mono, self._throne.outside.mono(), self._throne.feed.newest
        store, restored, position = await self._take_over()
        self._reader = StreamReader(self._throne.fleet, self.site.id, position or BEGINNING, self.counts)
        commanding = Commanding(self._decider, store, self.orders.send, self.bus, self._throne.feed)
        self.controller = await controller_of(self.site, restored, self._throne.outside, commanding)
        async with asyncio.TaskGroup() as group:
            running = [group.create_task(part()) for part in (store.run, self.orders.run)]
            await self._catch_up()
            beside = await self._throne.parts(self.controller, store, self.bus, told)
            parts = [*beside, self._follow, self._sweep, self._trim]
            running += [group.create_task(_forever(part)) for part in (self.controller.run, *parts)]
            self.took_s = mono() - begun_s
            on_charge(self.controller)
            log.info("site_taken_over", site=self.site.id, number=self.lease.token, took_s=round(self.took_s, 3))
            running[0].add_done_callback(lambda _: self.over.set())  # a store that is fenced off writes no more
            await self.over.wait()
            if self.handing_over:
                self.controller.hand_over()
                await store.flush()
            for task in running:
                task.cancel()

    async def _take_over(self) -> tuple[Store, RestoredState, str | None]:
        """Fence off everybody older, and read what they left."""
        base, clock, name = self._throne.outside.store, self._throne.outside.clock, self._throne.name
        fence, now = Fence(self.site.id, self.lease.token), self._throne.outside.clock.now()
        await base.transact(lambda conn: take_over(conn, fence, name, now))
        store = self.store = base.fenced(fence)

        def read(conn: Connection) -> tuple[RestoredState, str | None]:
            return load_state(conn, self.site), load_position(conn, self.site.id)

        def save(conn: Connection) -> None:
            lock(conn, f"site {self.site.id}")
            save_site(conn, self.site, clock.now())

        await store.transact(save)
        return store, *await store.query(read)

    async def _catch_up(self) -> None:
        """Hear what the database does not know yet, and have the workers tell how their links stand."""
        if await self._reader.look_back():
            log.warning("stream_was_lost", site=self.site.id)
        await self._read_rest()
        links = await self._registry.links(self.site.id)
        alive = await self._registry.alive(list({place.worker for place in links.values()}))
        for charger, place in tuple(self.order.places.items()):
            if links.get(charger) != place or place.worker not in alive:
                self._link_gone(charger, "its worker is gone")
        self.orders.announce(alive)
        loop, limit_s = asyncio.get_running_loop(), HELD_S if self.lease.after_loss else _ACKNOWLEDGED_WITHIN_S
        begun_s = loop.time()
        while not alive <= self._acknowledged and loop.time() - begun_s < limit_s:
            self._hear(await self._reader.wait(block_ms=100))
        if not alive <= self._acknowledged:
            log.warning("workers_silent", site=self.site.id, workers=sorted(alive - self._acknowledged))
        if self.lease.after_loss:
            # Redis forgot who reigned; by then whoever it was has noticed, by a clock of its own.
            await asyncio.sleep(begun_s + limit_s - loop.time())

    async def _read_rest(self) -> None:
        page: list[Entry] = []
        async for entry in self._reader.rest():
            page.append(entry)
            if len(page) >= 200:
                self._hear(page)
                page = []
                await asyncio.sleep(0)
        self._hear(page)

    def _hear(self, page: Iterable[Entry]) -> None:
        """Take up entries; what they change is stored together with how far was read."""
        now, read_to = self._throne.outside.clock.now(), None
        for position, told in page:
            read_to = position
            if self.order.has_gap(told.worker, told.number):
                self._missed.add(told.worker)
            if not self.order.is_next(told.worker, told.number):
                continue
            if isinstance(told, Acknowledged):
                if told.token == self.lease.token:
                    self._acknowledged.add(told.worker)
            elif self.order.takes(told):
                self.bus.publish(not_after(told.event, now))
        if read_to is not None:
            assert self.store is not None
            self.store.put(StreamPosition(self.site.id, read_to))

    async def _follow(self) -> None:
        """Hear what happens. While Redis is gone nothing is heard: what is in force stays, and holds by itself."""
        while True:
            try:
                if not self.reads and await self._reader.look_back():
                    log.warning("stream_was_lost", site=self.site.id)
                self._hear(await self._reader.wait())
                self.reads = True
            except TROUBLE as error:
                unless_cancelled()
                if self.reads:
                    log.error("site_not_heard", site=self.site.id, error=f"{type(error).__name__}: {error}")
                self.reads = False
                await asyncio.sleep(_RETRY_S)
            if self._missed:
                log.warning("events_missed", site=self.site.id, workers=sorted(self._missed))
                self.orders.announce(self._missed)
                self._missed = set()

    async def _sweep(self) -> None:
        """Notice links that are gone without a word, with their workers, and those that were never told of."""
        while True:
            await asyncio.sleep(_SWEEP_EVERY_S)
            try:
                await self._sweep_once()
            except TROUBLE:
                unless_cancelled()
                continue

    async def _trim(self) -> None:
        """Have Redis give up what the database has for good. What is not given up now is at the next time."""
        while True:
            try:
                await self._trim_once()
            except (StorageError, *TROUBLE):
                unless_cancelled()
            await asyncio.sleep(_TRIM_EVERY_S)

    async def _trim_once(self) -> None:
        store, reader = self.store, self._reader
        assert store is not None
        durable = await store.query(lambda conn: load_position(conn, self.site.id))
        if durable is not None and self.reads:
            await reader.trim(durable)

    async def _sweep_once(self) -> None:
        links = await self._registry.links(self.site.id)
        workers = {place.worker for place in (*links.values(), *self.order.places.values())}
        alive = await self._registry.alive(list(workers))
        expected = set(links) | set(self.order.places)
        untold: set[str] = set()
        for charger in expected:
            told, known = self.order.places.get(charger), links.get(charger)
            if told == known and known is not None and known.worker in alive:
                self._missing.pop(charger, None)
                continue
            self._missing[charger] += 1
            if self._missing[charger] < _GONE_AFTER:
                continue
            self._missing.pop(charger)
            if told is not None and (known is None or told.worker not in alive):
                self._link_gone(charger, "its worker is gone")
            if known is not None and known.worker not in alive:
                await self._registry.let_go(self.site.id, charger, known)
            elif known is not None:
                untold.add(known.worker)
        if untold:
            self.orders.announce(untold)

    def _link_gone(self, charger: ChargerId, why: str) -> None:
        self.order.gone(charger)
        self.bus.publish(ChargerDisconnected(charger, self._throne.outside.clock.now(), why))

    def hand_over(self) -> None:
        """End in order: everything is written down and left as it is, for whoever comes next."""
        self.handing_over = True
        self.over.set()

    def fenced_off(self) -> None:
        """Redis says that the lease is another's."""
        self.lease.end()
        self.over.set()

    def tell(self, event: Event) -> None:
        """An event of our own, for the controller alone."""
        self.bus.publish(event)


async def _forever(part: Callable[[], Awaitable[object]]) -> None:
    await part()
