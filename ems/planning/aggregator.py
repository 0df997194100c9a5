"""Aggregator (003): a fleet's next 24 hours under the head-room that households leave, with or without V2G.

    min  sum_t P_t delta sum_i (ch_it - dis_it)
    s.t. sum_i (ch_it - dis_it) <= h_t,   0 <= ch <= p_i,  0 <= dis <= p_i (V2G only), both 0 when the car is away,
         E_i(t+1) = E_i(t) + eta ch_it delta - dis_it delta / eta,  reserve_i <= E_i <= capacity_i,
         E_i(T) >= next-day need,   sum_i (dis_it - ch_it) <= what the connection takes back.

The seed's program has no absences, and with V2G it may sell the energy that the cars came with: both can be had
(`home` all true, `keep_energy` False), and neither is the default of the comparison.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import sparse

from ems.planning.horizon import PlanInfeasible, Reason, Vector, clock
from ems.planning.linear import NoOptimum, Program, minimise


@dataclass(frozen=True)
class Battery:
    """One car of the fleet over the horizon: `start_kwh` in the battery, `need_kwh` wanted at the end.

    `arrival` and `departure` bound the slots in which it is plugged in (arrival <= t < departure).
    """

    ev: str
    start_kwh: float
    need_kwh: float
    capacity_kwh: float
    power_kw: float
    arrival: int
    departure: int


@dataclass(frozen=True)
class FleetDay:
    """Prices and head-room per slot (T); `efficiency` eta of charging, and of discharging; `v2g` allows the latter.

    `feed_in_kw` limits what the fleet may feed in together: the seed's 1 MW of chargers works both ways.
    `headroom_kw` may be negative where the households alone exceed the grid's limit: then only discharging could help.
    """

    slot_h: float
    price_per_kwh: Vector
    headroom_kw: Vector
    efficiency: float = 0.9
    v2g: bool = False
    feed_in_kw: float = 1000.0


@dataclass(frozen=True)
class FleetPlan:
    """`charge_kw` and `discharge_kw` are T x N, `stored_kwh` (T + 1) x N; `cost` is for net energy at the connection.

    `shortfall_kwh` per car is what its need misses at the end (0 in a plan; a baseline may fall short).
    """

    evs: tuple[str, ...]
    slot_h: float
    charge_kw: Vector
    discharge_kw: Vector
    stored_kwh: Vector
    shortfall_kwh: Vector
    cost: float
    headroom_value: Vector

    @property
    def energy_kwh(self) -> Vector:
        """Net energy per slot, kWh (T)."""
        return np.asarray((self.charge_kw - self.discharge_kw).sum(axis=1) * self.slot_h)


def headroom_kw(base_load_kw: Vector, limit_kw: float, charger_kw: float = 1000.0) -> Vector:
    """h_t: what households leave of the connection, at most the chargers' total (1 MW in the seed)."""
    return np.asarray(np.minimum(charger_kw, limit_kw - base_load_kw))


def plan_fleet(day: FleetDay, cars: Sequence[Battery], *, exactly: bool = False) -> FleetPlan | PlanInfeasible:
    """The cheapest 24 hours of the fleet; infeasible needs are named.

    With `exactly` every car ends with its need and no more, which a price below 0 could otherwise tempt it to.

    Raises:
        ValueError: a car's figures contradict each other, or series of different lengths.
    """
    _check(day, cars)
    alone = tuple(reason for car in cars if (reason := _alone(day, car)) is not None)
    if alone:
        return PlanInfeasible(alone)
    solved = minimise(_program(day, cars, elastic=False, exactly=exactly))
    if isinstance(solved, NoOptimum):
        return PlanInfeasible(_together(day, cars))
    cells = day.price_per_kwh.shape[0] * len(cars)
    shape = (day.price_per_kwh.shape[0], len(cars))
    charge = np.maximum(0.0, solved.x[:cells]).reshape(shape)
    discharge = np.maximum(0.0, solved.x[cells : 2 * cells]).reshape(shape) if day.v2g else np.zeros(shape)
    return _valued(day, cars, charge, discharge, np.maximum(0.0, -solved.row_price[: shape[0]]) / day.slot_h)


def unmanaged_fleet(day: FleetDay, cars: Sequence[Battery]) -> FleetPlan:
    """Each car charges to its need as soon as it comes, at full power, in order of arrival as the head-room lasts."""
    _check(day, cars)
    charge = np.zeros((day.price_per_kwh.shape[0], len(cars)))
    missing = np.array([max(0.0, car.need_kwh - car.start_kwh) for car in cars]) / day.efficiency
    queue = np.argsort([car.arrival for car in cars], kind="stable")
    arrival = np.array([car.arrival for car in cars])
    departure = np.array([car.departure for car in cars])
    power = np.array([car.power_kw for car in cars])
    for t in range(charge.shape[0]):
        here = queue[(arrival[queue] <= t) & (t < departure[queue])]
        take = np.minimum(power[here], missing[here] / day.slot_h)
        before = np.cumsum(take) - take
        charge[t, here] = np.clip(max(0.0, float(day.headroom_kw[t])) - before, 0.0, take)
        missing[here] -= charge[t, here] * day.slot_h
    return _valued(day, cars, charge, np.zeros_like(charge), np.zeros(charge.shape[0]))


def as_stored(cars: Sequence[Battery], baseline: FleetPlan) -> tuple[Battery, ...]:
    """The same cars, each to end with what the baseline left in it: to be planned `exactly`, at equal energy."""
    ends = np.minimum(baseline.stored_kwh[-1], np.array([car.capacity_kwh for car in cars]))
    return tuple(replace(car, need_kwh=float(end)) for car, end in zip(cars, ends, strict=True))


def keeping_energy(cars: Sequence[Battery]) -> tuple[Battery, ...]:
    """The same cars, none of which may end with less than it came with: V2G without selling the stock."""
    return tuple(replace(car, need_kwh=max(car.need_kwh, car.start_kwh)) for car in cars)


def _program(day: FleetDay, cars: Sequence[Battery], elastic: bool, exactly: bool = False) -> Program:
    """Columns: charge, discharge (V2G), stored after each slot, shortfall (elastic). Rows: head-room, balance, need."""
    slots, count = day.price_per_kwh.shape[0], len(cars)
    cells = slots * count
    here = np.array([[car.arrival <= t < car.departure for car in cars] for t in range(slots)]).reshape(slots, count)
    most = (here * np.array([car.power_kw for car in cars])).ravel()
    start = np.array([car.start_kwh for car in cars])
    need = np.array([car.need_kwh for car in cars])
    full = np.maximum(np.array([car.capacity_kwh for car in cars]), start)
    total = sparse.kron(sparse.eye_array(slots), np.ones((1, count)))
    flow = sparse.eye_array(cells) * day.slot_h
    store = sparse.eye_array(cells) - sparse.eye_array(cells, k=-count)
    end = sparse.eye_array(count, cells, k=cells - count)
    columns = [[total, -flow * day.efficiency, None]]
    price = np.repeat(day.price_per_kwh, count) * day.slot_h
    cost, lower, upper = [price], [np.zeros(cells)], [most]
    if day.v2g:
        # One battery cannot do both at once, but a negative price would pay it to burn energy so: nobody feeds in then.
        feeds = np.repeat((day.price_per_kwh >= 0) | (day.headroom_kw < 0), count)
        columns.append([-total, flow / day.efficiency, None])
        cost, lower, upper = [price, -price], [np.zeros(cells)] * 2, [most, np.where(feeds, most, 0.0)]
    columns.append([None, store, end])
    first = np.concatenate([start, np.zeros(cells - count)])
    if elastic:
        columns.append([None, None, sparse.eye_array(count)])
    blocks = [list(row) for row in zip(*columns, strict=True)]
    matrix = sparse.csc_array(sparse.block_array(blocks, format="csc"))
    penalty = np.ones(count)
    return Program(
        cost=np.concatenate(
            [*(np.zeros_like(c) if elastic else c for c in cost), np.zeros(cells), *([penalty] * elastic)]
        ),
        matrix=matrix,
        row_lower=np.concatenate([np.full(slots, -day.feed_in_kw), first, need]),
        row_upper=np.concatenate([day.headroom_kw, first, need if exactly else np.full(count, np.inf)]),
        lower=np.concatenate([*lower, np.zeros(cells), *([np.zeros(count)] * elastic)]),
        upper=np.concatenate([*upper, np.tile(full, slots), *([np.full(count, np.inf)] * elastic)]),
    )


def _valued(day: FleetDay, cars: Sequence[Battery], charge: Vector, discharge: Vector, value: Vector) -> FleetPlan:
    start = np.array([car.start_kwh for car in cars])
    moved = (charge * day.efficiency - discharge / day.efficiency) * day.slot_h
    stored = np.vstack([start, start + np.cumsum(moved, axis=0)])
    return FleetPlan(
        evs=tuple(car.ev for car in cars),
        slot_h=day.slot_h,
        charge_kw=charge,
        discharge_kw=discharge,
        stored_kwh=stored,
        shortfall_kwh=np.maximum(0.0, np.array([car.need_kwh for car in cars]) - stored[-1]),
        cost=float(day.price_per_kwh @ (charge - discharge).sum(axis=1)) * day.slot_h,
        headroom_value=value,
    )


def _alone(day: FleetDay, car: Battery) -> Reason | None:
    if car.need_kwh > car.capacity_kwh + 1e-9:
        return Reason(car.ev, f"{car.ev} needs {car.need_kwh:.1f} kWh and its battery holds {car.capacity_kwh:.1f} kWh")
    hours = (car.departure - car.arrival) * day.slot_h
    reach = car.start_kwh + car.power_kw * hours * day.efficiency
    if car.need_kwh > reach + 1e-9:
        return Reason(
            car.ev,
            f"{car.ev} needs {car.need_kwh:.1f} kWh, but in {hours:.1f} h at {car.power_kw:g} kW its battery "
            f"reaches {reach:.1f} kWh",
        )
    return None


def _together(day: FleetDay, cars: Sequence[Battery]) -> tuple[Reason, ...]:
    """The fleet's needs against the head-room: who falls short in the fullest plan, and which slots are used up."""
    tight = ", ".join(clock(int(t), day.slot_h) for t in np.argsort(day.headroom_kw, kind="stable")[:3])
    solved = minimise(_program(day, cars, elastic=True))
    if isinstance(solved, NoOptimum):
        return (
            Reason(
                None,
                f"the households alone exceed the limit: the head-room is smallest, {day.headroom_kw.min():.1f} kW, "
                f"at {tight}",
            ),
        )
    short = solved.x[-len(cars) :]
    return tuple(
        Reason(
            car.ev,
            f"{car.ev} would miss {missing:.1f} of {car.need_kwh:.1f} kWh: the head-room is used up, least is left "
            f"at {tight}",
        )
        for car, missing in zip(cars, short, strict=True)
        if missing > 1e-6
    )


def _check(day: FleetDay, cars: Sequence[Battery]) -> None:
    if day.price_per_kwh.shape != day.headroom_kw.shape or day.price_per_kwh.shape[0] == 0:
        raise ValueError(f"price has {day.price_per_kwh.shape} slots, head-room {day.headroom_kw.shape}")
    if not (np.isfinite(day.price_per_kwh).all() and np.isfinite(day.headroom_kw).all()):
        raise ValueError("price and head-room must be numbers in every slot")
    if not 0 < day.efficiency <= 1:
        raise ValueError(f"efficiency must lie in (0, 1], it is {day.efficiency}")
    if len({car.ev for car in cars}) != len(cars):
        raise ValueError("a car is given twice")
    for car in cars:
        if not 0 <= car.start_kwh <= car.capacity_kwh + 1e-9:
            raise ValueError(f"{car.ev}: start_kwh {car.start_kwh:g} must lie in 0..{car.capacity_kwh:g}")
        if not 0 <= car.arrival <= car.departure <= day.price_per_kwh.shape[0]:
            raise ValueError(f"{car.ev}: arrival {car.arrival} and departure {car.departure} must be slots in order")
        if not (0 <= car.power_kw < np.inf and 0 <= car.need_kwh < np.inf):
            raise ValueError(f"{car.ev}: power_kw and need_kwh must be 0 or more, and finite")
