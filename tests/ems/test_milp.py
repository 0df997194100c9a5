from dataclasses import replace
from itertools import permutations, product

import numpy as np
import pytest
from ems_sites import LEGS, building, evse, main_panel, problems, sites
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks._instances import random_problem, three_level_site
from benchmarks._pulp_milp import single_stage, two_stages, with_cbc, with_highs
from domain.ids import FeederId
from domain.site import PHASES, Feeder
from ems.milp import Milp
from ems.panel import capacity, compile_panel
from ems.problem import Infeasible, Problem

A, B, C = PHASES


def total_a(problem, current_a):
    return float(problem.panel.conductors @ current_a)


def shares(problem, current_a):
    weight_a = problem.alpha * problem.upper_a
    return np.divide(current_a, weight_a, out=np.zeros_like(weight_a), where=weight_a > 0.0)


def check_against_pulp(problem):
    got = Milp().allocate(problem)
    total, current_a = two_stages(problem, with_highs())
    assert total_a(problem, got.current_a) == pytest.approx(total, abs=1e-6)
    assert np.sort(shares(problem, got.current_a)) == pytest.approx(np.sort(shares(problem, current_a)), abs=2e-4)
    assert got.current_a == pytest.approx(current_a, abs=5e-3)


@settings(deadline=None, max_examples=150)
@given(problems(wirings=LEGS))
def test_agrees_with_the_plain_model_on_line_to_line_loads(problem):
    check_against_pulp(problem)


@settings(deadline=None, max_examples=150)
@given(problems())
def test_agrees_with_the_plain_model_whatever_the_wiring(problem):
    check_against_pulp(problem)


@pytest.mark.parametrize("model", ["arithmetic", "phasor"])
@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_the_plain_model_in_a_large_building(model, seed):
    site = three_level_site(54, model)
    check_against_pulp(random_problem(site, compile_panel(site), np.random.default_rng(seed)))


def test_agrees_with_cbc():
    """CBC's answers are text with eight digits, so the total is compared to that precision."""
    site = three_level_site(54, "arithmetic")
    problem = random_problem(site, compile_panel(site), np.random.default_rng(7))
    total = total_a(problem, single_stage(problem, with_cbc()))
    assert total_a(problem, Milp().allocate(problem).current_a) == pytest.approx(total, rel=1e-7)


@settings(deadline=None, max_examples=25)
@given(problems(free=True, base_frac=1.1))
def test_with_z_free_the_most_are_served_and_then_the_most_is_given(problem):
    """Brute force: every choice of who is served, each with the plain model's largest total."""
    possible = (problem.upper_a > 0.0) & (problem.upper_a >= problem.min_a)
    room_a = np.maximum(problem.capacity_a, 0.0)
    best = (0, 0.0)
    for choice in product([False, True], repeat=len(possible)):
        on = np.array(choice)
        fits = (problem.panel.matrix @ np.where(on, problem.min_a, 0.0) <= room_a + 1e-9).all()
        if (on & ~possible).any() or on.sum() < best[0] or not fits:
            continue
        given_z = replace(problem, on=on)
        best = max(best, (int(on.sum()), total_a(problem, single_stage(given_z, with_highs()))))
    got = Milp().allocate(problem).current_a
    counted = problem.min_a > 0.0
    least = int((got[counted] > 0.0).sum())
    assert least <= best[0] <= least + int((possible & ~counted).sum())
    assert total_a(problem, got) == pytest.approx(best[1], abs=1e-6)


@settings(deadline=None, max_examples=150)
@given(problems(), st.integers(0, 2**32 - 1))
def test_more_capacity_never_gives_less_and_prices_say_how_much_at_most(problem, seed):
    got = Milp().allocate(problem)
    more_a = np.random.default_rng(seed).choice([0.0, 0.0, 0.5, 3.0], len(problem.capacity_a))
    wider = Milp().allocate(replace(problem, capacity_a=problem.capacity_a + more_a))
    gained_a = total_a(problem, wider.current_a) - total_a(problem, got.current_a)
    assert gained_a >= -1e-6
    room_a = np.maximum(problem.capacity_a, 0.0)
    opened_a = np.maximum(problem.capacity_a + more_a, 0.0) - room_a
    assert gained_a <= got.price @ opened_a + 1e-6


@settings(deadline=None, max_examples=150)
@given(problems())
def test_who_gets_less_than_asked_is_told_the_full_row(problem):
    got = Milp().allocate(problem)
    served = problem.on & (problem.upper_a > 0.0) & (problem.upper_a >= problem.min_a)
    short = served & (got.current_a < problem.upper_a - 1e-6)
    assert (got.binding[short] >= 0).all()
    assert (got.binding[~served] == -1).all()


@settings(deadline=None, max_examples=30)
@given(sites(wirings=LEGS), st.sampled_from(list(permutations(PHASES))), st.integers(0, 2**32 - 1))
def test_renaming_the_phases_changes_nothing(site, names, seed):
    renamed = dict(zip(PHASES, names, strict=True))
    generator = np.random.default_rng(seed)
    base_a = {f.id: {phase: f.usable_a * generator.uniform(0.0, 0.5) for phase in PHASES} for f in site.feeders}
    upper_a = generator.choice([10.0, 16.0, 32.0], len(site.evses))

    def answer(evses, names):
        other = building(site.feeders, evses, site.electrical.model)
        panel = compile_panel(other)
        capacity_a = capacity(panel, other, {f: {names[p]: a for p, a in amps.items()} for f, amps in base_a.items()})
        zero, one = np.zeros(len(evses)), np.ones(len(evses))
        return Milp().allocate(Problem(panel, capacity_a, zero, upper_a, one, one > 0.0)).current_a

    others = [replace(unit, phases=tuple(renamed[p] for p in unit.phases)) for unit in site.evses]
    before, after = answer(site.evses, dict(zip(PHASES, PHASES, strict=True))), answer(others, renamed)
    assert before == pytest.approx(after, abs=1e-5)


def test_the_total_comes_before_fairness():
    """On A-B, B-C, C-A with A full, one more ampere on B-C costs nothing; then A-B and C-A share alike."""
    panel = compile_panel(building([main_panel()], [evse(n, "main", legs) for n, legs in enumerate(LEGS)]))
    by_phase = {A: 20.0, B: 100.0, C: 100.0}
    capacity_a = np.array([by_phase[row.phase] for row in panel.rows])
    ask = Problem(panel, capacity_a, np.full(3, 6.0), np.full(3, 32.0), np.ones(3), None)
    got = Milp().allocate(ask)
    assert got.current_a == pytest.approx([10.0, 32.0, 10.0])
    assert {row.phase: price for row, price in zip(panel.rows, got.price, strict=True)} == {A: 2.0, B: 0.0, C: 0.0}
    assert [row == -1 or panel.rows[row].phase for row in got.binding] == [A, True, A]


def test_priority_shifts_the_split_but_not_the_total():
    panel = compile_panel(building([main_panel()], [evse(n, "main", (A,)) for n in range(2)]))
    ask = Problem(panel, np.array([30.0]), np.full(2, 6.0), np.full(2, 32.0), np.array([1.0, 1.5]), None)
    assert Milp().allocate(ask).current_a == pytest.approx([12.0, 18.0])


def test_a_level_that_no_single_row_shows():
    """Two branches, each full on B; the main panel is full on A, so A-B must not yield to B-C in either."""
    feeders = [main_panel(45.0)]
    feeders += [
        Feeder(FeederId(name), rating, usable=1.0, parent=FeederId("main"))
        for name, rating in (("f", 20.0), ("g", 30.0))
    ]
    units = [
        evse(0, "f", (A, B)),
        evse(1, "f", (B, C)),
        evse(2, "g", (A, B)),
        evse(3, "g", (B, C)),
        evse(4, "main", (C, A)),
    ]
    site = building(feeders, units)
    panel = compile_panel(site)
    ask = Problem(panel, capacity(panel, site, {}), np.zeros(5), np.full(5, 32.0), np.ones(5), None)
    check_against_pulp(ask)


def test_minima_that_do_not_fit_are_said():
    panel = compile_panel(building([main_panel()], [evse(n, "main", (A,)) for n in range(2)]))
    ask = Problem(panel, np.array([11.0]), np.full(2, 6.0), np.full(2, 32.0), np.ones(2), np.ones(2, dtype=np.bool_))
    assert isinstance(Milp().allocate(ask), Infeasible)


def test_what_was_asked_before_is_answered_alike_and_nothing_else_is():
    panel = compile_panel(building([main_panel()], [evse(n, "main", (A,)) for n in range(3)]))
    ask = Problem(panel, np.array([40.0]), np.full(3, 6.0), np.full(3, 32.0), np.ones(3), None)
    others = [
        ask,
        replace(ask, capacity_a=np.array([30.0])),
        replace(ask, min_a=np.full(3, 13.5)),
        replace(ask, upper_a=np.array([32.0, 32.0, 8.0])),
        replace(ask, alpha=np.array([1.0, 1.0, 1.5])),
        replace(ask, on=np.array([True, True, False])),
        replace(ask, pace=np.array([1.0, 1.2, 1.0])),
    ]
    lasting = Milp()
    for problem in [*others, *reversed(others), *(one for other in others for one in (ask, other, other))]:
        assert (lasting.allocate(problem).current_a == Milp().allocate(problem).current_a).all()
    larger = building([main_panel()], [evse(n, "main", (A, B)) for n in range(3)])
    elsewhere = replace(ask, panel=compile_panel(larger), capacity_a=np.array([40.0, 40.0]))
    assert isinstance(lasting.allocate(elsewhere).price, np.ndarray)
    assert len(lasting.allocate(elsewhere).price) == 2
