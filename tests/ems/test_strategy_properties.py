"""What no strategy may break: more room never costs current, names of phases do not matter, every pairing is safe."""

from dataclasses import replace

import numpy as np
import pytest
from decisions import ask, must_be_safe
from ems_sites import problems
from hypothesis import given, settings
from hypothesis import strategies as st
from site_strategies import sites, snapshots

from domain.site import Phase
from ems.baselines import Equal, FirstCome
from ems.dro import Dro
from ems.milp import Milp
from ems.panel import capacity, compile_panel
from ems.problem import Allocation, Outlook, Problem
from ems.stackelberg import Stackelberg
from ems.water_filling import WaterFilling

NEXT = {Phase.A: Phase.B, Phase.B: Phase.C, Phase.C: Phase.A}
NAMED = ("milp", "dro", "stackelberg", "so", "ro", "equal", "fcfs", "none")
SCHEDULERS = ("round_robin", "fcfs", "regular", "edf", "llf", "none")


@pytest.mark.parametrize("strategy", [Milp(), Dro()], ids=lambda strategy: strategy.name)
@settings(deadline=None, max_examples=60)
@given(problem=problems(), more=st.floats(0.0, 30.0), row=st.integers(0, 200))
def test_more_capacity_never_gives_less_in_total(strategy, problem, more, row):
    room_a = problem.capacity_a.copy()
    if not room_a.size:
        return
    room_a[row % room_a.size] += more
    totals = [
        float(problem.panel.conductors @ strategy.allocate(one).current_a)
        for one in (problem, replace(problem, capacity_a=room_a))
    ]
    assert totals[1] >= totals[0] - 1e-6


def renamed(site):
    """The same building with its phases called by the next letter."""
    feeders = tuple(replace(f, phases=tuple(sorted(NEXT[p] for p in f.phases))) for f in site.feeders)
    chargers = tuple(
        replace(c, evses=tuple(replace(e, phases=tuple(NEXT[p] for p in e.phases)) for e in c.evses))
        for c in site.chargers
    )
    return replace(site, feeders=feeders, chargers=chargers)


@pytest.mark.parametrize(
    "strategy", [Milp(), Dro(), WaterFilling(), Equal(), FirstCome(), Stackelberg()], ids=lambda strategy: strategy.name
)
@settings(deadline=None, max_examples=25)
@given(site=sites(max_evses=6), seed=st.integers(0, 10_000))
def test_names_of_phases_do_not_matter(strategy, site, seed):
    generator = np.random.default_rng(seed)
    base = {f.id: {p: f.usable_a * generator.uniform(0.0, 0.5) for p in Phase} for f in site.feeders}
    upper_a = generator.choice([8.0, 16.0, 32.0], len(site.evses))
    answers = []
    for one, load in (
        (site, base),
        (renamed(site), {f: {NEXT[p]: a for p, a in loads.items()} for f, loads in base.items()}),
    ):
        panel = compile_panel(one)
        room_a = capacity(panel, one, load)
        none = np.zeros(len(upper_a))
        answers.append(strategy.allocate(Problem(panel, room_a, none, upper_a, none + 1.0, upper_a > 0.0)))
    assert all(isinstance(answer, Allocation) for answer in answers)
    assert answers[0].current_a == pytest.approx(answers[1].current_a, abs=1e-4)


@settings(deadline=None, max_examples=40)
@given(problem=problems(), data=st.data())
def test_a_plan_is_kept_as_far_as_it_fits(problem, data):
    planned_a = np.array([data.draw(st.sampled_from([0.0, 7.0, 16.0, 40.0])) for _ in problem.panel.evses])
    for name in ("dro", "so", "ro"):
        found = Dro(name).allocate(replace(problem, outlook=Outlook(planned_a)))
        assert isinstance(found, Allocation)
        assert (problem.panel.load_a(found.current_a) <= np.maximum(problem.capacity_a, 0.0) + 1e-6).all()


@settings(deadline=None, max_examples=40)
@given(problem=problems(), data=st.data())
def test_a_pace_weighs_shares_and_costs_no_total(problem, data):
    pace = np.array([data.draw(st.sampled_from([1.0, 2.0, 64.0])) for _ in problem.panel.evses])
    plain, paced = Milp().allocate(problem), Milp().allocate(replace(problem, pace=pace))
    conductors = problem.panel.conductors
    assert conductors @ paced.current_a == pytest.approx(conductors @ plain.current_a, abs=1e-5)
    assert (paced.current_a <= problem.upper_a + 1e-9).all()


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("strategy", NAMED)
@settings(deadline=None, max_examples=4)
@given(data=st.data())
def test_every_strategy_with_every_scheduler_is_safe(strategy, scheduler, data):
    site = data.draw(sites(max_evses=6))
    site = replace(site, strategy=strategy, scheduler=replace(site.scheduler, kind=scheduler))
    snap = data.draw(snapshots(site))
    decision = ask(snap)
    must_be_safe(site, snap, decision)
    assert decision.strategy == strategy
