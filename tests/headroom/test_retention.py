"""What is too old is forgotten, on both databases; what is in force never is."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from databases import KINDS, new_database
from sqlalchemy import text

from domain.ids import EvseId, MeterId, SiteId
from domain.metering import MeterReading
from domain.session import Session
from domain.site import Phase
from headroom.retention import Retention
from inventory import queries
from inventory.records import ReadingRecord, SessionRecord
from inventory.repository import save_site
from inventory.site_file import parse_site
from inventory.store import AsyncStore

SITE = parse_site(
    """\
site: elm
timezone: America/Vancouver
csms: {url: "ws://127.0.0.1:9/ocpp"}
feeders: [{id: main, rating_a: 100, meter: m, base_load_max_a: {A: 1, B: 1, C: 1}}]
chargers: [{id: CP1, evses: [{id: E1, connector: 1, feeder: main, phases: [A, B, C]}]}]
""",
    "elm.yaml",
)
NOW = datetime(2027, 3, 10, 12, tzinfo=UTC)
METER, E1 = MeterId("m"), EvseId("E1")


class StillClock:
    def __init__(self) -> None:
        self.at = NOW

    def now(self) -> datetime:
        return self.at

    async def sleep(self, seconds: float) -> None:
        pass


@pytest.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Any]:
    with new_database(request.param, tmp_path) as url:
        made = await AsyncStore.open(url)
        await made.transact(lambda conn: save_site(conn, SITE, NOW))
        yield made
        await made.close()


def days(count: float) -> datetime:
    return NOW - timedelta(days=count)


def reading(ago: float) -> ReadingRecord:
    return ReadingRecord(MeterReading(METER, days(ago), {Phase.A: 1.0}))


async def kept(store: Any) -> list[float]:
    found = await store.query(lambda conn: queries.readings(conn, METER, limit=1000))
    return [(NOW - one.at) / timedelta(days=1) for one in found.items]


async def test_what_is_younger_stays_and_what_is_a_month_older_goes(store: Any) -> None:
    clock = StillClock()
    retention = Retention(store, clock, keep_days=60, keep_sessions_days=400)
    ages = [0, 1, 30, 59, 91, 200, 900]
    store.put(*(reading(age) for age in ages))
    await retention.once()
    assert [age for age in await kept(store) if age < 60] == [0, 1, 30, 59]
    assert not [age for age in await kept(store) if age >= 91]


async def test_months_are_made_ahead_and_dropped_whole(store: Any) -> None:
    """A year passes: whatever day it is, 60 days are there, and on PostgreSQL no row was ever deleted one by one."""
    clock = StillClock()
    retention = Retention(store, clock, keep_days=60, keep_sessions_days=400)
    dialect = await store.query(lambda conn: conn.dialect.name)
    for day in range(0, 370, 10):
        clock.at = NOW + timedelta(days=day)
        deleted = await retention.once()
        store.put(reading(-day))
        if dialect == "postgresql":
            assert deleted["meter_readings"] == 0
    ages = await kept(store)
    assert [age for age in ages if age < -300] == [-360.0, -350.0, -340.0, -330.0, -320.0, -310.0]
    assert min(len(ages), 20) == len(ages)
    if dialect == "postgresql":
        left_over = await store.query(lambda conn: conn.execute(text("select count(*) from meter_readings_other")))
        assert left_over.scalar() == 0


async def test_sessions_stay_longer_and_open_ones_for_ever(store: Any) -> None:
    sessions = [
        Session(E1, "open", days(900)),
        Session(E1, "old", days(901), ended_at=days(900)),
        Session(E1, "kept", days(301), ended_at=days(300)),
    ]
    store.put(*(SessionRecord(SiteId("elm"), one) for one in sessions))
    await Retention(store, StillClock(), keep_days=60, keep_sessions_days=400).once()
    found = await store.query(lambda conn: queries.sessions(conn, SITE.id))
    assert {row.session.transaction_id for row in found.items} == {"open", "kept"}


async def test_a_row_of_a_month_without_a_partition_is_taken_and_moved_when_it_has_one(store: Any) -> None:
    clock = StillClock()
    retention = Retention(store, clock, keep_days=3000, keep_sessions_days=3000)
    await retention.once()
    store.put(reading(-200), reading(2500))
    await store.flush()
    clock.at = NOW + timedelta(days=190)
    await retention.once()
    store.put(reading(-201))
    assert await kept(store) == [-201, -200, 2500]


async def test_many_at_once_do_it_once(store: Any) -> None:
    import asyncio

    store.put(*(reading(age) for age in range(0, 300, 7)))
    both = [Retention(store, StillClock(), 60, 400), Retention(store, StillClock(), 60, 400)]
    async with asyncio.TaskGroup() as group:
        for one in both:
            group.create_task(one.once())
    assert [age for age in await kept(store) if age < 60] == [0, 7, 14, 21, 28, 35, 42, 49, 56]
