"""A year of nights under Regular, FCFS and d-RR at once: the live scheduler's rules in numpy, over all nights together.

`scheduler.admission.admit` decides one instant of one building in tens of microseconds; a year's heat map asks it 40
million times. Here the same rules run for all nights of a cell together, at the instants of a five-minute grid, with
`seats` EVSEs active at once (the `fits` of the live scheduler is then: no more than `seats`). Equal to asking the live
scheduler at those instants, night by night, which is what tests/headroom/test_study_drr_year.py checks.

FCFS and Regular never move a car that charges, so they are list schedules: EVs in the order of arrival each take the
seat that is free first. d-RR is stepped through: the queue of each night is a permutation of its EVs, of which the
first `seats` charge.
"""

from typing import Literal

import numpy as np
import numpy.typing as npt

from domain.site import SchedulerSettings
from headroom.studies.drr_nights import OPENS_H, STEP_S, STEPS, STEPS_PER_H, Floats, Nights, Whole
from scheduler.groups import slice_s

Policy = Literal["regular", "fcfs", "round_robin"]
POLICIES: tuple[Policy, ...] = ("regular", "fcfs", "round_robin")
NAMES: dict[Policy, str] = {"regular": "Regular", "fcfs": "FCFS", "round_robin": "d-RR"}
SETTINGS = SchedulerSettings()
FULL_KWH = 1e-9
_NIGHT = ((25 - OPENS_H) * STEPS_PER_H, (30 - OPENS_H) * STEPS_PER_H)
"""01:00 to 06:00, in steps: the hours in which nobody comes down to move a car (`scheduler.order.regular`)."""

Gathered = npt.NDArray[np.int8]


def delivered_kwh(policy: Policy, seats: int, nights: Nights, power_kw: float | Floats) -> Floats:
    """[night, EV] energy that the EVSEs deliver.

    Args:
        policy: who charges when not all can.
        seats: EVSEs that may be active at once.
        nights: who asks; the need of each.
        power_kw: of an active EVSE: one for all, or [night, hour, EV].
    """
    if policy == "round_robin":
        return _rotated(seats, nights, power_kw)
    return _listed(seats, nights, power_kw, sleeps=policy == "regular")


def _listed(seats: int, nights: Nights, power_kw: float | Floats, *, sleeps: bool) -> Floats:
    rows, count = nights.arrival.shape
    every = np.arange(rows)
    order = np.argsort(nights.arrival, axis=1, kind="stable")
    free = np.zeros((rows, min(seats, count)), dtype=np.int64)
    need = nights.need_kwh
    found = np.zeros((rows, count))
    for place in range(count):
        ev = order[:, place]
        seat = free.argmin(axis=1)
        arrival, departure = nights.arrival[every, ev], nights.departure[every, ev]
        start = np.maximum(arrival, free[every, seat])
        if sleeps:
            asleep = (start >= _NIGHT[0]) & (start < _NIGHT[1]) & (arrival < start)
            start = np.where(asleep, _NIGHT[1], start)
        curve = _curve(power_kw, every, ev)
        begin = np.minimum(start, STEPS)
        before = curve[every, begin]
        full = (curve < (before + need[every, ev] - FULL_KWH)[:, None]).sum(axis=1)
        end = np.maximum(np.minimum(full, departure), begin)
        comes = (need[every, ev] > FULL_KWH) & (start < departure)
        found[every, ev] = np.where(comes, np.minimum(curve[every, end] - before, need[every, ev]), 0.0)
        free[every, seat] = np.where(comes, end, free[every, seat])
    return found


def _curve(power_kw: float | Floats, every: Whole, ev: Whole) -> Floats:
    """[night, step] energy up to each step of an EV that charges all night, kWh."""
    if isinstance(power_kw, float):
        return np.broadcast_to(power_kw / STEPS_PER_H * np.arange(STEPS + 1), (len(every), STEPS + 1))
    per_step = np.repeat(power_kw[every, :, ev] / STEPS_PER_H, STEPS_PER_H, axis=1)
    return np.concatenate([np.zeros((len(every), 1)), np.cumsum(per_step, axis=1)], axis=1)


_KEPT, _NEW, _SPENT, _AWAY = 0, 1, 2, 3


def _rotated(seats: int, nights: Nights, power_kw: float | Floats) -> Floats:
    rows, count = nights.arrival.shape
    need = nights.need_kwh
    left = need.copy()
    used_s, here = np.zeros((rows, count)), np.zeros((rows, count), dtype=np.bool_)
    queue = np.tile(np.arange(count, dtype=np.int64), (rows, 1))
    members, charging = np.zeros(rows, dtype=np.int64), np.zeros(rows, dtype=np.int64)
    width = min(seats, count)
    place = np.arange(width)
    row = np.arange(rows)[:, None]
    turn_s = np.array([slice_s(SETTINGS.quantum_s, SETTINGS.min_on_s, size) for size in range(count + 1)])
    for step in range(STEPS):
        come = (nights.arrival == step) & (left > FULL_KWH) & (step < nights.departure)
        gone = here & ((left <= FULL_KWH) | (nights.departure <= step))
        if gone.any() or come.any():
            changed = np.flatnonzero((gone | come).any(axis=1))
            seated = place < charging[changed][:, None]
            charging[changed] -= (np.take_along_axis(gone[changed], queue[changed, :width], axis=1) & seated).sum(
                axis=1
            )
            here[changed] = (here[changed] & ~gone[changed]) | come[changed]
            _requeue(queue, changed, np.where(come, _NEW, np.where(here, _KEPT, _AWAY)))
            members[changed] = here[changed].sum(axis=1)
        batches = -(-members // seats)
        on = queue[:, :width]
        spent = (used_s[row, on] >= turn_s[batches][:, None] - 1e-3) & (place < charging[:, None])
        spent &= (members > charging)[:, None]
        rotating = np.flatnonzero(spent.any(axis=1))
        if rotating.size:
            sent_back = np.zeros((rows, count), dtype=np.bool_)
            sent_back[np.broadcast_to(row, on.shape)[spent], on[spent]] = True
            used_s[sent_back] = 0.0
            _requeue(queue, rotating, np.where(sent_back, _SPENT, np.where(here, _KEPT, _AWAY)))
        charging = np.minimum(members, seats)
        _charge(
            left, used_s, queue[:, :width], place < charging[:, None], _power(power_kw, step, row, queue[:, :width])
        )
    return np.asarray(need - np.maximum(left, 0.0))


def _requeue(queue: Whole, which: Whole, key: npt.NDArray[np.int64]) -> None:
    """Order those nights' queues: who stays, then newcomers, then whose slice is used up, then who is not there."""
    mine = queue[which]
    keys: Gathered = np.take_along_axis(key[which].astype(np.int8), mine, axis=1)
    queue[which] = np.take_along_axis(mine, np.argsort(keys, axis=1, kind="stable"), axis=1)


def _power(power_kw: float | Floats, step: int, row: Whole, on: Whole) -> float | Floats:
    return power_kw if isinstance(power_kw, float) else power_kw[row, step // STEPS_PER_H, on]


def _charge(left: Floats, used_s: Floats, on: Whole, seated: npt.NDArray[np.bool_], power_kw: float | Floats) -> None:
    """One step of charging for those with a seat."""
    row = np.arange(len(on))[:, None]
    left[row, on] -= seated * (np.asarray(power_kw) / STEPS_PER_H)
    used_s[row, on] += seated * STEP_S
