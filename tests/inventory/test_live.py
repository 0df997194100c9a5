"""The present truth: what events make of it, whatever their order, and what a restart brings back."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from inventory_world import (
    after,
    alarm,
    connected,
    decision,
    ended,
    event_lists,
    granted,
    limit,
    metered,
    reading,
    site,
    started,
    status,
)
from live_world import E1, E2, E3, reading_event, session, snap, told, view

from domain import events as e
from domain.errors import UnknownIdError
from domain.ids import EvseId
from domain.ledger import LedgerEntry
from domain.session import EvseState
from inventory.live import LiveState
from inventory.records import (
    AlarmRecord,
    DecisionRecord,
    LedgerRecord,
    RestoredState,
    SessionRecord,
    SetpointEvent,
)


def test_unknown_means_full() -> None:
    found = snap(LiveState(site()), 0)
    assert set(found.evses) == {E1, E2, E3}
    assert all(v.ledger == LedgerEntry(32.0, 32.0) and not v.linked for v in found.evses.values())
    assert all(v.state is EvseState.UNKNOWN and v.session is None for v in found.evses.values())


def test_what_names_nothing_here_is_counted_and_changes_nothing() -> None:
    live = LiveState(site())
    before = live.durable()
    strangers: list[e.Event] = [
        connected(charger="CP9"),
        started(1, charger="CP9"),
        started(1, connector=9),
        metered(1, 5.0, connector=3),
        ended(1, charger="CP9"),
        ended(1, tx="unheard"),
        e.FeederMetered(after(1), reading(1, 1, 1, 1, meter="m-none")),
        e.SetpointSent(EvseId("E9"), after(1), 6.0, decision(0).id),
        e.CsmsLimitChanged("CP9", 0, after(1), 6.0),  # type: ignore[arg-type]
        status(1, EvseState.CHARGING, connector=0, charger="CP9"),
    ]
    assert told(live, *strangers) == []
    assert live.durable() == before
    assert sum(live.ignored.values()) == len(strangers)


# Sessions.


def test_a_session_begins_meters_and_ends() -> None:
    live = LiveState(site())
    told(live, connected(), started(10, id_tag="0481-RFID", meter_start_wh=5_000))
    assert session(live, 11).meter_start_wh == 5_000
    tag = session(live, 11).id_tag_hash
    assert tag is not None
    assert "0481" not in tag
    told(live, metered(70, 16.0, tx="7", energy_wh=5_050.0))
    assert session(live, 71).energy_wh == 50.0
    [record] = [
        r for r in told(live, ended(100, meter_stop_wh=5_080, reason="EVDisconnected")) if isinstance(r, SessionRecord)
    ]
    assert (record.session.energy_wh, record.session.ended_at, record.end_reason) == (
        80.0,
        after(100),
        "EVDisconnected",
    )
    assert view(live, 101).session is None


def test_the_salt_keeps_tags_of_two_sites_apart() -> None:
    hashes = set()
    for salt in (b"one", b"two"):
        live = LiveState(site(), restored=RestoredState(salt=salt))
        told(live, started(1, id_tag="A"))
        hashes.add(session(live, 2).id_tag_hash)
    assert len(hashes) == 2


def test_a_start_that_is_repeated_is_one_session() -> None:
    live = LiveState(site())
    told(live, started(10, id_tag="A", meter_start_wh=0))
    first = session(live, 11)
    assert [r for r in told(live, started(40, id_tag="A", meter_start_wh=0)) if isinstance(r, SessionRecord)] == []
    assert session(live, 41) == first


def test_a_retry_under_another_transaction_id_keeps_its_place() -> None:
    live = LiveState(site())
    told(live, started(10, "7", id_tag="A", meter_start_wh=100))
    records = [r for r in told(live, started(40, "8", id_tag="A", meter_start_wh=100)) if isinstance(r, SessionRecord)]
    now = session(live, 41)
    assert (now.transaction_id, now.started_at) == ("8", after(10))
    assert [(r.session.transaction_id, r.session.ended_at) for r in records] == [("7", after(40)), ("8", None)]


def test_the_same_tag_with_another_meter_value_is_another_session() -> None:
    live = LiveState(site())
    told(live, started(10, "7", id_tag="A", meter_start_wh=100), started(900, "8", id_tag="A", meter_start_wh=5_100))
    assert session(live, 901).started_at == after(900)


def test_another_start_at_a_connector_in_use_ends_the_old_session() -> None:
    live = LiveState(site())
    told(live, started(10, "7", id_tag="A", meter_start_wh=0))
    records = [r for r in told(live, started(400, "8", id_tag="B", meter_start_wh=90)) if isinstance(r, SessionRecord)]
    assert [(r.session.transaction_id, r.session.ended_at) for r in records] == [("7", after(400)), ("8", None)]
    assert session(live, 401).started_at == after(400)
    assert told(live, ended(402, "7"), ended(403, "unheard")) == []  # the late stop of the old one
    assert session(live, 404).transaction_id == "8"


def test_a_stop_is_found_by_its_transaction_where_the_connector_is_not_said() -> None:
    live = LiveState(site())
    told(live, started(1, "1", 1), started(2, "2", 2), ended(3, "2", None))
    assert view(live, 4, E1).session is not None
    assert view(live, 4, E2).session is None


def test_a_start_that_comes_again_after_its_end_is_an_echo() -> None:
    live = LiveState(site())
    told(live, started(10), ended(20), started(10))
    assert view(live, 21).session is None
    told(live, started(30))  # a CSMS that counts from one again
    assert session(live, 31).started_at == after(30)


def test_a_boot_and_a_lost_link_end_nothing() -> None:
    live = LiveState(site())
    told(live, connected(), started(1), e.ChargerDisconnected("CP1", after(5), "gone"))  # type: ignore[arg-type]
    told(live, connected(9), e.ChargerBooted("CP1", after(10), "V" * 999, "M\0", None, True))  # type: ignore[arg-type]
    assert session(live, 11).transaction_id == "7"
    facts = live.charger("CP1")  # type: ignore[arg-type]
    assert (len(facts.vendor or ""), facts.model, facts.booted_at) == (255, "M", after(10))


def test_metering_inside_an_unheard_transaction_takes_the_session_up() -> None:
    live = LiveState(site())
    told(live, metered(5, 12.0, tx="-1"), metered(6, 12.0), metered(7, 12.0, tx="44"))
    assert (session(live, 8).transaction_id, session(live, 8).started_at) == ("44", after(7))
    told(live, started(9, "44", id_tag="A", meter_start_wh=3))  # the start comes after all
    assert (session(live, 10).started_at, session(live, 10).meter_start_wh) == (after(7), 3)
    told(live, ended(11, "44"), metered(12, 0.0, tx="44"))  # the last values of a session that is over
    assert view(live, 13).session is None


def test_a_session_that_nobody_ends_lapses_and_comes_back_when_it_was_alive() -> None:
    live = LiveState(site())
    told(live, connected(), started(1, meter_start_wh=0), status(2, EvseState.CHARGING))
    told(live, status(10, EvseState.AVAILABLE))
    assert view(live, 300).session is not None
    assert view(live, 311).session is None
    [record] = [r for r in told(live, reading_event(312)) if isinstance(r, SessionRecord)]
    assert record.session.ended_at == after(10)
    told(live, status(400, EvseState.CHARGING))
    assert session(live, 401).started_at == after(1)


def test_a_session_does_not_lapse_while_the_link_is_down_or_its_transaction_is_metered() -> None:
    live = LiveState(site())
    told(live, connected(), started(1), status(10, EvseState.AVAILABLE), e.ChargerDisconnected("CP1", after(20), "-"))  # type: ignore[arg-type]
    assert view(live, 9_000).session is not None
    told(live, connected(9_000))
    assert view(live, 9_299).session is not None
    assert view(live, 9_301).session is None
    other = LiveState(site())
    told(other, connected(), started(1), status(10, EvseState.AVAILABLE), metered(200, 0.0, tx="7"))
    assert view(other, 900).session is not None


# Set-points, decisions, limits.


def test_the_four_lives_of_a_set_point() -> None:
    live = LiveState(site())
    made = decision(10, 9.0, 0.0, 16.0)
    assert DecisionRecord(live.site.id, made) in live.decided(made)
    told(live, e.SetpointSent(E1, after(11), 9.0, made.id), e.SetpointAccepted(E1, after(12), 9.0, made.id))
    live.set_ledger(E1, LedgerEntry(9.0, 32.0, after(11), after(12)))
    assert live.setpoint(E1).confirmed_at is None
    settled = LedgerEntry(9.0, 9.0, after(11), after(12), settled_at=after(40), measured_a=8.7, measured_at=after(40))
    live.set_ledger(E1, settled)
    by_meter = e.SetpointConfirmed(E1, after(40), 9.0, made.id, "meter")
    assert SetpointEvent(E1, after(40), "confirmed", 9.0, made.id) in told(live, by_meter)
    facts = live.setpoint(E1)
    assert (facts.wanted_a, facts.sent_at, facts.accepted_at, facts.confirmed_at) == (
        9.0,
        after(11),
        after(12),
        after(40),
    )
    told(live, e.SetpointRefused(E1, after(50), 12.0, made.id, "Rejected"))
    assert (live.setpoint(E1).refused_a, live.setpoint(E1).refused_why) == (12.0, "Rejected")
    told(live, e.SetpointConfirmed(E1, after(51), 9.0, made.id, "schedule"))
    assert (live.setpoint(E1).schedule_a, live.setpoint(E1).confirmed_at) == (9.0, after(40)), "evidence, no proof"
    told(live, e.SetpointConfirmed(E1, after(52), 9.0, made.id, "schedule", 7.0))
    assert live.setpoint(E1).schedule_a == 7.0, "somebody else limits it further"
    ignored = e.SetpointIgnored(E1, after(60), 9.0, made.id, 31.5, "meter")
    assert SetpointEvent(E1, after(60), "ignored", 9.0, made.id, "drew 31.5 A") in told(live, ignored)
    assert live.view(E1, after(60)).quirks.obeys is False
    assert (live.setpoint(E1).ignored_a, live.setpoint(E1).ignored_at) == (9.0, after(60))


def test_a_ledger_entry_is_recorded_unless_only_its_measurement_is_new() -> None:
    live = LiveState(site())
    entry = granted(0, 10.0)
    assert live.set_ledger(E1, entry) == (LedgerRecord(E1, entry),)
    assert live.set_ledger(E1, replace(entry, measured_a=9.0, measured_at=after(0))) == ()
    assert live.ledger(E1).measured_a == 9.0
    assert live.set_ledger(E1, replace(entry, trusted=False)) != ()


def test_alarms_are_raised_once_and_cleared_once() -> None:
    live = LiveState(site())
    first = live.decided(decision(10, alarms=(alarm(), alarm("E1"))))
    assert len([r for r in first if isinstance(r, AlarmRecord)]) == 2
    assert [r for r in live.decided(decision(20, alarms=(alarm(), alarm("E1")))) if isinstance(r, AlarmRecord)] == []
    [cleared] = [r for r in live.decided(decision(30, alarms=(alarm("E1"),))) if isinstance(r, AlarmRecord)]
    assert (cleared.alarm.subject, cleared.raised_at, cleared.cleared_at) == ("main", after(10), after(30))
    assert [r.alarm.subject for r in live.alarms] == ["E1"]


def test_limits_come_and_go() -> None:
    live = LiveState(site())
    live.put_limit(limit("a", ends_s=50))
    live.put_limit(limit("b", starts_s=900, ends_s=None))
    assert [found.id for found in snap(live, 49).limits] == ["a", "b"]
    assert [found.id for found in snap(live, 50).limits] == ["b"]
    live.withdraw_limit("b", after(60))
    assert snap(live, 61).limits == ()
    with pytest.raises(UnknownIdError):
        live.withdraw_limit("b", after(62))
    with pytest.raises(UnknownIdError):
        live.put_limit(replace(limit(), feeder="p9"))  # type: ignore[arg-type]


def test_a_driver_says_when_to_leave() -> None:
    live = LiveState(site())
    with pytest.raises(UnknownIdError):
        live.amend_session(E1, departure_at=after(9))
    told(live, started(1))
    live.amend_session(E1, departure_at=after(9_000), energy_wanted_wh=12_000.0)
    told(live, metered(100, 10.0, tx="7"))
    assert (session(live, 101).departure_at, session(live, 101).energy_wanted_wh) == (after(9_000), 12_000.0)


# Any sequence at all.


def names_several(live: LiveState, event: e.Event) -> bool:
    """An end without its connector, of an id that the CSMS gave to several: told twice it ends two of them."""
    if not isinstance(event, e.SessionEnded) or event.connector is not None:
        return False
    return [s.transaction_id for s in live.durable().sessions.values()].count(event.transaction_id) > 1


@settings(deadline=None, max_examples=150)
@given(event_lists())
def test_every_event_may_come_twice(events: list[e.Event]) -> None:
    once, twice = LiveState(site()), LiveState(site())
    for event in events:
        told(once, event)
        told(twice, event, *(() if names_several(twice, event) else (event,)))
    end = events[-1].at if events else after(0)
    assert once.snapshot(end, feeders={}).evses.keys() == twice.snapshot(end, feeders={}).evses.keys()
    first, second = once.durable(), twice.durable()
    assert {k: (s.transaction_id, s.started_at) for k, s in first.sessions.items()} == {
        k: (s.transaction_id, s.started_at) for k, s in second.sessions.items()
    }
    assert replace(first, sessions={}) == replace(second, sessions={})


@settings(deadline=None, max_examples=150)
@given(event_lists(), st.booleans())
def test_a_restart_brings_everything_back(events: list[e.Event], decide: bool) -> None:
    live = LiveState(site(), restored=RestoredState(salt=b"salt"))
    told(live, *events)
    if decide:
        live.decided(decision(5, 6.0, 0.0, 32.0, alarms=(alarm(),)))
        live.set_ledger(E1, granted(5, 6.0))
        live.put_limit(limit())
        live.set_override(strategy="dro", scheduler=None)
    known = live.durable()
    again = LiveState(site(), restored=known).durable()
    unlinked = {key: replace(facts, linked=False) for key, facts in known.chargers.items()}
    assert again == replace(known, chargers=unlinked)


@settings(deadline=None, max_examples=150)
@given(event_lists())
def test_nothing_that_is_told_breaks_what_must_hold(events: list[e.Event]) -> None:
    live = LiveState(site())
    energy: dict[tuple[str, str], float] = {}
    for event in events:
        told(live, event)
        for evse, seen in live.snapshot(event.at, feeders={}).evses.items():
            assert seen.seen_max_a is None or 6.0 <= seen.seen_max_a < 32.0
            assert seen.sample is None or seen.sample.current_a is None or 0 <= seen.sample.current_a <= 128
            if seen.session is not None:
                key = (evse, seen.session.transaction_id + seen.session.started_at.isoformat())
                assert seen.session.ended_at is None
                assert seen.session.energy_wh >= energy.get(key, 0.0)
                energy[key] = seen.session.energy_wh
        assert all(kept[-1].at <= event.at for kept in [live.readings("m-main")] if kept)  # type: ignore[arg-type]
