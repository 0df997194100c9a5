"""What need not be decided again: with base loads that move within a decision's latitude its limits may stay."""

from dataclasses import replace

from decisions import ask, in_force, limits, panel
from hypothesis import given, settings
from hypothesis import strategies as st
from site_strategies import A, B, C, sites, snapshot, snapshots, view

from domain.site import PHASES
from ems.decide import compile_plan, recheck

CALM_ROUNDS = 3


def moved(feeder_view, moves_a):
    """The view with each phase's load, its bound and its forecast moved."""

    def by(amps):
        return {phase: max(0.0, load_a + moves_a.get(phase, 0.0)) for phase, load_a in amps.items()}

    parts = {name: by(getattr(feeder_view, name)) for name in ("base_high_a", "base_likely_a", "forecast_a")}
    return replace(feeder_view, **parts)


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_what_moves_within_the_latitude_lowers_no_limit_and_gives_nobody_more(data):
    site = data.draw(sites())
    plan = compile_plan(site)
    snap = data.draw(snapshots(site, disturbed=False))
    for _ in range(CALM_ROUNDS):
        snap = in_force(snap, ask(snap, plan))
    decision = ask(snap, plan)
    latitude = decision.latitude
    feeders = {}
    for name, feeder_view in snap.feeders.items():
        moves_a = {}
        for phase in PHASES:
            up_a = max(0.0, latitude.room_a.get(name, {}).get(phase, 0.0))
            down_a = 0.0 if name in latitude.wanting else 10.0
            moves_a[phase] = data.draw(st.floats(-down_a, 0.99 * up_a))
        feeders[name] = moved(feeder_view, moves_a)
    given_a, after = limits(decision), replace(snap, feeders=feeders)
    assert recheck(given_a, after, plan, after.at) == given_a, "the guard has nothing to lower"
    band_a = max(site.control.dead_band_a, 0.1)
    again_a = limits(ask(after, plan))
    if site.scheduler.kind == "none":  # of equal cars that cannot all charge, the solver may take others
        assert sum(again_a.values()) <= sum(given_a.values()) + band_a * len(given_a)
        return
    for evse, limit_a in again_a.items():
        assert limit_a <= given_a[evse] + band_a, "nobody could have been given more"


def test_room_is_what_the_limits_leave_and_those_who_want_more_are_told_of():
    site = panel(1, rating_a=50.0)
    snap = snapshot(site, {"e0": view("e0", 20.0)}, {"main": {A: 20.0, B: 0.0, C: 0.0}})
    usable_a = site.feeders[0].usable_a
    decision = ask(snap)
    given_a = limits(decision)["e0"]
    room_a = decision.latitude.room_a["main"]
    assert abs(min(room_a.values()) - (usable_a - 20.0 - given_a)) < 0.2
    assert decision.latitude.wanting == {"main"}
    with_plenty = snapshot(site, {"e0": view("e0", 32.0)}, {})
    assert ask(with_plenty).latitude.wanting == set()
