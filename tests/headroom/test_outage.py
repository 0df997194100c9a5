"""An outage with the real service: killed with -9 twice meanwhile, it tells the CSMS of every transaction once."""

import asyncio
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from headroom.clock import FastClock
from headroom.demo_link import ReadingPusher
from headroom.service_child import ChildOptions, ServiceChild
from headroom.twin import Surroundings, Twin
from inventory.site_file import parse_site
from proxy.network import LoopNetwork
from simulators.arrivals import demo_arrivals
from simulators.demo_site import demo_site
from simulators.transaction_judge import Books, judged

SPEED = 40.0
CHARGERS = 6


def kept(spool: Path) -> int:
    """How many messages wait for the CSMS, as another process sees it."""
    with closing(sqlite3.connect(f"file:{spool}?mode=ro", uri=True, timeout=10)) as connection:
        return connection.execute("SELECT count(*) FROM entry WHERE state = 'pending'").fetchone()[0]


async def until_all_is_told(twin: Twin, spool: Path) -> Books:
    """The books, once nothing waits any more: neither on our disk nor in a charger."""
    async with asyncio.timeout(90):
        while True:
            await asyncio.sleep(0.5)
            waits = kept(spool) + sum(len(charger.outbox) for charger in twin.chargers.values())
            if waits == 0 and (books := judged(twin.chargers.values(), twin.csms.ledger)).clean:
                return books


async def test_kill_9_during_an_outage_loses_and_doubles_nothing(tmp_path: Path) -> None:
    clock = FastClock.starting(SPEED, datetime(2026, 3, 3, 1, 0, tzinfo=UTC))
    site = parse_site(demo_site(CHARGERS), "demo")
    twin = Twin(site, Surroundings(clock, LoopNetwork(), validate=1.0), csms=("127.0.0.1", 0))
    await twin.csms.start()
    file, spool = tmp_path / "site.yaml", tmp_path / "outage.spool.db"
    file.write_text(demo_site(CHARGERS, csms_url=twin.csms.url).replace("outage: close", "outage: hold"))
    child = ServiceChild(ChildOptions(file, tmp_path / "outage.db", str(clock), tmp_path / "service.log"))
    await child.start()
    pusher = ReadingPusher(f"http://127.0.0.1:{child.api_port}/api/v1")
    for charger in twin.charge_points(f"ws://127.0.0.1:{child.ocpp_port}/ocpp"):
        charger.outbox.attempts = 10_000  # a charger may give a message up; that would hide what we lose
    deaths: list[int] = []
    try:
        async with asyncio.TaskGroup() as group:
            parts = [twin.run_chargers(), pusher.run(), child.keep_alive(deaths.append)]
            running = [group.create_task(part) for part in parts]
            await asyncio.wait_for(twin.connected(), 60)
            world = twin.open_world(demo_arrivals(site, clock.now(), 6), pusher.put)
            running.append(group.create_task(world.run()))
            async with asyncio.timeout(60):
                while len(twin.csms.ledger.running()) < 3:
                    await asyncio.sleep(0.1)
            twin.csms.stop(crash=True)
            for _ in range(2):
                had = kept(spool)
                async with asyncio.timeout(60):
                    while kept(spool) < had + 10:
                        await asyncio.sleep(0.02)
                child.kill()
            async with asyncio.timeout(60):
                while child.starts < 3 or not all(c.online for c in twin.chargers.values()):
                    await asyncio.sleep(0.1)
            waited = kept(spool)
            await twin.csms.start()
            books = await until_all_is_told(twin, spool)
            for task in running:
                task.cancel()
    finally:
        await child.stop()
        twin.csms.stop()
    assert deaths == [-9, -9]
    assert waited >= 20
    assert books.transactions >= 3
    assert not twin.violations
    report = twin.report()
    assert report["overload_seconds"] == 0
    assert report["breaker_trips"] == 0
