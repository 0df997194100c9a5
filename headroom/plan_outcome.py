"""What a planning command found: a document for machines, facts for words, panels for a figure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from ems.planning.explain import Facts, explain, saving_frac
from ems.planning.horizon import Plan, PlanInfeasible, Stay, Vector
from ems.planning.montecarlo import Saving, Savings


@dataclass(frozen=True)
class Panel:
    """One part of a figure on the day's axis: `lines` by name, or one `image` (rows x T).

    A line in "steps" has a value per slot (T), a "smooth" one a value per edge between slots (T + 1).
    """

    title: str
    unit: str
    lines: Mapping[str, Vector] = field(default_factory=dict)
    image: Vector | None = None
    look: Literal["steps", "smooth"] = "steps"
    limit: float | None = None


@dataclass(frozen=True)
class Outcome:
    """A solved plan. `points` are (cost, carbon, label) of a Pareto sweep."""

    model: str
    document: dict[str, object]
    facts: Facts
    panels: tuple[Panel, ...]
    points: tuple[tuple[float, float, str], ...] = ()

    @property
    def sentences(self) -> tuple[str, ...]:
        """The explanation, from the numbers alone."""
        return explain(self.facts)


def costs(cost: float, baseline_cost: float) -> dict[str, object]:
    """Cost, baseline and saving, as every model reports them."""
    return {"cost": cost, "baseline_cost": baseline_cost, "saving_frac": saving_frac(cost, baseline_cost)}


def head(model: str, facts: Facts, equal: tuple[float, float]) -> dict[str, object]:
    """The part of the document that all models share; `equal` is (cost, baseline) at equal delivered energy."""
    return {
        "model": model,
        "status": "optimal",
        "currency": facts.currency,
        **costs(facts.cost, facts.baseline_cost),
        "equal_energy": costs(*equal),
        "unmet_kwh": facts.unmet_kwh,
        "energy_kwh": float(facts.plan_kwh.sum()),
        "baseline_energy_kwh": float(facts.baseline_kwh.sum()),
        "slot_minutes": facts.slot_h * 60.0,
        "start_hour": facts.start_h,
        "price_per_kwh": numbers(facts.price_per_kwh),
        "plan_kw": numbers(facts.plan_kwh / facts.slot_h),
        "baseline_kw": numbers(facts.baseline_kwh / facts.slot_h),
    }


def infeasible(model: str, found: PlanInfeasible) -> dict[str, object]:
    """The document of 'the answer is no'."""
    return {
        "model": model,
        "status": "infeasible",
        "cost": None,
        "baseline_cost": None,
        "saving_frac": None,
        "schedule": [],
        "reasons": [{"ev": reason.ev, "why": reason.why} for reason in found.reasons],
    }


def schedule(plan: Plan, stays: Sequence[Stay]) -> list[dict[str, object]]:
    """One entry per car, in the order of the input."""
    delivered = plan.delivered_kwh
    return [
        {
            "ev": stay.ev,
            "arrival": stay.arrival,
            "departure": stay.departure,
            "wanted_kwh": round(stay.energy_kwh, 6),
            "delivered_kwh": round(float(delivered[n]), 6),
            "power_kw": numbers(plan.power_kw[:, n]),
        }
        for n, stay in enumerate(stays)
    ]


def numbers(values: Vector, digits: int = 6) -> list[float]:
    """A series for JSON; -0 is 0."""
    return [float(value) + 0.0 for value in np.round(values, digits)]


def monte_carlo(found: Savings) -> dict[str, object]:
    """The savings of many days with their 95 % intervals."""
    return {
        "as_planned": _saving(found.as_planned),
        "equal_energy": _saving(found.equal_energy),
        "mean_unmet_kwh": found.mean_unmet_kwh,
    }


def _saving(found: Saving) -> dict[str, object]:
    def plain(value: float) -> float | None:
        return float(value) if np.isfinite(value) else None

    return {
        "days": found.days,
        "mean_cost": found.mean_cost,
        "mean_baseline_cost": found.mean_baseline,
        "saving_frac": plain(found.frac),
        "low_95": plain(found.low),
        "high_95": plain(found.high),
    }
