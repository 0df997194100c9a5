"""The stores: two engines, one behaviour; nothing that safety needs is lost, whatever happens to the database."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from databases import KINDS, database_of
from hypothesis import given, settings
from hypothesis import strategies as st
from inventory_world import T0, after, decision, event_lists, granted, limit, metered, reading, site, started
from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

from domain.errors import StorageError
from domain.events import Event, SetpointSent
from domain.ids import EvseId, MeterId
from inventory import queries, repository, store
from inventory.engines import database_url
from inventory.live import LiveState
from inventory.pending import Pending, StoreCounts
from inventory.records import DecisionRecord, LedgerRecord, ReadingRecord, Record, SetpointEvent
from inventory.repository import load_state, save_site
from inventory.retention import prune
from inventory.store import AsyncStore, InlineStore, Store

SITE = site()
E1 = EvseId("E1")


def ledger(seconds: float, limit_a: float = 6.0, evse: str = "E1") -> LedgerRecord:
    return LedgerRecord(EvseId(evse), granted(seconds, limit_a))


@pytest.fixture(params=["inline", *KINDS])
async def a_store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Any]:
    made: Any
    if request.param == "inline":
        made = InlineStore(interval_s=0.01)
    else:
        made = await AsyncStore.open(database_of(request, request.param, tmp_path), interval_s=0.01)
    await made.transact(lambda conn: save_site(conn, SITE, T0, salt=b"salt"))
    yield made
    await made.close()


async def until(holds: Callable[[], bool]) -> None:
    """Waits for another task, for ten seconds at most."""
    for _ in range(1_000):
        if holds():
            return
        await asyncio.sleep(0.01)
    raise TimeoutError


async def known(of: Store) -> Any:
    return await of.query(lambda conn: load_state(conn, SITE))


async def test_what_was_put_is_seen_by_the_next_question(a_store: Any) -> None:
    a_store.put(ledger(1, 6.0), ledger(2, 8.0))
    assert (await known(a_store)).ledger == {E1: granted(2, 8.0)}
    assert (a_store.counts.written, a_store.counts.batches) == (1, 1), "the older one was replaced while it waited"


async def test_the_writer_writes_by_itself(a_store: Any) -> None:
    async with asyncio.TaskGroup() as group:
        writer = group.create_task(a_store.run())
        a_store.put(ledger(1))
        await until(lambda: a_store.counts.written > 0)
        a_store.put(ledger(2))
        await until(lambda: a_store.counts.written == 2)
        writer.cancel()


async def test_work_that_fails_leaves_nothing_behind(a_store: Any) -> None:
    def fails(conn: Any) -> None:
        repository.write(conn, [ledger(1)])
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await a_store.transact(fails)
    assert (await known(a_store)).ledger == {}
    with pytest.raises(StorageError):
        await a_store.query(lambda conn: conn.execute(text("select * from nowhere")))


async def test_a_record_that_cannot_be_stored_does_not_hold_up_the_others(a_store: Any) -> None:
    naive = replace(ledger(3, evse="E3").entry, sent_at=after(0).replace(tzinfo=None))
    a_store.put(ledger(1, evse="E9"), ledger(2), LedgerRecord(EvseId("E3"), naive))
    await a_store.flush()
    assert set((await known(a_store)).ledger) == {E1}
    assert (a_store.counts.written, a_store.counts.rejected) == (1, 2)


async def test_a_database_that_fails_is_tried_again_and_the_newest_wins(
    a_store: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = repository.write

    def broken(_conn: Any, _batch: Any) -> None:
        raise OperationalError("insert", {}, Exception("disk full"))

    monkeypatch.setattr(repository, "write", broken)
    a_store.put(ledger(1), ReadingRecord(reading(1, 1, 1, 1)))
    with pytest.raises(StorageError, match="did not take 2 records: disk full"):
        await a_store.flush()
    a_store.put(ledger(2), ReadingRecord(reading(2, 1, 1, 1)))
    assert (await known(a_store)).ledger == {}  # a question is answered all the same
    monkeypatch.setattr(repository, "write", real)
    await a_store.flush()
    assert (await known(a_store)).ledger == {E1: granted(2, 6.0)}
    found = await a_store.query(lambda conn: queries.readings(conn, MeterId("m-main")))
    assert [one.at for one in found.items] == [after(2), after(1)]
    assert a_store.counts.failures == 2


async def test_the_writer_outlives_a_failing_database(a_store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = repository.write, []

    def once(conn: Any, batch: Any) -> None:
        calls.append(batch)
        if len(calls) == 1:
            raise OperationalError("insert", {}, Exception("locked"))
        real(conn, batch)

    monkeypatch.setattr(repository, "write", once)
    monkeypatch.setattr(store, "MAX_RETRY_S", 0.01)
    async with asyncio.TaskGroup() as group:
        writer = group.create_task(a_store.run())
        a_store.put(ledger(1))
        await until(lambda: a_store.counts.written > 0)
        writer.cancel()
    assert (a_store.counts.failures, len(calls)) == (1, 2)


async def test_a_cancelled_write_is_written_later(database: str) -> None:
    made = await AsyncStore.open(database)
    await made.transact(lambda conn: save_site(conn, SITE, T0))
    for pauses in range(8):
        made.put(ledger(pauses, 6.0 + pauses), ReadingRecord(reading(pauses, 1, 1, 1)))
        async with asyncio.TaskGroup() as group:
            task = group.create_task(made.flush())
            for _ in range(pauses):
                await asyncio.sleep(0)
            task.cancel()
    await made.flush()
    assert (await known(made)).ledger == {E1: granted(7, 13.0)}
    found = await made.query(lambda conn: queries.readings(conn, MeterId("m-main")))
    assert len(found.items) == 8
    await made.close()


async def test_those_who_wait_together_need_one_write(database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made = await AsyncStore.open(database)
    await made.transact(lambda conn: save_site(conn, SITE, T0))
    real, loop, written = repository.write, asyncio.get_running_loop(), []

    def more_comes_meanwhile(conn: Any, batch: Any) -> None:
        written.append(batch)
        loop.call_soon_threadsafe(made.put, ReadingRecord(reading(100 + len(written), 1, 1, 1)))
        real(conn, batch)

    monkeypatch.setattr(repository, "write", more_comes_meanwhile)
    made.put(ledger(1))
    first = loop.create_task(made.flush())
    await until(lambda: len(written) == 1)
    made.put(ledger(2))
    await asyncio.gather(first, *(made.flush() for _ in range(5)))
    assert len(written) <= 3, "the first, what was put after it, and at most one that began before all were there"
    assert (await known(made)).ledger == {E1: granted(2, 6.0)}
    await made.close()


async def test_pruning_and_questions_go_through_the_store(a_store: Any) -> None:
    a_store.put(ReadingRecord(reading(1, 1, 1, 1)))
    counts = await a_store.transact(lambda conn: prune(conn, after(10)))
    assert counts["meter_readings"] == 1


@settings(deadline=None, max_examples=10)
@given(event_lists())
def test_both_stores_know_the_same(events: list[Event]) -> None:
    async def play(made: Any) -> Any:
        await made.transact(lambda conn: save_site(conn, SITE, T0, salt=b"salt"))
        live = LiveState(SITE, restored=await known(made))
        for number, event in enumerate(events):
            made.put(*live.apply(event, event.at))
            if number % 7 == 0:
                await made.flush()
        made.put(*live.decided(decision(5, 6.0, 0.0)), *live.set_ledger(E1, granted(5, 6.0)), *live.put_limit(limit()))
        made.put(*live.checkpoint(events[-1].at if events else T0))
        state = await known(made)
        assert state == live.durable()
        sessions = await made.query(lambda conn: queries.sessions(conn, SITE.id))
        counts = await made.query(queries.row_counts)
        await made.close()
        return state, sessions, counts

    async def both() -> None:
        one = await play(InlineStore())
        other = await play(await AsyncStore.open("sqlite://"))
        assert one == other

    asyncio.run(both())


async def test_an_inline_store_needs_no_loop_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """In virtual time a store that waited would let the clock run away: every call ends without one suspension."""
    made = InlineStore()
    turns = 0

    def steps(work: Any) -> Any:
        nonlocal turns
        try:
            work.send(None)
        except StopIteration as done:
            return done.value
        turns += 1
        return None

    steps(made.transact(lambda conn: save_site(conn, SITE, T0)))
    made.put(ledger(1))
    steps(made.flush())
    state = steps(made.query(lambda conn: load_state(conn, SITE)))
    steps(made.close())
    assert (state.ledger, turns) == ({E1: granted(1, 6.0)}, 0)


# The queue.


def put_all(pending: Pending, records: list[Record]) -> None:
    for record in records:
        pending.add(record)


def test_samples_are_given_up_first_and_limits_never() -> None:
    counts = StoreCounts()
    pending = Pending(3, counts)
    put_all(pending, [ReadingRecord(reading(s, 1, 1, 1)) for s in range(10)])
    put_all(pending, [ledger(n, evse=f"E{n}") for n in range(10)])
    put_all(pending, [SetpointEvent(E1, after(s), "sent", 6.0) for s in range(5)])
    batch = pending.take()
    assert [r.reading.at for r in batch if isinstance(r, ReadingRecord)] == [after(7), after(8), after(9)]
    assert len([r for r in batch if isinstance(r, LedgerRecord)]) == 10
    assert [r.at for r in batch if isinstance(r, SetpointEvent)] == [after(2), after(3), after(4)]
    assert (counts.dropped_samples, counts.dropped_history) == (7, 2)


_RECORDS: list[Callable[[int], Record]] = [
    lambda n: ledger(n, evse=f"E{n % 3}"),
    lambda n: ReadingRecord(reading(n, 1, 1, 1)),
    lambda n: SetpointEvent(E1, after(n), "sent", 6.0),
    lambda n: DecisionRecord(SITE.id, decision(n)),
]


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=30))
def test_a_batch_that_is_given_back_loses_nothing_and_no_order(steps: list[tuple[int, bool]]) -> None:
    plain, shaken = Pending(1000, StoreCounts()), Pending(1000, StoreCounts())
    batch: list[Record] = []
    for n, (kind, shake) in enumerate(steps):
        plain.add(_RECORDS[kind](n))
        if shake:
            batch = shaken.take()
        shaken.add(_RECORDS[kind](n))
        if shake:
            shaken.give_back(batch)

    def ordered(records: list[Record], kind: type) -> list[Record]:
        return [record for record in records if isinstance(record, kind)]

    one, other = plain.take(), shaken.take()
    for kind in (ReadingRecord, SetpointEvent, DecisionRecord):
        assert ordered(one, kind) == ordered(other, kind)
    assert {r.evse: r for r in one if isinstance(r, LedgerRecord)} == {
        r.evse: r for r in other if isinstance(r, LedgerRecord)
    }


# The disk.

CHILD = """
import asyncio, os, signal, sys
sys.path[:0] = sys.argv[2:]
from inventory_world import *
from inventory.live import LiveState
from inventory.records import LedgerRecord
from inventory.repository import load_state, save_site
from inventory.store import AsyncStore

async def main():
    store = await AsyncStore.open(sys.argv[1])
    where = site()
    await store.transact(lambda conn: save_site(conn, where, T0, salt=b"salt"))
    live = LiveState(where, restored=await store.query(lambda conn: load_state(conn, where)))
    store.put(*live.apply(started(1, "7", id_tag="A", meter_start_wh=0), after(1)))
    store.put(*live.set_ledger("E1", granted(5, 12.0)), *live.decided(decision(5, 12.0)))
    await store.flush()
    store.put(*live.set_ledger("E2", granted(6, 32.0)))
    os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


async def test_what_was_flushed_outlives_a_kill(database: str) -> None:
    url = database
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
    worlds = Path(__file__).parent
    command = [sys.executable, "-c", CHILD, url, str(worlds), str(worlds.parent)]
    ended = subprocess.run(command, env=environment, check=False, capture_output=True, timeout=60)  # noqa: ASYNC221 - nothing else runs
    assert ended.returncode == -signal.SIGKILL, ended.stderr.decode()
    made = await AsyncStore.open(url)
    state = await known(made)
    live = LiveState(SITE, restored=state)
    await made.close()
    view = live.view(E1, after(60))
    assert view.session is not None
    assert (view.session.transaction_id, view.ledger) == ("7", granted(5, 12.0))
    assert live.setpoint(E1).wanted_a == 12.0
    assert live.rotation.order == ("E1", "E2")
    assert live.ledger(EvseId("E2")).upper_a == 32.0, "what was not flushed is unknown, and unknown means full"


async def test_the_database_file_is_as_durable_as_promised(tmp_path: Path) -> None:
    path = tmp_path / "headroom.db"
    made = await AsyncStore.open(f"sqlite:///{path}")
    pragmas = await made.query(
        lambda conn: [
            conn.execute(text(f"pragma {name}")).scalar() for name in ("journal_mode", "synchronous", "foreign_keys")
        ]
    )
    assert pragmas == ["wal", 2, 1]
    await made.close()


async def test_a_reader_does_not_wait_for_a_writer(tmp_path: Path) -> None:
    path = tmp_path / "headroom.db"
    made = await AsyncStore.open(f"sqlite:///{path}")
    await made.transact(lambda conn: save_site(conn, SITE, T0))
    engine = create_engine(f"sqlite:///{path}", isolation_level=None)
    with engine.connect() as other:
        other.execute(text("begin immediate"))
        async with asyncio.timeout(3):
            assert (await known(made)).ledger == {}
        other.execute(text("rollback"))
    engine.dispose()
    await made.close()


@pytest.mark.parametrize("url", ["sqlite:////nowhere/at/all.db", "nonsense", "oracle+none://x"])
async def test_a_database_that_cannot_be_opened_is_named(url: str) -> None:
    with pytest.raises(StorageError, match="cannot be opened"):
        await AsyncStore.open(url)


@pytest.mark.parametrize(
    ("written", "opened"),
    [
        ("sqlite:///x.db", "sqlite:///x.db"),
        ("sqlite+aiosqlite:///x.db", "sqlite:///x.db"),
        ("postgresql://me:secret@h/d", "postgresql+psycopg://me:secret@h/d"),
        ("postgres://h/d", "postgresql+psycopg://h/d"),
        ("postgresql+psycopg://h/d?sslmode=require", "postgresql+psycopg://h/d?sslmode=require"),
    ],
)
def test_the_driver_is_written_out(written: str, opened: str) -> None:
    assert database_url(written).render_as_string(hide_password=False) == opened


async def test_a_sent_limit_is_recorded_step_by_step(a_store: Any) -> None:
    live = LiveState(SITE)
    a_store.put(*live.apply(started(1), after(1)), *live.apply(metered(2, 5.0, tx="7"), after(2)))
    a_store.put(*live.apply(SetpointSent(E1, after(3), 9.0, decision(3).id), after(3)))
    found = await a_store.query(lambda conn: queries.setpoint_events(conn, E1))
    assert [(one.step, one.limit_a) for one in found.items] == [("sent", 9.0)]
    assert (await known(a_store)).setpoints[E1].sent_a == 9.0
