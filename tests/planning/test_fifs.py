"""First in, first served: order, limits, sockets, and what it leaves behind."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planning_oracles import random_day

from ems.planning.comparison import Compared, compare
from ems.planning.fifs import first_served
from ems.planning.horizon import Day, Stay


def test_the_first_to_come_has_the_power() -> None:
    day = Day(1.0, np.array([1.0, 1.0, 1.0]), np.array([10.0, 10.0, 10.0]))
    plan = first_served(day, (Stay("late", 1, 3, 10.0, 8.0), Stay("early", 0, 3, 20.0, 8.0)))
    assert plan.power_kw[:, 1] == pytest.approx([8.0, 8.0, 4.0])
    assert plan.power_kw[:, 0] == pytest.approx([0.0, 2.0, 6.0])
    assert plan.shortfall_kwh == pytest.approx([2.0, 0.0])
    assert plan.energy_cost == pytest.approx(28.0)


def test_sharing_is_rule_two_as_printed() -> None:
    day = Day(1.0, np.array([1.0]), np.array([10.0]))
    stays = (Stay("a", 0, 1, 9.0, 8.0), Stay("b", 0, 1, 9.0, 8.0))
    assert first_served(day, stays, rule="share").power_kw[0] == pytest.approx([5.0, 5.0])
    assert first_served(day, stays).power_kw[0] == pytest.approx([8.0, 2.0])


def test_sockets_keep_the_rest_waiting() -> None:
    day = Day(1.0, np.ones(3), np.full(3, 100.0))
    plan = first_served(day, tuple(Stay(name, 0, 3, 10.0, 10.0) for name in "abcd"), sockets=1)
    assert (plan.power_kw > 0).sum(axis=1).tolist() == [1, 1, 1]
    assert plan.shortfall_kwh.tolist() == [0.0, 0.0, 0.0, 10.0]


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), tight=st.floats(0.2, 3.0))
def test_the_baseline_is_a_plan_and_the_optimum_never_dearer(seed: int, tight: float) -> None:
    day, stays = random_day(seed, tight=tight)
    found = compare(day, stays, 10.0)
    assert isinstance(found, Compared)
    power = found.baseline.power_kw
    assert (power.sum(axis=1) <= day.capacity_kw + 1e-9).all()
    assert (power <= np.array([stay.limit_kw for stay in stays]) + 1e-9).all()
    assert found.equal.delivered_kwh == pytest.approx(found.baseline.delivered_kwh, abs=1e-6)
    assert found.equal.energy_cost <= found.baseline.energy_cost + 1e-6
