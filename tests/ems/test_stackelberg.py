"""The equilibrium is checked, not assumed: against CVXPY, against every player's own best answer, and by hand."""

from dataclasses import replace

import numpy as np
import pytest
from ems_sites import building, evse, main_panel, problems
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks._central_game import central_optimum
from benchmarks._instances import random_problem, three_level_site
from domain.ids import FeederId
from domain.site import PHASES, Feeder
from ems.asked import asked
from ems.panel import capacity, compile_panel
from ems.problem import Infeasible, Problem
from ems.stackelberg import CERTAIN, Equilibrium, Stackelberg, Terms, kkt_residual, play, respond

A = PHASES[0]
betas = st.sampled_from([1.0, 1.0, 1.3, 2.5])


def game(problem, beta=1.0):
    rules = asked(problem, problem.on)
    terms = Terms.of(rules, problem.alpha, beta)
    return rules, terms, play(problem.panel, rules, terms)


@settings(deadline=None, max_examples=60)
@given(problems(base_frac=1.0), betas)
def test_the_game_is_the_central_optimum(problem, beta):
    rules, terms, found = game(problem, beta)
    assert isinstance(found, Equilibrium)
    assert found.current_a == pytest.approx(central_optimum(problem.panel, rules, terms), abs=1e-4)


@settings(deadline=None, max_examples=200)
@given(problems(base_frac=1.1), betas)
def test_the_equilibrium_carries_its_certificate(problem, beta):
    rules, terms, found = game(problem, beta)
    assert isinstance(found, Equilibrium)
    toll = problem.panel.matrix.T @ found.price
    answer_a = np.clip(terms.requested_a * (beta - toll / terms.weight), rules.low_a, rules.high_a)
    slack_a = rules.room_a - problem.panel.matrix @ found.current_a
    assert found.current_a == pytest.approx(answer_a, abs=CERTAIN)
    assert (slack_a >= -CERTAIN).all()
    assert (found.price >= 0.0).all()
    assert np.minimum(found.price, slack_a).max(initial=0.0) <= CERTAIN


@pytest.mark.parametrize("model", ["arithmetic", "phasor"])
@pytest.mark.parametrize("seed", range(2))
def test_a_large_building_has_its_certificate_too(model, seed):
    site = three_level_site(300, model)
    problem = random_problem(site, compile_panel(site), np.random.default_rng(seed))
    _, _, found = game(problem)
    assert found.residual <= CERTAIN
    assert found.rounds == 2


def test_the_certificate_is_lost_by_a_wrong_answer_and_by_a_wrong_price():
    site = three_level_site(30, "arithmetic")
    problem = random_problem(site, compile_panel(site), np.random.default_rng(1))
    rules, terms, found = game(problem)
    inside = int(np.flatnonzero((found.current_a > rules.low_a + 0.1) & (found.current_a < rules.high_a - 0.1))[0])
    other_a = found.current_a.copy()
    other_a[inside] -= 1e-3
    assert kkt_residual(problem.panel, rules, terms, other_a, found.price) > CERTAIN
    assert kkt_residual(problem.panel, rules, terms, found.current_a, found.price * 1.001) > CERTAIN


def followers(problem):
    """Every panel below the main one, as the set of EVSEs that it supplies; of panels with the same set one."""
    matrix, rows = problem.panel.matrix, problem.panel.rows
    of = {row.feeder: np.zeros(matrix.shape[1]) for row in rows}
    for row, line in zip(rows, matrix, strict=True):
        of[row.feeder] = np.maximum(of[row.feeder], line > 0.0)
    return [np.array(members) for members in dict.fromkeys(tuple(m) for name, m in of.items() if name != "main")]


def grant(problem, rules, members, current_a):
    """x_n - delta_n on rows that others load too; what it carries on rows of the follower's own."""
    matrix = problem.panel.matrix
    shared = ((matrix > 0.0) & (members == 0.0)).any(axis=1)
    return np.where(shared, matrix @ (members * current_a), rules.room_a)


@st.composite
def scarce_trees(draw):
    """A main panel that rations two sub-panels or more, each with branches."""
    site = three_level_site(draw(st.sampled_from([20, 36])), draw(st.sampled_from(["arithmetic", "phasor"])))
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return random_problem(site, compile_panel(site), generator, base_frac=0.55)


@settings(deadline=None, max_examples=30)
@given(st.one_of(problems(base_frac=0.9), scarce_trees()), betas)
def test_every_follower_at_any_depth_answers_its_grant_with_its_share_of_the_equilibrium(problem, beta):
    rules, terms, found = game(problem, beta)
    for members in followers(problem):
        got = respond(problem.panel, rules, terms, members, grant(problem, rules, members, found.current_a))
        assert got == pytest.approx(members * found.current_a, abs=1e-4)


@settings(deadline=None, max_examples=40)
@given(scarce_trees(), st.integers(0, 2**32 - 1))
def test_the_leader_has_no_profitable_deviation(problem, seed):
    """Grants moved between two followers, within what the main panel carries, never add to the sum of their values."""
    rules, terms, found = game(problem)
    below = followers(problem)
    top = [m for m in below if not any((n > m).any() and (n >= m).all() for n in below)]
    generator = np.random.default_rng(seed)
    one, other = (top[n] for n in generator.permutation(len(top))[:2])
    assert not (one * other).any()
    granted = [grant(problem, rules, members, found.current_a) for members in (one, other)]
    least = [problem.panel.matrix @ (members * rules.low_a) for members in (one, other)]
    moved_a = generator.choice([0.01, 0.3, 3.0]) * generator.random(len(rules.room_a))
    moved_a = np.minimum(moved_a, granted[1] - least[1])
    values = []
    for members, grant_a in ((one, granted[0] + moved_a), (other, granted[1] - moved_a)):
        answer_a = respond(problem.panel, rules, terms, members, grant_a)
        assert (problem.panel.matrix @ answer_a <= grant_a + 1e-6).all()
        values.append(terms.utility(answer_a))
    assert sum(values) <= sum(terms.utility(members * found.current_a) for members in (one, other)) + 1e-6


@settings(deadline=None, max_examples=60)
@given(problems(), betas, st.integers(0, 2**32 - 1))
def test_more_capacity_never_makes_the_followers_worse_off(problem, beta, seed):
    _, terms, found = game(problem, beta)
    more_a = np.random.default_rng(seed).choice([0.0, 0.5, 3.0], len(problem.capacity_a))
    _, _, wider = game(replace(problem, capacity_a=problem.capacity_a + more_a), beta)
    assert terms.utility(wider.current_a) >= terms.utility(found.current_a) - 1e-6


def one_row(room_a, upper_a, alpha, min_a=6.0):
    count = len(upper_a)
    panel = compile_panel(building([main_panel()], [evse(n, "main", (A,)) for n in range(count)]))
    upper, weight = np.array(upper_a, dtype=float), np.array(alpha, dtype=float)
    return Problem(panel, np.array([float(room_a)]), np.full(count, min_a), upper, weight, np.ones(count, dtype=bool))


def test_where_demands_fit_exactly_the_demand_is_granted_at_once():
    ask = one_row(90.0, [32.0, 16.0, 40.0], [1.0, 1.2, 1.5])
    _, _, found = game(ask)
    assert found.rounds == 1
    assert found.current_a == pytest.approx([32.0, 16.0, 40.0])
    assert not found.price.any()


def test_one_priority_one_row_shares_in_proportion_to_what_is_requested():
    """y_m = i_m (1 - price): 44 A over 88 A requested is one half each; the price of the last ampere is one half."""
    _, _, found = game(one_row(44.0, [32.0, 16.0, 40.0], [1.0, 1.0, 1.0]))
    assert found.current_a == pytest.approx([16.0, 8.0, 20.0])
    assert found.price == pytest.approx([0.5])
    assert found.rounds == 2


def test_a_larger_alpha_gets_more_and_a_larger_beta_evens_amperes():
    """32 (beta - p) + 32 (beta - p / 1.5) = 40 gives p = 0.45 at beta 1: 17.6 A and 22.4 A."""
    got = Stackelberg().allocate(one_row(40.0, [32.0, 32.0], [1.0, 1.5]))
    assert got.current_a == pytest.approx([17.6, 22.4])
    assert got.price == pytest.approx([1.0])
    # i_m (2 - p) with 16 and 32 A asked, 40 A there: p = 7/6 would give the first 13.3 A of 16.
    assert Stackelberg(beta=2.0).allocate(one_row(40.0, [16.0, 32.0], [1.0, 1.0])).current_a == pytest.approx(
        [40.0 / 3.0, 80.0 / 3.0]
    )


def test_non_ev_load_comes_first_then_dc_then_level_2():
    """Case study of table 6.2 at 600 V: main 1000 A usable, sub-feeder 1 with 2 DC and 7 Level II, 3 with 1 and 8."""
    low, high = 80.0 * 208.0 / 600.0, 150.0 * 480.0 / 600.0
    feeders = [main_panel(1250.0, usable=0.8)]
    feeders += [Feeder(FeederId(f"s{n}"), 1000.0, parent=FeederId("main"), usable=1.0) for n in (1, 2, 3)]
    plugs = [("s1", "dc", high)] * 2 + [("s1", "ac", low)] * 7 + [("s3", "dc", 80.0)] + [("s3", "ac", low)] * 8
    units = [evse(n, feeder, PHASES, kind=kind, max_a=a) for n, (feeder, kind, a) in enumerate(plugs)]
    site = building(feeders, units)
    panel = compile_panel(site)
    dc = np.array([unit.kind == "dc" for unit in units])
    upper_a, alpha = np.array([a for _, _, a in plugs]), np.where(dc, 1.5, 1.0)

    def fractions(second_a, third_a):
        base_a = {"main": second_a + third_a, "s2": second_a, "s3": third_a}
        base_a = {FeederId(name): dict.fromkeys(PHASES, load_a) for name, load_a in base_a.items()}
        one = np.ones(len(units))
        ask = Problem(panel, capacity(panel, site, base_a), 6.0 * one, upper_a, alpha, one > 0.0)
        got = Stackelberg().allocate(ask)
        assert got.current_a.sum() == pytest.approx(min(upper_a.sum(), 1000.0 - second_a - third_a))
        return (got.current_a / upper_a)[dc], (got.current_a / upper_a)[~dc]

    night_dc, night_ac = fractions(200.0, 60.0)
    assert night_dc == pytest.approx(1.0)
    assert night_ac == pytest.approx(1.0)
    peak_dc, peak_ac = fractions(600.0, 80.0)
    assert peak_dc.min() > 1.5 * peak_ac.max()
    assert peak_ac.min() > 0.2


def test_minima_that_do_not_fit_are_said():
    assert isinstance(Stackelberg().allocate(one_row(11.0, [32.0, 32.0], [1.0, 1.0])), Infeasible)


def test_full_down_to_the_last_minimum():
    got = Stackelberg().allocate(one_row(12.0, [32.0, 32.0], [1.0, 1.5]))
    assert got.current_a == pytest.approx([6.0, 6.0])
