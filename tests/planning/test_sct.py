"""Smart charging tool: the source's three scenarios exactly, V2G, grid orders, profiles, and another solver's word."""

from dataclasses import replace
from itertools import combinations_with_replacement

import numpy as np
import pulp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from ems.planning.horizon import PlanInfeasible
from ems.planning.sct import charge_at_once, plan_charging
from ems.planning.sct_reasons import why_no_charging
from ems.planning.supply_point import ChargingPlan, Evse, Profile, SupplyPoint
from headroom.plan_sct import ScenarioNumber, seed_scenario


def planned(site: SupplyPoint, evses: tuple[Evse, ...]) -> ChargingPlan:
    found = plan_charging(site, evses)
    assert isinstance(found, ChargingPlan), found
    return found


def check(site: SupplyPoint, evses: tuple[Evse, ...], plan: ChargingPlan) -> None:
    """Every limit of the model, re-added from the plan."""
    h = site.slot_h
    net = plan.energy_kwh.sum(axis=1) + site.own_kwh
    assert plan.imported_kwh - plan.exported_kwh == pytest.approx(net, abs=1e-6)
    assert (plan.imported_kwh <= site.most_import_kwh + 1e-6).all()
    assert (plan.exported_kwh <= site.export_kw * h + 1e-6).all()
    assert np.minimum(plan.imported_kwh, plan.exported_kwh).max() < 1e-6
    for n, evse in enumerate(evses):
        energy, soc = plan.energy_kwh[:, n], plan.soc_kwh[:, n]
        assert energy.max() <= evse.power_kw * h + 1e-6
        assert energy.min() >= -evse.discharge_kw * h - 1e-6
        assert np.abs(energy[evse.target_slots :]).max(initial=0.0) < 1e-6
        assert soc.min() >= -1e-6
        assert soc.max() <= evse.capacity_kwh + 1e-6
        assert soc[evse.target_slots - 1] >= evse.target_kwh - 1e-5


def test_scenario_one_any_feasible_schedule_is_optimal() -> None:
    site, evses = seed_scenario(ScenarioNumber.free)
    plan = planned(site, evses)
    check(site, evses, plan)
    assert plan.objective == 0.0
    assert plan.soc_kwh[-1] == pytest.approx([60.0] * 3, abs=1e-5)
    assert plan.imported_kwh.max() * 4 <= 10.0 + 1e-6


def feasible_by(site: SupplyPoint, evses: tuple[Evse, ...], done: tuple[int, ...]) -> bool:
    """Whether EV n can be at its target after done[n] slots: a linear program that knows no indicator."""
    slots, count = site.slots, len(evses)
    cells = [(n, t) for n in range(count) for t in range(done[n])]
    total = np.array([[float(t == slot) for _, t in cells] for slot in range(slots)])
    each = np.array([[-float(n == car) for n, _ in cells] for car in range(count)])
    wanted = [-(evse.target_kwh - evse.soc_kwh) for evse in evses]
    bounds = [(0.0, evses[n].power_kw * site.slot_h) for n, _ in cells]
    limits = np.concatenate([site.most_import_kwh, wanted])
    return bool(linprog(np.zeros(len(cells)), np.vstack([total, each]), limits, bounds=bounds).status == 0)


def test_scenario_two_is_the_least_of_all_orders() -> None:
    site, evses = seed_scenario(ScenarioNumber.opportunity)
    plan = planned(site, evses)
    check(site, evses, plan)
    # One car alone needs 6 slots.
    finishes = [done for done in combinations_with_replacement(range(6, 25), 3) if sum(done) <= 29]
    least = min(sum(done) for done in finishes if feasible_by(site, evses, done))
    # A car done after k slots was not at its target at the end of k - 1 of them.
    assert plan.objective == pytest.approx(least - 3)
    assert plan.objective == pytest.approx(25.0)
    assert sorted(plan.reached_slot) == [5, 8, 12]
    assert plan.energy_cost == 0.0


def test_scenario_three_buys_two_kwh_more_than_it_must_at_the_high_price() -> None:
    site, evses = seed_scenario(ScenarioNumber.prices)
    plan = planned(site, evses)
    check(site, evses, plan)
    # EV0's 10 kWh are due before slot 15; 9 free slots of 2 kWh carry 18 of the other 20: 10 + 2 = 12.
    assert plan.objective == pytest.approx(12.0, abs=1e-6)
    assert plan.reached_slot[0] <= 5
    assert plan.imported_kwh[15:] == pytest.approx([2.0] * 9, abs=1e-6)
    assert plan.imported_kwh.max() * 4 <= 8.0 + 1e-6


def random_site(seed: int, *, v2g: bool) -> tuple[SupplyPoint, tuple[Evse, ...]]:
    rng = np.random.default_rng(seed)
    slots = 8
    evses = []
    for n in range(3):
        capacity, power = rng.uniform(20.0, 60.0), rng.uniform(3.0, 11.0)
        soc = rng.uniform(0.1, 0.6) * capacity
        due = int(rng.integers(2, slots + 1))
        target = min(capacity, soc + rng.uniform(0.0, 0.6) * power * 0.5 * due)
        evses.append(Evse(f"E{n}", soc, capacity, target, due, power, power * v2g, int(rng.integers(0, 3))))
    site = SupplyPoint(
        0.5,
        rng.uniform(-0.05, 0.4, slots),
        18.0,
        10.0 * v2g,
        demand_kw=rng.uniform(1.0, 4.0, slots),
        production_kw=rng.uniform(0.0, 1.0 + 4.0 * v2g, slots),
        flexibility_kw=rng.uniform(-3.0, 3.0, slots),
        opportunity_cost=0.05 * (seed % 2),
    )
    return site, tuple(evses)


@pytest.mark.parametrize("seed", range(10))
@pytest.mark.parametrize("v2g", [False, True])
def test_limits_hold_and_cbc_agrees(seed: int, v2g: bool) -> None:
    site, evses = random_site(seed, v2g=v2g)
    plan = plan_charging(site, evses)
    if isinstance(plan, PlanInfeasible):
        assert why_no_charging(site, evses) == plan.reasons
        return
    check(site, evses, plan)
    with pytest.warns(DeprecationWarning, match="PULP_CBC_CMD"):  # PuLP 3 still brings CBC along
        cbc = pulp.PULP_CBC_CMD(msg=False, gapRel=1e-9)
    other = plan_charging(site, evses, cbc)
    assert isinstance(other, ChargingPlan)
    assert plan.objective == pytest.approx(other.objective, rel=1e-6, abs=1e-6)


def test_v2g_carries_the_demand_of_dear_slots() -> None:
    price = np.array([0.1, 0.1, 1.0, 1.0, 0.1, 0.1])
    site = SupplyPoint(1.0, price, 20.0, demand_kw=np.full(6, 3.0))
    car = Evse("a", 20.0, 40.0, 20.0, 6, 5.0)
    still, moving = planned(site, (car,)), planned(site, (replace(car, discharge_kw=5.0),))
    assert still.energy_cost == pytest.approx(7.2)
    # The car carries 6 kWh of demand from 1.0 to 0.1: it saves 6 x 0.9.
    assert moving.energy_cost == pytest.approx(7.2 - 5.4)
    assert moving.exported_kwh.max() < 1e-9


def test_a_grid_order_lowers_and_raises_the_limit() -> None:
    price = np.array([0.0, 1.0, 1.0])
    car = Evse("a", 0.0, 30.0, 15.0, 3, 12.0)
    for order, cost in ((np.zeros(3), 5.0), (np.array([2.0, 0.0, 0.0]), 3.0), (np.array([-5.0, 0.0, 0.0]), 10.0)):
        plan = planned(SupplyPoint(1.0, price, 10.0, flexibility_kw=order), (car,))
        assert plan.objective == pytest.approx(cost)
    refused = plan_charging(SupplyPoint(1.0, price, 10.0, flexibility_kw=np.full(3, -8.0)), (car,))
    assert isinstance(refused, PlanInfeasible)
    assert refused.reasons[0].ev == "a"


def test_previous_slots_count_and_the_opportunity_cost_ends_sessions_early() -> None:
    price = np.array([0.2, 0.2, 0.1, 0.1])
    car = Evse("a", 0.0, 30.0, 10.0, 4, 10.0, previous_slots=3)
    patient = planned(SupplyPoint(1.0, price, 10.0), (car,))
    eager = planned(SupplyPoint(1.0, price, 10.0, opportunity_cost=2.0), (car,))
    assert patient.energy_cost == pytest.approx(1.0)
    assert eager.energy_cost == pytest.approx(2.0)
    assert eager.opportunity_cost == pytest.approx(3 * 2.0)
    assert eager.reached_slot == (0,)


@pytest.mark.parametrize(
    ("profile", "slot"),
    [
        ("fast", 0),  # whatever it costs
        ("green", 1),  # while the sun shines
        ("cheap", 2),  # at the tariff's lowest, though on-site energy is free to the operator
        ("default", 1),  # the operator's cost: its own surplus first
    ],
)
def test_each_profile_charges_in_its_own_slot(profile: Profile, slot: int) -> None:
    site = SupplyPoint(
        1.0, np.array([0.5, 0.4, 0.01, 0.5]), 20.0, export_kw=20.0, production_kw=np.array([0.0, 10.0, 0.0, 0.0])
    )
    plan = planned(site, (Evse("a", 0.0, 30.0, 8.0, 4, 8.0, profile=profile),))
    assert plan.energy_kwh[slot, 0] == pytest.approx(8.0, abs=1e-6)
    assert plan.energy_cost == pytest.approx(max(0.0, site.price_per_kwh[slot] * (8.0 - site.production_kw[slot])))


def test_green_avoids_dirty_hours_and_the_fast_goes_first() -> None:
    site = SupplyPoint(1.0, np.full(3, 0.2), 8.0, carbon_g_per_kwh=np.array([400.0, 100.0, 300.0]))
    green = Evse("g", 0.0, 30.0, 8.0, 3, 8.0, profile="green")
    assert planned(site, (green,)).energy_kwh[:, 0] == pytest.approx([0.0, 8.0, 0.0], abs=1e-6)
    both = planned(
        SupplyPoint(1.0, np.array([0.1, 0.5, 0.5]), 8.0),
        (Evse("c", 0.0, 30.0, 8.0, 3, 8.0, profile="cheap"), Evse("f", 0.0, 30.0, 8.0, 3, 8.0, profile="fast")),
    )
    assert both.energy_kwh[0] == pytest.approx([0.0, 8.0], abs=1e-6)


@pytest.mark.parametrize(
    ("site", "evse", "named", "says"),
    [
        ({}, {"target_kwh": 70.0}, "a", "more than the battery's 60.00 kWh"),
        ({}, {"target_slots": 2}, "a", "at 7.7 kW it reaches 53.85 kWh"),
        ({"import_kw": 1.0}, {}, "a", "would miss 4.00 kWh of its target"),
        ({"demand_kw": np.full(24, 11.0)}, {}, None, "demand less production is 11 kW, above the supply point's 10 kW"),
        ({"production_kw": np.full(24, 30.0)}, {}, None, "production exceeds demand by 30 kW"),
    ],
)
def test_no_plan_has_a_named_reason(
    site: dict[str, object], evse: dict[str, float], named: str | None, says: str
) -> None:
    given_ = {"slot_h": 0.25, "price_per_kwh": np.zeros(24), "import_kw": 10.0, "export_kw": 10.0} | site
    car = replace(Evse("a", 50.0, 60.0, 60.0, 24, 7.7), **evse)
    found = plan_charging(SupplyPoint(**given_), (car,))
    assert isinstance(found, PlanInfeasible)
    assert found.reasons[0].ev == named
    assert says in found.reasons[0].why


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), v2g=st.booleans())
def test_reasons_are_given_exactly_where_there_is_no_plan(seed: int, v2g: bool) -> None:
    site, evses = random_site(seed, v2g=v2g)
    tight = replace(site, import_kw=9.0)
    assert bool(why_no_charging(tight, evses)) == isinstance(plan_charging(tight, evses), PlanInfeasible)


def test_the_baseline_charges_at_once_within_the_limit() -> None:
    site, evses = seed_scenario(ScenarioNumber.prices)
    baseline = charge_at_once(site, evses)
    assert baseline.imported_kwh.max() <= 2.0 + 1e-9
    # EV0 leaves room for the next from its 6th slot on; one car alone draws 7.7 kW.
    assert baseline.imported_kwh[:10] == pytest.approx([2.0] * 10)
    assert set(np.round(baseline.imported_kwh[11:15], 6)) == {1.925}
    assert baseline.soc_kwh[-1] == pytest.approx([60.0] * 3)


@pytest.mark.parametrize(
    "wrong",
    [
        {"soc_kwh": 70.0},
        {"target_slots": 25},
        {"target_slots": 0},
        {"power_kw": -1.0},
        {"profile": "slow"},
        {"capacity_kwh": float("nan")},
    ],
)
def test_unreadable_evses_are_refused(wrong: dict[str, object]) -> None:
    site, evses = seed_scenario(ScenarioNumber.free)
    with pytest.raises(ValueError, match="EV0"):
        plan_charging(site, (replace(evses[0], **wrong),))
    with pytest.raises(ValueError, match="given twice"):
        plan_charging(site, (evses[0], evses[0]))
    with pytest.raises(ValueError, match="demand_kw has 3 values"):
        plan_charging(replace(site, demand_kw=np.zeros(3)), evses)
