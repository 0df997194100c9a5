"""`plan power-allocation` and `plan emission`: cars one by one, from the command line's data or from an input file."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ems.planning.comparison import Compared, ComparedEmission, compare, compare_emission
from ems.planning.emission import allocate_emission
from ems.planning.explain import Facts
from ems.planning.horizon import Day, PlanInfeasible, Stay, Vector
from ems.planning.montecarlo import DayCost, gather, generators
from headroom.plan_days import Market, Parking, Source, make_day
from headroom.plan_fields import Fields, read_fields
from headroom.plan_outcome import Outcome, Panel, costs, head, monte_carlo, numbers, schedule

PARETO_WEIGHTS = (0.0, 0.5, 1.0, 2.0, 4.0, 6.0, 9.0, 13.0, 20.0, 35.0, 60.0, 100.0, 200.0, 500.0, 1000.0)


@dataclass(frozen=True)
class Task:
    """One day of cars and how to plan it; `carbon` None is power allocation."""

    day: Day
    stays: tuple[Stay, ...]
    gamma: float | None
    sockets: int | None
    start_h: float = 0.0
    currency: str = "EUR"
    carbon: Vector | None = None
    weight: float = 9.0
    notes: tuple[str, ...] = ()
    inputs: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Setting:
    """What the command line says about the cars and the site."""

    model: str
    slots: int
    cars: int
    capacity_kw: float | None
    limit_kw: float
    gamma: float | None
    sockets: int | None
    weight: float
    seed: int


def task_of_file(file: Path, model: str) -> Task:
    """Read an input file of power-allocation or emission.

    Raises:
        PlanInputError: naming file, line and field.
    """
    fields = read_fields(file)
    price = fields.vector("prices_per_kwh")
    if price is None:
        raise fields.error("prices_per_kwh", "is missing: a list of prices, one per slot")
    slots = price.shape[0]
    capacity = fields.vector("capacity_kw", slots, low=0.0)
    if capacity is None:
        raise fields.error("capacity_kw", "is missing: a number of kW, or one per slot")
    carbon = fields.vector("carbon_g_per_kwh", slots, low=0.0)
    if (carbon is None) == (model == "emission"):
        raise fields.error("carbon_g_per_kwh", "is missing" if carbon is None else "belongs to `plan emission`")
    gamma = fields.number("gamma", 0.157, low=0.0)
    # Emission meets every kWh, unless the file says what a missing one costs.
    strict = fields.flag("strict", model == "emission" and fields.optional("gamma") is None)
    day = Day(fields.number("slot_minutes", 60.0, low=1e-3) / 60.0, price, capacity)
    task = Task(
        day=day,
        stays=tuple(_stays(fields.rows("evs"), slots)),
        gamma=None if strict else gamma,
        sockets=fields.integer("sockets", low=1) if fields.optional("sockets") is not None else None,
        start_h=fields.number("start_hour", 0.0, low=0.0, high=24.0),
        currency=fields.text("currency", "EUR"),
        carbon=carbon,
        weight=fields.number("weight", 9.0, low=0.0) if model == "emission" else 0.0,
        inputs={"input": str(file)},
    )
    fields.done()
    return task


def _stays(rows: Iterator[Fields], slots: int) -> Iterator[Stay]:
    seen: set[str] = set()
    for row in rows:
        ev = row.text("id")
        if ev in seen:
            raise row.error("id", f"EV {ev} is given twice")
        seen.add(ev)
        arrival = row.integer("arrival", 0, high=slots)
        yield Stay(
            ev,
            arrival,
            row.integer("departure", slots, low=arrival, high=slots),
            row.number("energy_kwh", low=0.0),
            row.number("limit_kw", 22.0, low=0.0),
        )
        row.done()


def tasks(setting: Setting, source: Source, count: int) -> Iterator[Task]:
    """`count` days of measured or drawn data; the same seed gives the same days."""
    emission = setting.model == "emission"
    market = Market(source, with_carbon=emission)
    parking = Parking(source, setting.model, setting.cars, setting.limit_kw)
    for place, rng in enumerate(generators(setting.seed, count)):
        date = market.draw_date(place, count)
        price = market.price(setting.slots, date, rng)
        cars = parking.on(date, setting.slots, rng)
        capacity = setting.capacity_kw
        if capacity is None:
            capacity = setting.limit_kw * len(cars.stays) if emission or source.sessions else 1130.0
        notes: tuple[str, ...] = ()
        if cars.capped:
            named = ", ".join(cars.capped[:5]) + (" ..." if len(cars.capped) > 5 else "")
            notes = (
                f"{len(cars.capped)} sessions took more than their stay gives at {setting.limit_kw:g} kW and are "
                f"capped: "
                f"{named}.",
            )
        yield Task(
            day=make_day(price, capacity),
            stays=cars.stays,
            gamma=setting.gamma,
            sockets=setting.sockets,
            start_h=float(source.start_h),
            currency=market.prices.currency,
            carbon=market.intensity(setting.slots, date) if emission else None,
            weight=setting.weight,
            notes=notes,
            inputs={
                "prices": f"{Path(market.prices.file).name}:{market.prices.column}",
                "carbon": f"{Path(market.carbon.file).name}:{market.carbon.column}" if market.carbon else None,
                "sessions": Path(source.sessions).name if source.sessions else None,
                "price_mode": source.mode.value,
                "date": str(date) if source.mode.value == "day" or source.sessions else None,
                "seed": setting.seed,
                "capped_sessions": list(cars.capped),
            },
        )


def cost_of(task: Task) -> DayCost | PlanInfeasible:
    """One day of a Monte Carlo; in the strict form it may have no plan."""
    found = _compared(task)
    return found if isinstance(found, PlanInfeasible) else found.costs


def solve(task: Task, pareto: Iterable[float] = ()) -> Outcome | PlanInfeasible:
    """One day: plan, baseline, and the document of both."""
    found = _compared(task)
    if isinstance(found, PlanInfeasible):
        return found
    if isinstance(found, ComparedEmission):
        return _emission(task, found, pareto)
    facts = _facts(task, found)
    document = head("power-allocation", facts, (found.equal.energy_cost, found.baseline.energy_cost))
    document |= {"objective": found.plan.objective, "gamma": task.gamma, "inputs": task.inputs}
    document["capacity_value"] = numbers(found.plan.capacity_value)
    document["schedule"] = schedule(found.plan, task.stays)
    return Outcome("power-allocation", document, facts, _panels(task, facts))


def with_monte_carlo(outcome: Outcome, days: list[DayCost]) -> Outcome:
    """The outcome of one day with the savings of many beside it."""
    outcome.document["monte_carlo"] = monte_carlo(gather(days))
    return outcome


def _compared(task: Task) -> Compared | ComparedEmission | PlanInfeasible:
    if task.carbon is None:
        return compare(task.day, task.stays, task.gamma, task.sockets)
    return compare_emission(task.day, task.stays, task.carbon, task.weight, task.gamma, task.sockets)


def _emission(task: Task, found: ComparedEmission, weights: Iterable[float]) -> Outcome:
    assert task.carbon is not None
    pair = Compared(found.plan.plan, found.baseline.plan, found.equal.plan)
    saved = found.baseline.carbon_kg - found.plan.carbon_kg
    less = f"{saved:.1f} kg less" if saved >= 0 else f"{-saved:.1f} kg more"
    said = f"It emits {found.plan.carbon_kg:.1f} kg CO2 instead of {found.baseline.carbon_kg:.1f}: {less}."
    facts = _facts(task, pair, (said,))
    document = head("emission", facts, (found.equal.plan.energy_cost, found.baseline.plan.energy_cost))
    weighted = [plan.plan.energy_cost + task.weight * plan.carbon_cost for plan in (found.plan, found.baseline)]
    document |= {
        "objective": found.plan.plan.objective,
        "weight": task.weight,
        "gamma": task.gamma,
        "carbon_kg": found.plan.carbon_kg,
        "baseline_carbon_kg": found.baseline.carbon_kg,
        "equal_energy_carbon_kg": found.equal.carbon_kg,
        "with_weighted_carbon": costs(weighted[0], weighted[1]),
        "inputs": task.inputs,
        "capacity_value": numbers(found.plan.plan.capacity_value),
    }
    points = []
    for weight in weights:
        at = allocate_emission(task.day, task.stays, task.carbon, weight, shortfall_price=task.gamma)
        if not isinstance(at, PlanInfeasible):
            points.append((weight, at.plan.energy_cost, at.carbon_kg))
    if points:
        document["pareto"] = [{"weight": w, "cost": cost, "carbon_kg": carbon} for w, cost, carbon in points]
    document["schedule"] = schedule(found.plan.plan, task.stays)
    panels = (*_panels(task, facts), Panel("Carbon intensity", "g/kWh", {"grid": task.carbon}))
    return Outcome("emission", document, facts, panels, tuple((c, kg, f"{w:g}") for w, c, kg in points))


def _facts(task: Task, found: Compared, notes: tuple[str, ...] = ()) -> Facts:
    equal = found.costs
    saved = None if equal.equal_baseline <= 0 else 1.0 - equal.equal_cost / equal.equal_baseline
    return Facts(
        slot_h=task.day.slot_h,
        start_h=task.start_h,
        price_per_kwh=task.day.price_per_kwh,
        plan_kwh=found.plan.energy_kwh,
        baseline_kwh=found.baseline.energy_kwh,
        cost=found.plan.energy_cost,
        baseline_cost=found.baseline.energy_cost,
        currency=task.currency,
        equal_saving_frac=saved,
        unmet_kwh=float(found.plan.shortfall_kwh.sum()),
        unmet_cars=int((found.plan.shortfall_kwh > 1e-6).sum()),
        capacity_value=found.plan.capacity_value,
        notes=notes,
        private_notes=task.notes,
    )


def _panels(task: Task, facts: Facts) -> tuple[Panel, ...]:
    parked = np.zeros(task.day.slots)
    for stay in task.stays:
        parked[stay.arrival : stay.departure] += 1.0
    peak = max(float(facts.plan_kwh.max()), float(facts.baseline_kwh.max())) / facts.slot_h
    limit = float(task.day.capacity_kw.max())
    powers = {"plan": facts.plan_kwh / facts.slot_h, "first in, first served": facts.baseline_kwh / facts.slot_h}
    return (
        Panel("Charging power", "kW", powers, limit=limit if limit < 2 * peak else None),
        Panel("Price", f"{facts.currency}/kWh", {"price": facts.price_per_kwh}),
        Panel("Cars plugged in", "cars", {"cars": parked}),
    )
