import numpy as np
import pytest
from ems_sites import LEGS, building, evse, main_panel, problems
from hypothesis import given, settings

from benchmarks._instances import random_problem, three_level_site
from domain.ids import FeederId
from domain.site import PHASES, Feeder
from ems.panel import capacity, compile_panel
from ems.problem import Infeasible, Problem
from ems.water_filling import WaterFilling

A, B, C = PHASES


@settings(deadline=None, max_examples=200)
@given(problems())
def test_everyone_has_a_bottleneck(problem):
    """The definition of max-min fairness: what more one EVSE got would come from one that has no larger share."""
    _check_bottlenecks(problem)


@pytest.mark.parametrize("model", ["arithmetic", "phasor"])
@pytest.mark.parametrize("seed", range(4))
def test_everyone_has_a_bottleneck_in_a_large_building(model, seed):
    site = three_level_site(200, model)
    panel = compile_panel(site)
    _check_bottlenecks(random_problem(site, panel, np.random.default_rng(seed), base_frac=0.8))


def _check_bottlenecks(problem):
    got = WaterFilling().allocate(problem)
    matrix, current_a = problem.panel.matrix, got.current_a
    left_a = np.maximum(problem.capacity_a, 0.0) - matrix @ current_a
    share = np.divide(
        current_a, problem.alpha * problem.upper_a, out=np.zeros_like(current_a), where=problem.upper_a > 0
    )
    served = problem.on & (problem.upper_a >= problem.min_a) & (problem.upper_a > 0.0)
    assert not current_a[~served].any()
    for column in np.flatnonzero(served):
        if current_a[column] >= problem.upper_a[column] - 1e-7:
            assert got.binding[column] == -1
            continue
        row = got.binding[column]
        assert matrix[row, column] > 0.0
        assert left_a[row] <= 1e-6
        rivals = served & (matrix[row] > 0.0) & (current_a > problem.min_a + 1e-9)
        assert share[rivals].max(initial=0.0) <= share[column] + 1e-7


def test_shares_follow_priority_and_request():
    panel = compile_panel(building([main_panel(30.0)], [evse(n, "main", (A,)) for n in range(3)]))
    got = WaterFilling().allocate(
        Problem(panel, np.array([30.0]), np.full(3, 6.0), np.array([32.0, 16.0, 32.0]), np.array([1, 1, 1.5]), None)
    )
    # 30 A over weights 32, 16 and 48; the second would get 5 A, so it stays at its minimum of 6 A.
    assert got.current_a == pytest.approx([9.6, 6.0, 14.4])
    assert got.price == pytest.approx([1.0])


def test_a_branch_that_is_full_leaves_its_share_to_others():
    feeders = [main_panel(40.0), Feeder(FeederId("f"), 12.0, usable=1.0, parent=FeederId("main"))]
    site = building(feeders, [evse(0, "f", (A,)), evse(1, "f", (A,)), evse(2, "main", (A,))])
    panel = compile_panel(site)
    ask = Problem(panel, capacity(panel, site, {}), np.full(3, 6.0), np.full(3, 32.0), np.ones(3), None)
    got = WaterFilling().allocate(ask)
    assert got.current_a == pytest.approx([6.0, 6.0, 28.0])
    assert [panel.rows[row].feeder for row in got.binding] == ["f", "f", "main"]


def test_minima_that_do_not_fit_are_said():
    panel = compile_panel(building([main_panel()], [evse(n, "main", legs) for n, legs in enumerate(LEGS)]))
    ask = Problem(panel, np.full(3, 11.0), np.full(3, 6.0), np.full(3, 32.0), np.ones(3), np.ones(3, dtype=bool))
    got = WaterFilling().allocate(ask)
    assert isinstance(got, Infeasible)
    assert got.why == "the minima of the admitted EVSEs load main phase A with 12.0 A; 11.0 A are free"


def test_without_a_word_on_who_is_served_the_first_that_fit_are():
    panel = compile_panel(building([main_panel()], [evse(n, "main", legs) for n, legs in enumerate(LEGS)]))
    ask = Problem(panel, np.full(3, 11.0), np.full(3, 6.0), np.full(3, 32.0), np.ones(3), None, (2, 1, 0))
    assert WaterFilling().allocate(ask).current_a == pytest.approx([0.0, 0.0, 11.0])


def test_a_base_load_above_the_limit_leaves_nothing():
    panel = compile_panel(building([main_panel()], [evse(1, "main", (A,), min_a=0.0)]))
    ask = Problem(panel, np.array([-5.0]), np.zeros(1), np.full(1, 32.0), np.ones(1), np.ones(1, dtype=bool))
    assert WaterFilling().allocate(ask).current_a == pytest.approx([0.0])
