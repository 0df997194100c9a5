"""A site in virtual time: the live service, the simulated world, one thread, no waiting."""

import asyncio
import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from domain.events import FeederMetered
from domain.site import Site
from headroom import logs
from headroom.bootstrap import Outside, build
from headroom.clock import monotonic_s
from headroom.decider import InlineDecider
from headroom.phase_probe import mapping_notice
from headroom.service import Service
from headroom.twin import Surroundings, Twin
from inventory.store import InlineStore
from proxy.spool import InlineSpool
from simulators import virtual_time
from simulators.arrivals import replayed_arrivals
from simulators.network import MemoryNetwork

_FIRST_DAY = datetime(2026, 3, 2, 12, 0)  # noqa: DTZ001 - the site's own wall clock, made aware below
_OCPP_PORT = 9000


@dataclass(frozen=True, slots=True)
class Simulation:
    """What is simulated. `wired`: the same site as its cables really run, where that is another thing."""

    site: Site
    days: float
    seed: int = 0
    wired: Site | None = None


def run(simulation: Simulation, on_progress: Callable[[float], object] = lambda _: None) -> dict[str, object]:
    """Simulate, and report as interfaces name it. `on_progress` is told the days done."""
    site = simulation.site
    opened_at = _FIRST_DAY.replace(tzinfo=ZoneInfo(site.timezone))

    async def main() -> dict[str, object]:
        return await _live(simulation, on_progress)

    return virtual_time.run(main, start=opened_at)


async def _live(simulation: Simulation, on_progress: Callable[[float], object]) -> dict[str, object]:
    site, source = simulation.site, random.Random(simulation.seed)
    clock, network = virtual_time.VirtualClock(), MemoryNetwork()
    logs.configure("error", clock)
    csms = urlsplit(site.csms.url)
    around = Surroundings(clock, network, simulation.seed)
    twin = Twin(site, around, csms=(csms.hostname or "127.0.0.1", csms.port or 80), wired=simulation.wired)
    await twin.csms.start()
    store = InlineStore()
    new_id = lambda: str(uuid.UUID(int=source.getrandbits(128), version=4))  # noqa: E731 - a name for a port
    outside = Outside(clock, network, store, monotonic_s, new_id, spool=InlineSpool())
    service = await build([site], {site.id: InlineDecider(site)}, outside)
    port = await service.proxy.listen("127.0.0.1", _OCPP_PORT)
    twin.charge_points(f"ws://127.0.0.1:{port}/ocpp")
    starts_at = clock.now()
    arrivals = replayed_arrivals(site, starts_at, simulation.days, seed=simulation.seed)
    world = twin.open_world(arrivals, lambda reading: service.bus.publish(FeederMetered(clock.now(), reading)))
    async with asyncio.TaskGroup() as group:
        running = [
            group.create_task(part)
            for part in (
                twin.run_chargers(),
                world.run(),
                store.run(),
                *(c.run() for c in service.controllers.values()),
            )
        ]
        await _let_pass(clock, simulation.days, on_progress)
        for task in running:
            task.cancel()
    await service.proxy.close(1.0)
    return _report(twin, service, site)


async def _let_pass(clock: virtual_time.VirtualClock, days: float, on_progress: Callable[[float], object]) -> None:
    ends_at = clock.now() + timedelta(days=days)
    while (left_s := (ends_at - clock.now()).total_seconds()) > 0:
        await clock.sleep(min(600.0, left_s))
        on_progress(days - max(0.0, (ends_at - clock.now()).total_seconds()) / 86400)


def _report(twin: Twin, service: Service, site: Site) -> dict[str, object]:
    statistics = service.statistics(site.id)
    wiring = [mapping_notice(mapping) for mapping in service.controllers[site.id].wiring.found.values()]
    named = {"site": site.id, "strategy": site.strategy, "scheduler": site.scheduler.kind}
    return {**named, **statistics, **twin.report(), "wiring": wiring}
