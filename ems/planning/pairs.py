"""The sparse program of cars and slots: only (car, slot) pairs with the car present become variables."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from ems.planning.horizon import Day, Indices, Stay, Vector
from ems.planning.linear import Program


@dataclass(frozen=True)
class Pairs:
    """The (car, slot) pairs with the car present, in order of cars: `car[k]`, `slot[k]`, most energy `most_kwh[k]`."""

    car: Indices
    slot: Indices
    most_kwh: Vector
    wanted_kwh: Vector


def present_pairs(day: Day, stays: Sequence[Stay]) -> Pairs:
    """Lay out the variables of one day; O(pairs)."""
    arrival = np.array([stay.arrival for stay in stays], dtype=np.int64)
    length = np.array([stay.departure for stay in stays], dtype=np.int64) - arrival
    limit_kwh = np.array([stay.limit_kw for stay in stays], dtype=np.float64) * day.slot_h
    car = np.repeat(np.arange(len(stays), dtype=np.int64), length)
    first = np.cumsum(length) - length
    slot = arrival[car] + np.arange(car.shape[0], dtype=np.int64) - first[car]
    wanted = np.array([stay.energy_kwh for stay in stays], dtype=np.float64)
    return Pairs(car=car, slot=slot, most_kwh=limit_kwh[car], wanted_kwh=wanted)


def pair_program(day: Day, pairs: Pairs, price_per_kwh: Vector, shortfall_price: float | None) -> Program:
    """Energy of pairs at `price_per_kwh` (T), all that is wanted or else `shortfall_price` per kWh (None: no
    shortfall).

    Columns: energy per pair [kWh], then shortfall per car. Rows: slots (capacity), then cars (energy).
    """
    cars, columns = pairs.wanted_kwh.shape[0], pairs.car.shape[0]
    elastic = shortfall_price is not None
    pair, car = np.arange(columns), np.arange(cars)
    rows = np.concatenate([pairs.slot, day.slots + pairs.car, day.slots + car])
    matrix = sparse.csc_array(
        (np.ones(rows.shape[0]), (rows, np.concatenate([pair, pair, columns + car]))),
        shape=(day.slots + cars, columns + cars),
    )
    return Program(
        cost=np.concatenate([price_per_kwh[pairs.slot], np.full(cars, shortfall_price or 0.0)]),
        matrix=matrix,
        row_lower=np.concatenate([np.full(day.slots, -np.inf), pairs.wanted_kwh]),
        row_upper=np.concatenate([day.capacity_kw * day.slot_h, pairs.wanted_kwh]),
        lower=np.zeros(columns + cars),
        upper=np.concatenate([pairs.most_kwh, pairs.wanted_kwh if elastic else np.zeros(cars)]),
    )
