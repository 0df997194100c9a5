"""Plans against CVXPY, against the worst distribution in the ball, and by hand; the live step against `milp`."""

from dataclasses import replace

import numpy as np
import pytest
from ems_sites import building, evse, main_panel, problems, sites
from hypothesis import given, settings
from hypothesis import strategies as st
from test_strategies import check

from benchmarks import _cvxpy_dro
from benchmarks.dro import unseen_days
from domain.site import PHASES
from ems.dro import NO_OUTLOOK, Dro, Models, solve_dro
from ems.milp import Milp
from ems.panel import compile_panel
from ems.problem import Infeasible, Outlook, Problem
from ems.radius import FixedRadius, HourlyRadius, adaptive_radius
from ems.scenarios import BOX, SAMPLE_AVERAGE, DroSettings, HorizonProblem, load_margin_a, tail_mean

A = PHASES[0]
CVAR = DroSettings(level=0.1, radius=FixedRadius(0.2))
EXPECTATION = DroSettings(risk="expectation", radius=FixedRadius(0.2))
every_method = pytest.mark.parametrize(
    "method", [CVAR, EXPECTATION, SAMPLE_AVERAGE, BOX], ids=["cvar", "expectation", "so", "ro"]
)


@st.composite
def horizons(draw, steps=3, samples=20, model="arithmetic"):
    """Any building; a source of load per feeder, carried by that feeder's rows and those above it by size."""
    site = draw(sites(model=model, most_evses=5))
    panel = compile_panel(site)
    generator = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    evses, rows, feeders = len(panel.evses), len(panel.rows), [feeder.id for feeder in site.feeders]
    above = {feeder: {other.id for other in site.path(feeder)} for feeder in feeders}
    carries = np.array([[float(row.group is None and row.feeder in above[f]) for f in feeders] for row in panel.rows])
    low_a = np.full(evses, 6.0)
    served = generator.random(evses) < 0.5
    usable_a = panel.usable_a[:, None] * np.ones((rows, steps))
    return HorizonProblem(
        panel=panel,
        step_h=0.5,
        hours=tuple(range(17, 17 + steps)),
        room_a=usable_a,
        served=served,
        low_a=np.where(served, low_a, 0.0),
        high_a=generator.uniform(10.0, 32.0, (evses, 1)) * np.ones((evses, steps)),
        energy_ah=generator.uniform(2.0, 40.0, evses),
        weight=generator.choice([1.0, 1.0, 1.5], evses),
        load_a=generator.gamma(2.0, generator.choice([1.0, 4.0]), (samples, len(feeders), steps)),
        carries=carries,
        available=(generator.random((samples, evses, steps)) < 0.6).astype(float),
    )


@every_method
@settings(deadline=None, max_examples=8)
@given(problem=horizons(samples=10))
def test_agrees_with_the_plain_model(method, problem):
    plan = solve_dro(problem, method)
    if isinstance(plan, Infeasible):
        return
    value, current_a = _cvxpy_dro.plan(problem, method)
    assert plan.value == pytest.approx(value, rel=1e-4, abs=0.1)
    assert problem.weight @ plan.now_a == pytest.approx(problem.weight @ current_a[:, 0], abs=0.3)


@every_method
@settings(deadline=None, max_examples=25)
@given(problem=horizons(model=None))
def test_a_plan_keeps_bounds_energy_and_the_present_rows(method, problem):
    known_a = np.maximum(problem.room_a[:, 0] * 0.7, problem.panel.load_a(problem.low_a))
    plan = solve_dro(replace(problem, now_a=known_a), method)
    if isinstance(plan, Infeasible):
        margin_a = load_margin_a(problem, method)[:, 0]
        assert (problem.panel.load_a(problem.low_a) > np.maximum(problem.room_a[:, 0] - margin_a, 0.0)).any()
        return
    assert (problem.panel.load_a(plan.now_a) <= known_a + 1e-6).all()
    assert (plan.now_a >= problem.low_a - 1e-9).all()
    assert (plan.now_a <= np.where(problem.served, problem.high_a[:, 0], 0.0) + 1e-9).all()
    assert (plan.later_a >= 0.0).all()
    assert (plan.later_a <= problem.high_a[:, 1:]).all()
    taken_ah = problem.step_h * (plan.now_a + plan.later_a.sum(axis=1))
    assert (taken_ah <= np.maximum(problem.energy_ah, problem.low_a * problem.step_h) + 0.02).all()


def worst_samples(problem, method, current_a, row, step):
    """Losses at one row and step when the samples are moved as far as the ball allows in the direction that hurts.

    cvar: only those in the tail, each by rho / sqrt(level), which is distance rho in all; expectation: all by rho.
    """
    beta = np.concatenate([problem.panel.matrix[row] * current_a, problem.carries[row] * problem.sigma_a[:, step]])
    there, load_a = problem.available[:, :, step], problem.load_a[:, :, step]
    scaled = np.hstack([there, load_a / problem.sigma_a[:, step]])
    loss = scaled @ beta
    moved = np.ones(len(loss), dtype=bool)
    if method.risk == "cvar":
        moved[np.argsort(loss)[: len(loss) - round(method.level * len(loss))]] = False
    shift = method.reach(problem)[step] * beta / max(float(np.linalg.norm(beta)), 1e-12)
    scaled[moved] += shift
    return (
        loss,
        scaled @ beta,
        np.clip(scaled[:, : current_a.size], 0.0, 1.0) @ beta[: current_a.size]
        + (scaled[:, current_a.size :] @ beta[current_a.size :]),
    )


@pytest.mark.parametrize("method", [CVAR, replace(EXPECTATION, confidence_z=0.0)], ids=["cvar", "expectation"])
@settings(deadline=None, max_examples=25)
@given(problem=horizons())
def test_no_distribution_in_the_ball_overloads_more_than_was_chosen(method, problem):
    plan = solve_dro(problem, method)
    if isinstance(plan, Infeasible):
        return
    margin_a = load_margin_a(problem, method)
    for row in range(len(problem.panel.rows)):
        for step in range(1, problem.steps):
            if margin_a[row, step] > problem.room_a[row, step] - 0.01:
                assert not plan.later_a[problem.panel.matrix[row] > 0.0, step - 1].any()
                continue
            before, free, inside = worst_samples(problem, method, plan.later_a[:, step - 1], row, step)
            moved = inside if method.risk == "cvar" else free
            measure = (lambda loss: tail_mean(loss, method.level)) if method.risk == "cvar" else np.mean
            assert measure(before) <= measure(free) + 1e-9
            assert measure(moved) <= problem.room_a[row, step] + 0.05


@pytest.mark.parametrize("method", [CVAR, replace(EXPECTATION, confidence_z=0.0)], ids=["cvar", "expectation"])
@settings(deadline=None, max_examples=25)
@given(problem=horizons())
def test_the_load_margin_is_what_the_worst_distribution_takes_and_no_more(method, problem):
    margin_a = load_margin_a(problem, method)
    for row in range(len(problem.panel.rows)):
        if problem.carries[row].any():
            _, worst, _ = worst_samples(problem, method, np.zeros(len(problem.panel.evses)), row, 1)
            taken = tail_mean(worst, method.level) if method.risk == "cvar" else worst.mean()
            assert taken == pytest.approx(margin_a[row, 1])


@settings(deadline=None, max_examples=25)
@given(problem=horizons())
def test_a_larger_radius_promises_less_and_no_radius_the_most(problem):
    values = []
    for rho in (0.0, 0.1, 0.4):
        plan = solve_dro(problem, replace(CVAR, radius=FixedRadius(rho)))
        values.append(-np.inf if isinstance(plan, Infeasible) else plan.value)
    assert values[0] >= values[1] - 0.05
    assert values[1] >= values[2] - 0.05
    average = solve_dro(problem, SAMPLE_AVERAGE)
    if not isinstance(average, Infeasible):
        assert average.value >= values[0] - 0.05


@every_method
def test_a_program_that_has_served_before_gives_the_same_answers(method):
    first, second = two_days()
    models = Models()
    solve_dro(first, method, models)
    again, fresh = solve_dro(second, method, models), solve_dro(second, method)
    assert again.value == pytest.approx(fresh.value, rel=1e-6)
    assert again.now_a == pytest.approx(fresh.now_a, abs=0.01)
    assert len(models.by_shape) == 1


def small(steps=2, cars=2, **changes):
    """One row of 32 A, no load, cars that take up to 32 A and are there in every sample."""
    panel = compile_panel(building([main_panel(32.0)], [evse(n, "main", (A,)) for n in range(cars)]))
    problem = HorizonProblem(
        panel=panel,
        step_h=1.0,
        hours=tuple(range(steps)),
        room_a=np.full((1, steps), 32.0),
        served=np.ones(cars, dtype=bool),
        low_a=np.zeros(cars),
        high_a=np.full((cars, steps), 32.0),
        energy_ah=np.full(cars, 1000.0),
        weight=np.ones(cars),
        load_a=np.zeros((10, 1, steps)),
        carries=np.ones((1, 1)),
        available=np.ones((10, cars, steps)),
    )
    return replace(problem, **changes)


def two_days():
    generator = np.random.default_rng(0)
    one = small(4, 3, load_a=generator.gamma(2.0, 3.0, (10, 1, 4)))
    return one, replace(one, load_a=generator.gamma(2.0, 4.0, (10, 1, 4)), energy_ah=np.array([20.0, 30.0, 40.0]))


def test_who_will_be_gone_comes_first_because_energy_couples_the_steps():
    """Two cars with 32 Ah to take, 32 A now and 32 A in the next hour; the first one is never there then."""
    gone = np.ones((10, 2, 2))
    gone[:, 0, 1] = 0.0
    plan = solve_dro(small(energy_ah=np.full(2, 32.0), available=gone), replace(CVAR, radius=FixedRadius(0.0)))
    assert plan.now_a == pytest.approx([32.0, 0.0], abs=0.1)
    assert plan.later_a[1] == pytest.approx([32.0], abs=0.1)
    same = solve_dro(small(energy_ah=np.full(2, 32.0)), replace(CVAR, radius=FixedRadius(0.0)))
    assert same.now_a == pytest.approx([16.0, 16.0], abs=0.1)


def test_the_present_step_counts_no_car_as_perhaps_absent():
    """Half of the samples say nobody comes; now both are there, and 2 x 32 A do not fit 32 A."""
    rarely = np.zeros((10, 2, 2))
    rarely[:5] = 1.0
    plan = solve_dro(small(available=rarely), SAMPLE_AVERAGE)
    assert plan.now_a.sum() == pytest.approx(32.0, abs=0.01)
    assert plan.later_a.sum() == pytest.approx(64.0, abs=0.05)


def test_box_leaves_room_for_everybody_and_cvar_for_those_who_come_together():
    """Two cars that are never there together: RO gives 32 A to both together, cvar 32 A to each."""
    apart = np.zeros((10, 2, 2))
    apart[::2, 0], apart[1::2, 1] = 1.0, 1.0
    assert solve_dro(small(available=apart), BOX).later_a.sum() == pytest.approx(32.0, abs=0.1)
    free = solve_dro(small(available=apart), replace(CVAR, radius=FixedRadius(0.0)))
    assert free.later_a.sum() == pytest.approx(64.0, abs=0.1)


def test_load_alone_above_the_rating_stops_that_step_and_not_the_plan():
    load_a = np.zeros((10, 1, 2))
    load_a[:, 0, 1] = 40.0
    plan = solve_dro(small(load_a=load_a), CVAR)
    assert plan.now_a.sum() == pytest.approx(32.0, abs=0.01)
    assert not plan.later_a.any()


def test_present_minima_that_do_not_fit_are_said():
    told = solve_dro(small(low_a=np.full(2, 6.0), now_a=np.array([11.0])), CVAR)
    assert isinstance(told, Infeasible)
    assert "11.0 A are free" in told.why


def test_eps_of_the_thesis_counts_in_expectation_alone():
    load_a = np.tile([[[2.0, 2.0]], [[6.0, 6.0]]], (5, 1, 1))
    problem = small(load_a=load_a)
    assert problem.sigma_a == pytest.approx(2.0)
    expected = DroSettings(risk="expectation", radius=FixedRadius(0.5), confidence_z=1.96)
    assert load_margin_a(problem, expected)[0, 1] == pytest.approx(4.0 + 0.5 * 2.0 + 1.96 * 2.0)
    tail = DroSettings(level=0.25, radius=FixedRadius(0.5), confidence_z=1.96)
    assert load_margin_a(problem, tail)[0, 1] == pytest.approx(6.0 + 0.5 / 0.5 * 2.0)


@given(st.lists(st.floats(-50.0, 50.0), min_size=1, max_size=30), st.floats(0.01, 1.0))
def test_tail_mean_is_the_least_over_all_thresholds(samples, level):
    """Rockafellar and Uryasev: min over tau, attained at a sample, of tau + mean (x - tau)+ / level."""
    x = np.array(samples)
    least = min(tau + np.maximum(x - tau, 0.0).mean() / level for tau in samples)
    assert float(tail_mean(x, level)) == pytest.approx(least, abs=1e-6)


def test_the_radius_grows_with_errors_that_the_samples_did_not_know_and_only_at_their_hours():
    generator = np.random.default_rng(3)
    hours = np.tile(np.arange(24), 60)
    older, newest = generator.normal(size=(1440, 4)), generator.normal(size=(1440, 4))
    newest[hours == 18] *= 4.0
    known = adaptive_radius(older, older, hours.tolist(), hours.tolist(), level=0.05, least=0.02)
    assert known == HourlyRadius((0.02,) * 24)
    grown = adaptive_radius(newest, older, hours.tolist(), hours.tolist(), level=0.05, least=0.02)
    assert min(grown.at(hour) for hour in (17, 18, 19)) > 0.3
    assert max(grown.at(hour) for hour in range(17)) < 0.15
    unheard = adaptive_radius(newest[:0], older, [], hours.tolist(), least=0.02)
    assert unheard.at(18) == 0.02


@settings(deadline=None, max_examples=25)
@given(horizons(steps=1), st.integers(0, 2**32 - 1))
def test_with_the_adaptive_radius_the_older_samples_bound_the_newest_tail(problem, seed):
    """One source and hour: the margin is the newest errors' CVaR, in the older ones' unit."""
    generator = np.random.default_rng(seed)
    older, newest = generator.normal(0.0, 2.0, (40, 1)), generator.normal(1.0, 3.0, (40, 1))
    found = adaptive_radius(newest, older, [12] * 40, [12] * 40, level=0.1, least=0.0, most=9.0)
    margin = tail_mean(older, 0.1) + found.at(12) / np.sqrt(0.1) * older.std()
    assert margin[0] == pytest.approx(max(tail_mean(newest, 0.1)[0], tail_mean(older, 0.1)[0]))


@settings(deadline=None, max_examples=40)
@given(problems(free=False), st.integers(0, 2**32 - 1))
def test_with_any_plan_what_is_given_may_be_given(problem, seed):
    planned_a = np.random.default_rng(seed).choice([0.0, 5.0, 16.0, 100.0], len(problem.panel.evses))
    check(problem, Dro().allocate(replace(problem, outlook=Outlook(planned_a))))


@settings(deadline=None, max_examples=40)
@given(problems())
def test_without_a_plan_it_is_the_fairest_largest_total_and_says_why(problem):
    got = Dro().allocate(problem)
    assert got.note == NO_OUTLOOK
    assert got.current_a == pytest.approx(Milp().allocate(problem).current_a, abs=1e-6)


def test_the_live_step_keeps_the_plan_and_shares_out_the_rest():
    ask = one_row()
    got = Dro().allocate(replace(ask, outlook=Outlook(np.array([20.0, 6.0]))))
    assert got.current_a == pytest.approx([20.0, 12.0])
    assert not got.note
    # A plan for more than is left now: the same part of what each has above its minimum.
    late = Dro().allocate(replace(ask, outlook=Outlook(np.array([32.0, 16.0]))))
    assert late.current_a.sum() == pytest.approx(32.0)
    assert late.current_a[0] > late.current_a[1] >= 6.0


def one_row():
    panel = compile_panel(building([main_panel(32.0)], [evse(n, "main", (A,)) for n in range(2)]))
    return Problem(panel, np.array([32.0]), np.full(2, 6.0), np.full(2, 32.0), np.ones(2), np.ones(2, dtype=bool))


def test_on_days_that_no_plan_has_seen_dro_stands_between_so_and_ro():
    """Fig. 5.5 in small, on metered homes: SO overloads, DRO far less often, and delivers more than RO."""
    scores = unseen_days(6, 30)
    assert scores["SO"].mean > 0.02
    assert scores["DRO cvar, adaptive"].mean < 0.3 * scores["SO"].mean
    delivered = {name: np.mean(score.delivered) for name, score in scores.items()}
    assert delivered["SO"] > delivered["DRO cvar, adaptive"] > delivered["RO"]
