"""A whole service with a simulated charger at its other end, in memory and in real time; and clients of its API."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx

from domain.events import FeederMetered
from domain.metering import MeterReading
from domain.site import Phase, Site
from headroom.access.oidc import OidcSettings
from headroom.access.options import AccessOptions, Mode
from headroom.access.roles import Role
from headroom.access.tokens import new_token
from headroom.api.app import create_app
from headroom.api.authority import Authority
from headroom.api.guard import authority_of
from headroom.bootstrap import Outside, build
from headroom.clock import WallClock, monotonic_s
from headroom.decider import InlineDecider
from headroom.service import Service
from inventory import access
from inventory.site_file import parse_site
from inventory.store import InlineStore
from simulators.car import Car
from simulators.charge_point import SimulatedChargePoint
from simulators.csms import SimulatedCsms
from simulators.demo_site import demo_site
from simulators.evse import EvseSpec
from simulators.network import MemoryNetwork

BASE = "http://localhost"


class House:
    """A service with one charger that charges. `client` is whoever comes without a token."""

    def __init__(self, service: Service, authority: Authority, site: Site) -> None:
        self.service, self.authority, self.site = service, authority, site
        self.app = create_app(service, authority)
        self.client = self.caller()

    @property
    def controller(self) -> Any:
        return self.service.controllers[self.site.id]

    def caller(self, token: str | None = None) -> httpx.AsyncClient:
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url=BASE, headers=headers)

    async def with_role(
        self, role: Role, *, sites: Sequence[str] | None = None, evses: Sequence[str] | None = None
    ) -> httpx.AsyncClient:
        text, row = new_token(role, f"a {role}", self.service.clock.now(), sites=sites, evses=evses)
        await self.authority.book.change(lambda conn: access.add_token(conn, row))
        return self.caller(text)

    async def get(self, path: str, client: httpx.AsyncClient | None = None) -> dict[str, Any]:
        answer = await (client or self.client).get(f"/api/v1{path}")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def read_meters(self, amps: float) -> None:
        now = self.service.clock.now()
        for meter in self.site.meters:
            reading = MeterReading(meter.id, now, dict.fromkeys(Phase, amps))
            self.service.bus.publish(FeederMetered(now, reading))

    async def decided(self) -> None:
        """Decide, and return after it."""
        before = self.controller.statistics.decisions
        self.controller.trigger("test")
        async with asyncio.timeout(10):
            while self.controller.statistics.decisions == before:
                await asyncio.sleep(0.02)


@asynccontextmanager
async def a_house(
    *,
    mode: Mode = "open",
    oidc: OidcSettings | None = None,
    store: InlineStore | None = None,
    mono: Callable[[], float] = monotonic_s,
) -> AsyncIterator[House]:
    """A running house; its first EVSE charges. `mono`: the seconds by which it says who asks too often."""
    clock, network = WallClock(), MemoryNetwork()
    csms = SimulatedCsms(network, clock, port=9100)
    await csms.start()
    site = parse_site(demo_site(2, csms_url=csms.url), "demo")
    site = replace(site, scheduler=replace(site.scheduler, min_on_s=1))
    store = store or InlineStore(interval_s=0.05)
    outside = Outside(clock, network, store, monotonic_s, lambda: str(uuid.uuid4()))
    service = await build([site], {site.id: InlineDecider(site)}, outside)
    authority = authority_of(service, AccessOptions(mode, oidc), mono)
    service.ports["ocpp_port"] = await service.proxy.listen("127.0.0.1", 9000)
    charger = SimulatedChargePoint(
        "CP001",
        "ocpp1.6",
        "ws://127.0.0.1:9000/ocpp",
        network=network,
        clock=clock,
        evses=[EvseSpec(connector=1)],
        meter_interval_s=1,
        validate=True,
    )
    made = House(service, authority, site)
    async with made.client, asyncio.TaskGroup() as group:
        parts = (charger.run(), service.controllers[site.id].run(), service.store.run())
        running = [group.create_task(part) for part in parts]
        made.read_meters(5.0)
        async with asyncio.timeout(20):
            while not charger.online:
                await asyncio.sleep(0.02)
            charger.evses[1].plug(Car(60, 0.5, 32), "TAG1")
            while charger.evses[1].offered_a < 6:
                charger.evses[1].step(clock.now(), 0.05)
                await asyncio.sleep(0.05)
        yield made
        for task in running:
            task.cancel()
    await service.proxy.close(1.0)


def path_of(template: str, values: Mapping[str, str]) -> str:
    """A path template with its parameters filled in."""
    for name, value in values.items():
        template = template.replace(f"{{{name}}}", value)
    assert "{" not in template, template
    return template
