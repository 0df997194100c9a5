"""From what a link says to rows in the database: without secrets, with the actions of replies, never more than fits."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import StorageError
from domain.security import MessageLogSettings
from headroom.message_log import MessageLog
from inventory.message_log import messages_of
from inventory.site_file import parse_site
from inventory.store import InlineStore
from simulators.demo_site import demo_site

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Clock:
    at = NOW

    def now(self) -> datetime:
        return self.at

    async def sleep(self, seconds: float) -> None:
        raise AssertionError("nothing here waits")


SITE = parse_site(demo_site(2), "demo")
CHARGER = SITE.chargers[0].id


@pytest.fixture
async def store():
    opened = InlineStore()
    yield opened
    await opened.close()


def a_log(store, **bounds) -> MessageLog:
    log = MessageLog(store, Clock(), **bounds)
    log.add_site(SITE.id, b"salt")
    return log


async def rows(store, **filters):
    found = await store.query(lambda conn: messages_of(conn, CHARGER, limit=1000, **filters))
    return found.items[::-1]


async def test_messages_are_kept_with_their_action_and_without_secrets(store):
    log = a_log(store)
    record = log.recorder(SITE, CHARGER)
    said = [
        ("from_charger", b'[2,"1","StartTransaction",{"connectorId":1,"idTag":"TAG7"}]'),
        ("from_csms", b'[3,"1",{"transactionId":4,"idTagInfo":{"status":"Accepted","parentIdTag":"TAG7"}}]'),
        ("from_csms", b'[2,"1","ChangeConfiguration",{"key":"AuthorizationKey","value":"deadbeef"}]'),
        ("from_charger", b'[4,"1","SecurityError","no",{"password":"deadbeef"}]'),
        ("to_charger", b'[2,"own","GetConfiguration",{}]'),
        ("from_charger", b'[3,"own",{"configurationKey":[{"key":"AuthorizationKey","value":"deadbeef"}]}]'),
        ("from_charger", b'[3,"nobody",{"idTag":"TAG7"}]'),
        ("from_charger", b"not json TAG7"),
        ("from_charger", b'[6,"9","NotifyPeriodicEventStream",{"id":1}]'),
    ]
    for direction, raw in said:
        record(direction, raw, NOW)
    await log.flush()
    found = await rows(store)
    assert [(row.direction, row.kind, row.action) for row in found] == [
        ("from_charger", "call", "StartTransaction"),
        ("from_csms", "result", "StartTransaction"),
        ("from_csms", "call", "ChangeConfiguration"),
        ("from_charger", "error", "ChangeConfiguration"),
        ("to_charger", "call", "GetConfiguration"),
        ("from_charger", "result", "GetConfiguration"),
        ("from_charger", "result", None),
        ("from_charger", "other", None),
        ("from_charger", "send", "NotifyPeriodicEventStream"),
    ]
    assert [row.size for row in found] == [len(raw) for _, raw in said]
    kept = " ".join(row.payload or "" for row in found)
    assert "TAG7" not in kept
    assert "deadbeef" not in kept
    tags = {json.loads(found[0].payload)["idTag"], json.loads(found[1].payload)["idTagInfo"]["parentIdTag"]}
    assert len(tags) == 1
    assert found[6].payload is found[7].payload is None
    assert log.counts.written == len(said)


async def test_what_is_too_much_is_dropped_the_oldest_first_and_counted(store):
    log = a_log(store, capacity=10)
    record = log.recorder(SITE, CHARGER)
    for number in range(25):
        record("from_charger", b'[2,"%d","Heartbeat",{}]' % number, NOW)
    await log.flush()
    assert [row.message_id for row in await rows(store)] == [str(number) for number in range(15, 25)]
    assert (log.counts.written, log.counts.dropped) == (10, 15)
    log = a_log(store, capacity_bytes=100)
    record = log.recorder(SITE, CHARGER)
    for _ in range(5):
        record("from_charger", b'[2,"x","Heartbeat",{"a":"%b"}]' % (b"y" * 50), NOW)
    assert log.counts.dropped == 4


async def test_a_database_that_does_not_answer_costs_messages_and_nothing_else(store):
    log = a_log(store)
    record = log.recorder(SITE, CHARGER)

    async def broken(work):
        raise StorageError("the disk is full")

    store.transact = broken
    record("from_charger", b'[2,"1","Heartbeat",{}]', NOW)
    await log.flush()
    assert (log.counts.written, log.counts.dropped) == (0, 1)


def test_a_site_that_keeps_none_has_no_recorder(store):
    site = replace(SITE, message_log=MessageLogSettings(enabled=False))
    assert a_log(store).recorder(site, CHARGER) is None


async def test_the_log_is_kept_within_its_days(store):
    log = a_log(store)
    record = log.recorder(SITE, CHARGER)
    for days in range(40):
        record("from_charger", b'[2,"%d","Heartbeat",{}]' % days, NOW - timedelta(days=days))
    await log.flush()
    await log.prune(SITE)
    assert len(await rows(store)) == 31


async def test_the_log_is_kept_within_its_room_while_it_grows(store):
    site = replace(SITE, message_log=MessageLogSettings(max_mb=0.01))
    log = a_log(store)
    record = log.recorder(site, CHARGER)
    for batch in range(4):
        for number in range(30):
            record("from_charger", b'[2,"%d","Heartbeat",{}]' % (100 * batch + number), NOW + timedelta(seconds=batch))
        await log.flush()
        await log.prune(site)
        kept = await rows(store)
        assert len(kept) == min(30 * (batch + 1), 10_000 // 252)
        assert kept[-1].message_id == str(100 * batch + 29)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.binary(max_size=60) | st.text(max_size=30).map(str.encode), max_size=20))
async def test_no_bytes_at_all_keep_the_rest_from_being_written(messages):
    store = InlineStore()
    try:
        log = a_log(store)
        record = log.recorder(SITE, CHARGER)
        for raw in [*messages, b'[2,"last\\u0000","Heart\\u0000beat",{"a":"\\u0000"}]']:
            record("from_charger", raw, NOW)
        await log.flush()
        assert len(await rows(store)) == len(messages) + 1
    finally:
        await store.close()
