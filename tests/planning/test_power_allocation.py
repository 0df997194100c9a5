"""Power allocation: equal to CVXPY, within limits, and cheapest where nothing binds."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from planning_oracles import oracle, random_day

from ems.planning.horizon import Day, Plan, PlanInfeasible, Stay
from ems.planning.power_allocation import allocate


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("gamma", [0.05, 0.157, 5.0])
def test_the_optimum_is_cvxpys(seed: int, gamma: float) -> None:
    day, stays = random_day(seed, tight=[0.5, 1.0, 2.5][seed % 3])
    plan = allocate(day, stays, gamma)
    assert isinstance(plan, Plan)
    assert plan.objective == pytest.approx(oracle(day, stays, gamma), rel=1e-6, abs=1e-7)


@pytest.mark.parametrize("seed", range(12))
def test_the_strict_form_is_cvxpys_or_infeasible_with_it(seed: int) -> None:
    day, stays = random_day(seed, tight=1.5)
    plan = allocate(day, stays, None)
    value = oracle(day, stays, None)
    if isinstance(plan, PlanInfeasible):
        assert value == np.inf
        assert plan.reasons
    else:
        assert plan.objective == pytest.approx(value, rel=1e-6)
        assert plan.shortfall_kwh.max() < 1e-6


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), tight=st.floats(0.2, 3.0), gamma=st.floats(0.0, 1.0))
def test_no_plan_breaks_a_limit(seed: int, tight: float, gamma: float) -> None:
    day, stays = random_day(seed, tight=tight)
    plan = allocate(day, stays, gamma)
    assert isinstance(plan, Plan)
    assert (plan.power_kw.sum(axis=1) <= day.capacity_kw + 1e-6).all()
    for n, stay in enumerate(stays):
        column = plan.power_kw[:, n]
        assert column.min() >= 0.0
        assert column.max() <= stay.limit_kw + 1e-9
        assert column[: stay.arrival].sum() + column[stay.departure :].sum() == 0.0
        assert plan.delivered_kwh[n] + plan.shortfall_kwh[n] == pytest.approx(stay.energy_kwh, abs=1e-6)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6))
@example(seed=7530)  # HiGHS's presolve calls this one infeasible; without presolve it is solved
def test_without_a_binding_site_the_shortcut_is_the_program(seed: int) -> None:
    day, stays = random_day(seed)
    roomy = Day(day.slot_h, day.price_per_kwh, np.full(day.slots, 1e4))
    short = allocate(roomy, stays, 0.2)
    assert isinstance(short, Plan)
    # A capacity that the cheapest plan misses by a hair sends nearly the same problem to the solver.
    hair = np.maximum(0.0, short.power_kw.sum(axis=1) - 1e-7)
    solved = allocate(Day(day.slot_h, day.price_per_kwh, hair), stays, 0.2)
    assert isinstance(solved, Plan)
    assert solved.objective == pytest.approx(short.objective, abs=1e-4)


def test_a_scarce_slot_is_priced() -> None:
    # Two cars, two slots at 0.1 and 0.3: the cheap slot carries one car's 10 kWh, so one more kWh there saves 0.2.
    day = Day(1.0, np.array([0.1, 0.3]), np.array([10.0, 100.0]))
    stays = (Stay("a", 0, 2, 10.0, 11.0), Stay("b", 0, 2, 10.0, 11.0))
    plan = allocate(day, stays, None)
    assert isinstance(plan, Plan)
    assert plan.energy_cost == pytest.approx(1.0 + 3.0)
    assert plan.capacity_value == pytest.approx([0.2, 0.0], abs=1e-9)


def test_a_negative_price_fills_no_car_beyond_its_wish() -> None:
    day = Day(1.0, np.array([-0.1, 0.2]), np.array([100.0, 100.0]))
    plan = allocate(day, (Stay("a", 0, 2, 5.0, 22.0),), 0.157)
    assert isinstance(plan, Plan)
    assert plan.delivered_kwh == pytest.approx([5.0])
    assert plan.energy_cost == pytest.approx(-0.5)


def test_energy_dearer_than_gamma_is_not_bought() -> None:
    day = Day(1.0, np.array([0.2, 0.1]), np.array([50.0, 50.0]))
    plan = allocate(day, (Stay("a", 0, 2, 20.0, 11.0),), 0.157)
    assert isinstance(plan, Plan)
    assert plan.shortfall_kwh == pytest.approx([9.0])
    assert plan.objective == pytest.approx(1.1 + 9.0 * 0.157)


def test_the_ceilings_of_a_slot_are_watts() -> None:
    day = Day(0.5, np.array([0.1, 0.2]), np.array([50.0, 50.0]))
    plan = allocate(day, (Stay("a", 0, 2, 5.0, 11.0), Stay("b", 1, 2, 1.0, 11.0)), None)
    assert isinstance(plan, Plan)
    assert plan.ceilings_w(0) == pytest.approx({"a": 10_000.0, "b": 0.0})
    assert plan.ceilings_w(1) == pytest.approx({"a": 0.0, "b": 2_000.0})


def test_nobody_and_nothing_wanted() -> None:
    day = Day(1.0, np.array([0.1]), np.array([5.0]))
    empty = allocate(day, (), 0.157)
    idle = allocate(day, (Stay("a", 0, 0, 0.0, 11.0),), None)
    assert isinstance(empty, Plan)
    assert empty.energy_cost == 0.0
    assert isinstance(idle, Plan)
    assert idle.energy_cost == 0.0


@pytest.mark.parametrize(
    ("stays", "says"),
    [
        ((Stay("a", 0, 1, 1, 1), Stay("a", 0, 1, 1, 1)), "EV a is given twice"),
        ((Stay("a", 1, 0, 1, 1),), "in order"),
        ((Stay("a", 0, 3, 1, 1),), "0..2"),
        ((Stay("a", 0, 1, -1, 1),), "energy_kwh must be 0 or more"),
        ((Stay("a", 0, 1, 1, float("nan")),), "limit_kw must be 0 or more"),
    ],
)
def test_unreadable_stays_are_refused(stays: tuple[Stay, ...], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        allocate(Day(1.0, np.ones(2), np.ones(2)), stays, 0.1)


@pytest.mark.parametrize(
    ("slot_h", "price", "capacity"),
    [(1.0, [], []), (1.0, [1.0], [1.0, 2.0]), (0.0, [1.0], [1.0]), (1.0, [np.nan], [1.0]), (1.0, [1.0], [-1.0])],
)
def test_unreadable_days_are_refused(slot_h: float, price: list[float], capacity: list[float]) -> None:
    with pytest.raises(ValueError, match=r"."):
        Day(slot_h, np.array(price, dtype=float), np.array(capacity, dtype=float))
