"""Random evenings of the aggregator's fleet: who comes home when, with how much, and what is needed tomorrow."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ems.planning.aggregator import (
    Battery,
    FleetDay,
    FleetPlan,
    as_stored,
    keeping_energy,
    plan_fleet,
    unmanaged_fleet,
)
from ems.planning.car_models import FleetCar
from ems.planning.horizon import PlanInfeasible
from ems.planning.mobility import draw_day
from ems.planning.montecarlo import DayCost


@dataclass(frozen=True)
class ComparedFleet:
    """A day unmanaged, planned, and planned with V2G (None without), keeping or selling what the cars came with.

    `equal` is the plan (with V2G where that is allowed) that leaves in every car exactly what unmanaged charging does.
    """

    plan: FleetPlan
    baseline: FleetPlan
    equal: FleetPlan
    v2g: FleetPlan | None
    v2g_selling: FleetPlan | None

    @property
    def costs(self) -> DayCost:
        """The day in a Monte Carlo."""
        return DayCost(self.plan.cost, self.baseline.cost, self.equal.cost, self.baseline.cost)


def evening(
    rng: np.random.Generator,
    fleet: Sequence[FleetCar],
    weekday: int,
    *,
    slots: int = 24,
    start_h: float = 12.0,
    power_kw: float = 7.4,
    reserve: float = 0.3,
    always_home: bool = False,
) -> tuple[Battery, ...]:
    """The fleet from noon of `weekday` (0 = Monday) to the next noon.

    Each car left home with `reserve` of its battery plus its forecast k theta, drove what its Gamma law of today draws,
    and is to have reserve plus tomorrow's k theta by the time it leaves, so that day after day as much is charged as is
    driven. Home from N(17.5, 1.5) h to N(7.5, 1) h; the seed's program has no absences (`always_home`).
    """
    slot_h = 24.0 / slots
    driven = draw_day(rng, [car.week[weekday] for car in fleet])
    comes, leaves = rng.normal(17.5, 1.5, len(fleet)), rng.normal(31.5, 1.0, len(fleet))
    cars = []
    for car, used, come, leave in zip(fleet, driven, comes, leaves, strict=True):
        full, floor = car.model.battery_kwh, reserve * car.model.battery_kwh
        left = min(full, floor + car.week[weekday].mean_kwh)
        need = min(full, floor + car.week[(weekday + 1) % 7].mean_kwh)
        arrival = 0 if always_home else int(np.clip(np.ceil((come - start_h) / slot_h), 0, slots - 1))
        departure = slots if always_home else int(np.clip(np.floor((leave - start_h) / slot_h), arrival + 1, slots))
        cars.append(Battery(car.ev, max(0.0, left - used), need, full, power_kw, arrival, departure))
    return tuple(cars)


def compare_fleet(day: FleetDay, cars: Sequence[Battery]) -> ComparedFleet | PlanInfeasible:
    """One day, with the unmanaged baseline on the same terms; V2G on both terms where `day.v2g`.

    `plan` never discharges; a car that comes with more than it needs is left as it is.
    """
    quiet = replace(day, v2g=False)
    plan = plan_fleet(quiet, cars)
    if isinstance(plan, PlanInfeasible):
        return plan
    baseline = unmanaged_fleet(quiet, cars)
    equal = plan_fleet(day, as_stored(cars, baseline), exactly=True)
    if isinstance(equal, PlanInfeasible):
        return equal
    if not day.v2g:
        return ComparedFleet(plan, baseline, equal, None, None)
    keeping, selling = plan_fleet(day, keeping_energy(cars)), plan_fleet(day, cars)
    if isinstance(keeping, PlanInfeasible):
        return keeping
    if isinstance(selling, PlanInfeasible):
        return selling
    return ComparedFleet(plan, baseline, equal, keeping, selling)
