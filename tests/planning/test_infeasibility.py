"""A day without a plan names its cars and proves the shortage."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planning_oracles import oracle, random_day

from ems.planning.horizon import Day, PlanInfeasible, Stay
from ems.planning.infeasibility import why_not
from ems.planning.power_allocation import allocate


def day_of(capacity: list[float]) -> Day:
    return Day(1.0, np.ones(len(capacity)), np.array(capacity))


def test_a_stay_too_short_is_named_with_its_figures() -> None:
    found = allocate(day_of([100.0, 100.0]), (Stay("ok", 0, 2, 5.0, 22.0), Stay("late", 1, 2, 30.0, 22.0)), None)
    assert isinstance(found, PlanInfeasible)
    assert [reason.ev for reason in found.reasons] == ["late"]
    assert "wants 30.00 kWh, but 1.00 h at 22 kW give at most 22.00 kWh" in found.reasons[0].why


def test_a_site_too_small_for_one_car_alone() -> None:
    (reason,) = why_not(day_of([4.0, 4.0]), (Stay("a", 0, 2, 10.0, 22.0),))
    assert reason.ev == "a"
    assert "at most 8.00 kWh between 00:00 and 02:00, even with no other car" in reason.why


def test_rivals_and_their_slots_are_named() -> None:
    # b and c share hours 1 and 2 of 10 kW each and want 25 kWh; a has hour 0 for itself.
    stays = (Stay("a", 0, 1, 5.0, 22.0), Stay("b", 1, 3, 13.0, 22.0), Stay("c", 1, 3, 12.0, 22.0))
    reasons = why_not(day_of([10.0, 10.0, 10.0]), stays)
    assert reasons[0].ev is None
    assert "EVs b, c together: they want 25.00 kWh, the site's limit gives 20.00 kWh in 01:00-03:00" in reasons[0].why
    assert "5.00 kWh are missing" in reasons[0].why
    assert {reason.ev for reason in reasons[1:]} <= {"b", "c"}


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), tight=st.floats(0.3, 1.6))
def test_reasons_exactly_where_the_strict_form_has_no_plan(seed: int, tight: float) -> None:
    day, stays = random_day(seed, tight=tight)
    plan = allocate(day, stays, None)
    assert bool(why_not(day, stays)) == isinstance(plan, PlanInfeasible)


@pytest.mark.parametrize("seed", range(6))
def test_the_named_shortage_is_the_least_one(seed: int) -> None:
    day, stays = random_day(seed, tight=0.6)
    reasons = why_not(day, stays)
    free = Day(day.slot_h, np.zeros(day.slots), day.capacity_kw)
    least = oracle(free, stays, 1.0)
    if any(reason.ev is None for reason in reasons):
        said = float(reasons[0].why.split(": ")[-1].split(" kWh are missing")[0])
        assert said == pytest.approx(least, abs=0.006)
