"""From a snapshot to the robust plan's problem, and its answer in a decision."""

from dataclasses import replace
from datetime import timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from decisions import ask, limits, panel
from hypothesis import given, settings
from hypothesis import strategies as st
from site_strategies import T0, base_loads, currents, session, settled, sites, snapshot, view

from domain.ids import FeederId
from domain.setpoint import Rung
from domain.site import SchedulerSettings
from domain.snapshot import TemporaryLimit
from ems.dro import NO_OUTLOOK
from ems.habits import DAY_H, Habits
from ems.horizon import LOOKING_AHEAD, Ahead, horizon_problem, outlook_of
from ems.panel import compile_panel
from ems.problem import Infeasible, Outlook
from ems.situation import Layout, Situation

ZONE = ZoneInfo("America/Vancouver")
DRO = LOOKING_AHEAD["dro"]
HOUR = timedelta(hours=1)


def usage(evses, there=0.5, linked=0.0, energies_wh=()):
    return Habits(np.full((evses, DAY_H), there), linked, np.array(energies_wh))


def ahead_of(layout, steps=4, samples=40, load_a=0.0, **of_habits):
    """The same load on every phase of the root, its rows alone."""
    root = layout.site.root.id
    carries = np.array([[float(row.feeder == root and row.group is None)] for row in layout.panel.rows])
    loads = np.full((samples, 1, steps), load_a)
    return Ahead(loads, carries, usage(len(layout.evses), **of_habits))


def of_panel(evses, count=3, base=None, limits=(), **of_ahead):
    site = panel(count, strategy="dro", scheduler=SchedulerSettings(kind="fcfs"))
    layout = Layout.of(site, compile_panel(site))
    snap = snapshot(site, evses, base, limits=tuple(limits))
    return layout, snap, ahead_of(layout, **of_ahead)


def test_the_present_is_observed_and_the_rest_is_history():
    told = session("e1", departure_at=T0 + 2 * HOUR, energy_wanted_wh=9_000.0, energy_wh=4_840.0)
    full = session("e2", full_since=T0)
    evses = {"e0": view("e0"), "e1": view("e1", session=told), "e2": view("e2", session=full)}
    layout, snap, ahead = of_panel(evses, count=4, samples=4_000, there=0.3, energies_wh=[8_000.0] * 10)
    problem = horizon_problem(layout, snap, ahead, ZONE, DRO)
    assert problem.hours == (10, 11, 12, 13)
    assert problem.served.tolist() == [True, True, False, False]
    np.testing.assert_allclose(problem.high_a[:, 0], [32.0, 32.0, 0.0, 0.0])
    np.testing.assert_allclose(problem.high_a[:, 1], [32.0, 32.0, 0.0, 32.0])
    np.testing.assert_allclose(problem.energy_ah, [8_000 / 208, 4_160 / 208, 0.0, 8_000 / 208])
    chance = problem.available.mean(axis=0)
    np.testing.assert_allclose(chance[1], [1.0, 1.0, 0.0, 0.3], atol=0.03)  # gone, then as usual
    np.testing.assert_allclose(chance[[0, 3], 1:], 0.3, atol=0.03)
    again = horizon_problem(layout, snap, ahead, ZONE, DRO)
    np.testing.assert_array_equal(problem.available, again.available)


def test_room_knows_temporary_limits_and_who_cannot_be_commanded():
    evses = {"e0": view("e0"), "e1": view("e1", ledger=settled(10.0), linked=False)}
    limit = TemporaryLimit("l", FeederId("main"), 20.0, T0 + 1.5 * HOUR, T0 + 2.5 * HOUR, "grid")
    layout, snap, ahead = of_panel(evses, limits=[limit])
    problem = horizon_problem(layout, snap, ahead, ZONE, DRO)
    held = layout.panel.load_a(Situation.of(layout, snap, T0).held_a)
    assert held.max() > 0.0
    np.testing.assert_allclose(problem.room_a.T, np.array([[40.0], [20.0], [20.0], [40.0]]) - held)
    assert not problem.served[1]
    assert problem.high_a[1].max() == 0.0


def test_those_whose_minima_do_not_fit_beside_the_loads_margin_wait_for_the_plan():
    layout, snap, ahead = of_panel({f"e{n}": view(f"e{n}") for n in range(3)}, load_a=30.0)
    problem = horizon_problem(layout, snap, ahead, ZONE, DRO)
    assert problem.served.sum() == 1  # of 40 A the load takes 30 A
    found = outlook_of(layout, snap, ahead, ZONE)
    assert isinstance(found, Outlook)
    assert found.planned_a.max() >= 6.0


def test_a_car_that_can_wait_leaves_its_power_to_one_that_leaves():
    """Both could be served alike now; only the plan knows that one of them will be gone in an hour."""
    soon = session("e0", departure_at=T0 + HOUR, energy_wanted_wh=6_000.0)
    late = session("e1", departure_at=T0 + 8 * HOUR, energy_wanted_wh=6_000.0)
    evses = {"e0": view("e0", session=soon), "e1": view("e1", session=late)}
    layout, snap, ahead = of_panel(evses, count=2, there=0.0)
    found = outlook_of(layout, snap, ahead, ZONE)
    assert isinstance(found, Outlook)
    assert found.planned_a[0] > found.planned_a[1] + 5.0
    blind, seeing = ask(snap), ask(snap, outlook=found)
    assert blind.rung is seeing.rung is Rung.STRATEGY
    assert blind.rung_why == NO_OUTLOOK
    assert seeing.rung_why == ""
    assert limits(blind)["e0"] == pytest.approx(limits(blind)["e1"], abs=0.1)
    assert limits(seeing)["e0"] > limits(seeing)["e1"] + 5.0


@pytest.mark.parametrize("strategy", ["dro", "so", "ro"])
@settings(deadline=None, max_examples=15)
@given(data=st.data())
def test_a_plan_of_any_building_fits_its_bounds(strategy, data):
    site = replace(data.draw(sites(max_evses=4, metered=True)), strategy=strategy)
    layout = Layout.of(site, compile_panel(site))
    given_a = data.draw(currents(site))
    evses = {e: view(e, a, charging=data.draw(st.booleans())) for e, a in given_a.items()}
    snap = snapshot(site, evses, data.draw(base_loads(site)))
    ahead = ahead_of(layout, steps=3, samples=20, load_a=data.draw(st.floats(0.0, 30.0)))
    found = outlook_of(layout, snap, ahead, ZONE)
    if isinstance(found, Infeasible):
        pytest.fail(found.why)
    situation = Situation.of(layout, snap, T0)
    assert (found.planned_a <= np.where(situation.asking, situation.upper_a, 0.0) + 1e-6).all()
    load_a = layout.panel.load_a(found.planned_a)
    assert (load_a <= np.maximum(situation.hold_capacity_a, 0.0) + 1e-6).all()
