"""A process of a fleet as its API sees it: what it serves itself, and what it needs to do its work."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

import structlog
from prometheus_client.core import Metric
from sqlalchemy import Connection, select

from domain.errors import StorageError, UnknownIdError
from domain.events import Event
from domain.ids import ChargerId, EvseId, MeterId, SiteId
from domain.site import Site
from headroom.bus import Handler, InProcessBus
from headroom.charger_lore import SiteBook
from headroom.fleet.connection import Fleet
from headroom.fleet.controllers import Controllers
from headroom.fleet.metrics import fleet_metrics
from headroom.fleet.outages import all_spools
from headroom.fleet.worker import Worker
from headroom.service import Service
from headroom.spool_look import SpoolLook
from headroom.switching import as_switched
from inventory import tables
from inventory.fencing import Fence
from inventory.pending import StoreCounts
from inventory.records import OverrideRecord, Record
from inventory.store import Store

log = structlog.get_logger()

T = TypeVar("T")
Role = Literal["all", "proxy", "controller", "api"]


class SiteBuses:
    """A `Bus` for what comes in by this process's API: it goes to the controller of its site, where that is here."""

    def __init__(self, book: SiteBook) -> None:
        self._book = book
        self._buses: dict[SiteId, InProcessBus] = {}
        self.controllers: Controllers | None = None

    def publish(self, event: Event) -> None:
        """See `Bus`. Where the site is not under control here nothing is done; the API asks before."""
        site = self._book.of_event(event)
        reign = None if site is None or self.controllers is None else self.controllers.reigns.get(site)
        if reign is not None:
            reign.bus.publish(event)

    def subscribe(self, handler: Handler) -> None:
        """See `Bus`."""
        raise RuntimeError(f"{handler}: a site's events are heard on the bus of its reign")


class JointStore:
    """The process's own store, and with it those of the sites under control here: what was put there is seen too."""

    def __init__(self, own: Store, others: Callable[[], Iterable[Store]]) -> None:
        self._own, self._others = own, others

    @property
    def counts(self) -> StoreCounts:
        """See `Store`; of all together."""
        total = StoreCounts()
        for one in (self._own, *self._others()):
            for name in StoreCounts.__dataclass_fields__:
                setattr(total, name, getattr(total, name) + getattr(one.counts, name))
        return total

    @property
    def trouble(self) -> str | None:
        """See `Store`."""
        return next((one.trouble for one in (self._own, *self._others()) if one.trouble is not None), None)

    def put(self, *records: Record) -> None:
        """See `Store`."""
        self._own.put(*records)

    async def flush(self, about: Collection[type] | None = None) -> None:
        """See `Store`."""
        for one in (self._own, *self._others()):
            await one.flush(about)

    async def run(self) -> None:
        """See `Store`; those of the sites run with their reigns."""
        await self._own.run()

    async def query(self, question: Callable[[Connection], T], about: Collection[type] | None = None) -> T:
        """See `Store`."""
        for one in self._others():
            try:
                await one.flush(about)
            except StorageError as error:
                log.warning("answers_from_old_state", error=str(error))
        return await self._own.query(question, about)

    async def transact(self, work: Callable[[Connection], T]) -> T:
        """See `Store`."""
        return await self._own.transact(work)

    def fenced(self, fence: Fence) -> Store:
        """See `Store`."""
        return self._own.fenced(fence)

    async def close(self) -> None:
        """See `Store`."""
        await self._own.close()


@dataclass(kw_only=True)
class FleetService(Service):
    """`Service.controllers` are the sites under control here; `book` knows all of the fleet."""

    role: Role
    book: SiteBook
    fleet: Fleet
    worker: Worker | None = None
    reigning: Controllers | None = None
    draining: bool = False
    reaches: Callable[[], bool] = lambda: True
    """Whether Redis answered when it was asked last."""

    def more_metrics(self) -> Iterator[Metric]:
        """See `Service`."""
        return fleet_metrics(self)

    async def listed(self) -> Sequence[Site]:
        """All sites of the fleet, as they are decided on now."""

        def question(conn: Connection) -> Mapping[str, OverrideRecord]:
            t = tables.sites
            rows = conn.execute(select(t.c.id, t.c.strategy, t.c.scheduler))
            return {row.id: OverrideRecord(row.id, row.strategy, row.scheduler) for row in rows}

        overrides = await self.store.query(question)
        return [as_switched(site, overrides.get(name, OverrideRecord(name))) for name, site in self.book.sites.items()]

    async def spools(self) -> Sequence[SpoolLook]:
        """See `Service`; those of all proxies of the fleet, as they told last."""
        return await all_spools(self.fleet, self.clock)

    def site_of(self, kind: str, name: str) -> SiteId:
        """See `Service`; of all sites of the fleet."""
        find = {
            "evse": lambda: self.book.of_evse(EvseId(name)),
            "meter": lambda: self.book.of_meter(MeterId(name)),
            "charger": lambda: self.book.of_charger(ChargerId(name)),
        }
        site = find[kind]()
        if site is None:
            raise UnknownIdError("EVSE" if kind == "evse" else kind, name)
        return site

    def missing(self) -> list[str]:
        """What keeps this process from doing its part."""
        found = [] if self.reaches() else ["Redis does not answer"]
        if self.draining:
            found.append("this process is about to end")
        if self.worker is not None and "ocpp_port" not in self.ports:
            found.append("not listening for chargers")
        if self.worker is not None and len(self.worker.outbox) and not self.worker.outbox.reaches:
            found.append(f"{len(self.worker.outbox)} events wait for Redis")
        found += self.late()
        if self.store.trouble is not None:
            found.append(f"the database does not take records: {self.store.trouble}")
        return found
