"""Redis slow, gone, or back and empty: chargers are let in, events wait in order, and everything is known again."""

import contextlib
import subprocess
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import needs
import pytest
from databases import new_database
from fleet_world import Town, a_site, until

from domain.events import ChargerConnected, EvseMetered, EvseStatusChanged, SessionEnded, SessionStarted
from domain.ids import ChargerId, SiteId
from domain.metering import EvseSample
from domain.session import EvseState
from headroom.fleet.codec import Told
from headroom.fleet.connection import Fleet
from headroom.fleet.drill_fleet import free_port
from headroom.fleet.lease import LEASE_S
from headroom.fleet.outbox import Outbox
from headroom.fleet.recap import Recap

NOW = datetime(2026, 3, 3, tzinfo=UTC)
SITE, CHARGER = SiteId("cedar"), ChargerId("CP001")


class OwnRedis:
    """A server that a test starts and kills; it keeps nothing."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        self._program, self._folder = needs.program("redis-server", "apt-get install redis-server"), folder
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        options = ("--save", "", "--appendonly", "no", "--dir", str(self._folder))
        command = [self._program, "--port", str(self.port), *options]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL)

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[OwnRedis]:
    one = OwnRedis(tmp_path)
    one.start()
    yield one
    one.kill()


@contextlib.asynccontextmanager
async def nowhere() -> AsyncIterator[Fleet]:
    fleet = Fleet.at(f"redis://127.0.0.1:{free_port()}/0", "nobody", "here")
    yield fleet
    await fleet.close()


def metered(number: int) -> Told:
    return Told(EvseMetered(CHARGER, 1, NOW, EvseSample(NOW, NOW, float(number))), "w", number)


def status(number: int) -> Told:
    return Told(EvseStatusChanged(CHARGER, number, NOW, EvseState.CHARGING), "w", number)


async def test_events_wait_within_bounds_and_samples_go_first() -> None:
    async with nowhere() as fleet:
        outbox = Outbox(fleet, capacity=100)
        for number in range(60):
            outbox.put(SITE, metered(2 * number))
            outbox.put(SITE, status(2 * number + 1))
        assert len(outbox) <= 100
        kept = [told for _, told in outbox._waiting]
        assert [told for told in kept if told in [status(2 * n + 1) for n in range(60)]] == [
            status(2 * n + 1) for n in range(60)
        ]
        assert outbox.counts.dropped == 120 - len(outbox)
        numbers = [told.number for told in kept]
        assert numbers == sorted(numbers)
        outbox.reaches = False
        assert outbox.lost() == set()
        outbox.reaches = True
        assert outbox.lost() == {SITE}
        assert outbox.lost() == set()


async def test_with_nothing_but_weighty_events_the_oldest_go() -> None:
    async with nowhere() as fleet:
        outbox = Outbox(fleet, capacity=10)
        for number in range(25):
            outbox.put(SITE, status(number))
        assert [told.number for _, told in outbox._waiting] == list(range(15, 25))
        assert outbox.counts.dropped == 15


def test_what_is_told_again_begins_nothing_that_has_ended() -> None:
    recap = Recap()
    sample = EvseSample(NOW, NOW, 6.0)
    connected = ChargerConnected(CHARGER, NOW, "ocpp1.6")
    recap.note(connected)
    recap.note(SessionStarted(CHARGER, 1, NOW, "t1"))
    recap.note(EvseMetered(CHARGER, 1, NOW, sample, "t1"))
    ended = SessionEnded(CHARGER, 1, NOW, "t1")
    recap.note(ended)
    assert recap.of(CHARGER) == (connected, ended)
    begun = SessionStarted(CHARGER, 1, NOW, "t2")
    recap.note(begun)
    recap.note(EvseStatusChanged(CHARGER, 1, NOW, EvseState.PREPARING))
    charging = EvseStatusChanged(CHARGER, 1, NOW, EvseState.CHARGING)
    recap.note(charging)
    assert recap.of(CHARGER) == (connected, ended, begun, charging)


async def test_a_redis_that_is_killed_and_comes_back_empty(server: OwnRedis, tmp_path: Path) -> None:
    with new_database("postgresql", tmp_path) as database:
        town = Town(server.url, "own", database, a_site())
        try:
            worker, wires = await town.worker("w1")
            controllers = await town.controllers("c1")
            town.start(controllers.run)
            await wires.connect("CP001")
            await until(lambda: wires.applied)
            server.kill()
            # A transaction begins meanwhile, and another charger comes.
            worker.publish(SessionStarted(CHARGER, 1, town.clock.now(), "t1", "tag", 100.0))
            await wires.connect("CP002")
            await until(lambda: not worker.outbox.reaches and town.site.id not in controllers.controllers)
            server.start()
            await until(lambda: town.site.id in controllers.controllers, 10 * LEASE_S)
            picture = controllers.controllers[town.site.id].picture
            await until(lambda: picture.linked("e1") and picture.linked("e2"), 10 * LEASE_S)
            await until(lambda: picture.transactions(CHARGER) == {1: "t1"})
            await until(lambda: {one.evse for one in wires.applied} == {"e1", "e2"})
        finally:
            await town.close()
