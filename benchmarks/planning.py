"""Planning models: sparse programs straight to HiGHS against CVXPY with Clarabel, and cohorts of any size.

Bars: 1,000 EVs x 288 slots in under 10 s and at most a third of CVXPY's time, on an easy day (the site's capacity
hardly binds) and on a scarce one; the cohort model on 100 to 1,000,000 vehicles within 20 % of the same day with
10,000. Seconds are CPU time of this process, so that other work on the machine does not count.
"""

from collections.abc import Callable
from functools import partial
from time import process_time
from typing import TypeVar

import numpy as np

from benchmarks.report import Line, Measured
from ems.planning.cohort import CohortDay, plan_cohort
from ems.planning.fleet import arrival_rate, cohort_arrivals, workplace_fleet
from ems.planning.horizon import Day, Plan, Stay
from ems.planning.power_allocation import allocate

_CARS, _SLOTS, _ROUNDS = 1000, 288, 2
_Answer = TypeVar("_Answer")
_FLEETS = (100, 1_000, 100_000, 1_000_000)
_SHAPE = (60, 55, 50, 48, 50, 58, 75, 95, 100, 90, 80, 75, 70, 65, 62, 65, 75, 95, 120, 125, 110, 90, 80, 70)


def _day(kw_per_car: float) -> tuple[Day, tuple[Stay, ...]]:
    price = np.interp((np.arange(_SLOTS) + 0.5) / 12, np.arange(24) + 0.5, np.array(_SHAPE) / 1000)
    stays = workplace_fleet(np.random.default_rng(0), _CARS, _SLOTS)
    return Day(1 / 12, price, np.full(_SLOTS, kw_per_car * _CARS)), stays


def _cvxpy(day: Day, stays: tuple[Stay, ...]) -> float:
    """The textbook form, as the source solves it (000 sec. 5.5), with Clarabel in place of the retired ECOS."""
    import cvxpy as cp

    slot = np.arange(day.slots)[:, None]
    here = (slot >= [stay.arrival for stay in stays]) & (slot < [stay.departure for stay in stays])
    power = cp.Variable((day.slots, len(stays)), nonneg=True)
    short = cp.Variable(len(stays), nonneg=True)
    wanted = np.array([stay.energy_kwh for stay in stays])
    problem = cp.Problem(
        cp.Minimize(day.price_per_kwh @ (day.slot_h * cp.sum(power, axis=1)) + 0.157 * cp.sum(short)),
        [
            day.slot_h * cp.sum(power, axis=0) >= wanted - short,
            cp.sum(power, axis=1) <= day.capacity_kw,
            power <= here * np.array([stay.limit_kw for stay in stays]),
        ],
    )
    problem.solve(solver=cp.CLARABEL)
    return float(problem.value)


def _timed(work: Callable[[], _Answer]) -> tuple[float, _Answer]:
    begin = process_time()
    answer = work()
    return process_time() - begin, answer


def _allocation(name: str, kw_per_car: float) -> list[Line]:
    day, stays = _day(kw_per_car)
    found = allocate(day, stays)
    assert isinstance(found, Plan)
    ours, theirs, gaps = [], [], []
    for _ in range(_ROUNDS):
        ours.append(_timed(lambda: allocate(day, stays))[0])
        seconds, value = _timed(lambda: _cvxpy(day, stays))
        theirs.append(seconds)
        gaps.append(abs(found.objective / value - 1.0))
    return [
        Line(f"{name}, seconds", Measured(tuple(ours)), None, "s", bar=10.0),
        Line(f"{name}, against CVXPY", Measured(tuple(ours)), Measured(tuple(theirs)), "s", bar=1 / 3),
        Line(f"{name}, relative gap to CVXPY", Measured(tuple(gaps)), None, "", bar=1e-6),
    ]


def _cohorts() -> list[Line]:
    """The same expected day for every fleet, nine draws each, fleets in turn within each draw, the least of three."""
    fleets = (10_000, *_FLEETS)
    seconds: dict[int, list[float]] = {cars: [] for cars in fleets}
    price = np.interp((np.arange(144) + 0.5) / 6, np.arange(24) + 0.5, np.array(_SHAPE) / 1000)
    for seed in range(9):
        for cars in fleets:
            arrivals = cohort_arrivals(np.random.default_rng(seed), arrival_rate(144, cars))
            day = CohortDay(1 / 6, price, arrivals, 22.0, np.full(144, 0.75 * cars))
            seconds[cars].append(min(_timed(partial(plan_cohort, day))[0] for _ in range(3)))
    base = Measured(tuple(seconds[10_000]))
    lines = []
    for cars in _FLEETS:
        subject = Measured(tuple(seconds[cars]))
        lines.append(Line(f"cohort, {cars} vehicles over 10,000", subject, base, "s", bar=1.2))
        lines.append(Line(f"cohort, {cars} vehicles over 10,000, at least", subject, base, "s", bar=0.8, at_least=True))
    return lines


def run() -> list[Line]:
    """All lines; about two minutes on one core."""
    return [*_allocation("1,000 EVs x 288 slots", 11.3), *_allocation("the same, scarce", 6.0), *_cohorts()]
