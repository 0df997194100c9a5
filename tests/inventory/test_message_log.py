"""The message log: read back as written, in pages and by filters, and kept within its days and room."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, create_engine

from inventory.message_log import (
    MessageRow,
    add_messages,
    messages_of,
    prune_messages,
    room_taken,
    stored_bytes,
)
from inventory.migrations import upgrade
from inventory.queries import BadCursorError

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def migrated() -> Iterator[Connection]:
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        upgrade(connection)
        connection.commit()
        yield connection
    engine.dispose()


@pytest.fixture
def conn(migrated: Connection) -> Iterator[Connection]:
    yield migrated
    migrated.rollback()


def row(number: int, **other: object) -> MessageRow:
    basis = MessageRow(
        id=f"{number:08}",
        site="cedar",
        charger="CP001",
        at=NOON + timedelta(seconds=number // 2),
        direction="from_charger",
        kind="call",
        action="Heartbeat",
        message_id=str(number),
        size=25,
        payload="{}",
    )
    return replace(basis, **other)


def everything(conn: Connection, **filters: object) -> list[MessageRow]:
    found: list[MessageRow] = []
    cursor = None
    while True:
        page = messages_of(conn, "CP001", limit=3, cursor=cursor, **filters)
        found += page.items
        cursor = page.next
        if cursor is None:
            return found


def test_pages_hold_everything_once_the_newest_first(conn: Connection):
    rows = [row(number) for number in range(20)]
    add_messages(conn, rows)
    add_messages(conn, rows[:5])
    add_messages(conn, [row(99, charger="CP002"), row(3, payload=None, action=None, message_id=None, id="x")])
    expected = sorted([*rows, row(3, payload=None, action=None, message_id=None, id="x")], key=lambda r: (r.at, r.id))
    assert everything(conn) == expected[::-1]


ROWS = st.lists(
    st.tuples(st.sampled_from(["Heartbeat", "MeterValues"]), st.sampled_from(["from_charger", "to_csms"])), max_size=15
)


@settings(max_examples=40, deadline=None)
@given(ROWS, st.sampled_from(["Heartbeat", None]), st.sampled_from(["to_csms", None]), st.integers(0, 8))
def test_filters_say_what_they_mean(migrated: Connection, kinds, action, direction, since_s):
    rows = [row(number, action=a, direction=d) for number, (a, d) in enumerate(kinds)]
    since = NOON + timedelta(seconds=since_s)
    add_messages(migrated, rows)
    found = everything(migrated, action=action, direction=direction, since=since, until=since + timedelta(seconds=3))
    migrated.rollback()
    wanted = [
        one
        for one in rows
        if action in (None, one.action)
        and direction in (None, one.direction)
        and since <= one.at < since + timedelta(seconds=3)
    ]
    assert found == wanted[::-1]


def test_a_made_up_cursor_is_refused(conn: Connection):
    with pytest.raises(BadCursorError):
        messages_of(conn, "CP001", cursor="nonsense")


def test_what_is_too_old_goes_and_other_sites_keep_theirs(conn: Connection):
    add_messages(conn, [row(number) for number in range(10)] + [row(0, site="other", charger="CP002")])
    gone = [prune_messages(conn, "cedar", NOON + timedelta(seconds=3), 0, at_most=2)[0] for _ in range(5)]
    assert gone == [2, 2, 2, 0, 0]
    assert [one.id for one in everything(conn)] == [f"{number:08}" for number in range(9, 5, -1)]
    assert len(messages_of(conn, "CP002").items) == 1


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 2000), min_size=1, max_size=30), st.integers(0, 40_000), st.integers(1, 40))
def test_what_takes_too_much_room_goes_the_oldest_first(migrated: Connection, lengths, room, at_most):
    rows = [row(number, payload="x" * length) for number, length in enumerate(lengths)]
    add_messages(migrated, rows)
    taken = room_taken(migrated, "cedar")
    assert taken == sum(map(stored_bytes, rows))
    before = NOON - timedelta(days=1)
    for _ in range(len(rows) + 1):
        deleted, freed = prune_messages(migrated, "cedar", before, taken - room, at_most=at_most)
        taken -= freed
        if not deleted:
            break
    left = everything(migrated)[::-1]
    measured = room_taken(migrated, "cedar")
    migrated.rollback()
    assert left == rows[len(rows) - len(left) :]
    assert measured == taken <= room
    if len(left) < len(rows):  # and no more than had to
        assert taken + stored_bytes(rows[len(rows) - len(left) - 1]) > room
