"""The hub: reductions first, increases only when durable, bursts merged, limits renewed before their dead-man step."""

import asyncio
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from domain.commands import ApplySetpoint, Command
from domain.errors import StorageError
from domain.events import ChargerConnected, FeederMetered, SessionEnded, SessionStarted, SetpointAccepted
from domain.ids import ChargerId, EvseId
from domain.metering import MeterReading
from domain.rotation import RotationState
from domain.setpoint import Decision, Reason, ReasonKind, Rung, Setpoint
from domain.site import Phase, Site
from forecasting.persistence import Persistence
from headroom.control_loop import SiteController, Surroundings
from headroom.decider import Question
from headroom.feed import Feed
from headroom.site_picture import SitePicture
from inventory.live import LiveState
from inventory.records import LedgerRecord, Record
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

    async def flush(self) -> None:
        await self.moving.wait()
        if self.broken:
            raise StorageError("the disk is full")
        await super().flush()
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


def test_reductions_go_first_and_increases_only_once_they_are_durable() -> None:
    async def main() -> None:
        limits = dict.fromkeys(IDS, 6.0)
        decider = Scripted(limits)
        loop = Loop(decider)
        await loop.open()
        await loop.live(1)
        loop.accept_all()
        loop.log.clear()
        limits.update({IDS[0]: 16.0, IDS[1]: 0.0, IDS[2]: 20.0})
        loop.controller.trigger("test")
        await loop.live(1)
        sent = [(c.evse, c.urgent) if isinstance(c, ApplySetpoint) else c for c in loop.log]
        assert sent.index((IDS[1], True)) < sent.index("flushed") < sent.index((IDS[0], False))
        assert sent.index("flushed") < sent.index((IDS[2], False))
        restored = await loop.store.query(lambda conn: conn.exec_driver_sql("select count(*) from ledger").scalar())
        assert restored == len(IDS)

    virtual_time.run(main, start=START)


def test_without_a_database_nothing_rises_and_everything_may_fall() -> None:
    async def main() -> None:
        limits = dict.fromkeys(IDS, 10.0)
        loop = Loop(Scripted(limits))
        await loop.open()
        await loop.live(1)
        loop.accept_all()
        loop.log.clear()
        loop.store.broken = True
        limits.update({IDS[0]: 20.0, IDS[1]: 6.0})
        loop.controller.trigger("test")
        await loop.live(1)
        assert [(c.evse, c.limit_a) for c in loop.commands()] == [(IDS[1], 6.0)]

    virtual_time.run(main, start=START)


def test_a_burst_of_events_is_answered_by_one_decision() -> None:
    async def main() -> None:
        decider = Scripted(dict.fromkeys(IDS, 6.0), thinks_s=0.5)
        loop = Loop(decider)
        await loop.open()
        task = asyncio.get_running_loop().create_task(loop.controller.run())
        await asyncio.sleep(0.1)
        asked = len(decider.triggers)
        for number, charger in enumerate(SITE.chargers):
            loop.controller.handle(SessionStarted(charger.id, 1, loop.clock.now(), f"t{number}"))
        await asyncio.sleep(0.6)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert len(decider.triggers) == asked + 1
        assert all(charger.id in decider.triggers[-1] for charger in SITE.chargers)

    virtual_time.run(main, start=START)


def test_a_limit_above_its_fall_back_is_renewed_in_time_and_one_at_it_is_left_alone() -> None:
    async def main() -> None:
        limits = dict.fromkeys(IDS, 0.0) | {IDS[0]: 12.0}
        assert SITE.evses[0].failsafe_a < 12.0
        loop = Loop(Scripted(limits))
        await loop.open()
        await loop.live(1)
        loop.accept_all()
        loop.log.clear()
        await loop.live(SITE.control.deadman_s)
        renewed = [c.at for c in loop.commands() if c.evse == IDS[0]]
        assert len(renewed) >= 2
        apart = [(b - a).total_seconds() for a, b in pairwise(renewed)]
        assert max(apart, default=0.0) <= SITE.control.deadman_s / 2
        assert all(c.evse == IDS[0] and c.limit_a == 12.0 for c in loop.commands())

    virtual_time.run(main, start=START)


def test_a_charger_without_a_link_is_sent_nothing_and_an_unknown_one_is_nobodys_business() -> None:
    async def main() -> None:
        loop = Loop(Scripted(dict.fromkeys(IDS, 6.0)))
        await loop.store.transact(lambda conn: save_site(conn, SITE, START))
        loop.controller.handle(ChargerConnected(ChargerId("stranger"), loop.clock.now(), "ocpp1.6"))
        loop.controller.handle(ChargerConnected(SITE.chargers[1].id, loop.clock.now(), "ocpp1.6"))
        await loop.live(1)
        assert {c.charger for c in loop.commands()} == {SITE.chargers[1].id}

    virtual_time.run(main, start=START)


def test_at_the_end_every_limit_is_lowered_to_its_fall_back() -> None:
    async def main() -> None:
        loop = Loop(Scripted(dict.fromkeys(IDS, 14.0)))
        await loop.open()
        await loop.live(1)
        loop.accept_all()
        loop.log.clear()
        loop.controller.fall_back()
        assert [(c.evse, c.limit_a, c.urgent) for c in loop.commands()] == [
            (evse.id, evse.failsafe_a, True) for evse in SITE.evses
        ]

    virtual_time.run(main, start=START)


def test_the_ledger_is_durable_before_the_frame() -> None:
    """Whatever was sent as an increase stands in the database when it is sent."""

    async def main() -> None:
        loop = Loop(Scripted(dict.fromkeys(IDS, 6.0)))
        await loop.open()
        written: list[LedgerRecord] = []
        put = loop.store.put

        def noting(*records: Record) -> None:
            written.extend(record for record in records if isinstance(record, LedgerRecord))
            put(*records)

        loop.store.put = noting  # type: ignore[method-assign]
        await loop.live(1)
        sent = {command.evse: command.limit_a for command in loop.commands()}
        newest = {record.evse: record.entry.limit_a for record in written}
        assert sent == newest
        assert START + timedelta(seconds=1) >= loop.clock.now()

    virtual_time.run(main, start=START)


def test_a_slow_disk_delays_no_reduction() -> None:
    async def main() -> None:
        limits = dict.fromkeys(IDS, 6.0)
        loop = Loop(Scripted(limits))
        await loop.open()
        await loop.settled_at(6.0)
        loop.store.moving.clear()
        task = asyncio.get_running_loop().create_task(loop.controller.run())
        limits[IDS[0]] = 12.0
        loop.controller.trigger("test")
        await asyncio.sleep(0.1)
        limits[IDS[1]] = 0.0
        loop.controller.trigger("test")
        await asyncio.sleep(0.1)
        assert [(c.evse, c.limit_a) for c in loop.commands()] == [(IDS[1], 0.0)]
        loop.store.moving.set()
        await asyncio.sleep(0.1)
        assert [(c.evse, c.limit_a) for c in loop.commands()[1:]] == [(IDS[0], 12.0)]
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    virtual_time.run(main, start=START)


def test_an_increase_that_a_newer_decision_takes_back_is_not_sent_when_the_disk_is_done() -> None:
    async def main() -> None:
        limits = dict.fromkeys(IDS, 6.0)
        loop = Loop(Scripted(limits))
        await loop.open()
        await loop.settled_at(6.0)
        loop.store.moving.clear()
        task = asyncio.get_running_loop().create_task(loop.controller.run())
        for amps in (12.0, 6.0):
            limits[IDS[0]] = amps
            loop.controller.trigger("test")
            await asyncio.sleep(0.1)
        loop.store.moving.set()
        await asyncio.sleep(0.1)
        assert {(c.evse, c.limit_a) for c in loop.commands()} == {(IDS[0], 6.0)}
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    virtual_time.run(main, start=START)


def test_an_increase_that_was_never_durable_is_not_repeated_either() -> None:
    async def main() -> None:
        limits = dict.fromkeys(IDS, 6.0)
        loop = Loop(Scripted(limits))
        await loop.open()
        await loop.settled_at(6.0)
        loop.store.broken = True
        limits[IDS[0]] = 12.0
        loop.controller.trigger("test")
        await loop.live(60)
        assert not [c for c in loop.commands() if c.limit_a > 6.0]
        loop.store.broken = False
        await loop.live(20)
        assert [c.limit_a for c in loop.commands() if c.evse == IDS[0]][-1] == 12.0
        assert loop.log.index("flushed") < next(
            at for at, c in enumerate(loop.log) if isinstance(c, ApplySetpoint) and c.limit_a == 12.0
        )

    virtual_time.run(main, start=START)


def test_load_that_comes_while_a_decision_is_thought_out_stops_its_increases_alone() -> None:
    async def main() -> None:
        limits = dict.fromkeys(IDS, 6.0)
        decider = Scripted(limits)
        loop = Loop(decider)
        await loop.open()
        await loop.settled_at(6.0)
        decider.thinks_s = 0.5
        task = asyncio.get_running_loop().create_task(loop.controller.run())
        limits.update({IDS[0]: 30.0, IDS[3]: 0.0})
        loop.controller.trigger("test")
        await asyncio.sleep(0.2)
        loop.metered(150.0)
        await asyncio.sleep(0.4)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert [(c.evse, c.limit_a) for c in loop.commands()] == [(IDS[3], 0.0)]

    virtual_time.run(main, start=START)


def test_a_car_that_leaves_while_a_decision_is_thought_out_gets_no_increase() -> None:
    async def main() -> None:
        limits = dict.fromkeys(IDS, 6.0)
        decider = Scripted(limits)
        loop = Loop(decider)
        await loop.open()
        await loop.settled_at(6.0)
        decider.thinks_s = 0.5
        task = asyncio.get_running_loop().create_task(loop.controller.run())
        limits.update({IDS[0]: 12.0, IDS[1]: 12.0})
        loop.controller.trigger("test")
        await asyncio.sleep(0.2)
        loop.controller.handle(SessionEnded(SITE.chargers[0].id, 1, loop.clock.now(), "t0"))
        await asyncio.sleep(0.4)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert [(c.evse, c.limit_a) for c in loop.commands()] == [(IDS[1], 12.0)]

    virtual_time.run(main, start=START)


def test_after_the_fall_back_nothing_rises_again() -> None:
    async def main() -> None:
        limits = dict.fromkeys(IDS, 12.0)
        decider = Scripted(limits)
        loop = Loop(decider)
        await loop.open()
        await loop.settled_at(12.0)
        decider.thinks_s = 0.5
        task = asyncio.get_running_loop().create_task(loop.controller.run())
        limits[IDS[0]] = 20.0
        loop.controller.trigger("test")
        await asyncio.sleep(0.2)
        loop.controller.fall_back()
        loop.accept_all()
        await asyncio.wait_for(task, 5)
        assert [(c.evse, c.limit_a) for c in loop.commands()] == [(e.id, e.failsafe_a) for e in SITE.evses]

    virtual_time.run(main, start=START)


def test_a_fault_of_control_lowers_to_the_fall_backs_and_control_goes_on() -> None:
    async def main() -> None:
        decider = Scripted(dict.fromkeys(IDS, 12.0))
        loop = Loop(decider)
        await loop.open()
        await loop.settled_at(12.0)
        decider.faults = 2
        loop.controller.trigger("test")
        await loop.live(0.1)
        assert {(c.evse, c.limit_a) for c in loop.commands()} == {(e.id, e.failsafe_a) for e in SITE.evses}
        await loop.live(30)
        assert {c.limit_a for c in loop.commands()[len(IDS) :]} == {12.0}

    virtual_time.run(main, start=START)


def test_a_limit_below_its_fall_back_is_renewed_too_for_the_dead_man_step_would_raise_it() -> None:
    async def main() -> None:
        evses = {e.id: replace(e, failsafe_a=6.0) for e in SITE.evses}
        chargers = tuple(replace(c, evses=tuple(evses[e.id] for e in c.evses)) for c in SITE.chargers)
        loop = Loop(Scripted(dict.fromkeys(IDS, 6.0) | {IDS[0]: 0.0}), replace(SITE, chargers=chargers))
        await loop.open()
        await loop.live(1)
        loop.accept_all()
        loop.log.clear()
        await loop.live(SITE.control.deadman_s)
        assert len(loop.commands()) >= 2
        assert {(c.evse, c.limit_a) for c in loop.commands()} == {(IDS[0], 0.0)}

    virtual_time.run(main, start=START)


def test_a_clock_that_is_set_back_stops_neither_decisions_nor_renewals() -> None:
    async def main() -> None:
        decider = Scripted(dict.fromkeys(IDS, 12.0))
        loop = Loop(decider)
        await loop.open()
        await loop.settled_at(12.0)
        asked = len(decider.triggers)
        loop.clock.behind = timedelta(hours=1)
        await loop.live(2 * SITE.control.interval_s + 1)
        assert len(decider.triggers) > asked
        assert {c.evse for c in loop.commands()} == set(IDS)

    virtual_time.run(main, start=START)
