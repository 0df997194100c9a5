"""Savings over many days: an estimate with its interval, never a single lucky day."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats


@dataclass(frozen=True, slots=True)
class Saving:
    """The saving over `days`: sum of (baseline - cost) over sum of baseline, with a 95 % interval.

    `low` and `high` are NaN with fewer than two days, all three where the baseline costs nothing or less.
    """

    days: int
    mean_cost: float
    mean_baseline: float
    frac: float
    low: float
    high: float


def saving(costs: Sequence[float], baselines: Sequence[float], confidence: float = 0.95) -> Saving:
    """The ratio estimator of a saving over paired days, with its delta-method t interval.

    The mean of daily ratios would give a day that costs nearly nothing (prices around zero) as much weight as a dear
    one and can be infinite; the ratio of means is what an operator pays. With d_k = cost_k - (1 - frac) baseline_k the
    standard error is sd(d) / (sqrt(K) mean baseline).

    Raises:
        ValueError: no days, or lists of different lengths.
    """
    cost, baseline = np.asarray(costs, dtype=np.float64), np.asarray(baselines, dtype=np.float64)
    if cost.shape != baseline.shape or cost.size == 0:
        raise ValueError(f"a saving needs paired days: {cost.shape} costs, {baseline.shape} baselines")
    mean_cost, mean_baseline = float(cost.mean()), float(baseline.mean())
    if mean_baseline <= 0:
        return Saving(cost.size, mean_cost, mean_baseline, float("nan"), float("nan"), float("nan"))
    frac = 1.0 - mean_cost / mean_baseline
    if cost.size < 2:
        return Saving(cost.size, mean_cost, mean_baseline, frac, float("nan"), float("nan"))
    rest = cost - (1.0 - frac) * baseline
    error = float(rest.std(ddof=1)) / (np.sqrt(cost.size) * mean_baseline)
    reach = float(stats.t.ppf(0.5 + confidence / 2.0, cost.size - 1)) * error
    return Saving(cost.size, mean_cost, mean_baseline, frac, frac - reach, frac + reach)


@dataclass(frozen=True, slots=True)
class DayCost:
    """One day of a comparison: as planned, and at equal delivered energy, against the same baseline day."""

    cost: float
    baseline: float
    equal_cost: float
    equal_baseline: float
    unmet_kwh: float = 0.0


@dataclass(frozen=True, slots=True)
class Savings:
    """A Monte Carlo's answer: the saving as the seed counts it, and at equal delivered energy."""

    as_planned: Saving
    equal_energy: Saving
    mean_unmet_kwh: float


def gather(days: Iterable[DayCost]) -> Savings:
    """Add up the days of a Monte Carlo (at least one)."""
    all_days = list(days)
    return Savings(
        as_planned=saving([day.cost for day in all_days], [day.baseline for day in all_days]),
        equal_energy=saving([day.equal_cost for day in all_days], [day.equal_baseline for day in all_days]),
        mean_unmet_kwh=float(np.mean([day.unmet_kwh for day in all_days])),
    )


def generators(seed: int, count: int) -> Iterator[np.random.Generator]:
    """`count` independent generators of one seed: day k is the same however many days are drawn."""
    for child in np.random.SeedSequence(seed).spawn(count):
        yield np.random.default_rng(child)
