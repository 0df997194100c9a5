"""200 chargers in session, their CSMS away for 10 minutes, a proxy that is killed twice meanwhile; in virtual time."""

import asyncio
import itertools
import logging
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import structlog
from proxy_world import Notebook, charger_named

from domain.events import Event, StartInDoubt
from proxy.places import ChargerPlace
from proxy.protocol.replay import PROVISIONAL_FROM
from proxy.server import ProxyServer
from proxy.settings import ProxySettings
from proxy.spool import InlineSpool
from simulators import virtual_time
from simulators.charge_point import SimulatedChargePoint
from simulators.csms import SimulatedCsms
from simulators.network import MemoryNetwork
from simulators.processes import VirtualProcess
from simulators.transaction_judge import judged

CHARGERS = 200
STEP_S = 20.0
CSMS_PORT, OCPP_PORT = 9100, 9000


class Fan:
    """A load that takes what it is offered."""

    wants = True

    def step(self, offered_a: float, dt_s: float, conductors: int, voltage_v: float) -> float:
        return offered_a if offered_a >= 6.0 else 0.0


class Fleet:
    """The chargers, their CSMS and a proxy between them that lives several lives on one spool."""

    def __init__(self, *, recognises_repeats: bool) -> None:
        self.clock, self.network, self.spool = (
            virtual_time.VirtualClock(),
            MemoryNetwork(gives_up_s=60.0),
            InlineSpool(),
        )
        self.csms = SimulatedCsms(self.network, self.clock, port=CSMS_PORT)
        self.csms.ledger.recognises_repeats = recognises_repeats
        self.events: list[Event] = []
        self.lives: list[VirtualProcess] = []
        self.proxy: ProxyServer
        self.remains: list[ProxyServer] = []  # held for ever, so that a killed one's tasks disturb nobody
        self._recognises_repeats = recognises_repeats
        self._ids = itertools.count(1)
        names = [f"CP{number:03}" for number in range(CHARGERS)]
        url = f"ws://127.0.0.1:{CSMS_PORT}/ocpp"
        self.places = {
            name: ChargerPlace(charger_named(name), url, "hold", recognises_repeats=recognises_repeats)
            for name in names
        }
        self.chargers = [
            SimulatedChargePoint(
                name,
                "ocpp1.6" if number % 4 else "ocpp2.0.1",
                f"ws://127.0.0.1:{OCPP_PORT}/ocpp",
                network=self.network,
                clock=self.clock,
                password="secret-of-" + name,
                meter_interval_s=60,
                validate=0.02,
            )
            for number, name in enumerate(names)
        ]
        for charger in self.chargers:
            charger.outbox.attempts, charger.outbox.interval_s = 10_000, 10.0

    def start_proxy(self) -> None:
        life = VirtualProcess(f"proxy {len(self.lives) + 1}")
        self.lives.append(life)
        life.start(self._live())

    async def _live(self) -> None:
        self.proxy = ProxyServer(
            network=self.network,
            clock=self.clock,
            directory=self.places.get,
            publish=self.events.append,
            desk=lambda _, __: Notebook(),
            settings=ProxySettings(),
            new_id=lambda: f"own-{next(self._ids)}",
            spool=self.spool,
        )
        self.remains.append(self.proxy)
        await self.proxy.listen("127.0.0.1", OCPP_PORT)

    async def proxy_dies(self, *, silently: bool) -> None:
        self.lives[-1].kill(silently=silently)
        await self.clock.sleep(7.0)
        self.start_proxy()

    async def let_pass(self, seconds: float) -> None:
        for _ in range(int(seconds / STEP_S)):
            await self.clock.sleep(STEP_S)
            for charger in self.chargers:
                charger.evses[1].step(self.clock.now(), STEP_S)

    def cars(self, chargers: slice, *, come: bool) -> None:
        for number, charger in list(enumerate(self.chargers))[chargers]:
            if come:
                charger.evses[1].plug(Fan(), f"TAG{number}")
            else:
                charger.evses[1].unplug()

    async def play(self) -> None:
        """Sessions begin, run and end before, during and after the outage; some are just beginning when it begins."""
        await self.csms.start()
        self.start_proxy()
        async with asyncio.TaskGroup() as group:
            running = [group.create_task(charger.run()) for charger in self.chargers]
            await self.let_pass(60)
            self.cars(slice(0, 200), come=True)
            await self.let_pass(180)
            assert len(self.csms.ledger.running()) == CHARGERS
            self.cars(slice(0, 40), come=False)
            await self.let_pass(60)
            self.csms.loses_replies_to = frozenset({"StartTransaction"})  # it books what begins now, and falls
            self.cars(slice(0, 40), come=True)
            await self.clock.sleep(1.37)
            self.csms.stop(crash=True)
            self.csms.loses_replies_to = frozenset()
            await self.let_pass(200)
            self.cars(slice(20, 80), come=False)
            await self.let_pass(20)
            await self.proxy_dies(silently=False)
            await self.let_pass(100)
            self.cars(slice(20, 50), come=True)
            await self.let_pass(100)
            await self.proxy_dies(silently=True)
            await self.let_pass(160)
            self.csms.loses_replies_to = frozenset({"StartTransaction"})  # and again, as soon as it is back
            await self.csms.start()
            await self.clock.sleep(10.37)
            self.csms.stop(crash=True)
            self.csms.loses_replies_to = frozenset()
            await self.let_pass(20)
            await self.csms.start()
            await self.let_pass(180)
            self.cars(slice(0, 200, 3), come=False)
            await self.let_pass(240)
            self.doubts = await self.proxy.office.doubts()
            self.lives[-1].kill()
            await self.clock.sleep(0.37)
            for task in running:
                task.cancel()


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.configure(**before)


def played(*, recognises_repeats: bool) -> Fleet:
    async def main() -> Fleet:
        fleet = Fleet(recognises_repeats=recognises_repeats)
        try:
            await fleet.play()
        finally:
            for life in fleet.lives:
                life.bury()
        return fleet

    return virtual_time.run(main, start=datetime(2026, 3, 3, 1, 0, tzinfo=UTC))


def test_a_csms_that_recognises_repeats_holds_each_transaction_once():
    fleet = played(recognises_repeats=True)
    books = judged(fleet.chargers, fleet.csms.ledger)
    assert books.clean, (books.lost[:3], books.doubled[:3], books.wrong[:3])
    assert books.transactions == CHARGERS + 40 + 30
    assert not [entry for entry in fleet.csms.ledger.entries.values() if entry.missing_seq_nos]
    booked = {(entry.identity, entry.transaction_id): entry.energy_wh for entry in fleet.csms.ledger.running()}
    for charger in fleet.chargers:
        if (here := charger.evses[1].transaction) is not None:
            # What is booked of a session that goes on is the newest sample: at most a minute old.
            ((told, wh),) = [(told, wh) for (name, told), wh in booked.items() if name == charger.identity]
            assert int(told) < PROVISIONAL_FROM if charger.version == "ocpp1.6" else told
            assert 0 <= charger.evses[1].register_wh - wh <= 16 * 240 / 60 * 3, (charger.identity, here)
    assert not [found for charger in fleet.chargers for found in charger.watch.violations]
    assert not fleet.csms.violations


def test_the_starts_in_doubt_are_all_that_another_csms_may_hold_twice_or_not_at_all():
    fleet = played(recognises_repeats=False)
    ledger = fleet.csms.ledger
    starts = Counter(
        (entry.identity, entry.connector, entry.id_tag, entry.started_at) for entry in ledger.entries.values()
    )
    listed = {(doubt.charger, doubt.connector, doubt.id_tag, doubt.started_at) for doubt in fleet.doubts}
    doubled = {key for key, count in starts.items() if count > 1}
    assert doubled
    assert doubled <= listed
    assert max(starts.values()) == 2
    books = judged(fleet.chargers, ledger)
    given_up = {doubt.charger for doubt in fleet.doubts if doubt.real is None}
    assert given_up
    assert {text.split(",")[0] for text in books.lost} <= given_up
    assert not books.wrong
    assert {event.charger for event in fleet.events if isinstance(event, StartInDoubt)} == {key[0] for key in listed}
