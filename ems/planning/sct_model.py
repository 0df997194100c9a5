"""The smart charging tool's program in PuLP, equation by equation (002 sec. 3.3)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pulp

from ems.planning.supply_point import Evse, SupplyPoint

_REACHED_KWH = 1e-3


@dataclass(frozen=True)
class Model:
    """The problem and its variables: energy and SoC by (EV index, slot), import and export by slot."""

    problem: pulp.LpProblem
    energy: Mapping[tuple[int, int], pulp.LpVariable]
    soc: Mapping[tuple[int, int], pulp.LpVariable]
    imported: Sequence[pulp.LpVariable]
    exported: Sequence[pulp.LpVariable]


def build(site: SupplyPoint, evses: Sequence[Evse]) -> Model:
    """All constraints and the objective (27) with the drivers' terms."""
    problem = pulp.LpProblem("smart_charging", pulp.LpMinimize)
    energy, soc = _batteries(problem, site, evses)
    imported, exported = _supply_point(problem, site, evses, energy)
    for n, evse in enumerate(evses):
        problem += soc[n, evse.target_slots - 1] >= evse.target_kwh, f"target_{n}"  # (19)
    terms = [float(price) * flow for price, flow in zip(site.price_per_kwh, imported, strict=True)]  # (1), (2)
    if site.opportunity_cost > 0:
        terms += [site.opportunity_cost * late for late in _not_reached(problem, site, evses, soc)]  # (27)
    terms += _drivers(problem, site, evses, energy, soc)
    problem.setObjective(pulp.lpSum(terms))
    return Model(problem, energy, soc, imported, exported)


def _batteries(
    problem: pulp.LpProblem, site: SupplyPoint, evses: Sequence[Evse]
) -> tuple[dict[tuple[int, int], pulp.LpVariable], dict[tuple[int, int], pulp.LpVariable]]:
    energy, soc = {}, {}
    for n, evse in enumerate(evses):
        before: float | pulp.LpVariable = evse.soc_kwh
        for t in range(site.slots):
            here = 1.0 if t < evse.target_slots else 0.0
            low, high = -evse.discharge_kw * site.slot_h * here, evse.power_kw * site.slot_h * here
            energy[n, t] = problem.add_variable(f"energy_{n}_{t}", low, high)  # (21)-(23)
            soc[n, t] = problem.add_variable(f"soc_{n}_{t}", 0.0, evse.capacity_kwh)  # (17), (18)
            problem += soc[n, t] == before + energy[n, t], f"balance_{n}_{t}"  # (5)
            before = soc[n, t]
    return energy, soc


def _supply_point(
    problem: pulp.LpProblem, site: SupplyPoint, evses: Sequence[Evse], energy: Mapping[tuple[int, int], pulp.LpVariable]
) -> tuple[list[pulp.LpVariable], list[pulp.LpVariable]]:
    imported, exported = [], []
    most_export = site.export_kw * site.slot_h
    for t in range(site.slots):
        most_import = float(site.most_import_kwh[t])
        imports = problem.add_variable(f"imported_{t}", 0.0, most_import)  # (11), (20), (24)
        exports = problem.add_variable(f"exported_{t}", 0.0, most_export)  # (16), positive here
        importing = problem.add_variable(f"importing_{t}", cat=pulp.LpBinary)  # (8)
        problem += imports <= most_import * importing, f"import_only_{t}"  # (6), (9), (10)
        problem += exports <= most_export * (1 - importing), f"export_only_{t}"  # (7), (12)-(15)
        problem += (
            imports - exports == pulp.lpSum(energy[n, t] for n in range(len(evses))) + float(site.own_kwh[t]),
            f"supply_{t}",
        )  # (4)
        imported.append(imports)
        exported.append(exports)
    return imported, exported


def _not_reached(
    problem: pulp.LpProblem, site: SupplyPoint, evses: Sequence[Evse], soc: Mapping[tuple[int, int], pulp.LpVariable]
) -> list[pulp.LpVariable]:
    """(25), (26) as the indicator that they describe, both sides in kWh."""
    late = []
    for n, evse in enumerate(evses):
        for t in range(site.slots):
            waits = problem.add_variable(f"not_reached_{n}_{t}", cat=pulp.LpBinary)
            deficit = evse.target_kwh - soc[n, t]
            problem += deficit <= evse.capacity_kwh * waits, f"late_{n}_{t}"
            problem += deficit >= _REACHED_KWH * waits - evse.capacity_kwh * (1 - waits), f"done_{n}_{t}"
            late.append(waits)
    return late


def _drivers(
    problem: pulp.LpProblem,
    site: SupplyPoint,
    evses: Sequence[Evse],
    energy: Mapping[tuple[int, int], pulp.LpVariable],
    soc: Mapping[tuple[int, int], pulp.LpVariable],
) -> list[pulp.LpAffineExpression]:
    """What each driver's profile adds; `weight` outweighs any gain that the price of the day could offer."""
    terms = []
    weight = 10.0 * (float(np.ptp(site.price_per_kwh)) + site.opportunity_cost) + 1.0
    dirt = site.carbon / max(float(np.abs(site.carbon).max()), 1e-12)
    grey: dict[tuple[int, int], pulp.LpVariable] = {}
    for n, evse in enumerate(evses):
        for t in range(evse.target_slots):
            if evse.profile == "cheap":
                terms.append(float(site.price_per_kwh[t]) * energy[n, t])
            elif evse.profile == "fast":
                missing = problem.add_variable(f"missing_{n}_{t}", 0.0)
                problem += missing >= evse.target_kwh - soc[n, t], f"missing_{n}_{t}"
                terms.append(weight * missing)
            elif evse.profile == "green":
                grey[n, t] = problem.add_variable(f"grey_{n}_{t}", 0.0)
                terms.append(weight * float(dirt[t]) * grey[n, t])
    _split_origin(problem, site, energy, grey)
    return terms


def _split_origin(
    problem: pulp.LpProblem,
    site: SupplyPoint,
    energy: Mapping[tuple[int, int], pulp.LpVariable],
    grey: Mapping[tuple[int, int], pulp.LpVariable],
) -> None:
    """Green drivers together can call clean only what the site produces beyond its own demand; the rest is grey."""
    clean: dict[int, list[pulp.LpVariable]] = {}
    for (n, t), dirty in grey.items():
        share = problem.add_variable(f"clean_{n}_{t}", 0.0)
        problem += energy[n, t] <= share + dirty, f"origin_{n}_{t}"
        clean.setdefault(t, []).append(share)
    for t, shares in clean.items():
        problem += pulp.lpSum(shares) <= max(0.0, -float(site.own_kwh[t])), f"surplus_{t}"
