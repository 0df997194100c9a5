"""The durable state: what is written comes back, twice written is written once, pages hold while rows arrive."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inventory_world import (
    SITE_TEXT,
    T0,
    after,
    alarm,
    decision,
    ended,
    event_lists,
    granted,
    limit,
    metered,
    reading,
    site,
    started,
)
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from domain import events as e
from domain.ids import EvseId, FeederId, MeterId
from domain.quirks import Model, Quirks
from domain.session import Session
from domain.site import Phase
from inventory import queries
from inventory.inputs import inputs_of
from inventory.live import LiveState
from inventory.load_book import FeederMinute, Shortfall
from inventory.records import (
    LedgerRecord,
    ReadingRecord,
    Record,
    RestoredState,
    SessionRecord,
    record_key,
    session_id,
)
from inventory.repository import load_state, save_site, site_digest, write
from inventory.retention import prune
from inventory.site_file import parse_site
from inventory.spelling import plain

SITE = site()


@pytest.fixture
def conn(engine: Any) -> Iterator[Connection]:
    with engine.connect() as connection:
        save_site(connection, SITE, T0, salt=b"salt")
        yield connection
        connection.rollback()


def played(events: list[e.Event], known: RestoredState) -> tuple[LiveState, list[Record]]:
    live = LiveState(SITE, restored=known)
    records = [record for event in events for record in live.apply(event, event.at)]
    return live, records


@settings(deadline=None, max_examples=60)
@given(events=event_lists(), decide=st.booleans(), batch=st.integers(1, 7))
def test_a_restart_finds_what_was_known(engine: Any, events: list[e.Event], decide: bool, batch: int) -> None:
    """The property that carries the rest: records, written in any batches and twice, are the state."""
    with engine.connect() as conn:
        save_site(conn, SITE, T0, salt=b"salt")
        known = load_state(conn, SITE)
        live, records = played(events, known)
        if decide:
            records += live.decided(
                decision(5, 6.0, 0.0, 32.0, alarms=(alarm(),)), snapshot=live.snapshot(after(5), feeders={})
            )
            records += live.set_ledger(EvseId("E1"), granted(5, 6.0))
            records += live.put_limit(limit())
            records += live.set_override(strategy="dro", scheduler=None)
        end = events[-1].at if events else T0
        records += live.checkpoint(end)
        for start in range(0, len(records), batch):
            write(conn, records[start : start + batch])
            write(conn, records[start : start + batch])
        assert load_state(conn, SITE) == live.durable()
        conn.rollback()


@settings(deadline=None, max_examples=40)
@given(events=event_lists())
def test_what_safety_needs_is_there_without_an_orderly_end(engine: Any, events: list[e.Event]) -> None:
    """After a crash the sessions, limits, ledger and CSMS limits are there; only energy may lag a minute."""
    with engine.connect() as conn:
        save_site(conn, SITE, T0, salt=b"salt")
        live, records = played(events, load_state(conn, SITE))
        records += live.set_ledger(EvseId("E2"), granted(5, 6.0))
        write(conn, records)
        found, known = load_state(conn, SITE), live.durable()
        assert {k: session_id(s) for k, s in found.sessions.items()} == {
            k: session_id(s) for k, s in known.sessions.items()
        }
        assert (found.ledger, found.connectors, found.readings) == (known.ledger, known.connectors, known.readings)
        conn.rollback()


@settings(deadline=None, max_examples=40)
@given(events=event_lists())
def test_records_may_be_merged_by_their_key(engine: Any, events: list[e.Event]) -> None:
    with engine.connect() as conn:
        save_site(conn, SITE, T0, salt=b"salt")
        live, records = played(events, load_state(conn, SITE))
        records += live.checkpoint(events[-1].at if events else T0)
        merged: dict[Any, Record] = {}
        for number, record in enumerate(records):
            merged[record_key(record) or number] = record
        write(conn, merged.values())
        assert load_state(conn, SITE) == live.durable()
        conn.rollback()


def test_the_digest_tells_what_a_site_says_not_how(conn: Connection) -> None:
    assert site_digest(SITE) == site_digest(parse_site(f"# comment\n{SITE_TEXT}", "other.yaml"))
    assert site_digest(SITE) != site_digest(parse_site(SITE_TEXT.replace("rating_a: 60", "rating_a: 61"), "x"))


def test_a_decision_comes_back_whole(conn: Connection) -> None:
    live = LiveState(SITE)
    live.apply(started(1), after(1))
    live.apply(metered(2, 9.0, tx="7", line_a=(9.0, 8.9)), after(2))
    snapshot = live.snapshot(after(3), feeders={})
    inputs = plain(inputs_of(snapshot))
    assert inputs["evses"]["E1"]["measured_a"] == 9.0
    made = decision(3, 6.0, 0.0, 12.5, alarms=(alarm(),))
    write(conn, live.decided(made, snapshot=snapshot, elapsed_ms=1.5))
    found = queries.decision(conn, made.id)
    assert found is not None
    assert (found.decision, found.inputs, found.elapsed_ms) == (made, inputs, 1.5)
    assert queries.decision(conn, "none") is None


def test_a_sample_and_a_reading_come_back_whole(conn: Connection) -> None:
    live = LiveState(SITE)
    heard = metered(2, 9.0, stamp_s=1, line_a=(9.0, 8.9), voltage_v=208.0, power_w=1_872.0, energy_wh=5.0, soc=40.0)
    write(conn, live.apply(heard, after(2)))
    write(conn, [ReadingRecord(reading(4, 1.5, 2.5))])
    assert queries.samples(conn, EvseId("E1")).items == (heard.sample,)
    assert queries.readings(conn, MeterId("m-main")).items == (reading(4, 1.5, 2.5),)


def test_history_keeps_the_first(conn: Connection) -> None:
    write(conn, [ReadingRecord(reading(4, 1, 1, 1)), ReadingRecord(reading(4, 8, 8, 8))])
    write(conn, [ReadingRecord(reading(4, 9, 9, 9))])
    assert queries.readings(conn, MeterId("m-main")).items == (reading(4, 1, 1, 1),)


def test_a_record_of_an_unknown_evse_is_refused(conn: Connection) -> None:
    with pytest.raises(IntegrityError):
        write(conn, [LedgerRecord(EvseId("E9"), granted(0, 6.0))])


@pytest.mark.parametrize(
    ("found", "instead", "kept"),
    [
        ("rating_a: 60", "rating_a: 59", True),
        ("id: E1, connector: 1", "id: E1, connector: 9", False),
        ("id: E1,", "id: E1, max_a: 40,", False),
        (
            "- {id: E1, connector: 1, feeder: p1, phases: [A, B]}",
            "- {id: E8, connector: 8, feeder: p1, phases: [A]}",
            False,
        ),
    ],
)
def test_an_evse_that_is_another_one_keeps_nothing(conn: Connection, found: str, instead: str, kept: bool) -> None:
    live, records = played([started(1)], load_state(conn, SITE))
    write(conn, [*records, *live.set_ledger(EvseId("E1"), granted(5, 6.0))])
    changed = parse_site(SITE_TEXT.replace(found, instead), "x")
    save_site(conn, changed, after(60), salt=b"another")
    state = load_state(conn, changed)
    assert (EvseId("E1") in state.ledger, EvseId("E1") in state.sessions) == (kept, kept)
    assert state.salt == b"salt"
    row = queries.session(conn, session_id(Session(EvseId("E1"), "7", after(1))))
    assert row is not None
    assert (row.end_reason, row.session.ended_at) == ((None, None) if kept else ("site file changed", after(60)))


def test_two_sites_share_a_database(conn: Connection) -> None:
    text = SITE_TEXT.replace("court", "elm").replace("CP", "Q").replace("{id: E", "{id: Q").replace("m-main", "m-elm")
    elm = parse_site(text, "elm")
    save_site(conn, elm, T0)
    live, records = played([started(1)], load_state(conn, SITE))
    write(conn, [*records, *live.put_limit(limit()), *live.decided(decision(3, 6.0))])
    assert load_state(conn, elm) == RestoredState(
        chargers=load_state(conn, elm).chargers, salt=load_state(conn, elm).salt
    )
    assert set(load_state(conn, elm).chargers) == {"Q1", "Q2"}
    assert queries.sessions(conn, elm.id).items == queries.decisions(conn, elm.id).items == ()


def all_pages(page: Callable[[str | None], queries.Page[Any]]) -> list[Any]:
    found, cursor = [], None
    for _ in range(100):
        some = page(cursor)
        found.extend(some.items)
        cursor = some.next
        if cursor is None:
            return found
    raise AssertionError("pages without end")


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_pages_hold_everything_once_newest_first(conn: Connection, size: int) -> None:
    sessions = [
        Session(EvseId(f"E{1 + n % 3}"), str(n), after(10 * (n // 2)), ended_at=after(10 * n + 9)) for n in range(9)
    ]
    write(conn, [SessionRecord(SITE.id, one) for one in sessions])
    found = all_pages(lambda cursor: queries.sessions(conn, SITE.id, limit=size, cursor=cursor))
    assert sorted(row.session.transaction_id for row in found) == [str(n) for n in range(9)]
    assert [row.session.started_at for row in found] == sorted((s.started_at for s in sessions), reverse=True)
    of_one = all_pages(lambda cursor: queries.sessions(conn, SITE.id, limit=size, cursor=cursor, evse=EvseId("E2")))
    assert {row.session.transaction_id for row in of_one} == {"1", "4", "7"}


def test_a_page_does_not_shift_when_rows_arrive(conn: Connection) -> None:
    write(conn, [ReadingRecord(reading(s, 1, 1, 1)) for s in range(0, 50, 10)])
    first = queries.readings(conn, MeterId("m-main"), limit=2)
    write(conn, [ReadingRecord(reading(60, 1, 1, 1))])
    second = queries.readings(conn, MeterId("m-main"), limit=2, cursor=first.next)
    assert [r.at for r in (*first.items, *second.items)] == [after(40), after(30), after(20), after(10)]
    some = queries.readings(conn, MeterId("m-main"), since=after(10), until=after(30))
    assert [r.at for r in some.items] == [after(20), after(10)]


@pytest.mark.parametrize("cursor", ["", "x", "bm9uc2Vuc2U", "WzFd", "W10", "e30", "WyIyMDI2LTAxLTAxIl0", "é"])
def test_a_cursor_that_was_never_given_is_refused(conn: Connection, cursor: str) -> None:
    for page in (queries.sessions, queries.decisions):
        with pytest.raises(queries.BadCursorError, match="use the 'next'"):
            page(conn, SITE.id, cursor=cursor)


def test_pruning_takes_the_past_and_leaves_what_is_in_force(conn: Connection) -> None:
    live, records = played(
        [started(1), started(2, "8", 2), ended(50, "8", 2), metered(60, 5.0)], load_state(conn, SITE)
    )
    records += [ReadingRecord(reading(s, 1, 1, 1)) for s in (0, 40, 200)]
    records += live.decided(decision(10, 6.0, alarms=(alarm(), alarm("p1"))))
    records += live.decided(decision(20, 6.0, alarms=(alarm(),)))
    records += live.put_limit(limit("past", ends_s=30))
    records += live.put_limit(limit("present", ends_s=None))
    records += live.apply(e.SetpointSent(EvseId("E1"), after(30), 6.0, decision(10).id), after(30))
    amps = {Phase.A: 1.0}
    for s in (0, 120):
        records.append(FeederMinute(SITE.id, FeederId("p1"), after(s), 60.0, amps, amps, amps, amps, 48.0, 0.0, 0.0))
        records.append(Shortfall("s", after(s), 1.0, 1.0, 1.0))
    write(conn, records)
    assert set(prune(conn, after(0)).values()) == {0}
    counts = prune(conn, after(100), at_most=1)
    assert counts == {
        "evse_samples": 1,
        "meter_readings": 1,
        "setpoint_events": 1,
        "decisions": 1,
        "feeder_minutes": 1,
        "shortfalls": 1,
        "sessions": 1,
        "alarms": 1,
        "temporary_limits": 1,
    }
    while any(prune(conn, after(100), at_most=1).values()):
        pass
    state = load_state(conn, SITE)
    assert set(state.sessions) == {"E1"}
    assert [one.id for one in state.limits] == ["present"]
    assert [one.alarm.subject for one in state.alarms.values()] == ["main"]
    assert [one.at for one in queries.readings(conn, MeterId("m-main")).items] == [after(200)]
    assert queries.row_counts(conn)["decisions"] == 0


def test_lists_for_the_api(conn: Connection) -> None:
    live, records = played([started(1, id_tag="A")], load_state(conn, SITE))
    records += live.decided(decision(10, 6.0, alarms=(alarm(),)))
    records += live.put_limit(limit("a")) + live.put_limit(limit("b")) + live.withdraw_limit("b", after(1))
    write(conn, records)
    [row] = queries.sessions(conn, SITE.id, open_only=True).items
    assert (row.id, row.charger, row.connector) == (session_id(row.session), "CP1", 1)
    assert queries.session(conn, row.id) == row
    assert live.open_session(row.id).transaction_id == "7"
    [summary] = queries.decisions(conn, SITE.id).items
    assert (summary.id, summary.trigger, summary.alarms) == ("d10", "StartTransaction", 1)
    assert [one.id for one in queries.limits(conn, SITE.id).items] == ["a"]
    assert [one.alarm for one in queries.alarms(conn, SITE.id, standing_only=True).items] == [alarm()]
    assert [facts.charger for facts in queries.chargers(conn, SITE.id)] == ["CP1", "CP2"]


def test_the_latest_of_two_facts_wins_in_one_batch_and_over_many(conn: Connection) -> None:
    entries = [granted(s, float(s)) for s in (6, 7, 8)]
    write(conn, [LedgerRecord(EvseId("E1"), entry) for entry in entries[:2]])
    assert load_state(conn, SITE).ledger == {"E1": entries[1]}
    write(conn, [LedgerRecord(EvseId("E1"), replace(entries[2], refused=True, trusted=False))])
    assert load_state(conn, SITE).ledger == {"E1": replace(entries[2], refused=True, trusted=False)}


def test_quirks_are_remembered_per_charger_and_per_model_with_what_a_person_wrote(conn: Connection) -> None:
    charger, model = SITE.chargers[0].id, Model("ABB", "Terra", "1.8")
    live = LiveState(SITE, restored=load_state(conn, SITE))
    shown = Quirks(mode="tx", level=7, proven=("default",), rate_units=("A",), probed_at=after(5))
    write(conn, live.apply(e.QuirksLearned(charger, after(5), shown, model), after(5)))
    write(conn, live.edit_quirks(charger, {"after_zero": "stays_paused", "level": None}))
    write(conn, live.edit_model_quirks(model, {"write_budget_per_day": 25}))
    again = LiveState(SITE, restored=load_state(conn, SITE))
    expected = replace(shown, after_zero="stays_paused", write_budget_per_day=25)
    assert again.quirks.of_charger(charger) == expected == live.quirks.of_charger(charger)
    assert again.durable().charger_quirks == live.durable().charger_quirks
    assert again.durable().model_quirks == live.durable().model_quirks
