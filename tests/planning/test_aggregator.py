"""Aggregator: equal to CVXPY, V2G with and without the cars' own stock, and a fleet as the source lists it."""

from dataclasses import replace

import cvxpy as cp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ems.planning.aggregator import (
    Battery,
    FleetDay,
    FleetPlan,
    headroom_kw,
    keeping_energy,
    plan_fleet,
    unmanaged_fleet,
)
from ems.planning.aggregator_day import ComparedFleet, compare_fleet, evening
from ems.planning.car_models import FLEET, build_fleet, shares
from ems.planning.horizon import PlanInfeasible
from ems.planning.mobility import GammaLaw


def random_fleet(seed: int, *, v2g: bool = False, cars: int = 6) -> tuple[FleetDay, tuple[Battery, ...]]:
    rng = np.random.default_rng(seed)
    fleet = []
    for n in range(cars):
        capacity, arrival = rng.uniform(30.0, 90.0), int(rng.integers(0, 8))
        departure = int(rng.integers(arrival + 6, 25))
        start = rng.uniform(0.1, 0.8) * capacity
        need = min(capacity, start + rng.uniform(-0.5, 0.5) * 7.4 * (departure - arrival))
        fleet.append(Battery(f"C{n}", start, max(0.0, need), capacity, 7.4, arrival, departure))
    price = rng.uniform(0.02, 0.3, 24)
    return FleetDay(1.0, price, rng.uniform(8.0, 45.0, 24), 0.9, v2g, 20.0), tuple(fleet)


def oracle(day: FleetDay, cars: tuple[Battery, ...]) -> float:
    slots, count = 24, len(cars)
    here = np.array([[car.arrival <= t < car.departure for car in cars] for t in range(slots)], dtype=float) * 7.4
    charge, discharge = cp.Variable((slots, count), nonneg=True), cp.Variable((slots, count), nonneg=True)
    stored = cp.Variable((slots + 1, count), nonneg=True)
    constraints = [
        stored[0] == np.array([car.start_kwh for car in cars]),
        stored[1:] == stored[:-1] + day.efficiency * charge - discharge / day.efficiency,
        stored[-1] >= np.array([car.need_kwh for car in cars]),
        charge <= here,
        discharge <= here * day.v2g,
        cp.sum(charge - discharge, axis=1) <= day.headroom_kw,
        cp.sum(discharge - charge, axis=1) <= day.feed_in_kw,
    ]
    constraints += [stored[:, n] <= car.capacity_kwh for n, car in enumerate(cars)]
    problem = cp.Problem(cp.Minimize(day.price_per_kwh @ cp.sum(charge - discharge, axis=1)), constraints)
    problem.solve(solver=cp.CLARABEL, tol_gap_abs=1e-10, tol_gap_rel=1e-10, tol_feas=1e-10)
    return float(problem.value)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("v2g", [False, True])
def test_the_optimum_is_cvxpys(seed: int, v2g: bool) -> None:
    day, cars = random_fleet(seed, v2g=v2g)
    plan = plan_fleet(day, cars)
    value = oracle(day, cars)
    if isinstance(plan, PlanInfeasible):
        assert value == np.inf
        assert plan.reasons
    else:
        assert plan.cost == pytest.approx(value, rel=1e-6, abs=1e-6)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), v2g=st.booleans())
def test_no_plan_breaks_a_limit(seed: int, v2g: bool) -> None:
    day, cars = random_fleet(seed, v2g=v2g)
    found = plan_fleet(day, cars)
    plans = [unmanaged_fleet(day, cars), *([found] if isinstance(found, FleetPlan) else [])]
    for plan in plans:
        assert (plan.energy_kwh <= day.headroom_kw + 1e-6).all()
        assert (plan.energy_kwh >= -day.feed_in_kw - 1e-6).all()
        for n, car in enumerate(cars):
            away = np.r_[0 : car.arrival, car.departure : 24]
            assert plan.charge_kw[away, n].sum() + plan.discharge_kw[away, n].sum() == 0.0
            assert max(plan.charge_kw[:, n].max(), plan.discharge_kw[:, n].max()) <= car.power_kw + 1e-6
            assert plan.stored_kwh[:, n].min() >= -1e-6
            assert plan.stored_kwh[:, n].max() <= car.capacity_kwh + 1e-6
    if isinstance(found, FleetPlan):
        assert found.shortfall_kwh.max() < 1e-6


def test_discharging_alone_sells_what_the_cars_came_with() -> None:
    day = FleetDay(1.0, np.full(4, 0.2), np.full(4, 50.0), 1.0, True)
    cars = (Battery("a", 30.0, 10.0, 40.0, 10.0, 0, 4),)
    found = compare_fleet(day, cars)
    assert isinstance(found, ComparedFleet)
    assert found.v2g_selling is not None
    assert found.v2g_selling.cost == pytest.approx(-4.0)
    assert found.v2g is not None
    assert found.v2g.cost == pytest.approx(0.0)
    assert keeping_energy(cars)[0].need_kwh == 30.0


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("v2g", [False, True])
def test_at_equal_energy_every_car_ends_as_the_baseline_leaves_it(seed: int, v2g: bool) -> None:
    day, cars = random_fleet(seed, v2g=v2g)
    dipping = replace(day, price_per_kwh=day.price_per_kwh - 0.1)
    found = compare_fleet(dipping, cars)
    if isinstance(found, PlanInfeasible):
        assert found.reasons
        return
    assert found.equal.stored_kwh[-1] == pytest.approx(found.baseline.stored_kwh[-1], abs=1e-6)
    assert found.equal.cost <= found.baseline.cost + 1e-6
    assert found.costs.equal_cost == found.equal.cost


def test_a_negative_price_is_not_paid_for_burning_energy() -> None:
    day = FleetDay(1.0, np.array([-1.0, 0.1]), np.full(2, 50.0), 0.5, True)
    plan = plan_fleet(day, (Battery("a", 9.0, 0.0, 10.0, 10.0, 0, 2),))
    assert isinstance(plan, FleetPlan)
    assert np.minimum(plan.charge_kw, plan.discharge_kw).max() < 1e-9
    assert plan.stored_kwh[1, 0] == pytest.approx(10.0)


def test_needs_that_cannot_be_met_are_named() -> None:
    day = FleetDay(1.0, np.full(4, 0.2), np.full(4, 4.0))
    short = Battery("short", 0.0, 50.0, 60.0, 7.4, 0, 4)
    found = plan_fleet(day, (short,))
    assert isinstance(found, PlanInfeasible)
    assert found.reasons[0].ev == "short"
    assert "in 4.0 h at 7.4 kW its battery reaches 26.6 kWh" in found.reasons[0].why
    found = plan_fleet(day, (replace(short, ev="x", need_kwh=20.0),))
    assert isinstance(found, PlanInfeasible)
    assert "x would miss 5.6 of 20.0 kWh" in found.reasons[0].why
    found = plan_fleet(day, (replace(short, need_kwh=70.0),))
    assert isinstance(found, PlanInfeasible)
    assert "battery holds 60.0 kWh" in found.reasons[0].why
    found = plan_fleet(replace(day, headroom_kw=np.array([4.0, -3.0, 4.0, 4.0])), (replace(short, need_kwh=1.0),))
    assert isinstance(found, PlanInfeasible)
    assert "the households alone exceed the limit" in found.reasons[0].why


def test_the_unmanaged_charge_as_they_come() -> None:
    day = FleetDay(1.0, np.full(3, 0.2), np.full(3, 10.0), 1.0)
    cars = (Battery("late", 0.0, 10.0, 40.0, 8.0, 1, 3), Battery("early", 0.0, 16.0, 40.0, 8.0, 0, 3))
    plan = unmanaged_fleet(day, cars)
    assert plan.charge_kw[:, 1] == pytest.approx([8.0, 8.0, 0.0])
    assert plan.charge_kw[:, 0] == pytest.approx([0.0, 2.0, 8.0])


def test_the_fleet_is_the_sources() -> None:
    assert sum(model.cars for model in FLEET) == 278
    assert shares()["Tesla Model 3"] == pytest.approx(0.23, abs=0.005)
    leaf = {model.name: model.battery_kwh for model in FLEET if "Leaf" in model.name}
    assert leaf == {"Nissan Leaf 40 kWh": 39.0, "Nissan Leaf 62 kWh": 59.0}


def test_an_evening_starts_and_ends_at_the_same_energy_on_average() -> None:
    fleet = build_fleet([(GammaLaw(2.0, 4.0),) * 7])
    days = [evening(np.random.default_rng(seed), fleet, 1) for seed in range(40)]
    driven = np.mean([[car.need_kwh - car.start_kwh for car in cars] for cars in days])
    assert driven == pytest.approx(np.mean([car.week[0].mean_kwh for car in fleet]), rel=0.03)
    assert all(0 <= car.arrival < car.departure <= 24 for cars in days for car in cars)
    assert {(car.arrival, car.departure) for car in evening(np.random.default_rng(0), fleet, 1, always_home=True)} == {
        (0, 24)
    }


def test_headroom_is_what_households_leave() -> None:
    assert headroom_kw(np.array([200.0, 900.0, 1600.0]), 1500.0).tolist() == [1000.0, 600.0, -100.0]


def test_a_car_too_small_for_its_driving_is_refused() -> None:
    with pytest.raises(ValueError, match="more than 80 %"):
        build_fleet([(GammaLaw(1.0, 60.0),) * 7])
    with pytest.raises(ValueError, match="at least one"):
        build_fleet([])


@pytest.mark.parametrize(
    "wrong",
    [{"start_kwh": 99.0}, {"arrival": 3, "departure": 2}, {"power_kw": -1.0}, {"power_kw": np.inf}, {"departure": 25}],
)
def test_unreadable_cars_are_refused(wrong: dict[str, float]) -> None:
    day = FleetDay(1.0, np.full(4, 0.2), np.full(4, 4.0))
    with pytest.raises(ValueError, match="a: "):
        plan_fleet(day, (replace(Battery("a", 0.0, 5.0, 60.0, 7.4, 0, 4), **wrong),))
