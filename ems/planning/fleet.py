"""Random days as the seed draws them (000 ch. 4): stays of cars, and arrivals of cohorts."""

import numpy as np

from ems.planning.horizon import Indices, Stay, Vector

_BETA = 12.0


def mode_alpha(mode: float, beta: float = _BETA) -> float:
    """The alpha of Beta(alpha, beta) whose mode is at `mode` of the day (0 < mode < 1): 7/24 gives the seed's 5.53."""
    return (1.0 + mode * (beta - 2.0)) / (1.0 - mode)


def workplace_fleet(
    rng: np.random.Generator, cars: int = 100, slots: int = 288, limit_kw: float = 22.0
) -> tuple[Stay, ...]:
    """000 sec. 4.1: arrivals Beta(5.52, 12) over the day, stays N(6 h, 1 h), wants U(0, 1) of what the stay could give.

    A stay is at least one slot and ends with the day. `slots` divide 24 h.
    """
    slot_h = 24.0 / slots
    arrival = np.minimum(np.floor(slots * rng.beta(5.52, _BETA, cars)), slots - 1).astype(np.int64)
    departure = _leave(arrival, rng.normal(6.0, 1.0, cars), slots)
    return _stays(arrival, departure, rng.uniform(size=cars), slot_h, limit_kw)


def two_peak_fleet(
    rng: np.random.Generator, cars: int = 300, slots: int = 144, limit_kw: float = 22.0, morning: float = 0.6
) -> tuple[Stay, ...]:
    """000 sec. 4.2: two Beta groups with modes at 07:00 and 17:00, stays N(7, 4) and N(3, 1) h, wants Beta(2, 2).

    The seed says of the split only that the morning wave is the larger; `morning` is its share.
    """
    slot_h = 24.0 / slots
    early = rng.uniform(size=cars) < morning
    alpha = np.where(early, mode_alpha(7 / 24), mode_alpha(17 / 24))
    arrival = np.minimum(np.floor(slots * rng.beta(alpha, _BETA)), slots - 1).astype(np.int64)
    stay_h = np.where(early, rng.normal(7.0, 4.0, cars), rng.normal(3.0, 1.0, cars))
    return _stays(arrival, _leave(arrival, stay_h, slots), rng.beta(2.0, 2.0, cars), slot_h, limit_kw)


def arrival_rate(slots: int, cars_per_day: float) -> Vector:
    """lambda(t) in cars per hour (T): peaks at 06:00 and, higher, at 17:00, adding up to `cars_per_day`.

    The seed draws the curve (fig. 4.11) and prints no formula: two Gaussian bumps of 1.5 h and 2 h on a small floor.
    """
    hour = (np.arange(slots) + 0.5) * 24.0 / slots
    shape = 0.05 + 0.8 * np.exp(-0.5 * ((hour - 6.0) / 1.5) ** 2) + np.exp(-0.5 * ((hour - 17.0) / 2.0) ** 2)
    return np.asarray(cars_per_day * shape / (shape.sum() * 24.0 / slots))


def cohort_arrivals(
    rng: np.random.Generator, rate_per_h: Vector, classes: int = 10, *, rounded: bool = False
) -> Vector:
    """a(t) of 000 sec. 4.3: Poisson(lambda(t)) cars, split over the classes by z_i = (i + 1) / sum(j + 1), z_0 = 0.

    Args:
        rng: Seeded generator.
        rate_per_h: lambda(t), cars per hour (T).
        classes: n; the answer has n + 1 columns, class 0 is full.
        rounded: As the seed prints it, floor(z_i Delta psi + 1/2). With few cars per slot and ten classes that rounds
            every arrival away, so the default keeps the fractions (the cohort model is continuous anyway).

    Returns:
        Cars per slot and class (T x (n + 1)).
    """
    slot_h = 24.0 / rate_per_h.shape[0]
    share = np.arange(classes + 1, dtype=np.float64) + 1.0
    share[0] = 0.0
    share /= share.sum()
    cars = rng.poisson(rate_per_h).astype(np.float64)[:, None] * slot_h * share
    return np.asarray(np.floor(cars + 0.5) if rounded else cars)


def _leave(arrival: Indices, stay_h: Vector, slots: int) -> Indices:
    length = np.maximum(1, np.round(stay_h * slots / 24.0)).astype(np.int64)
    return np.asarray(np.minimum(arrival + length, slots))


def _stays(arrival: Indices, departure: Indices, share: Vector, slot_h: float, limit_kw: float) -> tuple[Stay, ...]:
    return tuple(
        Stay(f"EV{i:04d}", int(a), int(d), float(w * limit_kw * (d - a) * slot_h), limit_kw)
        for i, (a, d, w) in enumerate(zip(arrival, departure, share, strict=True))
    )
