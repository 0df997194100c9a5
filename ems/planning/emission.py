"""Emission (000 eq. 3.2): cost and carbon in one objective, and the front between them.

    min  sum_t (pi_t + lambda C0 e_CO2,t) sum_i delta Y_ti    under the constraints of power allocation, L_i met in
    full.

C0 is a carbon price in money per tonne (seed: 64 EUR/t), e_CO2 the grid's intensity in g/kWh. The elastic form lets a
kWh go undelivered at `shortfall_price` (gamma).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ems.planning.horizon import Day, Plan, PlanInfeasible, Stay, Vector
from ems.planning.power_allocation import allocate

CARBON_PRICE_PER_T = 64.0
GRAMS_PER_T = 1e6


@dataclass(frozen=True)
class EmissionPlan:
    """A plan with its carbon: `plan.energy_cost` is for energy alone, `plan.objective` includes weighted carbon."""

    plan: Plan
    weight: float
    carbon_kg: float
    carbon_cost: float


def carbon_price(carbon_g_per_kwh: Vector, carbon_price_per_t: float = CARBON_PRICE_PER_T) -> Vector:
    """pi_CO2 = C0 e_CO2 per slot, money per kWh (T)."""
    return np.asarray(carbon_price_per_t / GRAMS_PER_T * carbon_g_per_kwh, dtype=np.float64)


def allocate_emission(
    day: Day,
    stays: Sequence[Stay],
    carbon_g_per_kwh: Vector,
    weight: float = 9.0,
    *,
    shortfall_price: float | None = None,
    carbon_price_per_t: float = CARBON_PRICE_PER_T,
) -> EmissionPlan | PlanInfeasible:
    """The plan that is best at `weight` (lambda >= 0): 0 is pure cost, large is pure carbon.

    `carbon_g_per_kwh` has one value per slot. `shortfall_price` None is the strict form (every kWh, or which car cannot
    have it); a number is the elastic form.

    Raises:
        ValueError: a negative or not finite weight, a carbon series of another length, or an unreadable stay.
    """
    if not (np.isfinite(weight) and weight >= 0):
        raise ValueError(f"the emission weight must be 0 or more, it is {weight}")
    if carbon_g_per_kwh.shape != day.price_per_kwh.shape:
        raise ValueError(f"carbon intensity needs {day.slots} values, one per slot; it has {carbon_g_per_kwh.shape[0]}")
    weighted = day.price_per_kwh + weight * carbon_price(carbon_g_per_kwh, carbon_price_per_t)
    found = allocate(day.priced(weighted), stays, shortfall_price)
    return (
        found if isinstance(found, PlanInfeasible) else valued(day, found, carbon_g_per_kwh, weight, carbon_price_per_t)
    )


def valued(
    day: Day,
    plan: Plan,
    carbon_g_per_kwh: Vector,
    weight: float = 0.0,
    carbon_price_per_t: float = CARBON_PRICE_PER_T,
) -> EmissionPlan:
    """Any plan's energy cost and carbon, for comparison on the same terms."""
    energy = plan.energy_kwh
    cost = float(day.price_per_kwh @ energy)
    carbon_cost = float(carbon_price(carbon_g_per_kwh, carbon_price_per_t) @ energy)
    return EmissionPlan(
        plan=Plan(
            evs=plan.evs,
            slot_h=plan.slot_h,
            power_kw=plan.power_kw,
            shortfall_kwh=plan.shortfall_kwh,
            energy_cost=cost,
            objective=plan.objective,
            capacity_value=plan.capacity_value,
        ),
        weight=weight,
        carbon_kg=float(carbon_g_per_kwh @ energy) / 1000.0,
        carbon_cost=carbon_cost,
    )
