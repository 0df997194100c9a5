"""The saving of many days: a ratio of means whose interval covers the truth as often as it says."""

import numpy as np
import pytest

from ems.planning.montecarlo import DayCost, gather, generators, saving


def test_the_interval_covers_the_truth() -> None:
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(600):
        baseline = rng.gamma(20.0, 5.0, 40)
        found = saving(baseline * 0.9 + rng.normal(0.0, 3.0, 40), baseline)
        inside += found.low <= 0.1 <= found.high
    assert inside / 600 == pytest.approx(0.95, abs=0.03)


def test_figures_of_two_days() -> None:
    found = saving([8.0, 9.0], [10.0, 10.0])
    assert found.frac == pytest.approx(0.15)
    assert (found.low, found.high) == pytest.approx((0.15 - 12.7062 * 0.05, 0.15 + 12.7062 * 0.05), rel=1e-4)


def test_a_baseline_that_is_paid_has_no_saving_and_one_day_no_interval() -> None:
    assert np.isnan(saving([1.0, 1.0], [-1.0, 0.5]).frac)
    one = saving([1.0], [2.0])
    assert one.frac == 0.5
    assert np.isnan(one.low)


def test_unpaired_days_are_refused() -> None:
    with pytest.raises(ValueError, match="paired"):
        saving([1.0], [1.0, 2.0])


def test_days_are_gathered_both_ways() -> None:
    found = gather([DayCost(1.0, 2.0, 1.5, 2.0, 3.0), DayCost(1.0, 2.0, 1.5, 2.0, 5.0)])
    assert found.as_planned.frac == pytest.approx(0.5)
    assert found.equal_energy.frac == pytest.approx(0.25)
    assert found.mean_unmet_kwh == 4.0


def test_a_day_is_the_same_however_many_are_drawn() -> None:
    few = [rng.normal() for rng in generators(7, 3)]
    many = [rng.normal() for rng in generators(7, 10)]
    assert few == many[:3]
    assert len(set(many)) == 10
