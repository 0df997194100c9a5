"""A charger that may be sent few profiles a day: a fixed share, whatever the others do, and no turns."""

from dataclasses import replace

from decisions import ask, limits, panel
from hypothesis import given, settings
from hypothesis import strategies as st
from site_strategies import T0, seconds, settled, snapshot, view

from domain.quirks import Quirks
from domain.site import PHASES

WORN = Quirks(write_budget_per_day=20)


def worn(name, limit_a=0.0, **options):
    return view(name, limit_a, quirks=WORN, **options)


def test_its_share_is_that_of_all_at_once_and_does_not_depend_on_who_is_there():
    site = panel(3, 100.0)
    alone = limits(ask(snapshot(site, {"e0": worn("e0")})))
    together = limits(ask(snapshot(site, {"e0": worn("e0"), "e1": view("e1"), "e2": view("e2")})))
    assert alone["e0"] == together["e0"] == 26.0
    assert together["e1"] == together["e2"] > 26.0


def test_it_takes_no_turns_and_keeps_its_place_while_others_wait():
    site = panel(4, 20.0)
    names = ("e0", "e1", "e2", "e3")
    snap = snapshot(site, {n: worn(n) if n == "e0" else view(n) for n in names})
    served, changes = dict.fromkeys(names, 0), 0
    for turn in range(40):
        at = T0 + seconds(300 * turn)
        decision = ask(replace(snap, at=at))
        given_a = limits(decision)
        changes += given_a["e0"] != snap.evses["e0"].ledger.limit_a
        for name in names:
            served[name] += given_a[name] > 0.0
        evses = {n: replace(snap.evses[n], ledger=settled(given_a[n], at)) for n in names}
        snap = replace(snap, evses=evses, rotation=decision.rotation)
    assert served["e0"] >= 39
    assert changes <= 1
    assert min(served[n] for n in names[1:]) > 5


@given(st.floats(0.0, 45.0), st.integers(1, 3))
@settings(max_examples=40, deadline=None)
def test_where_even_that_does_not_fit_it_is_lowered_like_all(base_a, others):
    site = panel(others + 1, 50.0)
    evses = {f"e{n}": view(f"e{n}") for n in range(1, others + 1)} | {"e0": worn("e0", 10.0)}
    given_a = limits(ask(snapshot(site, evses, {"main": dict.fromkeys(PHASES, base_a)})))
    assert sum(given_a.values()) <= max(0.0, 40.0 - base_a) + 1e-6
    assert given_a["e0"] == 0.0 or given_a["e0"] >= 6.0


def test_a_large_budget_takes_turns_like_all():
    site = panel(3, 100.0)
    many = Quirks(write_budget_per_day=1000)
    given_a = limits(ask(snapshot(site, {"e0": view("e0", quirks=many)})))
    assert given_a["e0"] == 32.0
