"""Power allocation (000 eq. 3.1): which car charges when, cheapest first, under one site limit.

    min  pi' delta Y 1 + gamma 1'e
    s.t. delta sum_t Y_ti = L_i - e_i,  sum_i Y_ti <= C_t,  0 <= Y <= p_bar,  0 <= e <= L,  Y_ti = 0 when absent.

The seed prints `>= L_i - e_i`. With prices of 0 or more both have the same optimum; where a price is negative the
printed form is paid to charge past what the car asked for, which no battery takes, so the equality is what is built.
"""

from collections.abc import Sequence

import numpy as np

from ems.planning.horizon import Day, Plan, PlanInfeasible, Stay, Vector, check_stays
from ems.planning.infeasibility import why_not
from ems.planning.linear import NoOptimum, Optimum, minimise
from ems.planning.pairs import Pairs, pair_program, present_pairs


def allocate(day: Day, stays: Sequence[Stay], shortfall_price: float | None = 0.157) -> Plan | PlanInfeasible:
    """The cheapest plan of a day.

    Args:
        day: Prices, capacity and slot length (T slots).
        stays: The cars (N), in any order.
        shortfall_price: gamma, per kWh not delivered; None asks for every kWh (the strict form).

    Returns:
        The plan, or, in the strict form alone, which cars cannot be served and why.

    Raises:
        ValueError: a stay outside the day or a negative figure (`check_stays`).

    Guarantees: limits and capacity hold to 1e-6 kW. Where the site does not bind, each car's own cheapest slots are
    already the optimum, and no solver is asked.
    """
    check_stays(day, stays)
    pairs = present_pairs(day, stays)
    energy, capacity_value = _own_cheapest(day, pairs, shortfall_price), np.zeros(day.slots)
    if not _fits(day, pairs, energy) or (shortfall_price is None and not _served(pairs, energy)):
        solved = minimise(pair_program(day, pairs, day.price_per_kwh, shortfall_price))
        if isinstance(solved, NoOptimum):
            return PlanInfeasible(why_not(day, stays))
        energy, capacity_value = _read(day, pairs, solved)
    return _plan(day, stays, pairs, energy, shortfall_price, capacity_value)


def _own_cheapest(day: Day, pairs: Pairs, shortfall_price: float | None) -> Vector:
    """Each car fills its cheapest slots, the earlier of two equal ones, as if it were alone."""
    price = day.price_per_kwh[pairs.slot]
    usable = np.ones(price.shape, dtype=np.bool_) if shortfall_price is None else price < shortfall_price
    order = np.lexsort((pairs.slot, price, pairs.car))
    most = np.where(usable, pairs.most_kwh, 0.0)[order]
    car = pairs.car[order]
    before = np.cumsum(most) - most
    starts = np.searchsorted(car, np.arange(pairs.wanted_kwh.shape[0]))
    offset = np.append(before, before[-1] + most[-1] if most.size else 0.0)[starts]
    energy = np.empty_like(most)
    energy[order] = np.clip(pairs.wanted_kwh[car] - (before - offset[car]), 0.0, most)
    return energy


def _fits(day: Day, pairs: Pairs, energy: Vector) -> bool:
    load = np.bincount(pairs.slot, weights=energy, minlength=day.slots)
    return bool((load <= day.capacity_kw * day.slot_h + 1e-9).all())


def _served(pairs: Pairs, energy: Vector) -> bool:
    delivered = np.bincount(pairs.car, weights=energy, minlength=pairs.wanted_kwh.shape[0])
    return bool((delivered >= pairs.wanted_kwh - 1e-9).all())


def _read(day: Day, pairs: Pairs, solved: Optimum) -> tuple[Vector, Vector]:
    energy = np.clip(solved.x[: pairs.car.shape[0]], 0.0, pairs.most_kwh)
    return energy, np.maximum(0.0, -solved.row_price[: day.slots])


def _plan(
    day: Day, stays: Sequence[Stay], pairs: Pairs, energy: Vector, shortfall_price: float | None, value: Vector
) -> Plan:
    power = np.zeros((day.slots, len(stays)))
    power[pairs.slot, pairs.car] = energy / day.slot_h
    delivered = np.bincount(pairs.car, weights=energy, minlength=len(stays))
    shortfall = np.maximum(0.0, pairs.wanted_kwh - delivered)
    cost = float(day.price_per_kwh[pairs.slot] @ energy)
    return Plan(
        evs=tuple(stay.ev for stay in stays),
        slot_h=day.slot_h,
        power_kw=power,
        shortfall_kwh=shortfall,
        energy_cost=cost,
        objective=cost + (shortfall_price or 0.0) * float(shortfall.sum()),
        capacity_value=value,
    )
