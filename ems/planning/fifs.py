"""First in, first served (000 sec. 2.8): the baseline that sees neither prices nor emissions."""

from collections.abc import Sequence
from typing import Literal

import numpy as np

from ems.planning.horizon import Day, Plan, Stay, Vector, check_stays

Rule = Literal["order", "share"]


def first_served(day: Day, stays: Sequence[Stay], sockets: int | None = None, rule: Rule = "order") -> Plan:
    """Charge cars as they come, at full power, until they are full or leave.

    Args:
        day: Capacity and slot length; prices only value the outcome.
        stays: The cars; equal arrivals queue in the order given.
        sockets: How many may charge at once (S_t); None for as many as come.
        rule: "order" gives each its full limit in turn while power lasts (the seed's words, "strictly by arrival
            order"); "share" is its rule 2 as printed: the first S_t in the queue get min(p_bar, P_t / served) each.

    Returns:
        The plan; what was not delivered by departure is its shortfall, and `objective` is the energy cost.

    Raises:
        ValueError: a stay outside the day or a negative figure (`check_stays`).
    """
    check_stays(day, stays)
    arrival = np.array([stay.arrival for stay in stays], dtype=np.int64)
    departure = np.array([stay.departure for stay in stays], dtype=np.int64)
    limit = np.array([stay.limit_kw for stay in stays])
    wanted = np.array([stay.energy_kwh for stay in stays])
    queue = np.argsort(arrival, kind="stable")
    remaining = wanted.copy()
    power = np.zeros((day.slots, len(stays)))
    for t in range(day.slots):
        waiting = queue[(arrival[queue] <= t) & (t < departure[queue]) & (remaining[queue] > 1e-12)][:sockets]
        if waiting.size == 0:
            continue
        take = np.minimum(limit[waiting], remaining[waiting] / day.slot_h)
        given = _in_turn(take, float(day.capacity_kw[t]), rule)
        power[t, waiting] = given
        remaining[waiting] -= given * day.slot_h
    cost = float(day.price_per_kwh @ power.sum(axis=1)) * day.slot_h
    return Plan(
        evs=tuple(stay.ev for stay in stays),
        slot_h=day.slot_h,
        power_kw=power,
        shortfall_kwh=np.maximum(0.0, remaining),
        energy_cost=cost,
        objective=cost,
        capacity_value=np.zeros(day.slots),
    )


def _in_turn(take: Vector, capacity_kw: float, rule: Rule) -> Vector:
    if rule == "share":
        return np.asarray(np.minimum(take, capacity_kw / take.shape[0]))
    before = np.cumsum(take) - take
    return np.asarray(np.clip(capacity_kw - before, 0.0, take))
