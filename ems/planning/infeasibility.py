"""Why a strict day has no plan: which car, and what stands in its way."""

from collections.abc import Sequence

import numpy as np

from ems.planning.horizon import Day, Indices, Reason, Stay, clock
from ems.planning.linear import NoOptimum, minimise
from ems.planning.pairs import pair_program, present_pairs

_TOLERANCE_KWH = 1e-6


def why_not(day: Day, stays: Sequence[Stay]) -> tuple[Reason, ...]:
    """Reasons why not every car can get its energy; empty when all can.

    First each car alone (stay too short, or the site too small in its stay even without others), then all together: a
    maximum flow says how much is missing at least, and its minimum cut which cars compete for which slots. The cut
    proves the shortage: what those cars want exceeds what those slots give plus what the cars can take outside them.
    """
    alone = tuple(reason for stay in stays if (reason := _alone(day, stay)) is not None)
    return alone or _together(day, stays)


def _alone(day: Day, stay: Stay) -> Reason | None:
    hours = (stay.departure - stay.arrival) * day.slot_h
    by_charger = stay.limit_kw * hours
    if stay.energy_kwh > by_charger + _TOLERANCE_KWH:
        return Reason(
            stay.ev,
            f"EV {stay.ev} wants {stay.energy_kwh:.2f} kWh, but {hours:.2f} h at {stay.limit_kw:g} kW give at most "
            f"{by_charger:.2f} kWh: it needs a longer stay, a stronger charger or a smaller target",
        )
    window = day.capacity_kw[stay.arrival : stay.departure]
    by_site = float(np.minimum(window, stay.limit_kw).sum() * day.slot_h)
    if stay.energy_kwh > by_site + _TOLERANCE_KWH:
        return Reason(
            stay.ev,
            f"EV {stay.ev} wants {stay.energy_kwh:.2f} kWh, but the site's limit leaves at most {by_site:.2f} kWh "
            f"between "
            f"{clock(stay.arrival, day.slot_h)} and {clock(stay.departure, day.slot_h)}, even with no other car",
        )
    return None


def _together(day: Day, stays: Sequence[Stay]) -> tuple[Reason, ...]:
    pairs = present_pairs(day, stays)
    solved = minimise(pair_program(day, pairs, np.zeros(day.slots), 1.0))
    if isinstance(solved, NoOptimum) or solved.value <= _TOLERANCE_KWH:
        return ()
    # The constraint matrix is a network's: at a vertex every price is 0 or 1, and the ones are the minimum cut.
    full = np.flatnonzero(solved.row_price[: day.slots] < -0.5)
    rivals = [stay for stay, price in zip(stays, solved.row_price[day.slots :], strict=True) if price > 0.5]
    short = solved.x[pairs.car.shape[0] :]
    return (
        Reason(None, _cut(day, rivals, full)),
        *(
            Reason(stay.ev, f"EV {stay.ev} would miss {missing:.2f} of {stay.energy_kwh:.2f} kWh in the fullest plan")
            for stay, missing in zip(stays, short, strict=True)
            if missing > _TOLERANCE_KWH
        ),
    )


def _cut(day: Day, rivals: Sequence[Stay], full: Indices) -> str:
    inside = set(full.tolist())
    wanted = sum(stay.energy_kwh for stay in rivals)
    given = float(day.capacity_kw[full].sum() * day.slot_h)
    outside = sum(
        stay.limit_kw * day.slot_h * sum(t not in inside for t in range(stay.arrival, stay.departure))
        for stay in rivals
    )
    names = ", ".join(stay.ev for stay in rivals[:5]) + (f" and {len(rivals) - 5} more" if len(rivals) > 5 else "")
    spans = ", ".join(
        f"{clock(int(span[0]), day.slot_h)}-{clock(int(span[-1]) + 1, day.slot_h)}"
        for span in np.split(full, np.flatnonzero(np.diff(full) > 1) + 1)[:3]
    )
    return (
        f"the site is too small for EVs {names} together: they want {wanted:.2f} kWh, the site's limit gives "
        f"{given:.2f} kWh "
        f"in {spans}, and outside those hours they can take {outside:.2f} kWh: {wanted - given - outside:.2f} kWh "
        f"are missing"
    )
