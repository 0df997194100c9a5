"""`plan sct`: the smart charging tool on the seed's scenarios, or on an input file."""

from dataclasses import replace
from enum import StrEnum
from pathlib import Path

import numpy as np

from ems.planning.explain import Facts
from ems.planning.horizon import PlanInfeasible
from ems.planning.prices import to_slots
from ems.planning.sct import charge_at_once, plan_charging, plan_ending_with
from ems.planning.supply_point import PROFILES, ChargingPlan, Evse, Profile, SupplyPoint
from headroom.plan_days import Market, Source
from headroom.plan_fields import Fields, read_fields
from headroom.plan_outcome import Outcome, Panel, costs, head, numbers
from headroom.plan_series import day_of

_PROFILES: tuple[Profile, ...] = ("cheap", "fast", "green", "default")


class ScenarioNumber(StrEnum):
    """The scenarios of 002 sec. 5."""

    free = "1"
    opportunity = "2"
    prices = "3"


class DriverProfile(StrEnum):
    """What a driver may ask for."""

    cheap = "cheap"
    fast = "fast"
    green = "green"
    default = "default"


def seed_scenario(number: ScenarioNumber) -> tuple[SupplyPoint, tuple[Evse, ...]]:
    """The three scenarios: 3 EVs, 6 h of 15 min, 50 to 60 kWh each, 7.7 kW per EVSE.

    1: 10 kW, no price. 2: the same with an opportunity cost of 1 per slot. 3: 8 kW, price 1 in slots 0 to 14 and 0 from
    slot 15 on, EV0 due after 1.5 h.
    """
    evses = tuple(Evse(f"EV{n}", 50.0, 60.0, 60.0, 24, 7.7) for n in range(3))
    if number == ScenarioNumber.prices:
        price = np.where(np.arange(24) < 15, 1.0, 0.0)
        return SupplyPoint(0.25, price, 8.0, 8.0), (replace(evses[0], target_slots=6), *evses[1:])
    opportunity_cost = float(number == ScenarioNumber.opportunity)
    return SupplyPoint(0.25, np.zeros(24), 10.0, 10.0, opportunity_cost=opportunity_cost), evses


def scenario(
    number: ScenarioNumber, source: Source, profile: DriverProfile | None
) -> tuple[SupplyPoint, tuple[Evse, ...], str, dict[str, object]]:
    """A scenario of the seed, at measured prices where the source names a day: site, EVSEs, currency, inputs."""
    site, evses = seed_scenario(number)
    inputs: dict[str, object] = {"scenario": int(number.value)}
    currency = "EUR"
    if profile is not None:
        evses = tuple(replace(evse, profile=_profile(profile.value)) for evse in evses)
        inputs["profile"] = profile.value
    if source.day is not None:
        series = Market(source).prices
        price = to_slots(day_of(series, source.day, source.start_h), 96)[: site.slots]
        site, currency = replace(site, price_per_kwh=price), series.currency
        inputs |= {"prices": f"{Path(series.file).name}:{series.column}", "date": str(source.day)}
    return site, evses, currency, inputs


def _profile(name: str) -> Profile:
    return next(profile for profile in _PROFILES if profile == name)


def sct_of_file(file: Path) -> tuple[SupplyPoint, tuple[Evse, ...], str]:
    """Read an input file of the smart charging tool: the supply point, its EVSEs, the currency.

    Raises:
        PlanInputError: naming file, line and field.
    """
    fields = read_fields(file)
    price = fields.vector("prices_per_kwh")
    if price is None:
        raise fields.error("prices_per_kwh", "is missing: a list of prices, one per slot")
    slots = price.shape[0]
    site = SupplyPoint(
        slot_h=fields.number("slot_minutes", 15.0, low=1e-3) / 60.0,
        price_per_kwh=price,
        import_kw=fields.number("import_kw", low=0.0),
        export_kw=fields.number("export_kw", 0.0, low=0.0),
        demand_kw=fields.vector("demand_kw", slots, low=0.0),
        production_kw=fields.vector("production_kw", slots, low=0.0),
        flexibility_kw=fields.vector("flexibility_kw", slots),
        carbon_g_per_kwh=fields.vector("carbon_g_per_kwh", slots, low=0.0),
        opportunity_cost=fields.number("opportunity_cost", 0.0, low=0.0),
    )
    evses: dict[str, Evse] = {}
    for row in fields.rows("evses"):
        evse = _evse(row, slots)
        if evse.ev in evses:
            raise row.error("id", f"EV {evse.ev} is given twice")
        evses[evse.ev] = evse
    currency = fields.text("currency", "EUR")
    fields.done()
    return site, tuple(evses.values()), currency


def _evse(row: Fields, slots: int) -> Evse:
    capacity = row.number("capacity_kwh", low=0.0)
    evse = Evse(
        ev=row.text("id"),
        soc_kwh=row.number("soc_kwh", low=0.0, high=capacity),
        capacity_kwh=capacity,
        target_kwh=row.number("target_kwh", low=0.0),
        target_slots=row.integer("target_slots", slots, low=1, high=slots),
        power_kw=row.number("power_kw", low=0.0),
        discharge_kw=row.number("discharge_kw", 0.0, low=0.0),
        previous_slots=row.integer("previous_slots", 0),
        profile=_profile(row.text("profile", "default", allowed=PROFILES)),
    )
    row.done()
    return evse


def solve_sct(
    site: SupplyPoint, evses: tuple[Evse, ...], currency: str, inputs: dict[str, object], start_h: float = 0.0
) -> Outcome | PlanInfeasible:
    """Plan, baseline (charge at once under the same limits), and the document of both."""
    plan = plan_charging(site, evses)
    if isinstance(plan, PlanInfeasible):
        return plan
    baseline = charge_at_once(site, evses)
    facts = _facts(site, evses, plan, baseline, currency, start_h)
    document = head("sct", facts, (plan.objective, baseline.objective))
    equal = _at_equal_energy(site, evses, plan, baseline)
    document["equal_energy"] = (
        costs(equal.objective, baseline.objective)
        if equal is not None
        else {"cost": None, "baseline_cost": None, "saving_frac": None}
    )
    document |= {
        "objective": plan.objective,
        "energy_cost": plan.energy_cost,
        "opportunity_cost": plan.opportunity_cost,
        "baseline_missed_kwh": _missed(evses, baseline),
        "imported_kwh": numbers(plan.imported_kwh),
        "exported_kwh": numbers(plan.exported_kwh),
        "inputs": inputs,
        "schedule": [
            {
                "ev": evse.ev,
                "profile": evse.profile,
                "reached_slot": plan.reached_slot[n],
                "power_kw": numbers(plan.energy_kwh[:, n] / site.slot_h),
                "soc_kwh": numbers(plan.soc_kwh[:, n]),
            }
            for n, evse in enumerate(evses)
        ],
    }
    return Outcome("sct", document, facts, _panels(site, evses, plan, facts))


def _at_equal_energy(
    site: SupplyPoint, evses: tuple[Evse, ...], plan: ChargingPlan, baseline: ChargingPlan
) -> ChargingPlan | None:
    """The plan that leaves in every battery what the baseline does; None where the baseline misses a target."""
    if _missed(evses, baseline) > 1e-6:
        return None
    if np.allclose(plan.soc_kwh[-1], baseline.soc_kwh[-1], rtol=0.0, atol=1e-5):
        return plan
    return plan_ending_with(site, evses, baseline.soc_kwh[-1])


def _missed(evses: tuple[Evse, ...], plan: ChargingPlan) -> float:
    last = plan.soc_kwh[-1]
    return float(sum(max(0.0, evse.target_kwh - last[n]) for n, evse in enumerate(evses)))


def _facts(
    site: SupplyPoint,
    evses: tuple[Evse, ...],
    plan: ChargingPlan,
    baseline: ChargingPlan,
    currency: str,
    start_h: float,
) -> Facts:
    notes = []
    if site.opportunity_cost > 0:
        notes.append(
            f"Cars hold their EVSE for {plan.opportunity_cost / site.opportunity_cost:.0f} slots below target "
            f"instead of "
            f"{baseline.opportunity_cost / site.opportunity_cost:.0f}."
        )
    full = int((plan.imported_kwh >= site.most_import_kwh - 1e-6).sum())
    notes.append(f"The supply point is at its import limit in {full} of {site.slots} slots.")
    if _missed(evses, baseline) > 1e-6:
        notes.append(f"Charging at once would miss {_missed(evses, baseline):.1f} kWh of the targets.")
    return Facts(
        slot_h=site.slot_h,
        start_h=start_h,
        price_per_kwh=site.price_per_kwh,
        plan_kwh=plan.energy_kwh.sum(axis=1),
        baseline_kwh=baseline.energy_kwh.sum(axis=1),
        cost=plan.objective,
        baseline_cost=baseline.objective,
        currency=currency,
        notes=tuple(notes),
        limit=None,
    )


def _panels(site: SupplyPoint, evses: tuple[Evse, ...], plan: ChargingPlan, facts: Facts) -> tuple[Panel, ...]:
    powers = {evse.ev: plan.energy_kwh[:, n] / site.slot_h for n, evse in enumerate(evses)}
    states = {evse.ev: np.append(evse.soc_kwh, plan.soc_kwh[:, n]) for n, evse in enumerate(evses)}
    flow = {"plan": (plan.imported_kwh - plan.exported_kwh) / site.slot_h, "limit": site.most_import_kwh / site.slot_h}
    return (
        Panel("Supply point", "kW", flow),
        Panel("Charging power", "kW", powers),
        Panel("State of charge", "kWh", states, look="smooth"),
        Panel("Price", f"{facts.currency}/kWh", {"price": site.price_per_kwh}),
    )
