"""Pauses at 0 A: only where 6 A does not fit; full room for chargers that surge after one; a word to a person."""

from dataclasses import replace

import pytest
from decisions import in_force
from hypothesis import given
from hypothesis import strategies as st
from site_strategies import T0, make_evse, make_feeder, make_site, seconds, settled, snapshot, view

from domain.ledger import LedgerEntry
from domain.quirks import UNKNOWN, Quirks
from domain.setpoint import AlarmKind
from domain.site import PHASES, SchedulerSettings
from ems import ledger
from ems.decide import compile_plan, decide, recheck


def ask(snap):
    return decide(snap, compile_plan(snap.site), snap.at, trigger="test", decision_id="d1")


def limits(decision):
    return {point.evse: point.limit_a for point in decision.setpoints}


def two(rating_a, **options):
    evses = [make_evse("E1", phases="A"), make_evse("E2", phases="A")]
    return make_site([make_feeder("main", rating_a, usable=1.0, meter="m")], evses, **options)


@given(st.floats(6, 80), st.sampled_from(["milp", "equal", "fcfs"]), st.sampled_from(["round_robin", "fcfs", "llf"]))
def test_nobody_is_paused_whose_minimum_fits_beside_the_others_minima(rating_a, strategy, scheduler):
    """6 A is preferred to 0 A wherever the panel allows it: a pause is what some chargers do not come back from."""
    evses = [make_evse(f"E{number}", phases="A") for number in range(4)]
    feeder = make_feeder("main", rating_a, usable=1.0, meter="m")
    site = make_site([feeder], evses, strategy=strategy, scheduler=SchedulerSettings(kind=scheduler))
    given_a = limits(ask(snapshot(site, {one.id: view(one.id, 0.0) for one in evses})))
    assert sum(limit_a >= 6.0 for limit_a in given_a.values()) == min(4, int((rating_a + 1e-6) // 6.0))


@pytest.mark.parametrize(("rating_a", "starts"), [(48.0, True), (47.9, False)])
def test_one_that_surges_starts_only_where_its_full_rating_fits(rating_a, starts):
    site = two(rating_a)
    busy = view("E1", 16.0, ledger=settled(16.0, measured_a=16.0), seen_max_a=16.0)
    surges = view("E2", 0.0, quirks=Quirks(after_zero="full_current"))
    assert (limits(ask(snapshot(site, {"E1": busy, "E2": surges})))["E2"] > 0.0) is starts
    plain = replace(surges, quirks=UNKNOWN)
    assert limits(ask(snapshot(site, {"E1": busy, "E2": plain})))["E2"] > 0.0


def test_others_come_down_to_make_room_for_a_surge_and_have_theirs_back_after_it():
    """Found by a campaign (seed 54): admitted, and never switched on beside 24 A of others on a 48 A panel."""
    site = two(48.0)
    surges = view("E2", 0.0, quirks=Quirks(after_zero="full_current"))
    snap = snapshot(site, {"E1": view("E1", 32.0, ledger=settled(32.0, measured_a=32.0)), "E2": surges})
    assert limits(ask(snap)) == {"E1": 16.0, "E2": 0.0}
    snap = in_force(snap, ask(snap))
    assert limits(ask(snap))["E2"] == 6.0
    snap = in_force(snap, ask(snap))
    assert limits(ask(snap)) == {"E1": 24.0, "E2": 24.0}


@pytest.mark.parametrize("strategy", ["milp", "equal", "stackelberg"])
@pytest.mark.parametrize("surging", [1, 2, 4])
@pytest.mark.parametrize("rating_a", [33.0, 45.0, 60.0])
def test_everybody_has_a_turn_in_time_also_those_who_surge(rating_a, surging, strategy):
    """At most one surge fits beside the others' minima: a slice of the quantum each, and they have all been on."""
    evses = [make_evse(f"E{number}", phases="A") for number in range(4)]
    feeder = make_feeder("main", rating_a, usable=1.0, meter="m")
    site = make_site([feeder], evses, strategy=strategy, scheduler=SchedulerSettings(quantum_s=3600.0, min_on_s=600.0))
    quirks = {evse.id: Quirks(after_zero="full_current") for evse in evses[:surging]}
    views = {e.id: view(e.id, 0.0 if e.id in quirks else 12.0, quirks=quirks.get(e.id, UNKNOWN)) for e in evses}
    snap, plan, waited_s = snapshot(site, views), compile_plan(site), dict.fromkeys(views, 0.0)
    for _ in range(240):
        decision = decide(snap, plan, snap.at, trigger="test", decision_id="d")
        for evse, limit_a in limits(decision).items():
            waited_s[evse] = 0.0 if limit_a else waited_s[evse] + 60.0
            assert waited_s[evse] <= 3600.0, evse
        counted_a = sum(
            32.0 if limit_a and not views[evse].ledger.limit_a and evse in quirks else limit_a
            for evse, limit_a in limits(decision).items()
        )
        assert counted_a <= rating_a + 1e-6
        snap = later(in_force(snap, decision), 60.0)
        views = snap.evses


def later(snap, by_s):
    at = snap.at + seconds(by_s)
    return replace(snap, at=at, feeders={n: replace(f, reading_at=at) for n, f in snap.feeders.items()})


@pytest.mark.parametrize(("base_a", "starts"), [(15.9, True), (16.1, False)])
def test_the_guard_too_lets_one_that_surges_start_only_where_its_full_rating_fits(base_a, starts):
    """As when the building's load has risen since the start was decided."""
    site = two(48.0)
    surges = view("E2", 0.0, quirks=Quirks(after_zero="full_current"))
    snap = snapshot(site, {"E1": view("E1", 0.0), "E2": surges}, base={"main": dict.fromkeys(PHASES, base_a)})
    allowed_a = recheck({"E1": 0.0, "E2": 8.0}, snap, compile_plan(site), T0)
    assert allowed_a == {"E1": 0.0, "E2": 8.0 if starts else 0.0}
    plain = replace(snap, evses=snap.evses | {"E2": replace(surges, quirks=UNKNOWN)})
    assert recheck({"E1": 0.0, "E2": 8.0}, plain, compile_plan(site), T0)["E2"] == 8.0


def test_one_that_stays_paused_is_told_to_a_person():
    site = two(100.0)
    snap = snapshot(site, {"E1": view("E1", 6.0, stays_paused_since=T0 - seconds(5))})
    (alarm,) = [one for one in ask(snap).alarms if one.kind is AlarmKind.STAYS_PAUSED]
    assert alarm.subject == "E1"
    assert "6 A" in alarm.text


@given(st.floats(0, 32), st.floats(0, 32), st.floats(0, 40), st.floats(0.1, 29))
def test_a_draw_above_every_limit_that_may_be_in_force_is_never_a_matter_of_time(before_a, limit_a, drawn_a, after_s):
    """However soon after the acknowledgement; what is at or below one of them keeps trust while the time runs."""
    evse = make_evse("E1", phases="A")
    entry = LedgerEntry(limit_a, max(before_a, limit_a), T0, T0)
    seen = ledger.measured(entry, evse, drawn_a, T0 + seconds(after_s))
    most_a = max(before_a, limit_a)
    assert seen.trusted == (drawn_a <= most_a + ledger.tolerance_a(most_a))
    if not seen.trusted:
        assert ledger.counted_a(seen, evse, T0 + seconds(after_s)) >= evse.max_a


@pytest.mark.parametrize(("after_s", "made"), [(4.9, True), (5.1, False)])
def test_a_reduction_that_nobody_acknowledges_for_5_s_is_made_up_for_by_others(after_s, made):
    """32 A were cut to 8 A to make room; unacknowledged, the first still counts at 32 A and the second is lowered."""
    site = two(40.0, strategy="equal")
    told = LedgerEntry(8.0, 32.0, sent_at=T0 - seconds(after_s), measured_a=32.0, measured_at=T0 - seconds(60))
    decision = ask(snapshot(site, {"E1": view("E1", ledger=told), "E2": view("E2", 32.0)}))
    assert (limits(decision)["E2"] > 8.0) is made
    kinds = {(alarm.kind, alarm.subject) for alarm in decision.alarms}
    assert ((AlarmKind.REDUCTION_UNACKNOWLEDGED, "E1") in kinds) is not made
