"""How far cars drive (003): Gamma laws of daily driving energy per model and weekday, fitted from charging sessions."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise

import numpy as np
from scipy.special import digamma, polygamma

from ems.planning.horizon import Vector

_WEEK = 7


@dataclass(frozen=True, slots=True)
class GammaLaw:
    """Gamma(k, theta) of a day's driving energy in kWh."""

    k: float
    theta_kwh: float

    @property
    def mean_kwh(self) -> float:
        """The product k theta, the seed's forecast of the next day."""
        return self.k * self.theta_kwh

    def scaled(self, factor: float) -> "GammaLaw":
        """The law of a car that needs `factor` times the energy per km."""
        return GammaLaw(self.k, self.theta_kwh * factor)


@dataclass(frozen=True, slots=True)
class Charge:
    """One charging session of one car: the local day it was plugged in, and its energy in kWh."""

    day: date
    energy_kwh: float


def daily_driving(charges: Sequence[Charge], longest_gap: int = 7) -> Mapping[date, float]:
    """Driving energy per day, from what was charged.

    A session refills what was driven since the one before, so its energy is spread evenly over the days of that gap.
    After more than `longest_gap` days (a holiday, another charger) the days between are unknown and left out. The first
    session has no gap and is left out too. Days on which the car stood still inside a gap are not seen: the law is
    smoother than driving is.
    """
    per_day: dict[date, float] = {}
    for charge in charges:
        per_day[charge.day] = per_day.get(charge.day, 0.0) + charge.energy_kwh
    days = sorted(per_day)
    driven: dict[date, float] = {}
    for before, day in pairwise(days):
        gap = (day - before).days
        if gap <= longest_gap:
            for back in range(gap):
                driven[day - timedelta(days=back)] = per_day[day] / gap
    return driven


def fit_gamma(energy_kwh: Vector) -> GammaLaw:
    """Maximum likelihood of Gamma(k, theta): Newton's method on log k - psi(k) = log(mean) - mean(log).

    Raises:
        ValueError: fewer than two samples, one of 0 or less, or all alike (k would be infinite).
    """
    if energy_kwh.size < 2 or not (energy_kwh > 0).all():
        raise ValueError("a Gamma law needs at least two days with energy above 0")
    mean = float(energy_kwh.mean())
    spread = float(np.log(mean) - np.log(energy_kwh).mean())
    if spread < 1e-9:
        raise ValueError("a Gamma law needs days that differ")
    k = (3.0 - spread + np.sqrt((spread - 3.0) ** 2 + 24.0 * spread)) / (12.0 * spread)
    for _ in range(50):
        step = (np.log(k) - digamma(k) - spread) / (1.0 / k - polygamma(1, k))
        k = max(k - step, k / 2.0)
        if abs(step) < 1e-12 * k:
            break
    return GammaLaw(float(k), mean / float(k))


def fit_week(driven: Mapping[date, float], fewest: int = 8) -> tuple[GammaLaw, ...]:
    """One law per weekday, Monday first; a weekday with fewer than `fewest` days takes the law of all days.

    Raises:
        ValueError: not enough days for any law (`fit_gamma`).
    """
    everything = fit_gamma(np.array([energy for energy in driven.values() if energy > 0]))
    laws = []
    for weekday in range(_WEEK):
        sample = np.array([energy for day, energy in driven.items() if day.weekday() == weekday and energy > 0])
        enough = sample.size >= fewest and np.ptp(sample) > 1e-6
        laws.append(fit_gamma(sample) if enough else everything)
    return tuple(laws)


def draw_day(rng: np.random.Generator, laws: Sequence[GammaLaw]) -> Vector:
    """One day's driving energy per car (N), kWh."""
    shape = np.array([law.k for law in laws])
    return np.asarray(rng.gamma(shape, np.array([law.theta_kwh for law in laws])))
