"""`plan cohort`: a fleet in classes, drawn or from an input file."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ems.planning.cohort import CohortDay
from ems.planning.comparison import ComparedCohort, compare_cohort
from ems.planning.explain import Facts, saving_frac
from ems.planning.fleet import arrival_rate, cohort_arrivals
from ems.planning.horizon import PlanInfeasible
from ems.planning.montecarlo import DayCost, generators
from headroom.plan_days import Market, Source
from headroom.plan_fields import read_fields
from headroom.plan_outcome import Outcome, Panel, head, numbers


@dataclass(frozen=True)
class CohortTask:
    """One day of cohorts; `gamma` is the price of a car-slot spent below full."""

    day: CohortDay
    gamma: float
    currency: str = "EUR"
    start_h: float = 0.0
    inputs: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class CohortSetting:
    """What the command line says."""

    slots: int
    cars_per_day: float
    classes: int
    capacity_kw: float
    power_kw: float
    gamma: float
    rounded: bool
    seed: int


def cohort_of_file(file: Path) -> CohortTask:
    """Read an input file of the cohort model.

    Raises:
        PlanInputError: naming file, line and field.
    """
    fields = read_fields(file)
    price = fields.vector("prices_per_kwh")
    if price is None:
        raise fields.error("prices_per_kwh", "is missing: a list of prices, one per slot")
    arrivals = fields.matrix("arrivals", low=0.0)
    if arrivals.shape[0] != price.shape[0] or arrivals.shape[1] < 2:
        raise fields.error(
            "arrivals",
            f"must be {price.shape[0]} lists (one per slot) of cars per class, full ones first; it is {arrivals.shape}",
        )
    capacity = fields.vector("capacity_kw", price.shape[0], low=0.0)
    if capacity is None:
        raise fields.error("capacity_kw", "is missing: a number of kW, or one per slot")
    task = CohortTask(
        day=CohortDay(
            slot_h=fields.number("slot_minutes", 10.0, low=1e-3) / 60.0,
            price_per_kwh=price,
            arrivals=arrivals,
            power_kw=fields.number("power_kw", 22.0, low=1e-6),
            capacity_kw=capacity,
            initial=fields.vector("initial", arrivals.shape[1], low=0.0),
        ),
        gamma=fields.number("gamma", 1.3, low=0.0),
        currency=fields.text("currency", "EUR"),
        start_h=fields.number("start_hour", 0.0, low=0.0, high=24.0),
        inputs={"input": str(file)},
    )
    fields.done()
    return task


def cohort_tasks(setting: CohortSetting, source: Source, count: int) -> Iterator[CohortTask]:
    """`count` drawn days on measured prices; the same seed gives the same days."""
    market = Market(source)
    rate = arrival_rate(setting.slots, setting.cars_per_day)
    for place, rng in enumerate(generators(setting.seed, count)):
        date = market.draw_date(place, count)
        price = market.price(setting.slots, date, rng)
        arrivals = cohort_arrivals(rng, rate, setting.classes, rounded=setting.rounded)
        yield CohortTask(
            CohortDay(
                24.0 / setting.slots, price, arrivals, setting.power_kw, np.full(setting.slots, setting.capacity_kw)
            ),
            setting.gamma,
            market.prices.currency,
            inputs={
                "prices": f"{Path(market.prices.file).name}:{market.prices.column}",
                "price_mode": source.mode.value,
                "date": str(date) if source.mode.value == "day" else None,
                "seed": setting.seed,
                "cars": float(arrivals.sum()),
            },
        )


def cohort_cost(task: CohortTask) -> DayCost | PlanInfeasible:
    """One day of a Monte Carlo."""
    found = compare_cohort(task.day, task.gamma)
    return found if isinstance(found, PlanInfeasible) else found.costs


def solve_cohort(task: CohortTask) -> Outcome | PlanInfeasible:
    """One day: plan, cohort FIFS, and the document of both."""
    found = compare_cohort(task.day, task.gamma)
    if isinstance(found, PlanInfeasible):
        return found
    facts = _facts(task, found)
    document = head("cohort", facts, (found.equal.energy_cost, found.baseline.energy_cost))
    document |= {
        "objective": found.plan.objective,
        "baseline_objective": found.baseline.objective,
        "gamma": task.gamma,
        "waiting_car_slots": found.plan.waiting,
        "baseline_waiting_car_slots": found.baseline.waiting,
        "inputs": task.inputs,
        "capacity_value": numbers(found.plan.capacity_value),
        "present": [numbers(row) for row in found.plan.present.T],
        "schedule": [
            {"class": i, "charging_cars": numbers(found.plan.charged[:, i])} for i in range(1, task.day.classes + 1)
        ],
    }
    return Outcome("cohort", document, facts, _panels(task, found, facts))


def _facts(task: CohortTask, found: ComparedCohort) -> Facts:
    plan, baseline = found.plan, found.baseline
    price = float(task.day.price_per_kwh.mean()) * task.day.step_kwh
    return Facts(
        slot_h=task.day.slot_h,
        start_h=task.start_h,
        price_per_kwh=task.day.price_per_kwh,
        plan_kwh=plan.energy_kwh,
        baseline_kwh=baseline.energy_kwh,
        cost=plan.energy_cost,
        baseline_cost=baseline.energy_cost,
        currency=task.currency,
        equal_saving_frac=saving_frac(found.equal.energy_cost, baseline.energy_cost),
        unmet_kwh=found.costs.unmet_kwh,
        capacity_value=plan.capacity_value,
        notes=(
            f"One charging step costs {price:.3f} {task.currency} on average and a slot of waiting is priced at "
            f"{task.gamma:g}: the plan delivers {plan.delivered_kwh:.0f} kWh, first in, first served "
            f"{baseline.delivered_kwh:.0f}.",
        ),
    )


def _panels(task: CohortTask, found: ComparedCohort, facts: Facts) -> tuple[Panel, ...]:
    limit = float(task.day.capacity_kw.max())
    peak = max(float(facts.plan_kwh.max()), float(facts.baseline_kwh.max())) / facts.slot_h
    powers = {"plan": facts.plan_kwh / facts.slot_h, "first in, first served": facts.baseline_kwh / facts.slot_h}
    return (
        Panel("Charging power", "kW", powers, limit=limit if limit < 2 * peak else None),
        Panel("Price", f"{facts.currency}/kWh", {"price": facts.price_per_kwh}),
        Panel("Cars charging, by class", "class", image=found.plan.charged[:, 1:].T),
        Panel("Cars present, by class", "class", image=found.plan.present[:-1, 1:].T),
    )
