"""Four chargers on one panel in virtual time, the live service behind them, and one of them peculiar."""

import asyncio
import random
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from domain.events import FeederMetered
from domain.ids import ChargerId, EvseId, FeederId
from domain.setpoint import AlarmKind
from domain.site import Site
from domain.snapshot import EvseView, TemporaryLimit
from headroom import logs
from headroom.bootstrap import Outside, build
from headroom.clock import monotonic_s
from headroom.control_loop import SiteController
from headroom.decider import InlineDecider
from headroom.service import Service
from headroom.twin import Surroundings, Twin
from inventory.site_file import parse_site
from inventory.store import InlineStore
from proxy.spool import InlineSpool
from simulators import virtual_time
from simulators.arrivals import Arrival
from simulators.behaviour import Behaviour
from simulators.car_models import CAR_MODELS
from simulators.network import MemoryNetwork
from simulators.world import World

START = datetime(2026, 3, 2, 12, tzinfo=UTC)
NIRO = CAR_MODELS[2]
"""It takes 32 A."""
MAIN = FeederId("main")


def site(chargers: int = 4, rating_a: float = 140.0, usable: float = 0.7) -> Site:
    """One metered panel; all EVSEs on the same two legs, together able to draw more than it may carry."""
    lines = [
        "site: quay",
        "timezone: UTC",
        'csms: {url: "ws://127.0.0.1:9100/ocpp"}',
        "scheduler: {kind: round_robin, quantum_s: 3600, min_on_s: 60}",
        "feeders:",
        f"  - {{id: main, rating_a: {rating_a}, usable: {usable}, meter: m, base_load_max_a: {{A: 4, B: 4, C: 4}}}}",
        "chargers:",
    ]
    for number in range(1, chargers + 1):
        lines += [
            f"  - id: CP{number}",
            f"    evses: [{{id: E{number}, connector: 1, feeder: main, phases: [A, B], failsafe_proven: true}}]",
        ]
    return parse_site("\n".join([*lines, "meters: [{id: m}]", ""]), "quay.yaml")


@dataclass
class Quay:
    """What a test looks at."""

    site: Site
    service: Service
    twin: Twin
    world: World
    alarms: set[tuple[AlarmKind, str]] = field(default_factory=set)

    @property
    def controller(self) -> SiteController:
        return self.service.controllers[self.site.id]

    def now(self) -> datetime:
        return self.service.clock.now()

    def view(self, evse: str) -> EvseView:
        return self.controller.picture.view(EvseId(evse), self.now())

    def energy_kwh(self, number: int) -> float:
        return self.twin.chargers[ChargerId(f"CP{number}")].evses[1].register_wh / 1000

    async def pass_s(self, seconds: float) -> None:
        """Let time pass, and note every alarm that stands meanwhile."""
        ends_at = self.now() + timedelta(seconds=seconds)
        while self.now() < ends_at:
            await self.service.clock.sleep(5.0)
            if self.controller.latest is not None:
                self.alarms |= {(one.kind, one.subject) for one in self.controller.latest.alarms}

    def limit(self, amps: float, seconds: float) -> None:
        """Somebody limits the panel for a while."""
        now = self.now()
        until = now + timedelta(seconds=seconds)
        limit = TemporaryLimit(f"l{now}", MAIN, amps, now, until, "test")
        self.service.store.put(*self.controller.picture.live.put_limit(limit))
        self.controller.trigger("a limit")


def live(
    behaviours: dict[int, Behaviour],
    script: Callable[[Quay], Awaitable[None]],
    *,
    arrivals: bool = True,
    **options: object,
) -> Quay:
    """Run the site with these peculiar chargers (by number) until the script ends."""

    async def main() -> Quay:
        return await _live(site(**options), behaviours, script, arrivals)  # type: ignore[arg-type]

    return virtual_time.run(main, start=START)


async def _live(
    where: Site, behaviours: dict[int, Behaviour], script: Callable[[Quay], Awaitable[None]], arrivals: bool
) -> Quay:
    clock, network, source = virtual_time.VirtualClock(), MemoryNetwork(), random.Random(1)
    logs.configure("critical", clock)
    twin = Twin(where, Surroundings(clock, network, validate=1.0), csms=("127.0.0.1", 9100))
    await twin.csms.start()
    store = InlineStore()
    new_id = lambda: str(uuid.UUID(int=source.getrandbits(128), version=4))  # noqa: E731 - a name for a port
    outside = Outside(clock, network, store, monotonic_s, new_id, spool=InlineSpool())
    service = await build([where], {where.id: InlineDecider(where)}, outside)
    port = await service.proxy.listen("127.0.0.1", 9000)
    characters = {ChargerId(f"CP{number}"): one for number, one in behaviours.items()}
    twin.charge_points(f"ws://127.0.0.1:{port}/ocpp", characters)
    cars = [_car(evse.id, clock.now() + timedelta(seconds=60 + 20 * n)) for n, evse in enumerate(where.evses)]
    tell = lambda reading: service.bus.publish(FeederMetered(clock.now(), reading))  # noqa: E731 - a name for a port
    world = twin.open_world(cars if arrivals else [], tell)
    quay = Quay(where, service, twin, world)
    async with asyncio.TaskGroup() as group:
        parts = (twin.run_chargers(), world.run(), store.run(), quay.controller.run())
        running = [group.create_task(part) for part in parts]
        await script(quay)
        for task in running:
            task.cancel()
    await service.proxy.close(1.0)
    return quay


def _car(evse: EvseId, at: datetime) -> Arrival:
    """A large, empty battery that stays all day."""
    return Arrival(evse, at, at + timedelta(hours=12), 90_000.0, NIRO, 120.0, 0.05, f"TAG-{evse}")
