"""Price days: the historical mean, and scenarios around it (000 sec. 4.1 and 4.3)."""

from typing import Literal

import numpy as np

from ems.planning.horizon import Vector


def mean_profile(days: Vector) -> Vector:
    """The historical shape: mean of each hour over the days (days x 24 -> 24)."""
    return np.asarray(_checked(days).mean(axis=0))


def gaussian_days(rng: np.random.Generator, days: Vector, count: int) -> Vector:
    """`count` days from the multivariate Gaussian with the historical mean and covariance (days x 24 -> count x 24).

    The covariance keeps that neighbouring hours move together; prices may come out negative, as real ones do.

    Raises:
        ValueError: fewer than two days, or not 24 columns.
    """
    history = _checked(days)
    if history.shape[0] < 2:
        raise ValueError("scenario prices need at least two whole days of history")
    covariance = np.cov(history, rowvar=False)
    return np.asarray(rng.multivariate_normal(history.mean(axis=0), covariance, size=count, method="eigh"))


def to_slots(profile: Vector, slots: int, how: Literal["steps", "lines"] = "steps") -> Vector:
    """Hourly values on `slots` slots of the same 24 h.

    "steps": each slot costs what its hour costs, as a day-ahead market bills it. "lines": the seed's resampling, linear
    between the middles of the hours, around midnight.

    Raises:
        ValueError: not 24 values.
    """
    if profile.shape != (24,):
        raise ValueError(f"a price day has 24 hours, this one has {profile.shape}")
    middle = (np.arange(slots) + 0.5) * 24.0 / slots
    if how == "steps":
        return np.asarray(profile[np.floor(middle).astype(np.int64)], dtype=np.float64)
    return np.asarray(np.interp(middle, np.arange(24) + 0.5, profile, period=24.0))


def _checked(days: Vector) -> Vector:
    if days.ndim != 2 or days.shape[1] != 24 or days.shape[0] == 0:
        raise ValueError(f"price history must be days x 24 hours, it is {days.shape}")
    return days
