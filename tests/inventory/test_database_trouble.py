"""PostgreSQL slow, gone or closed to us: records wait and come through once, and every error says what to do."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import needs
import psycopg
import pytest
from inventory_world import T0, granted, reading, site
from sqlalchemy import make_url, text

from domain.errors import StorageError
from domain.ids import EvseId, MeterId
from inventory import queries
from inventory.records import LedgerRecord, ReadingRecord
from inventory.repository import load_state, save_site
from inventory.store import AsyncStore

SITE = site()
E1 = EvseId("E1")


class Wire:
    """A stretch of network before the server, that can be cut and can fall silent."""

    def __init__(self, host: str, port: int) -> None:
        self._to = (host, port)
        self._open: set[asyncio.StreamWriter] = set()
        self._flows = asyncio.Event()
        self._flows.set()
        self._server: asyncio.Server | None = None
        self.port = 0

    async def mend(self) -> None:
        self._flows.set()
        self._server = await asyncio.start_server(self._pair, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    def silence(self) -> None:
        self._flows.clear()

    def cut(self) -> None:
        if self._server is not None:
            self._server.close()
        for writer in self._open:
            writer.transport.abort()

    async def remove(self) -> None:
        self.cut()
        self._flows.set()
        while self._open:
            await asyncio.sleep(0.01)

    async def _pair(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(*self._to)
        pair = {writer, far_writer}
        self._open |= pair
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._copy(reader, far_writer))
                group.create_task(self._copy(far_reader, writer))
        except* OSError:
            pass
        finally:
            for one in pair:
                one.transport.abort()
            self._open -= pair

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            await self._flows.wait()
            writer.write(data)
            await writer.drain()
        writer.close()


@pytest.fixture
async def wire(server_database: str) -> AsyncIterator[Wire]:
    url = make_url(server_database)
    made = Wire(url.host or "127.0.0.1", url.port or 5432)
    await made.mend()
    yield made
    await made.remove()


async def opened(server_database: str, wire: Wire, capacity: int = 1_000) -> AsyncStore:
    url = make_url(server_database).set(host="127.0.0.1", port=wire.port)
    store = await AsyncStore.open(url.render_as_string(hide_password=False), interval_s=0.01, capacity=capacity)
    await store.transact(lambda conn: conn.execute(text("truncate sites, meter_readings cascade")))
    await store.transact(lambda conn: save_site(conn, SITE, T0))
    return store


async def test_what_is_put_while_the_server_is_gone_waits_and_comes_through_once(
    server_database: str, wire: Wire
) -> None:
    store = await opened(server_database, wire, capacity=50)
    wire.cut()
    store.put(LedgerRecord(E1, granted(1, 6.0)), *(ReadingRecord(reading(s, 1, 1, 1)) for s in range(70)))
    with pytest.raises(StorageError, match="did not take"):
        await store.flush()
    with pytest.raises(StorageError, match="did not answer"):
        await store.query(lambda conn: load_state(conn, SITE))
    assert store.trouble is not None
    assert store.counts.dropped_samples == 20, "what waits is bounded, and only samples are given up"
    await wire.mend()
    await store.flush()
    assert store.trouble is None
    assert (await store.query(lambda conn: load_state(conn, SITE))).ledger == {E1: granted(1, 6.0)}
    found = await store.query(lambda conn: queries.readings(conn, MeterId("m-main"), limit=1000))
    assert len(found.items) == 50
    await store.close()


async def test_a_restart_of_the_server_is_not_even_noticed(server_database: str, wire: Wire) -> None:
    """Its sessions end while nobody asks; the next question has a new one."""
    store = await opened(server_database, wire)
    with psycopg.connect(needs.postgresql(), autocommit=True) as admin:
        name = make_url(server_database).database
        gone = "select count(pg_terminate_backend(pid, 5000)) from pg_stat_activity where datname = %s"
        admin.execute(gone, [name])
    store.put(LedgerRecord(E1, granted(1, 6.0)))
    await store.flush()
    assert store.counts.failures == 0
    await store.close()


async def test_a_server_that_says_nothing_counts_as_gone(server_database: str, wire: Wire) -> None:
    store = await opened(server_database, wire)
    store._transactions.patience_s = 0.5
    wire.silence()
    store.put(LedgerRecord(E1, granted(1, 6.0)))
    async with asyncio.timeout(60):
        with pytest.raises(StorageError, match=r"no answer within 0\.5 s"):
            await store.flush()
    wire.cut()
    store._transactions.patience_s = 30.0
    await wire.mend()
    await store.flush()
    assert (await store.query(lambda conn: load_state(conn, SITE))).ledger == {E1: granted(1, 6.0)}
    await store.close()


async def test_a_transaction_that_was_cut_off_is_done_once(server_database: str, wire: Wire) -> None:
    """Whether or not the server had committed it before the line broke."""
    store = await opened(server_database, wire)
    for number in range(5):
        store.put(*(ReadingRecord(reading(10 * number + n, 1, 1, 1)) for n in range(10)))
        async with asyncio.TaskGroup() as group:
            flush = group.create_task(_tried(store))
            await asyncio.sleep(0.002 * number)
            wire.cut()
            await flush
        await wire.mend()
        await store.flush()
    found = await store.query(lambda conn: queries.readings(conn, MeterId("m-main"), limit=1000))
    assert len(found.items) == 50
    await store.close()


async def _tried(store: AsyncStore) -> None:
    with suppress(StorageError):
        await store.flush()


def refusing(server_database: str, **parts: Any) -> str:
    return make_url(server_database).set(**parts).render_as_string(hide_password=False)


@pytest.mark.parametrize(
    ("parts", "advice"),
    [
        ({"port": 1}, "see that PostgreSQL runs there"),
        ({"host": "no-such-host.invalid"}, "the address is right"),
        ({"database": "never_made"}, "`createdb never_made`"),
        ({"username": "nobody_at_all"}, "`createuser nobody_at_all`|let nobody_at_all in"),
    ],
)
async def test_what_keeps_us_out_is_told_with_what_to_do(
    server_database: str, parts: dict[str, Any], advice: str
) -> None:
    with pytest.raises(StorageError, match=advice) as refused:
        await AsyncStore.open(refusing(server_database, password="hush-hush", **parts))
    assert "hush" not in str(refused.value)


async def test_missing_rights_are_told_with_the_words_that_give_them(server_database: str) -> None:
    role = f"headroom_test_{make_url(server_database).database}"[:63]
    with psycopg.connect(needs.postgresql(), autocommit=True) as admin:
        admin.execute(f'create role "{role}" login'.encode())
    try:
        store = await AsyncStore.open(server_database)
        await store.transact(lambda conn: conn.execute(text("revoke all on schema public from public")))
        await store.close()
        with pytest.raises(StorageError, match=f"GRANT ALL ON SCHEMA public TO {role}"):
            await AsyncStore.open(refusing(server_database, username=role))
    finally:
        with psycopg.connect(needs.postgresql(), autocommit=True) as admin:
            admin.execute(f'drop role "{role}"'.encode())


@pytest.mark.parametrize("url", ["mysql://me:hush-hush@h/d", "postgresql:me:hush-hush", "hush-hush"])
async def test_a_url_of_something_else_is_refused_without_being_repeated(url: str) -> None:
    with pytest.raises(StorageError, match="postgresql://USER@HOST/NAME") as refused:
        await AsyncStore.open(url)
    assert "hush" not in str(refused.value)
