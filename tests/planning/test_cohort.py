"""Cohorts: equal to CVXPY, conserving cars, and the same program whatever the fleet."""

import cvxpy as cp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ems.planning.cohort import CohortDay, CohortPlan, _slots_as_full, dissatisfaction, plan_cohort, remain
from ems.planning.cohort_fifs import first_served_cohort
from ems.planning.comparison import ComparedCohort, compare_cohort
from ems.planning.fleet import arrival_rate, cohort_arrivals
from ems.planning.horizon import PlanInfeasible


def random_cohorts(seed: int, slots: int = 20, classes: int = 4, scale: float = 1.0) -> CohortDay:
    rng = np.random.default_rng(seed)
    arrivals = rng.uniform(0.0, 6.0, (slots, classes + 1)) * scale
    arrivals[:, 0] = 0.0
    initial = rng.uniform(0.0, 5.0, classes + 1) * scale
    price = rng.uniform(0.02, 0.5, slots)
    return CohortDay(0.25, price, arrivals, 22.0, np.full(slots, rng.uniform(50.0, 400.0) * scale), initial)


def oracle(day: CohortDay, gamma: float, beta: np.ndarray) -> float:
    """000 eq. 3.3 as printed, with x(T) >= 0."""
    slots, n = day.arrivals.shape[0], day.classes
    x = cp.Variable((slots + 1, n + 1), nonneg=True)
    c = cp.Variable((slots, n + 1), nonneg=True)
    A = np.diag(1.0 - (n + 1.0 - np.arange(n + 1)) / (n + 2.0))
    B = -np.eye(n + 1) + np.eye(n + 1, k=1)
    constraints = [x[0] == day.start, c <= x[:-1], c[:, 0] == 0, day.power_kw * cp.sum(c, axis=1) <= day.capacity_kw]
    constraints += [x[t + 1] == A @ x[t] + day.arrivals[t] + B @ c[t] for t in range(slots)]
    energy = day.price_per_kwh @ cp.sum(c, axis=1) * day.step_kwh
    problem = cp.Problem(cp.Minimize(energy + gamma * cp.sum(x[:-1] @ beta)), constraints)
    problem.solve(solver=cp.CLARABEL, tol_gap_abs=1e-10, tol_gap_rel=1e-10, tol_feas=1e-10)
    return float(problem.value)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("gamma", [0.0, 0.4, 1.3])
def test_the_optimum_is_cvxpys(seed: int, gamma: float) -> None:
    day = random_cohorts(seed)
    weights = (
        dissatisfaction(day.classes),
        np.linspace(0.0, 1.0, day.classes + 1),
        np.linspace(2.0, 0.5, day.classes + 1),
    )
    beta = weights[seed % 3]
    plan = plan_cohort(day, gamma, beta=beta)
    assert isinstance(plan, CohortPlan)
    assert plan.objective == pytest.approx(oracle(day, gamma, beta), rel=1e-6, abs=1e-6)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), gamma=st.floats(0.0, 2.0))
def test_cars_are_conserved_and_limits_hold(seed: int, gamma: float) -> None:
    day = random_cohorts(seed)
    plan = plan_cohort(day, gamma)
    assert isinstance(plan, CohortPlan)
    for found in (plan, first_served_cohort(day, gamma)):
        assert found.present.min() >= -1e-6
        assert (found.charged <= found.present[:-1] + 1e-6).all()
        assert (found.charged.sum(axis=1) * day.power_kw <= day.capacity_kw + 1e-5).all()
        staying = found.present[:-1] @ remain(day.classes) + day.arrivals.sum(axis=1)
        assert found.present[1:].sum(axis=1) == pytest.approx(staying, abs=1e-6)
    assert plan.objective <= first_served_cohort(day, gamma).objective + 1e-6


def test_entering_the_full_class_costs_what_waiting_there_costs() -> None:
    counted = [sum(0.2 ** (k - t - 1) for k in range(t + 1, 6)) for t in range(6)]
    assert _slots_as_full(6, 0.2) == pytest.approx(counted)


def test_departures_are_the_seeds() -> None:
    # n = 10: alpha_0 = 11/12 of the full leave in each slot, alpha_10 = 1/12 of the empty.
    assert 1.0 - remain(10)[[0, 10]] == pytest.approx([11 / 12, 1 / 12])


def test_at_equal_energy_the_plan_is_never_dearer() -> None:
    found = compare_cohort(random_cohorts(3), 0.2)
    assert isinstance(found, ComparedCohort)
    assert found.equal.delivered_kwh >= found.baseline.delivered_kwh - 1e-4
    assert found.equal.energy_cost <= found.baseline.energy_cost + 1e-6


def test_more_energy_than_the_fleet_can_take_is_refused_in_words() -> None:
    found = plan_cohort(random_cohorts(0), 0.0, at_least_kwh=1e9)
    assert isinstance(found, PlanInfeasible)
    assert "cars leave before they could be charged" in found.reasons[0].why


@pytest.mark.parametrize("scale", [100.0, 1e4, 1e6])
def test_a_larger_fleet_is_the_same_plan_in_larger_units(scale: float) -> None:
    small, large = plan_cohort(random_cohorts(5), 1.0), plan_cohort(random_cohorts(5, scale=scale), 1.0)
    assert isinstance(small, CohortPlan)
    assert isinstance(large, CohortPlan)
    assert large.objective == pytest.approx(scale * small.objective, rel=1e-7)


def test_a_whole_day_as_the_seed_draws_it() -> None:
    rng = np.random.default_rng(0)
    price = 0.1 + 0.03 * np.sin(np.arange(144) / 10.0)
    arrivals = cohort_arrivals(rng, arrival_rate(144, 4500.0))
    day = CohortDay(1 / 6, price, arrivals, 22.0, np.full(144, 3300.0))
    found = compare_cohort(day)
    assert isinstance(found, ComparedCohort)
    assert found.plan.objective <= found.baseline.objective


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"arrivals": np.ones((3, 1))}, "at least two classes"),
        ({"arrivals": np.ones((2, 4))}, "price has 3 slots"),
        ({"arrivals": -np.ones((3, 4))}, "arrivals must be 0 or more"),
        ({"capacity_kw": -np.ones(3)}, "capacity_kw must be 0 or more"),
        ({"initial": np.ones(3)}, "initial needs 4 values"),
        ({"price_per_kwh": np.full(3, np.nan)}, "must be numbers"),
        ({"power_kw": np.inf}, "must be numbers"),
    ],
)
def test_unreadable_days_are_refused(wrong: dict[str, np.ndarray], says: str) -> None:
    given_ = {
        "price_per_kwh": np.ones(3),
        "arrivals": np.ones((3, 4)),
        "capacity_kw": np.ones(3),
        "power_kw": 22.0,
    }
    with pytest.raises(ValueError, match=says):
        CohortDay(1.0, **(given_ | wrong))
