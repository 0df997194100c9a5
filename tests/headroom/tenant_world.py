"""Two buildings of different owners in one service. Every name of a building begins with its own word, so that a leak
is found by looking for that word."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from api_world import House

from domain.events import FeederMetered
from domain.metering import MeterReading
from domain.site import Phase, Site
from headroom.access.options import AccessOptions
from headroom.api.guard import authority_of
from headroom.bootstrap import Outside, build
from headroom.clock import WallClock, monotonic_s
from headroom.decider import InlineDecider
from inventory.site_file import parse_site
from inventory.store import InlineStore, Store
from simulators.car import Car
from simulators.charge_point import SimulatedChargePoint
from simulators.csms import SimulatedCsms
from simulators.evse import EvseSpec
from simulators.network import MemoryNetwork

MINE, THEIRS = "alder", "birch"


def a_building(name: str, csms_url: str) -> Site:
    """One panel with a meter and two chargers, whose every name begins with `name`."""
    text = f"""\
site: {name}
timezone: America/Vancouver
csms: {{url: "{csms_url}/{name}"}}
feeders: [{{id: {name}-main, rating_a: 100, meter: {name}-meter, base_load_max_a: {{A: 20, B: 20, C: 20}}}}]
scheduler: {{min_on_s: 1}}
chargers:
  - {{id: {name}-cp1, evses: [{{id: {name}-e1, connector: 1, feeder: {name}-main, phases: [A, B, C]}}]}}
  - {{id: {name}-cp2, evses: [{{id: {name}-e2, connector: 1, feeder: {name}-main, phases: [A, B, C]}}]}}
"""
    return parse_site(text, name)


class Quarter(House):
    """A service with two sites; in each, the first charger charges. Everything of `House` is of the site MINE."""

    def __init__(self, service, authority, sites: dict[str, Site], chargers: dict[str, SimulatedChargePoint]) -> None:
        super().__init__(service, authority, sites[MINE])
        self.sites, self.chargers = sites, chargers

    def meter_all(self, amps: float) -> None:
        """A reading of every meter."""
        now = self.service.clock.now()
        for site in self.sites.values():
            for meter in site.meters:
                reading = MeterReading(meter.id, now, dict.fromkeys(Phase, amps))
                self.service.bus.publish(FeederMetered(now, reading))


@asynccontextmanager
async def a_quarter(store: Store | None = None) -> AsyncIterator[Quarter]:
    """Both buildings, running in memory; tokens are asked for."""
    clock, network = WallClock(), MemoryNetwork()
    csms = SimulatedCsms(network, clock, port=9100)
    await csms.start()
    sites = {name: a_building(name, csms.url) for name in (MINE, THEIRS)}
    outside = Outside(
        clock,
        network,
        store or InlineStore(interval_s=0.05),
        monotonic_s,
        lambda: str(uuid.uuid4()),
        keeps_messages=True,
    )
    service = await build(list(sites.values()), {site.id: InlineDecider(site) for site in sites.values()}, outside)
    service.ports["ocpp_port"] = await service.proxy.listen("127.0.0.1", 9000)
    chargers = {
        name: SimulatedChargePoint(
            f"{name}-cp1",
            "ocpp1.6",
            "ws://127.0.0.1:9000/ocpp",
            network=network,
            clock=clock,
            evses=[EvseSpec(connector=1)],
            meter_interval_s=1,
            validate=True,
        )
        for name in sites
    }
    made = Quarter(service, authority_of(service, AccessOptions("token"), monotonic_s), sites, chargers)
    async with made.client, asyncio.TaskGroup() as group:
        parts = [one.run() for one in chargers.values()]
        parts += [one.run() for one in service.controllers.values()]
        assert service.messages is not None
        parts += [service.store.run(), service.messages.run()]
        running = [group.create_task(part) for part in parts]
        made.meter_all(5.0)
        async with asyncio.timeout(30):
            await _charge(made, clock)
        yield made
        for task in running:
            task.cancel()
    await service.proxy.close(1.0)


async def _charge(made: Quarter, clock: WallClock) -> None:
    while not all(one.online for one in made.chargers.values()):
        await asyncio.sleep(0.02)
    for name, charger in made.chargers.items():
        charger.evses[1].plug(Car(60, 0.5, 32), f"TAG-{name}")
    while any(one.evses[1].offered_a < 6 for one in made.chargers.values()):
        for one in made.chargers.values():
            one.evses[1].step(clock.now(), 0.05)
        await asyncio.sleep(0.05)
