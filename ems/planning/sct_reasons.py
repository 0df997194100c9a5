"""Why the smart charging tool has no plan: which EV, or which slot of the supply point."""

from collections.abc import Sequence

import numpy as np
from scipy import sparse

from ems.planning.horizon import Reason, Vector, clock
from ems.planning.linear import NoOptimum, Program, minimise
from ems.planning.supply_point import Evse, SupplyPoint

_TOLERANCE_KWH = 1e-6


def why_no_charging(site: SupplyPoint, evses: Sequence[Evse]) -> tuple[Reason, ...]:
    """Reasons, each EV alone first, then the supply point's own load, then all together; empty when a plan exists."""
    alone = tuple(reason for evse in evses if (reason := _alone(site, evse)) is not None)
    return alone or _overloaded(site, evses) or _together(site, evses)


def _alone(site: SupplyPoint, evse: Evse) -> Reason | None:
    if evse.target_kwh > evse.capacity_kwh + _TOLERANCE_KWH:
        return Reason(
            evse.ev,
            f"EV {evse.ev}: the target of {evse.target_kwh:.2f} kWh is more than the battery's "
            f"{evse.capacity_kwh:.2f} kWh",
        )
    hours = evse.target_slots * site.slot_h
    reach = evse.soc_kwh + evse.power_kw * hours
    if evse.target_kwh > reach + _TOLERANCE_KWH:
        return Reason(
            evse.ev,
            f"EV {evse.ev} is to reach {evse.target_kwh:.2f} kWh in {hours:.2f} h, but at {evse.power_kw:g} kW it "
            f"reaches "
            f"{reach:.2f} kWh: it needs more time, a stronger EVSE or a smaller target",
        )
    return None


def _overloaded(site: SupplyPoint, evses: Sequence[Evse]) -> tuple[Reason, ...]:
    """Slots that cannot be within the supply point's limits whatever the EVs do."""
    present = np.array([[t < evse.target_slots for evse in evses] for t in range(site.slots)], dtype=np.float64)
    present = present.reshape(site.slots, len(evses))
    discharge = present @ np.array([evse.discharge_kw for evse in evses]) * site.slot_h
    charge = present @ np.array([evse.power_kw for evse in evses]) * site.slot_h
    reasons = []
    for t in range(site.slots):
        at = f"slot {t} ({clock(t, site.slot_h)} after the start)"
        own, limit = float(site.own_kwh[t]), float(site.most_import_kwh[t])
        if own - discharge[t] > limit + _TOLERANCE_KWH:
            reasons.append(
                f"in {at} demand less production is {own / site.slot_h:g} kW, above the supply point's "
                f"{limit / site.slot_h:g} kW"
            )
        elif -own - charge[t] > site.export_kw * site.slot_h + _TOLERANCE_KWH:
            reasons.append(
                f"in {at} production exceeds demand by {-own / site.slot_h:g} kW, more than the EVs and the export "
                f"limit of "
                f"{site.export_kw:g} kW can take"
            )
    return tuple(Reason(None, why) for why in reasons[:3])


def _together(site: SupplyPoint, evses: Sequence[Evse]) -> tuple[Reason, ...]:
    solved = minimise(_elastic(site, evses))
    cells = site.slots * len(evses)
    if isinstance(solved, NoOptimum) or solved.value <= _TOLERANCE_KWH:
        return ()
    short = solved.x[cells:]
    full = np.flatnonzero(np.abs(solved.row_price[: site.slots]) > 1e-9)
    where = ", ".join(f"{clock(int(t), site.slot_h)}" for t in full[:6]) + (" ..." if full.size > 6 else "")
    return tuple(
        Reason(
            evse.ev,
            f"EV {evse.ev} would miss {missing:.2f} kWh of its target: the supply point's limit is used up in the "
            f"slots at "
            f"{where} after the start, which all EVs share",
        )
        for evse, missing in zip(evses, short, strict=True)
        if missing > _TOLERANCE_KWH
    )


def _elastic(site: SupplyPoint, evses: Sequence[Evse]) -> Program:
    """Least kWh missing from the targets, without prices and binaries. Columns: energy (slot by slot), then shortfalls.

    Rows: the supply point per slot, SoC bounds per slot and EV, targets.
    """
    count, slots = len(evses), site.slots
    cells = slots * count
    here = np.array([[t < evse.target_slots for evse in evses] for t in range(slots)], dtype=np.float64) * site.slot_h
    so_far = sparse.kron(sparse.csc_array(np.tril(np.ones((slots, slots)))), sparse.eye_array(count))
    last = sparse.csc_array(
        (np.ones(cells), (np.tile(np.arange(count), slots), np.arange(cells))), shape=(count, cells)
    )
    total = sparse.kron(sparse.eye_array(slots), np.ones((1, count)))
    soc = np.array([evse.soc_kwh for evse in evses])
    most = np.array([evse.capacity_kwh for evse in evses])
    wanted = np.array([evse.target_kwh for evse in evses]) - soc
    upper: Vector = (here * np.array([evse.power_kw for evse in evses])).ravel()
    lower: Vector = -(here * np.array([evse.discharge_kw for evse in evses])).ravel()
    return Program(
        cost=np.concatenate([np.zeros(cells), np.ones(count)]),
        matrix=sparse.csc_array(
            sparse.block_array([[total, None], [so_far, None], [last, sparse.eye_array(count)]], format="csc")
        ),
        row_lower=np.concatenate([-site.export_kw * site.slot_h - site.own_kwh, np.tile(-soc, slots), wanted]),
        row_upper=np.concatenate(
            [site.most_import_kwh - site.own_kwh, np.tile(most - soc, slots), np.full(count, np.inf)]
        ),
        lower=np.concatenate([lower, np.zeros(count)]),
        upper=np.concatenate([upper, np.full(count, np.inf)]),
    )
