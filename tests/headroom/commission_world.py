"""A live service in virtual time, chargers of some character, and hands that do what an installer is asked to."""

import asyncio
import random
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import httpx

from domain.events import FeederMetered
from domain.ids import ChargerId
from domain.site import Site
from headroom import logs
from headroom.access.options import AccessOptions
from headroom.access.roles import Role
from headroom.access.tokens import new_token
from headroom.api.app import create_app
from headroom.api.guard import authority_of
from headroom.bootstrap import Outside, build
from headroom.clock import monotonic_s
from headroom.commissioning.record import Record, Step
from headroom.commissioning.site_api import SiteApi
from headroom.commissioning.visit import Visit, terms_of
from headroom.commissioning.watching import Pace
from headroom.decider import InlineDecider
from headroom.service import Service
from headroom.twin import Surroundings, Twin
from inventory import access
from inventory.site_file import parse_site
from inventory.store import InlineStore
from proxy.spool import InlineSpool
from simulators import virtual_time
from simulators.arrivals import Arrival
from simulators.behaviour import Behaviour
from simulators.car_models import CAR_MODELS
from simulators.charge_point import SimulatedChargePoint
from simulators.network import MemoryNetwork

START = datetime(2026, 3, 2, 12, tzinfo=UTC)
NIRO = CAR_MODELS[2]
"""It takes 32 A."""


def site_text(evses: int = 4, rating_a: float = 400.0, failsafe_a: float = 6.0) -> str:
    """A site file whose fall-backs nobody has shown yet: one metered panel with room for everything."""
    lines = [
        "site: quay",
        "timezone: UTC",
        'csms: {url: "ws://127.0.0.1:9100/ocpp"}',
        "control: {deadman_s: 30}",
        "feeders:",
        f"  - {{id: main, rating_a: {rating_a:g}, meter: m, base_load_max_a: {{A: 4, B: 4, C: 4}}}}",
        "chargers:",
    ]
    for number in range(1, evses + 1):
        lines += [
            f"  - id: CP{number}",
            "    evses:",
            f"      - {{id: E{number}, connector: 1, feeder: main, phases: [A, B], failsafe_a: {failsafe_a:g}}}",
        ]
    return "\n".join([*lines, "meters: [{id: m}]", ""])


@dataclass
class Hands:
    """An installer who does what is asked; `cannot` are questions that end in a no."""

    chargers: Mapping[str, SimulatedChargePoint]
    cannot: frozenset[str] = frozenset()
    asked: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    def tell(self, text: str) -> None:
        self.told.append(text)

    async def done(self, key: str, text: str) -> bool:
        self.asked.append(key)
        if key in self.cannot:
            return False
        evse, *_, what = key.split("/")
        charger = self.chargers[evse]
        plug = charger.evses[1]
        if what == "pull":
            charger.go_offline()
        elif what == "back":
            charger.go_online()
        elif what == "cut":
            charger.power_cycle()
            await asyncio.sleep(5.0)
            charger.begin(plug, "TAG")
        elif what == "reset":
            charger.step_clock(-56 * 365.25 * 86_400)
        elif what == "car":
            await asyncio.sleep(30.0)
            charger.begin(plug, "TAG")
        return True


@dataclass
class Place:
    """What a test needs."""

    site: Site
    service: Service
    twin: Twin
    client: httpx.AsyncClient
    hands: Hands

    async def visit(self, record: Record | None = None, pace: Pace | None = None) -> Visit:
        """A visit of an operator; `record` is that of its first part."""
        api = SiteApi(self.client, self.site.id)
        clock = self.service.clock
        kept = record or Record(self.site.id, "Ada", "http://localhost", clock.now())
        terms = terms_of(await api.terms())
        return Visit(api, self.hands, clock, kept, terms, pace or Pace(poll_s=5.0, power_watch_s=90.0))


@asynccontextmanager
async def _place(text: str, wired: Site | None, behaviours: Mapping[int, Behaviour]) -> AsyncIterator[Place]:
    clock, network, source = virtual_time.VirtualClock(), MemoryNetwork(), random.Random(1)
    logs.configure("critical", clock)
    where = parse_site(text, "quay.yaml")
    around = Surroundings(clock, network, validate=1.0, sample_interval_s=5)
    twin = Twin(where, around, csms=("127.0.0.1", 9100), wired=wired)
    await twin.csms.start()
    store = InlineStore()
    new_id = lambda: str(uuid.UUID(int=source.getrandbits(128), version=4))  # noqa: E731 - a name for a port
    outside = Outside(clock, network, store, monotonic_s, new_id, spool=InlineSpool(), keeps_messages=True)
    service = await build([where], {where.id: InlineDecider(where)}, outside)
    port = await service.proxy.listen("127.0.0.1", 9000)
    characters = {ChargerId(f"CP{number}"): one for number, one in behaviours.items()}
    twin.charge_points(f"ws://127.0.0.1:{port}/ocpp", characters)
    tell = lambda reading: service.bus.publish(FeederMetered(clock.now(), reading))  # noqa: E731 - a name for a port
    world = twin.open_world([_car(number, where, clock.now()) for number in range(len(where.evses))], tell)
    hands = Hands({evse.id: twin.chargers[evse.charger] for evse in where.evses})
    authority = authority_of(service, AccessOptions("token"), asyncio.get_running_loop().time)
    token, row = new_token(Role.OPERATOR, "Ada", clock.now())
    await store.transact(lambda conn: access.add_token(conn, row))
    transport = httpx.ASGITransport(create_app(service, authority))
    headers = {"Authorization": f"Bearer {token}"}
    assert service.messages is not None
    client = httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=headers)
    async with client, asyncio.TaskGroup() as group:
        parts = (twin.run_chargers(), world.run(), store.run(), service.messages.run())
        running = [group.create_task(part) for part in parts]
        running += [group.create_task(one.run()) for one in service.controllers.values()]
        await twin.connected()
        yield Place(where, service, twin, client, hands)
        for task in running:
            task.cancel()
    await service.proxy.close(1.0)


def _car(number: int, where: Site, now: datetime) -> Arrival:
    """A large, empty battery that stays all day."""
    at = now + timedelta(seconds=60 + 20 * number)
    evse = where.evses[number].id
    return Arrival(evse, at, at + timedelta(hours=12), 90_000.0, NIRO, 120.0, 0.05, f"TAG-{evse}")


def at_a_place(
    script: Callable[[Place], Awaitable[None]],
    behaviours: Mapping[int, Behaviour] | None = None,
    *,
    text: str | None = None,
    wired: Site | None = None,
) -> None:
    """Run a script in virtual time beside the live service."""

    async def main() -> None:
        async with _place(text or site_text(), wired, behaviours or {}) as place:
            await script(place)

    virtual_time.run(main, start=START)


def commissioned(behaviours: Mapping[int, Behaviour], **options: object) -> Record:
    """A whole visit; its record."""
    found: list[Record] = []

    async def script(place: Place) -> None:
        visit = await place.visit()
        for terms, step in visit.to_do([], []):
            await visit.carry_out(terms, Step(step))
        found.append(visit.record)

    at_a_place(script, behaviours, **options)  # type: ignore[arg-type]
    return found[0]
