"""What stays of a site's stream in Redis, and that whoever reads it afterwards knows as much as before."""

import asyncio
from pathlib import Path

from fleet_world import a_fleet, a_site, a_town, until

from domain.events import ChargerBooted, Event, SessionStarted
from domain.ids import ChargerId, SiteId
from headroom.clock import WallClock
from headroom.fleet.codec import Told, encode
from headroom.fleet.connection import Fleet
from headroom.fleet.reading import BEGINNING, ReadingCounts, StreamReader

SITE = a_site().id
CHARGER = ChargerId("CP001")
LONG_AGO_S, LATELY_S = 1000.0, 100.0


def boot() -> ChargerBooted:
    return ChargerBooted(CHARGER, WallClock().now(), "vendor", "model", "1", accepted=True)


async def redis_ms(fleet: Fleet) -> int:
    seconds, _ = await fleet.client.time()
    return 1000 * int(seconds)


async def fill(fleet: Fleet, *ages_s: float, first: Event | None = None) -> list[str]:
    """Entries of a worker that is gone, so many seconds old; their ids."""
    now_ms, ids = await redis_ms(fleet), []
    async with fleet.client.pipeline(transaction=False) as pipe:
        for number, age_s in enumerate(sorted(ages_s, reverse=True), start=1):
            event = first if first is not None and number == 1 else boot()
            ids.append(f"{now_ms - round(1000 * age_s)}-{number}")
            fields = encode(Told(event, "w0", number), fleet.boot)
            pipe.xadd(fleet.keys.events(SITE), fields, id=ids[-1])  # type: ignore[arg-type]
        await pipe.execute()
    return ids


async def ids_of(fleet: Fleet, site: SiteId = SITE) -> list[str]:
    return [entry_id.decode() for entry_id, _ in await fleet.client.xrange(fleet.keys.events(site))]


async def read_to_the_end(fleet: Fleet, position: str = BEGINNING) -> StreamReader:
    reader = StreamReader(fleet, SITE, position, ReadingCounts())
    async for _ in reader.rest():
        pass
    return reader


async def test_what_the_database_has_for_long_goes_and_the_rest_stays() -> None:
    async with a_fleet() as fleet:
        ids = await fill(fleet, *[LONG_AGO_S] * 2000, *[LATELY_S] * 500)
        reader = await read_to_the_end(fleet)
        await reader.trim(ids[-1])
        left = await ids_of(fleet)
        assert left[-500:] == ids[-500:]
        assert len(left) < 700  # whole nodes go, of about a hundred entries each
        assert not await reader.look_back()


async def test_what_is_not_durable_stays_however_old() -> None:
    async with a_fleet() as fleet:
        ids = await fill(fleet, *[LONG_AGO_S] * 2000, *[LATELY_S] * 500)
        reader = await read_to_the_end(fleet)
        await reader.trim(ids[0])
        assert await ids_of(fleet) == ids


async def test_a_stream_that_began_anew_is_not_trimmed_to_the_old_one_s_end() -> None:
    """Redis was lost, and its clock is behind: the database's position is later than everything that was told since."""
    async with a_fleet() as fleet:
        ids = await fill(fleet, *[LONG_AGO_S] * 500)
        reader = StreamReader(fleet, SITE, f"{await redis_ms(fleet)}-0", ReadingCounts())
        durable = reader.position
        assert await reader.look_back()
        await reader.trim(durable)
        assert await ids_of(fleet) == ids


async def test_a_successor_and_a_worker_know_what_was_trimmed(tmp_path: Path) -> None:
    """A session that began long ago: its start is in the database, and no longer in Redis."""
    async with a_town(tmp_path) as town:
        fleet = town.fleet()
        started = SessionStarted(CHARGER, 1, town.clock.now(), "t1", "tag", 100.0)
        ids = await fill(fleet, *[LONG_AGO_S] * 1000, first=started)
        _, wires = await town.worker("w1")
        await wires.connect("CP002")
        first, second = await town.controllers("c1"), await town.controllers("c2")
        town.start(first.run)
        async with asyncio.timeout(20.0):
            while ids[0] in await ids_of(fleet):
                await asyncio.sleep(0.05)
        town.start(second.run)
        await first.hand_over(5.0)
        await until(lambda: SITE in second.controllers)
        assert second.controllers[SITE].picture.transactions(CHARGER) == {1: "t1"}
        await wires.connect(CHARGER)
        assert wires.worker.lore.transactions(CHARGER) == {1: "t1"}
        await until(lambda: wires.applied)
