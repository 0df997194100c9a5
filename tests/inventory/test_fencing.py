"""A lease that is not the newest writes nothing, whatever its holder believes; on both databases."""

import asyncio
from typing import Any

import pytest
from inventory_world import T0, after, granted, reading, site
from sqlalchemy import Connection, Engine, text

from domain.errors import LeaseLostError, StorageError
from domain.ids import EvseId, MeterId
from inventory import queries
from inventory.engines import database_url, open_sync
from inventory.fencing import Fence, hold, newest_token, take_over
from inventory.records import LedgerRecord, ReadingRecord
from inventory.repository import load_state, save_site
from inventory.store import AsyncStore, InlineStore

SITE = site()
E1 = EvseId("E1")


def ledger(seconds: float, limit_a: float) -> LedgerRecord:
    return LedgerRecord(E1, granted(seconds, limit_a))


async def opened(url: str | None) -> Any:
    made: Any = InlineStore() if url is None else await AsyncStore.open(url, interval_s=0.01)
    await made.transact(lambda conn: save_site(conn, SITE, T0))
    return made


async def led(store: Any, token: int, holder: str = "a") -> Any:
    """The store of a controller that has just taken over."""
    fence = Fence(SITE.id, token)
    await store.transact(lambda conn: take_over(conn, fence, holder, T0))
    return store.fenced(fence)


async def test_what_the_older_controller_still_writes_is_refused(database: str) -> None:
    store = await opened(database)
    old = await led(store, 1)
    old.put(ledger(1, 6.0))
    await old.flush()
    old.put(ledger(2, 32.0), ReadingRecord(reading(2, 1, 1, 1)))
    new = await led(store, 2, "b")
    with pytest.raises(LeaseLostError, match="lease 1 of site 'court' is not the newest: b has 2"):
        await old.flush()
    assert old.trouble is not None
    old.put(ledger(3, 32.0))
    for late in (old.flush, lambda: old.transact(lambda conn: save_site(conn, SITE, T0))):
        with pytest.raises(LeaseLostError):
            await late()
    state = await new.query(lambda conn: load_state(conn, SITE))
    assert state.ledger == {E1: granted(1, 6.0)}
    assert (await new.query(lambda conn: queries.readings(conn, MeterId("m-main")))).items == ()
    new.put(ledger(4, 8.0))
    await new.flush()
    assert (await old.query(lambda conn: load_state(conn, SITE))).ledger == {E1: granted(4, 8.0)}, "it may still look"
    await old.close()
    await new.close()
    await store.close()


async def test_the_writer_of_a_lost_lease_ends(database: str) -> None:
    store = await opened(database)
    old = await led(store, 1)
    await led(store, 2, "b")
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        group.create_task(old.run())
        old.put(ledger(1, 6.0))
    assert (await store.query(lambda conn: load_state(conn, SITE))).ledger == {}
    await store.close()


async def test_an_inline_store_is_fenced_as_well() -> None:
    store = await opened(None)
    old = await led(store, 1)
    await led(store, 2, "b")
    old.put(ledger(1, 6.0))
    with pytest.raises(LeaseLostError):
        await old.flush()


async def test_other_sites_are_not_concerned(database: str) -> None:
    store = await opened(database)
    mine = await led(store, 1)
    await store.transact(lambda conn: take_over(conn, Fence("elm", 9), "b", T0))  # type: ignore[arg-type]
    mine.put(ledger(1, 6.0))
    await mine.flush()
    await store.close()


def test_only_a_newer_number_takes_over(engine: Engine) -> None:
    with engine.connect() as conn:
        assert newest_token(conn, SITE.id) == 0
        with pytest.raises(LeaseLostError, match="never recorded"):
            hold(conn, Fence(SITE.id, 1))
        big = 2**62
        take_over(conn, Fence(SITE.id, big), "a", T0)
        take_over(conn, Fence(SITE.id, big), "a", after(1))
        hold(conn, Fence(SITE.id, big))
        for token, holder in ((big - 1, "a"), (big - 1, "b"), (big, "b")):
            with pytest.raises(LeaseLostError, match=f"a has {big}"):
                take_over(conn, Fence(SITE.id, token), holder, after(2))
        for token in (big - 1, big + 1):
            with pytest.raises(LeaseLostError):
                hold(conn, Fence(SITE.id, token))
        assert newest_token(conn, SITE.id) == big
        conn.rollback()


def test_a_take_over_waits_for_the_transaction_under_way_and_sees_it(server_database: str) -> None:
    """Else the successor would begin with a limit that the older one raises a moment later."""
    made = open_sync(database_url(server_database))
    with made.begin() as conn:
        conn.execute(text("truncate sites, site_leases cascade"))
        save_site(conn, SITE, T0)
        take_over(conn, Fence(SITE.id, 1), "a", T0)
    with made.connect() as old, made.connect() as new:
        hold(old, Fence(SITE.id, 1))
        new.execute(text("set local lock_timeout = '50ms'"))
        with pytest.raises(Exception, match="lock timeout"):
            take_over(new, Fence(SITE.id, 2), "b", T0)
        new.rollback()
        old.commit()
        take_over(new, Fence(SITE.id, 2), "b", T0)
        new.commit()
        with pytest.raises(LeaseLostError):
            hold(old, Fence(SITE.id, 1))
    made.dispose()


async def test_a_controller_that_stands_still_in_a_transaction_loses_it(server_database: str) -> None:
    """A paused process holds the row's lock: the server ends its session, and the successor goes on."""
    store = await opened(server_database)
    await store.transact(lambda conn: conn.execute(text("truncate site_leases")))
    await led(store, 1)
    made = open_sync(database_url(server_database))
    with made.connect() as paused:
        hold(paused, Fence(SITE.id, 1))
        successor = await led(store, 2, "b")
        with pytest.raises(Exception, match="idle-in-transaction"):
            paused.execute(text("select 1"))
        paused.invalidate()
    made.dispose()
    await successor.close()
    await store.close()


async def test_of_controllers_that_believe_themselves_leaders_one_writes(database: str) -> None:
    """Every write that is accepted comes from the newest lease of its time: values never go back to an older one's."""
    store = await opened(database)
    written: list[int] = []

    def work(fence: Fence) -> Any:
        def note(conn: Connection) -> None:
            written.append(fence.token)

        return note

    async def controller(token: int) -> None:
        try:
            mine = await led(store, token, f"c{token}")
            for _ in range(5):
                await mine.transact(work(Fence(SITE.id, token)))
                await asyncio.sleep(0)
        except StorageError:
            pass

    async with asyncio.TaskGroup() as group:
        for token in (1, 2, 3, 4, 5):
            group.create_task(controller(token))
    assert written == sorted(written)
    assert written.count(5) == 5
    await store.close()
