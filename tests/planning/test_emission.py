"""Emission: equal to CVXPY at every weight, and a front that is one."""

from itertools import pairwise

import numpy as np
import pytest
from planning_oracles import oracle, random_day

from ems.planning.comparison import as_delivered
from ems.planning.emission import EmissionPlan, allocate_emission, carbon_price
from ems.planning.fifs import first_served
from ems.planning.horizon import Day, PlanInfeasible, Stay

WEIGHTS = (0.0, 1.0, 9.0, 60.0, 1e4)


def instance(seed: int) -> tuple[Day, tuple[Stay, ...], np.ndarray]:
    day, stays = random_day(seed, cars=6, slots=16, tight=4.0)
    return day, stays, np.random.default_rng(seed + 1).uniform(50.0, 500.0, day.slots)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("weight", WEIGHTS)
@pytest.mark.parametrize("gamma", [None, 0.3])
def test_the_optimum_is_cvxpys(seed: int, weight: float, gamma: float | None) -> None:
    day, stays, carbon = instance(seed)
    found = allocate_emission(day, stays, carbon, weight, shortfall_price=gamma)
    value = oracle(day.priced(day.price_per_kwh + weight * carbon_price(carbon)), stays, gamma)
    if isinstance(found, PlanInfeasible):
        assert value == np.inf
    else:
        assert found.plan.objective == pytest.approx(value, rel=1e-6, abs=1e-7)


@pytest.mark.parametrize("seed", range(6))
def test_more_weight_never_costs_less_nor_emits_more(seed: int) -> None:
    day, stays, carbon = instance(seed)
    wanted = as_delivered(stays, first_served(day, stays))
    front = [allocate_emission(day, wanted, carbon, weight) for weight in WEIGHTS]
    costs = [found.plan.energy_cost for found in front if isinstance(found, EmissionPlan)]
    grams = [found.carbon_kg for found in front if isinstance(found, EmissionPlan)]
    assert len(costs) == len(WEIGHTS)
    assert all(later >= before - 1e-7 for before, later in pairwise(costs))
    assert all(later <= before + 1e-7 for before, later in pairwise(grams))


def test_carbon_is_counted_in_kilograms_and_priced_per_tonne() -> None:
    day = Day(1.0, np.array([0.1, 0.1]), np.array([50.0, 50.0]))
    found = allocate_emission(day, (Stay("a", 0, 2, 10.0, 11.0),), np.array([500.0, 200.0]), 1.0)
    assert isinstance(found, EmissionPlan)
    assert found.carbon_kg == pytest.approx(2.0)
    assert found.carbon_cost == pytest.approx(2.0 * 64.0 / 1000.0)
    assert found.plan.energy_cost == pytest.approx(1.0)
    assert found.plan.objective == pytest.approx(1.0 + 0.128)


def test_an_energy_that_cannot_be_met_is_named() -> None:
    found = allocate_emission(Day(1.0, np.ones(2), np.full(2, 50.0)), (Stay("x", 0, 1, 30.0, 22.0),), np.ones(2))
    assert isinstance(found, PlanInfeasible)
    assert found.reasons[0].ev == "x"


@pytest.mark.parametrize(("weight", "carbon"), [(-1.0, np.ones(2)), (np.inf, np.ones(2)), (1.0, np.ones(3))])
def test_unreadable_weights_and_series_are_refused(weight: float, carbon: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"weight|intensity"):
        allocate_emission(Day(1.0, np.ones(2), np.ones(2)), (), carbon, weight)
