"""Household base load (003): a generalised additive model per tariff group, and the head-room that it leaves.

    load_g(t) = mu + f(hour) + f(day of year) + weekday + beta (p_t - mean p) + noise,  noise ~ N(0, sigma_hour^2)

f are periodic smoothing splines in their Fourier form (harmonics under a penalty on the second derivative, so that
24:00 is 0:00), fitted by statsmodels' GLMGam; weekday is a factor, beta only for market customers. The seed fits 5,000
meters; here a group is whatever series of mean load per household is given.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from statsmodels.gam.api import GLMGam
from statsmodels.gam.smooth_basis import GenericSmoothers, UnivariateGenericSmoother

from ems.planning.horizon import Vector

_HOUR_HARMONICS, _SEASON_HARMONICS = 9, 3
_HOURS, _DAYS = 24.0, 365.25


@dataclass(frozen=True)
class BaseLoad:
    """A fitted group, kW per household: `level_kw` + `hour_kw` (24) + `season_kw` (366) + `weekday_kw` (7, Monday
    first).

    `price_beta` is kW per unit of price (None for fixed-price customers), `price_beta_se` its standard error,
    `price_mean` the p-bar of the fit; `noise_kw` sigma per hour of day (24); `residual_share` = 1 - R^2 of the fit.
    """

    level_kw: float
    hour_kw: Vector
    season_kw: Vector
    weekday_kw: Vector
    price_beta: float | None
    price_beta_se: float | None
    price_mean: float
    noise_kw: Vector
    residual_share: float

    def mean_kw(self, at: Sequence[datetime], price: Vector | None = None) -> Vector:
        """mu_g(t) + beta (p_t - p-bar) at each local time, kW per household; without a price p_t = p-bar.

        `price` in the unit of the fit, one value per time.
        """
        hour = np.array([moment.hour for moment in at])
        season = np.array([moment.timetuple().tm_yday - 1 for moment in at])
        weekday = np.array([moment.weekday() for moment in at])
        load = self.level_kw + self.hour_kw[hour] + self.season_kw[season] + self.weekday_kw[weekday]
        if self.price_beta is not None and price is not None:
            load = load + self.price_beta * (price - self.price_mean)
        return np.asarray(load)

    def draw_kw(self, rng: np.random.Generator, at: Sequence[datetime], price: Vector | None, homes: int) -> Vector:
        """One random draw of `homes` households together, kW: noises are independent, so sigma grows by sqrt(N)."""
        sigma = self.noise_kw[[moment.hour for moment in at]]
        return np.asarray(homes * self.mean_kw(at, price) + np.sqrt(homes) * sigma * rng.standard_normal(len(at)))


def fit_base_load(
    at: Sequence[datetime], load_kw: Vector, price: Vector | None = None, *, homes: int = 1, smoothing: float = 1e-3
) -> BaseLoad:
    """Fit one tariff group.

    Args:
        at: Local wall-clock times, one per sample, at least two weeks of them; seasons that are not among them are
            filled by the smooth.
        load_kw: Mean load per household at those times.
        price: What market customers paid, same length; None for a fixed tariff.
        homes: How many households the mean is of: `noise_kw` is scaled back to one household.
        smoothing: Weight of the penalty on the squared second derivative, per sample.

    Raises:
        ValueError: less than two weeks, series of different lengths, or a value that is not a number.

    A price that follows the clock (time of use) tells little of elasticity, for f(hour) explains the same load: look at
    `price_beta_se` before using `price_beta`.
    """
    count = len(at)
    if count != load_kw.shape[0] or (price is not None and price.shape != load_kw.shape):
        raise ValueError(f"{count} times need as many loads and prices, there are {load_kw.shape[0]} loads")
    if count < 24 * 14:
        raise ValueError(f"a base load needs at least two weeks of hours, there are {count}")
    if not np.isfinite(load_kw).all():
        raise ValueError("a load that is not a number: leave such hours out")
    hour = np.array([moment.hour for moment in at], dtype=np.float64)
    day = np.array([moment.timetuple().tm_yday - 1 for moment in at], dtype=np.float64)
    weekday = np.array([moment.weekday() for moment in at])
    factors = [np.ones((count, 1)), (weekday[:, None] == np.arange(1, 7)).astype(np.float64)]
    if price is not None:
        factors.append((price - price.mean())[:, None])
    smoother = GenericSmoothers(
        np.column_stack([hour, day]),
        [_smooth(hour, _HOURS, _HOUR_HARMONICS, "hour"), _smooth(day, _DAYS, _SEASON_HARMONICS, "season")],
    )
    fitted = GLMGam(load_kw, exog=np.hstack(factors), smoother=smoother, alpha=[smoothing * count] * 2).fit()
    return _read(
        np.asarray(fitted.params), np.asarray(fitted.bse), np.asarray(fitted.fittedvalues), load_kw, hour, price, homes
    )


def _harmonics(at: Vector, period: float, count: int) -> Vector:
    """Cosines and sines of the first `count` harmonics (samples x 2 count)."""
    angle = 2.0 * np.pi / period * at[:, None] * np.arange(1, count + 1)
    return np.hstack([np.cos(angle), np.sin(angle)])


def _smooth(at: Vector, period: float, count: int, name: str) -> UnivariateGenericSmoother:
    """The penalty of a periodic smoothing spline is diagonal in harmonics: order^4."""
    basis = _harmonics(at, period, count)
    order = np.tile(np.arange(1.0, count + 1), 2)
    nothing = np.zeros_like(basis)
    return UnivariateGenericSmoother(at, basis, nothing, nothing, np.diag(order**4), name)


def _read(
    params: Vector, errors: Vector, fitted: Vector, load_kw: Vector, hour: Vector, price: Vector | None, homes: int
) -> BaseLoad:
    linear = 7 if price is None else 8
    hours, seasons = params[linear : linear + 2 * _HOUR_HARMONICS], params[linear + 2 * _HOUR_HARMONICS :]
    rest = load_kw - fitted
    sigma = np.array([rest[hour == h].std() if (hour == h).any() else rest.std() for h in range(24)])
    return BaseLoad(
        level_kw=float(params[0]),
        hour_kw=_harmonics(np.arange(24.0), _HOURS, _HOUR_HARMONICS) @ hours,
        season_kw=_harmonics(np.arange(366.0), _DAYS, _SEASON_HARMONICS) @ seasons,
        weekday_kw=np.concatenate([[0.0], params[1:7]]),
        price_beta=None if price is None else float(params[7]),
        price_beta_se=None if price is None else float(errors[7]),
        price_mean=0.0 if price is None else float(price.mean()),
        noise_kw=sigma * np.sqrt(homes),
        residual_share=float(rest.var() / load_kw.var()),
    )
