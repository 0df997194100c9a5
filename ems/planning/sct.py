"""Smart charging tool (002 sec. 3.3): EVSEs behind one supply point, with V2G, grid orders and an opportunity cost.
PuLP.

    min  sum_t price_t Import_t + sum_n previous_n oc + sum_nt notReached_nt oc                       (1, 2, 27)
    s.t. Import_t - Export_t = sum_n E_nt + (demand_t - production_t) h, one of the two 0             (4, 6-16)
         Import_t <= (P_max + flexibility_t) h,  Export_t <= -P_min h                                 (20, 24)
         SoC_nt = SoC_n,t-1 + E_nt,  0 <= SoC <= capacity,  SoC at the target slot >= target          (5, 17-19)
         -discharge h <= E_nt <= power h                                                              (21-23)

Where this differs from print: production is subtracted from demand ((4) adds it); the discharge limit is a positive
figure ((23) is written for a negative one); exports are positive ((16) has them negative); (25) and (26) compare a
binary with kWh and contradict each other for any deficit below 1, so they are built as the indicator that they
describe, deficit <= capacity b and deficit >= eps b - capacity (1 - b), eps = 1 Wh. A car leaves at the end of its
target slot.
"""

from collections.abc import Sequence

import numpy as np
import pulp

from ems.planning.horizon import PlanInfeasible, Vector
from ems.planning.sct_model import Model, build
from ems.planning.sct_reasons import why_no_charging
from ems.planning.supply_point import ChargingPlan, Evse, SupplyPoint, check_site

_AT_TARGET_KWH = 1e-5


def plan_charging(
    site: SupplyPoint, evses: Sequence[Evse], solver: pulp.LpSolver | None = None
) -> ChargingPlan | PlanInfeasible:
    """The best plan for all EVSEs together.

    Drivers' profiles (the seed names them and gives no formula): *default* is the operator's objective alone; *cheap*
    adds the driver's own bill, price times energy, so that on-site production does not hide the tariff; *fast* adds the
    energy still missing in every slot, *green* the carbon of what exceeds the slot's surplus production, both weighted
    so that no price of the day outweighs them.

    Args:
        site: The supply point and its series.
        evses: Who is plugged in; nobody gives an empty plan.
        solver: Any PuLP solver; HiGHS in this process by default (PuLP's own default writes files and starts a
            program).

    Returns:
        The plan, optimal to a relative gap of 1e-9, or which EV cannot be served and why.

    Raises:
        ValueError: a name given twice, a figure out of range, a series of the wrong length.
        ArithmeticError: the solver gave no answer and no reason can be named.
    """
    check_site(site, evses)
    model = build(site, evses)
    model.problem.solve(solver or pulp.HiGHS(msg=False, gapRel=1e-9, parallel="off"))
    if model.problem.status == pulp.LpStatusOptimal:
        return _read(site, evses, model)
    reasons = why_no_charging(site, evses)
    if reasons:
        return PlanInfeasible(reasons)
    # No reason can be named: the refusal was presolve's (see linear.py), so ask without it.
    model.problem.solve(pulp.HiGHS(msg=False, gapRel=1e-9, parallel="off", presolve="off"))
    if model.problem.status == pulp.LpStatusOptimal:
        return _read(site, evses, model)
    raise ArithmeticError(f"the charging plan was not solved (PuLP: {pulp.LpStatus[model.problem.status]})")


def plan_ending_with(site: SupplyPoint, evses: Sequence[Evse], end_kwh: Vector) -> ChargingPlan | None:
    """The best plan that leaves exactly `end_kwh` (N) in the batteries, for comparison at equal energy; None if none.

    Without it a plan with V2G may sell what the cars brought, and one at prices below 0 store more than was asked.
    """
    model = build(site, evses)
    problem = model.problem
    for n in range(len(evses)):
        problem += model.soc[n, site.slots - 1] == float(end_kwh[n]), f"end_{n}"
    for presolve in ("choose", "off"):
        problem.solve(pulp.HiGHS(msg=False, gapRel=1e-9, parallel="off", presolve=presolve))
        if problem.status == pulp.LpStatusOptimal:
            return _read(site, evses, model)
    return None


def charge_at_once(site: SupplyPoint, evses: Sequence[Evse]) -> ChargingPlan:
    """The unmanaged baseline: full power until the target, in the order given, as far as the supply point goes."""
    energy = np.zeros((site.slots, len(evses)))
    for t in range(site.slots):
        left = float(site.most_import_kwh[t] - site.own_kwh[t])
        for n, evse in enumerate(evses):
            if t < evse.target_slots:
                missing = evse.target_kwh - evse.soc_kwh - energy[:, n].sum()
                energy[t, n] = max(0.0, min(missing, evse.power_kw * site.slot_h, left))
                left -= energy[t, n]
    flow = energy.sum(axis=1) + site.own_kwh
    return _valued(site, evses, energy, np.maximum(0.0, flow), np.maximum(0.0, -flow))


def _read(site: SupplyPoint, evses: Sequence[Evse], model: Model) -> ChargingPlan:
    energy = np.array([[model.energy[n, t].value() for n in range(len(evses))] for t in range(site.slots)], dtype=float)
    imported = np.array([flow.value() for flow in model.imported], dtype=float)
    exported = np.array([flow.value() for flow in model.exported], dtype=float)
    return _valued(site, evses, energy.reshape(site.slots, len(evses)), imported, exported)


def _valued(
    site: SupplyPoint, evses: Sequence[Evse], energy: Vector, imported: Vector, exported: Vector
) -> ChargingPlan:
    soc = np.array([evse.soc_kwh for evse in evses]) + np.cumsum(energy, axis=0)
    target = np.array([evse.target_kwh for evse in evses])
    reached = soc >= target - _AT_TARGET_KWH
    held = sum(evse.previous_slots for evse in evses) + int((~reached).sum())
    return ChargingPlan(
        evs=tuple(evse.ev for evse in evses),
        energy_kwh=energy,
        soc_kwh=soc,
        imported_kwh=imported,
        exported_kwh=exported,
        reached_slot=tuple(int(np.argmax(column)) if column.any() else site.slots for column in reached.T),
        energy_cost=float(site.price_per_kwh @ imported),
        opportunity_cost=site.opportunity_cost * held,
    )
