"""SQLite and PostgreSQL answer alike: words, numbers and times at their edges, order, and many writers at once."""

import asyncio
import random
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from inventory_world import T0, after, alarm, decision, granted, limit, reading, site, started
from sqlalchemy import Connection, Engine, text, update

from domain.ids import EvseId, MeterId
from domain.session import Session
from domain.setpoint import Alarm, AlarmKind
from inventory import access, outbox, queries, tables
from inventory.base_load_hours import BaseLoadHour, read_hours, write_hours
from inventory.fencing import newest_token
from inventory.live import LiveState
from inventory.message_log import MessageRow, add_messages, messages_of, prune_messages, room_taken
from inventory.quirk_queries import edit_charger, quirk_book
from inventory.records import (
    AlarmRecord,
    CsmsProfilesRecord,
    DecisionRecord,
    LedgerRecord,
    LimitRecord,
    ReadingRecord,
    SessionRecord,
)
from inventory.repository import load_state, save_site, write
from inventory.store import AsyncStore

SITE = site()
E1, METER, CHARGER = EvseId("E1"), MeterId("m-main"), SITE.chargers[0].id
ODD = "é☃\N{GRINNING FACE}'\"\\%_\n\tİ\N{ZERO WIDTH SPACE}"
NUL, SURROGATE = "a\0b", "a\ud800b"


def within(engine: Engine, work: Callable[[Connection], Any]) -> None:
    """Does work on a known site, of which nothing stays."""
    with engine.connect() as conn:
        save_site(conn, SITE, T0, salt=b"salt")
        work(conn)
        conn.rollback()


@pytest.mark.parametrize(
    ("written", "kept"),
    [(ODD, ODD), ("", ""), (NUL, "a\N{REPLACEMENT CHARACTER}b"), (SURROGATE, "a?b"), ("x" * 5_000, "x" * 5_000)],
)
def test_words_from_outside_are_taken_whatever_they_are(engine: Engine, written: str, kept: str) -> None:
    def check(conn: Connection) -> None:
        write(conn, [LimitRecord(SITE.id, replace(limit(), reason=written, author=written))])
        write(conn, [AlarmRecord(SITE.id, Alarm(AlarmKind.STALE_METER, "main", written), T0)])
        heard = "a?b" if written == SURROGATE else written  # one never gets into a session: `peer_text` sorts it out
        write(conn, [SessionRecord(SITE.id, Session(E1, heard, T0), end_reason=written)])
        [stood] = queries.limits(conn, SITE.id).items
        assert (stood.reason, stood.author) == (kept, kept)
        assert [one.alarm.text for one in queries.alarms(conn, SITE.id).items] == [kept]
        [row] = queries.sessions(conn, SITE.id).items
        assert (row.session.transaction_id, row.end_reason) == (kept[:255], kept[:255])

    within(engine, check)


@pytest.mark.parametrize("value", [ODD, NUL, 2**63, -(2**80), 0.1 + 0.2, 5e-324, 1.7976931348623157e308, None, [], {}])
def test_documents_come_back_as_they_were(engine: Engine, value: Any) -> None:
    """Also in their order, for an audit compares what was written."""
    document = {"z": value, "a": [value, {"ü": value}], "": True}

    def check(conn: Connection) -> None:
        write(conn, [CsmsProfilesRecord(CHARGER, "ocpp1.6", T0, (document,))])
        write(conn, [DecisionRecord(SITE.id, decision(1), document)])
        access.add_audit(conn, audit_row("1", T0, document))
        assert load_state(conn, SITE).csms_profiles[CHARGER].profiles == (document,)
        found = queries.decision(conn, "d1")
        assert found is not None
        assert (found.inputs, list(found.inputs)) == (document, list(document))
        [row] = access.audit(conn).items
        assert row.body == document

    within(engine, check)


def test_a_list_counts_the_alarms_of_decisions_also_of_those_that_an_older_program_wrote(engine: Engine) -> None:
    def check(conn: Connection) -> None:
        raised = [(), (alarm(),), (alarm(), alarm("p1"))]
        write(conn, [DecisionRecord(SITE.id, decision(n, alarms=alarms)) for n, alarms in enumerate(raised)])
        for _ in range(2):
            assert [one.alarms for one in queries.decisions(conn, SITE.id).items] == [2, 1, 0]
            conn.execute(update(tables.decisions).values(alarm_count=None))

    within(engine, check)


@pytest.mark.parametrize("value", [0.0, -0.0, 0.1 + 0.2, 5e-324, 1.7976931348623157e308, float("inf"), 2.0**53 + 2])
def test_numbers_keep_every_bit(engine: Engine, value: float) -> None:
    def check(conn: Connection) -> None:
        write(conn, [SessionRecord(SITE.id, Session(E1, "7", T0, energy_wh=value))])
        [row] = queries.sessions(conn, SITE.id).items
        assert row.session.energy_wh.hex() == value.hex() or value == 0.0

    within(engine, check)


@pytest.mark.parametrize(
    "at",
    [
        datetime(1970, 1, 1, tzinfo=UTC),
        datetime(2026, 3, 29, 2, 30, tzinfo=timezone(timedelta(hours=14))),
        datetime(2026, 11, 1, 9, 30, 0, 1, tzinfo=timezone(timedelta(hours=-9, minutes=-30))),
        datetime(9998, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    ],
)
def test_an_instant_comes_back_to_the_microsecond(engine: Engine, at: datetime) -> None:
    def check(conn: Connection) -> None:
        write(conn, [ReadingRecord(replace(reading(0, 1.0), at=at))])
        [found] = queries.readings(conn, METER).items
        assert (found.at, found.at.tzinfo) == (at, UTC)
        assert queries.readings(conn, METER, since=at).items == (found,)
        assert queries.readings(conn, METER, until=at).items == ()
        assert load_state(conn, SITE).readings == {METER: found}

    within(engine, check)


@pytest.mark.parametrize("size", [1, 4, 100])
def test_pages_hold_everything_once_whatever_the_language_of_the_server(engine: Engine, size: int) -> None:
    """Same instant, ids that people sort otherwise than bytes do."""
    names = ["a", "B", "b", "A", "ä", "z", "Z", "a-b", "ab", "a_b", "10", "9", "é", "-"]

    def check(conn: Connection) -> None:
        write(conn, [DecisionRecord(SITE.id, decision(3, name=name)) for name in names])
        found: list[str] = []
        cursor = None
        while True:
            page = queries.decisions(conn, SITE.id, limit=size, cursor=cursor)
            found += [one.id for one in page.items]
            cursor = page.next
            if cursor is None:
                break
        assert sorted(found) == sorted(names)

    within(engine, check)


def message(number: int, **changes: Any) -> MessageRow:
    row = MessageRow(f"{number:05}", SITE.id, CHARGER, after(number), "from_charger", "call", "Heartbeat", "m", 9, "[]")
    return replace(row, **changes)


def test_the_message_log(engine: Engine) -> None:
    def check(conn: Connection) -> None:
        odd = message(1, payload=f'["{ODD}\\u0000"]' + NUL, message_id="i" * 300, action=NUL, size=2**31 - 1)
        add_messages(conn, [odd, message(2), message(3)])
        add_messages(conn, [message(2), message(3, payload="changed")])
        found = messages_of(conn, CHARGER).items
        assert [row.id for row in found] == ["00003", "00002", "00001"]
        assert found[0].payload == "[]"
        assert (found[2].message_id, found[2].size) == ("i" * 64, 2**31 - 1)
        assert room_taken(conn, SITE.id) > 3 * 250
        assert prune_messages(conn, SITE.id, after(2), 0.0, at_most=10)[0] == 1
        assert len(messages_of(conn, CHARGER, since=after(2)).items) == 2

    within(engine, check)


def audit_row(name: str, at: datetime, body: Any) -> access.AuditRow:
    return access.AuditRow(
        name, at, "t1", ODD, "admin", "token", "127.0.0.1", "POST", f"/x{NUL}" + "y" * 9_000, SITE.id, 201, body
    )


def test_access(engine: Engine) -> None:
    def check(conn: Connection) -> None:
        token = access.TokenRow("t1", ODD, "driver", "f" * 64, T0, sites=("court",), evses=("E1",))
        access.add_token(conn, token)
        access.add_token(conn, replace(token, id="t0", created_at=after(1), sites=None, evses=None))
        assert access.tokens(conn) == (token, replace(token, id="t0", created_at=after(1), sites=None, evses=None))
        login = access.PageSessionRow("a" * 64, "t1", {"name": ODD}, T0, after(60))
        access.add_page_session(conn, login)
        assert access.page_sessions(conn, after(59)) == (login,)
        assert access.page_sessions(conn, after(60)) == ()
        assert access.revoke_token(conn, "t1", after(2))
        assert not access.revoke_token(conn, "t1", after(3))
        assert access.page_sessions(conn, after(3)) == ()
        assert access.signing_key(conn, "k") == access.signing_key(conn, "k") != access.signing_key(conn, "l")
        assert [access.revoke_link(conn, "E1", T0) for _ in range(3)] == [1, 2, 3]
        answer = access.KeptAnswer("t1", "key", "f", 201, {"a": "b"}, f"body{NUL}", T0)
        access.keep_answer(conn, answer)
        access.keep_answer(conn, replace(answer, body="later"))
        kept = access.kept_answer(conn, "t1", "key", after(1))
        assert kept == replace(answer, body="bodya\N{REPLACEMENT CHARACTER}b")
        assert access.kept_answer(conn, "t1", "key", T0 + access.KEY_LIVES) is None
        for number in range(3):
            access.add_audit(conn, audit_row(str(number), after(number), None))
        assert [row.id for row in access.audit(conn, sites=["court"], limit=2).items] == ["2", "1"]
        assert access.audit(conn, sites=[]).items == access.audit(conn, caller="x").items == ()

    within(engine, check)


def test_messages_that_are_due(engine: Engine) -> None:
    def check(conn: Connection) -> None:
        lost = [outbox.add(conn, f"i{n}", "hook", after(n), "alarm", {"n": n, "x": NUL}, most=2) for n in range(4)]
        assert lost == [0, 0, 1, 1]
        due = outbox.oldest(conn, "hook")
        assert due is not None
        assert (due.payload, due.sequence, due.attempts) == ({"n": 2, "x": NUL}, 3, 0)
        outbox.tried(conn, due.id)
        outbox.done(conn, "i3")
        again = outbox.oldest(conn, "hook")
        assert again is not None
        assert again.attempts == 1

    within(engine, check)


def test_hours_of_base_load_and_quirks(engine: Engine) -> None:
    feeder = SITE.feeders[0]

    def check(conn: Connection) -> None:
        hours = [
            BaseLoadHour(feeder.id, feeder.phases[0], T0 + timedelta(hours=n), 1.5 * n, 2.0 * n) for n in (2, 0, 1)
        ]
        assert write_hours(conn, SITE.id, hours) == 3
        assert write_hours(conn, SITE.id, [replace(hours[0], mean_a=99.0)]) == 0
        assert read_hours(conn, SITE.id, T0) == {(feeder.id, feeder.phases[0]): sorted(hours, key=lambda h: h.at)}
        edit_charger(conn, CHARGER, {"write_budget_per_day": 25})
        assert quirk_book(conn).chargers[CHARGER].edits == {"write_budget_per_day": 25}

    within(engine, check)


# Many processes at once: stores of their own on one database.


async def opened(url: str, count: int) -> list[AsyncStore]:
    stores = [await AsyncStore.open(url, interval_s=0.01) for _ in range(count)]
    async with asyncio.TaskGroup() as group:
        for store in stores:
            group.create_task(store.transact(lambda conn: save_site(conn, SITE, T0)))
    return stores


async def test_many_writers_lose_nothing_and_do_not_lock_each_other_out(database: str) -> None:
    """The same rows, in another order by each: a batch that meets another waits for it, and none is given up."""
    stores = await opened(database, 4)
    evses = [evse.id for evse in SITE.evses]

    async def work(number: int) -> None:
        store, chance = stores[number], random.Random(number)
        for step in range(10):
            chance.shuffle(evses)
            store.put(*(LedgerRecord(evse, granted(step, float(number))) for evse in evses))
            store.put(*(ReadingRecord(reading(100 * number + 10 * step + n, 1, 1, 1)) for n in range(10)))
            await store.flush()

    async with asyncio.TaskGroup() as group:
        for number in range(4):
            group.create_task(work(number))
    found = await stores[0].query(lambda conn: queries.readings(conn, METER, limit=1000))
    assert len(found.items) == 400
    assert {store.counts.rejected for store in stores} == {0}
    for store in stores:
        await store.close()


async def test_what_there_is_one_of_is_made_once(database: str) -> None:
    stores = await opened(database, 4)

    async def make(store: AsyncStore, number: int) -> tuple[bytes, int]:
        key = await store.transact(lambda conn: access.signing_key(conn, "driver"))
        await store.transact(lambda conn: outbox.add(conn, f"m{number}", "hook", T0, "alarm", {}, most=100))
        return key, await store.transact(lambda conn: access.revoke_link(conn, "E1", T0))

    made = await asyncio.gather(*(make(store, number) for number, store in enumerate(stores)))
    assert len({key for key, _ in made}) == 1
    assert {generation for _, generation in made} == {1, 2, 3, 4}
    sequences = await stores[0].query(lambda conn: conn.execute(text("select sequence from outbox")).scalars().all())
    assert sorted(sequences) == [1, 2, 3, 4]
    assert await stores[0].query(lambda conn: newest_token(conn, SITE.id)) == 0
    for store in stores:
        await store.close()


async def test_a_question_sees_one_state_throughout(database: str) -> None:
    """A controller that takes over reads the state in several questions: no write may come in between."""
    reader, writer = await opened(database, 2)
    live = LiveState(SITE)
    loop = asyncio.get_running_loop()

    def look(conn: Connection) -> tuple[Any, Any]:
        before = load_state(conn, SITE)
        done = asyncio.run_coroutine_threadsafe(write_now(), loop) if database.startswith("sqlite") else None
        return before, (done, load_state(conn, SITE))

    async def write_now() -> None:
        writer.put(*live.apply(started(1), after(1)), LedgerRecord(E1, granted(1, 6.0)), *live.decided(decision(2)))
        writer.put(AlarmRecord(SITE.id, alarm(), T0))
        await writer.flush()

    if database.startswith("sqlite"):
        before, (_, now) = await reader.query(look)
    else:
        engine = reader._transactions.reading
        async with engine.begin() as conn:
            before = await conn.run_sync(load_state, SITE)
            await write_now()
            now = await conn.run_sync(load_state, SITE)
    assert before == now
    for store in (reader, writer):
        await store.close()
