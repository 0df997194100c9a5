"""Oracles and data for the planning models: CVXPY writes the same models in their textbook form."""

import os
from pathlib import Path

import cvxpy as cp
import numpy as np

from ems.planning.horizon import Day, Stay
from headroom.plan_series import bundled, read_series


def random_day(seed: int, cars: int = 8, slots: int = 24, tight: float = 1.0) -> tuple[Day, tuple[Stay, ...]]:
    """A small random day; `tight` scales the site's capacity, 1 is about what the cars need."""
    rng = np.random.default_rng(seed)
    stays = []
    for n in range(cars):
        arrival = int(rng.integers(0, slots - 1))
        departure = int(rng.integers(arrival + 1, slots + 1))
        limit = float(rng.uniform(3.0, 22.0))
        stays.append(
            Stay(f"EV{n}", arrival, departure, float(rng.uniform(0, 1) * limit * (departure - arrival)), limit)
        )
    price = rng.uniform(0.01, 0.4, slots)
    wanted = sum(stay.energy_kwh for stay in stays)
    return Day(1.0, price, np.full(slots, tight * wanted / slots + 1.0)), tuple(stays)


def oracle(day: Day, stays: tuple[Stay, ...], gamma: float | None) -> float:
    """000 eq. 3.1 (gamma) or its strict form (None), dense, in CVXPY: the optimal value; inf where infeasible."""
    here = np.array([[stay.arrival <= t < stay.departure for stay in stays] for t in range(day.slots)], dtype=float)
    power = cp.Variable((day.slots, len(stays)), nonneg=True)
    short = cp.Variable(len(stays), nonneg=True)
    wanted = np.array([stay.energy_kwh for stay in stays])
    limits = here * np.array([stay.limit_kw for stay in stays])
    constraints = [
        day.slot_h * cp.sum(power, axis=0) >= wanted - short,
        cp.sum(power, axis=1) <= day.capacity_kw,
        power <= limits,
    ]
    if gamma is None:
        constraints.append(short == 0)
    cost = day.price_per_kwh @ (day.slot_h * cp.sum(power, axis=1)) + (gamma or 0.0) * cp.sum(short)
    problem = cp.Problem(cp.Minimize(cost), constraints)
    problem.solve(solver=cp.CLARABEL, tol_gap_abs=1e-10, tol_gap_rel=1e-10, tol_feas=1e-10)
    return float(problem.value)


def measured(name: str, excerpt: str) -> str:
    """A measured file, or the bundled excerpt of it where there is no folder of measured data."""
    folder = os.environ.get("HEADROOM_TEST_DATA")
    return str(Path(folder) / name) if folder else bundled(excerpt)


def price_days() -> np.ndarray:
    """Real price days, per kWh (days x 24)."""
    return read_series(measured("nl_dayahead/hourly.parquet", "nl_dayahead_2019.csv.gz"), "Europe/Amsterdam").days()[1]
