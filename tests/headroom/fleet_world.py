"""A Redis and a PostgreSQL of one's own for tests of fleets, and parts of a fleet in one process."""

import asyncio
import contextlib
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import needs
import redis as sync_redis
from databases import new_database

from domain.commands import ApplySetpoint
from domain.events import ChargerConnected, SetpointAccepted, SetpointSent
from domain.ids import ChargerId
from domain.site import Site
from headroom.bootstrap import Outside
from headroom.charger_lore import SiteBook
from headroom.clock import WallClock, lease_clock_s, monotonic_s
from headroom.control_loop import SiteController
from headroom.decider import InlineDecider
from headroom.feed import Feed
from headroom.fleet.connection import Fleet
from headroom.fleet.controllers import Controllers
from headroom.fleet.lease import Leases
from headroom.fleet.reign import Throne
from headroom.fleet.worker import Worker
from headroom.notifications.watched import Watched
from headroom.notifications.wiring import Notifiers
from inventory.site_file import parse_site
from inventory.store import AsyncStore, Store
from proxy.network import LoopNetwork

Part = Callable[[], Awaitable[object]]

SITE = """\
site: cedar
timezone: America/Vancouver
csms: {url: "ws://127.0.0.1:9/ocpp"}
feeders: [{id: main, rating_a: 100}]
chargers:
  - {id: CP001, evses: [{id: e1, connector: 1, feeder: main, phases: [A], max_a: 32, failsafe_a: 6}]}
  - {id: CP002, evses: [{id: e2, connector: 1, feeder: main, phases: [A], max_a: 32, failsafe_a: 6}]}
"""


def a_site(text_: str = SITE) -> Site:
    """The site of these tests."""
    return parse_site(text_, "site.yaml")


@contextlib.contextmanager
def a_prefix(url: str) -> Iterator[str]:
    """Keys of one's own in a Redis; they are gone afterwards."""
    prefix = f"test-{uuid.uuid4().hex}"
    try:
        yield prefix
    finally:
        with contextlib.suppress(sync_redis.RedisError), sync_redis.Redis.from_url(url) as client:
            for key in client.scan_iter(f"{prefix}:*", count=1000):
                client.delete(key)


@contextlib.asynccontextmanager
async def a_fleet(url: str | None = None) -> AsyncIterator[Fleet]:
    """A fleet's Redis under a prefix of one's own."""
    url = url or needs.redis()
    with a_prefix(url) as prefix:
        fleet = Fleet.at(url, prefix, "here")
        try:
            yield fleet
        finally:
            await fleet.close()


async def until(holds: Callable[[], object], within_s: float = 20.0) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(within_s):
        while not holds():
            await asyncio.sleep(0.01)


class Wires:
    """In place of a proxy server: chargers that take every limit."""

    def __init__(self, worker: Worker, clock: WallClock) -> None:
        self.applied: list[ApplySetpoint] = []
        self.cut_off: list[ChargerId] = []
        self.forgotten: list[ChargerId] = []
        self.worker, self._clock = worker, clock
        worker.proxy = self  # type: ignore[assignment]

    async def connect(self, charger: str) -> None:
        """A charger is let in."""
        await self.worker.prepare(ChargerId(charger))
        self.worker.publish(ChargerConnected(ChargerId(charger), self._clock.now(), "ocpp1.6"))

    def apply(self, command: ApplySetpoint) -> None:
        """The proxy's."""
        self.applied.append(command)
        now = self._clock.now()
        self.worker.publish(SetpointSent(command.evse, now, command.limit_a, command.decision))
        self.worker.publish(SetpointAccepted(command.evse, now, command.limit_a, command.decision))

    def cut(self, charger: ChargerId) -> None:
        """The proxy's."""
        self.cut_off.append(charger)

    def forget(self, charger: ChargerId) -> None:
        """The proxy's."""
        self.forgotten.append(charger)


class Town:
    """Workers and controllers of one fleet, each with a Redis connection and a store of its own, in one process."""

    def __init__(self, url: str, prefix: str, database: str, site: Site) -> None:
        self.clock, self.site, self.book = WallClock(), site, SiteBook([site])
        self.fleets: list[Fleet] = []
        self.stores: list[AsyncStore] = []
        self._url, self._prefix, self._database = url, prefix, database
        self._running: list[asyncio.Task[object]] = []
        self._of_worker: dict[str, asyncio.Task[object]] = {}

    def fleet(self) -> Fleet:
        """A connection of one process's own."""
        self.fleets.append(Fleet.at(self._url, self._prefix, "here"))
        return self.fleets[-1]

    async def _store(self) -> AsyncStore:
        self.stores.append(await AsyncStore.open(self._database))
        return self.stores[-1]

    async def worker(self, name: str) -> tuple[Worker, Wires]:
        """A worker that runs."""
        worker = Worker(name, self.book, self.fleet(), await self._store(), self.clock)
        wires = Wires(worker, self.clock)
        self._of_worker[name] = self.start(worker.run)
        await until(lambda: worker.registered)
        return worker, wires

    async def controllers(
        self, name: str, mono: Callable[[], float] = lease_clock_s, notifiers: Notifiers | None = None
    ) -> Controllers:
        """A controller process that is not started yet."""
        store, fleet = await self._store(), self.fleet()
        outside = Outside(self.clock, LoopNetwork(), store, monotonic_s, lambda: uuid.uuid4().hex)

        feed = Feed()

        async def parts(controller: SiteController, store: Store, _: object, after: int) -> list[Part]:
            watched = Watched({self.site.id: controller}, feed, store, self.clock, after, is_fleet=True)
            return [] if notifiers is None else [*notifiers.parts(watched)]

        throne = Throne(fleet, outside, self.book, feed, name, parts)
        leases = Leases(fleet, name, f"http://{name}", mono)
        deciders = {self.site.id: InlineDecider(self.site)}
        return Controllers(leases, deciders, throne)

    def start(self, part: Callable[[], Awaitable[object]]) -> "asyncio.Task[object]":
        """Run something until the end, or until it is cancelled."""

        async def run() -> object:
            return await part()

        self._running.append(asyncio.get_running_loop().create_task(run()))
        return self._running[-1]

    def kill(self, worker: Worker) -> None:
        """A worker says nothing more."""
        self._of_worker[worker.name].cancel()

    async def close(self) -> None:
        """End everything; what failed is raised."""
        for task in self._running:
            task.cancel()
        found = await asyncio.gather(*self._running, return_exceptions=True)
        for store in self.stores:
            await store.close()
        for fleet in self.fleets:
            await fleet.close()
        for one in found:
            if isinstance(one, Exception):
                raise one


@contextlib.asynccontextmanager
async def a_town(folder: Path, site: Site | None = None) -> AsyncIterator[Town]:
    """A fleet's town on a real Redis and a real PostgreSQL."""
    url = needs.redis()
    with a_prefix(url) as prefix, new_database("postgresql", folder) as database:
        town = Town(url, prefix, database, site or a_site())
        try:
            yield town
        finally:
            await town.close()
