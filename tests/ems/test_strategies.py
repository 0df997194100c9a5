"""One checklist for every strategy: what an allocation must be, whoever made it."""

import numpy as np
import pytest
from ems_sites import building, evse, main_panel, problems
from hypothesis import given, settings

from ems.baselines import Equal, FirstCome
from ems.dro import Dro
from ems.milp import Milp
from ems.panel import compile_panel
from ems.problem import Allocation, Problem
from ems.stackelberg import Stackelberg
from ems.water_filling import WaterFilling

STRATEGIES = (Milp(), WaterFilling(), Equal(), FirstCome(), Stackelberg(), Dro(), Dro("so"), Dro("ro"))
every_strategy = pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda strategy: strategy.name)


def check(problem, got):
    assert isinstance(got, Allocation)
    matrix, current_a = problem.panel.matrix, got.current_a
    room_a = np.maximum(problem.capacity_a, 0.0)
    assert (matrix @ current_a <= room_a + 1e-6).all()
    charging = current_a > 0.0
    assert (current_a[charging] >= problem.min_a[charging] - 1e-9).all()
    assert (current_a <= problem.upper_a + 1e-9).all()
    if problem.on is not None:
        must = problem.on & (problem.upper_a >= problem.min_a)
        assert (current_a[must] >= problem.min_a[must]).all()
        assert not charging[~problem.on].any()
    assert got.price.shape == room_a.shape
    assert (got.price >= 0.0).all()
    full = matrix @ current_a >= room_a - 1e-5
    assert not got.price[~full].any()
    for column, row in enumerate(got.binding):
        assert row == -1 or (full[row] and matrix[row, column] > 0.0)


@every_strategy
@settings(deadline=None, max_examples=60)
@given(problem=problems())
def test_what_is_given_may_be_given(strategy, problem):
    check(problem, strategy.allocate(problem))


@every_strategy
@settings(deadline=None, max_examples=40)
@given(problem=problems(free=True, base_frac=1.2))
def test_what_is_given_may_be_given_with_z_free(strategy, problem):
    check(problem, strategy.allocate(problem))


@every_strategy
@settings(deadline=None, max_examples=25)
@given(problem=problems())
def test_the_same_problem_gives_the_same_answer(strategy, problem):
    one, other = strategy.allocate(problem), strategy.allocate(problem)
    assert np.array_equal(one.current_a, other.current_a)
    assert np.array_equal(one.price, other.price)
    assert np.array_equal(one.binding, other.binding)


@every_strategy
def test_nobody_there_is_no_problem(strategy):
    panel = compile_panel(building([main_panel()], []))
    none = np.zeros(0)
    got = strategy.allocate(Problem(panel, none, none, none, none, np.zeros(0, dtype=np.bool_)))
    assert got.current_a.shape == (0,)


def test_equal_gives_the_same_amperes_and_first_come_the_first_all():
    panel = compile_panel(building([main_panel()], [evse(n, "main", ("A",)) for n in range(3)]))
    ask = Problem(panel, np.array([40.0]), np.full(3, 6.0), np.array([32.0, 10.0, 32.0]), np.ones(3), None, (2, 1, 0))
    assert Equal().allocate(ask).current_a == pytest.approx([15.0, 10.0, 15.0])
    first = FirstCome().allocate(ask)
    assert first.current_a == pytest.approx([6.0, 6.0, 28.0])
    assert first.binding.tolist() == [0, 0, 0]
