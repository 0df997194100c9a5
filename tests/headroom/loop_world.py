"""A control loop with a scripted decider, a store and a clock that tests can hold."""

import asyncio
import uuid
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from domain.commands import ApplySetpoint, Command
from domain.errors import StorageError
from domain.events import ChargerConnected, FeederMetered, SessionStarted, SetpointAccepted
from domain.ids import EvseId
from domain.metering import MeterReading
from domain.rotation import RotationState
from domain.setpoint import Decision, Reason, ReasonKind, Rung, Setpoint
from domain.site import Phase, Site
from forecasting.persistence import Persistence
from headroom.control_loop import SiteController, Surroundings
from headroom.feed import Feed
from headroom.question import Question
from headroom.site_picture import SitePicture
from inventory.live import LiveState
from inventory.repository import save_site
from inventory.site_file import parse_site
from inventory.store import InlineStore
from simulators import virtual_time
from simulators.demo_site import demo_site

START = datetime(2026, 3, 1, 17, 0, tzinfo=UTC)


SITE = parse_site(demo_site(4), "demo")


IDS = [evse.id for evse in SITE.evses]


@dataclass
class Scripted:
    """A decider that says what the test wants, and notes what it was asked."""

    limits_a: Mapping[EvseId, float]
    thinks_s: float = 0.0
    triggers: list[str] = field(default_factory=list)
    faults: int = 0

    async def decide(self, question: Question) -> Decision:
        self.triggers.append(question.trigger)
        if self.faults:
            self.faults -= 1
            raise ZeroDivisionError("a fault of ours")
        if self.thinks_s:
            await asyncio.sleep(self.thinks_s)
        points = tuple(Setpoint(e, self.limits_a[e], self.limits_a[e], Reason(ReasonKind.GRANTED)) for e in IDS)
        return Decision(
            question.decision,
            question.snapshot.at,
            question.trigger,
            points,
            Rung.STRATEGY,
            "",
            "test",
            RotationState(),
        )


class Ledgered(InlineStore):
    """A store that notes when it was flushed, beside the commands, and that can refuse to be durable."""

    def __init__(self, log: list[object]) -> None:
        super().__init__()
        self.log, self.broken = log, False
        self.moving = asyncio.Event()
        self.moving.set()

    async def flush(self, about: Collection[type] | None = None) -> None:
        await self.moving.wait()
        if self.broken:
            raise StorageError("the disk is full")
        await super().flush(about)
        self.log.append("flushed")


class Adjustable(virtual_time.VirtualClock):
    """A clock that somebody sets back."""

    behind = timedelta()

    def now(self) -> datetime:
        return super().now() - self.behind


class Loop:
    """A control loop with everything around it in the test's hand."""

    def __init__(self, decider: Scripted, site: Site = SITE) -> None:
        clock = Adjustable()
        self.log: list[object] = []
        self.clock, self.store = clock, Ledgered(self.log)
        picture = SitePicture(LiveState(site), Persistence(), clock.now())

        def send(command: Command) -> None:
            self.log.append(command)

        around = Surroundings(
            clock=clock,
            mono=asyncio.get_running_loop().time,
            store=self.store,
            decider=decider,
            send=send,
            feed=Feed(),
            new_id=lambda: str(uuid.uuid4()),
        )
        self.controller = SiteController(picture, around)

    async def open(self) -> None:
        await self.store.transact(lambda conn: save_site(conn, SITE, START))
        for charger in SITE.chargers:
            self.controller.handle(ChargerConnected(charger.id, self.clock.now(), "ocpp1.6"))

    def commands(self) -> list[ApplySetpoint]:
        return [entry for entry in self.log if isinstance(entry, ApplySetpoint)]

    def accept_all(self) -> None:
        for command in self.commands():
            self.controller.handle(SetpointAccepted(command.evse, self.clock.now(), command.limit_a, command.decision))

    def metered(self, amps: float) -> None:
        for meter in SITE.meters:
            reading = MeterReading(meter.id, self.clock.now(), dict.fromkeys(Phase, amps))
            self.controller.handle(FeederMetered(self.clock.now(), reading))

    async def settled_at(self, amps: float) -> None:
        """All EVSEs in a session, at so many amperes that they acknowledged and obey."""
        for number, charger in enumerate(SITE.chargers):
            self.controller.handle(SessionStarted(charger.id, 1, self.clock.now(), f"t{number}"))
        self.metered(10.0)
        await self.live(1)
        assert {command.limit_a for command in self.commands()} == {amps}
        self.accept_all()
        await self.live(40)
        self.metered(10.0)
        await self.live(1)
        self.log.clear()

    async def live(self, seconds: float) -> None:
        task = asyncio.get_running_loop().create_task(self.controller.run())
        await asyncio.sleep(seconds)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
