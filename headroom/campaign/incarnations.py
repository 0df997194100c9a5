"""The service as a process that can be killed, paused and started again on what it had made durable."""

import asyncio
import random
import uuid

from sqlalchemy.engine import Engine
from sqlalchemy.exc import SQLAlchemyError

from domain.errors import StorageError
from domain.events import FeederMetered
from domain.metering import MeterReading
from domain.ports import Clock
from domain.site import Site
from headroom.bootstrap import Outside, build
from headroom.campaign.failing_store import Disk, FailingSpool, FailingStore
from headroom.campaign.machine_clock import MachineClock
from headroom.clock import monotonic_s
from headroom.decider import InlineDecider
from headroom.service import Service
from headroom.statistics import Statistics
from inventory.fencing import Fence, take_over
from simulators.network import MemoryNetwork
from simulators.processes import State, VirtualProcess

OCPP_PORT = 9000
BUILD_RETRY_S = 5.0


class Incarnations:
    """One service, several lives. The site's meters speak to whichever lives."""

    def __init__(self, site: Site, clock: Clock, network: MemoryNetwork, disk: Disk, seed: int) -> None:
        self.site, self._network, self._disk = site, network, disk
        self.clock = MachineClock(clock)
        self.fenced = True
        self._ids = random.Random(f"{seed}/ids")
        self.spool = FailingSpool(disk)
        self._engine: Engine | None = None
        self._process: VirtualProcess | None = None
        self._all: list[VirtualProcess] = []
        self.service: Service | None = None
        self._listening = asyncio.Event()
        self.statistics: list[Statistics] = []

    def start(self) -> None:
        """Start the service. A disk that is full does not let it: then it tries again, as a supervisor would."""
        self._disk.lives += 1
        process = VirtualProcess(f"service {len(self._all) + 1}")
        self._process = process
        self._all.append(process)
        process.start(self._live())

    async def listening(self) -> None:
        """Return when the service lets chargers in for the first time."""
        await self._listening.wait()

    def kill(self, *, silently: bool = False) -> None:
        """End the present life."""
        if self._process is not None:
            self._process.kill(silently=silently)
        self.service = self._process = None

    def pause(self) -> None:
        """Stop the present life where it is."""
        if self._process is not None:
            self._process.pause()

    def resume(self) -> None:
        """Let it go on."""
        if self._process is not None:
            self._process.resume()

    def replace(self) -> VirtualProcess | None:
        """Stop the present life and start another in its place, as a supervisor does that takes it for dead.

        Returns:
            the old one. Whoever was linked with it is told that the link is gone; it is not.
        """
        old = self._process
        self.service = self._process = None
        if old is not None:
            old.pause()
            self._network.vacate(OCPP_PORT)
            for link in list(self._network.links):
                if link.server.get_extra_info("sockname")[1] == OCPP_PORT:
                    link.cut(tell=("client",))
        self.start()
        return old

    def bury(self) -> None:
        """The run is over."""
        for process in self._all:
            process.bury()

    def metered(self, reading: MeterReading) -> None:
        """A meter pushes a reading: a service that is not there does not get it, a paused one gets it late."""
        process, service = self._process, self.service
        if process is None or service is None or process.state is State.KILLED:
            return
        context = process.context()
        context.run(process.run, context, service.bus.publish, (FeederMetered(self.clock.now(), reading),))

    async def _live(self) -> None:
        service = await self._built(self._disk.lives)
        await service.proxy.listen("127.0.0.1", OCPP_PORT)
        self.service = service
        self._listening.set()
        self.statistics.append(service.controllers[self.site.id].statistics)
        async with asyncio.TaskGroup() as group:
            for part in (service.store.run(), *(one.run() for one in service.controllers.values())):
                group.create_task(part)

    async def _built(self, life: int) -> Service:
        while True:
            try:
                store = await self._store(life)
                outside = Outside(self.clock, self._network, store, monotonic_s, self._new_id, spool=self.spool)
                return await build([self.site], {self.site.id: InlineDecider(self.site)}, outside)
            except (StorageError, SQLAlchemyError):
                await self.clock.sleep(BUILD_RETRY_S)

    async def _store(self, life: int) -> FailingStore:
        """The store of a life. It takes the site over: what an older life still writes is refused."""
        fence = Fence(self.site.id, life)
        opened = FailingStore(self._disk, life, self._engine)
        self._engine = opened.engine
        if not self.fenced:
            return opened
        await opened.transact(lambda conn: take_over(conn, fence, f"life {life}", self.clock.now()))
        return FailingStore(self._disk, life, self._engine, fence)

    def _new_id(self) -> str:
        return str(uuid.UUID(int=self._ids.getrandbits(128), version=4))
