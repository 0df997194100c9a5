"""One day, planned and unmanaged, side by side: as the seed counts it, and at equal delivered energy."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ems.planning.cohort import CohortDay, CohortPlan, plan_cohort
from ems.planning.cohort_fifs import first_served_cohort
from ems.planning.emission import EmissionPlan, allocate_emission, valued
from ems.planning.fifs import first_served
from ems.planning.horizon import Day, Plan, PlanInfeasible, Stay, Vector
from ems.planning.montecarlo import DayCost
from ems.planning.power_allocation import allocate


@dataclass(frozen=True)
class Compared:
    """A day's plan, its FIFS baseline, and the plan that delivers to each car exactly what FIFS delivered."""

    plan: Plan
    baseline: Plan
    equal: Plan

    @property
    def costs(self) -> DayCost:
        """The day in a Monte Carlo."""
        return DayCost(
            cost=self.plan.energy_cost,
            baseline=self.baseline.energy_cost,
            equal_cost=self.equal.energy_cost,
            equal_baseline=self.baseline.energy_cost,
            unmet_kwh=float(self.plan.shortfall_kwh.sum()),
        )


@dataclass(frozen=True)
class ComparedEmission:
    """As `Compared`, with carbon on each side."""

    plan: EmissionPlan
    baseline: EmissionPlan
    equal: EmissionPlan

    @property
    def costs(self) -> DayCost:
        """The day in a Monte Carlo, energy cost alone."""
        return Compared(self.plan.plan, self.baseline.plan, self.equal.plan).costs


@dataclass(frozen=True)
class ComparedCohort:
    """As `Compared`, for classes; `equal` delivers at least the energy that FIFS delivered, at least cost."""

    plan: CohortPlan
    baseline: CohortPlan
    equal: CohortPlan

    @property
    def costs(self) -> DayCost:
        """The day in a Monte Carlo; what is unmet is the energy that FIFS delivered and the plan did not."""
        return DayCost(
            cost=self.plan.energy_cost,
            baseline=self.baseline.energy_cost,
            equal_cost=self.equal.energy_cost,
            equal_baseline=self.baseline.energy_cost,
            unmet_kwh=max(0.0, self.baseline.delivered_kwh - self.plan.delivered_kwh),
        )


def compare(
    day: Day, stays: Sequence[Stay], shortfall_price: float | None = 0.157, sockets: int | None = None
) -> Compared | PlanInfeasible:
    """Power allocation against FIFS. `sockets` limits FIFS alone, as in the seed: a plan has a charger for each car."""
    plan = allocate(day, stays, shortfall_price)
    if isinstance(plan, PlanInfeasible):
        return plan
    baseline = first_served(day, stays, sockets)
    equal = allocate(day, as_delivered(stays, baseline), None)
    return equal if isinstance(equal, PlanInfeasible) else Compared(plan, baseline, equal)


def compare_emission(
    day: Day,
    stays: Sequence[Stay],
    carbon_g_per_kwh: Vector,
    weight: float = 9.0,
    shortfall_price: float | None = None,
    sockets: int | None = None,
) -> ComparedEmission | PlanInfeasible:
    """Emission against FIFS."""
    plan = allocate_emission(day, stays, carbon_g_per_kwh, weight, shortfall_price=shortfall_price)
    if isinstance(plan, PlanInfeasible):
        return plan
    baseline = first_served(day, stays, sockets)
    equal = allocate_emission(day, as_delivered(stays, baseline), carbon_g_per_kwh, weight)
    if isinstance(equal, PlanInfeasible):
        return equal
    return ComparedEmission(plan, valued(day, baseline, carbon_g_per_kwh), equal)


def compare_cohort(day: CohortDay, waiting_price: float = 1.3) -> ComparedCohort | PlanInfeasible:
    """The cohort model against cohort FIFS.

    At equal energy the dissatisfaction is left out (gamma = 0): delivering as much as FIFS for as little as possible.
    """
    plan = plan_cohort(day, waiting_price)
    if isinstance(plan, PlanInfeasible):
        return plan
    baseline = first_served_cohort(day, waiting_price)
    equal = plan_cohort(day, 0.0, at_least_kwh=baseline.delivered_kwh * (1.0 - 1e-9))
    return equal if isinstance(equal, PlanInfeasible) else ComparedCohort(plan, baseline, equal)


def as_delivered(stays: Sequence[Stay], baseline: Plan) -> tuple[Stay, ...]:
    """The same stays, each wanting exactly what the baseline gave it: always feasible, for the baseline is a plan."""
    return tuple(
        replace(stay, energy_kwh=float(np.maximum(0.0, energy)))
        for stay, energy in zip(stays, baseline.delivered_kwh, strict=True)
    )
