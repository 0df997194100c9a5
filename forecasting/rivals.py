"""What a NARX has to beat: the same hour before, ridge and gradient boosting, with its inputs and its tuning span."""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # ships no types

from forecasting.features import Preset, bends_of, knows_seasons, table, target
from forecasting.linear import best_penalty, fit_ridge
from forecasting.narx import NEWEST_ROWS, Checked, tuning_rows
from forecasting.series import DAY_H, WEEK_H, HourlySeries, Matrix, Vector, Whole, repair

RivalName = Literal["persistence", "yesterday", "week", "ridge", "boosting"]
RIVALS: tuple[RivalName, ...] = ("persistence", "yesterday", "week", "ridge", "boosting")

_FEATURES: tuple[Preset, ...] = ("thesis", "default")
_LEAVES = ((8, 100), (15, 60), (31, 20))
_TREES = 400
_PATIENCE = 25


@dataclass(frozen=True)
class RivalRun:
    """Forecasts at every origin (NaN where there is none), errors on the checked rows, what was chosen there."""

    forecasts: Vector
    checked: Checked
    chosen: str


def run_rival(name: RivalName, series: HourlySeries, horizon_h: int, end: int) -> RivalRun:
    """A rival fitted to the first `end` hours, asked at every origin of the whole series."""
    match name:
        case "persistence":
            return _repeated(series, horizon_h, end, 0)
        case "yesterday":
            return _repeated(series, horizon_h, end, -horizon_h % DAY_H)
        case "week":
            return _repeated(series, horizon_h, end, -horizon_h % WEEK_H)
        case "ridge":
            return _fitted(series, horizon_h, end, _ridge)
        case "boosting":
            return _fitted(series, horizon_h, end, _boosting)


def _repeated(series: HourlySeries, horizon_h: int, end: int, lag: int) -> RivalRun:
    forecasts = repair(series.load).lagged([lag])[:, 0]
    values = target(series.until(end), horizon_h)
    known = np.flatnonzero(np.isfinite(forecasts[:end]) & np.isfinite(values))
    _, checked = tuning_rows(series.until(end), known)
    return RivalRun(
        forecasts, _judged(series, horizon_h, checked, values[checked] - forecasts[checked]), f"lag {lag} h"
    )


@dataclass(frozen=True)
class _Fit:
    """Its error on the checked rows, the errors there, forecasts after a fit to all rows, and what it is."""

    error: float
    left: Vector
    forecasts: Vector
    what: str


def _fitted(series: HourlySeries, horizon_h: int, end: int, method: Any) -> RivalRun:
    """Features (the thesis's and ours) and settings are chosen on the checked weeks, then all rows are fitted."""
    past = series.until(end)
    values = target(past, horizon_h)
    bends = bends_of(past, end)
    best: tuple[_Fit, Whole] | None = None
    for preset in _FEATURES:
        rows = table(series, horizon_h, preset, bends, season=knows_seasons(past)).values
        origins = np.flatnonzero(np.isfinite(rows[:end]).all(axis=1) & np.isfinite(values))
        fitted, checked = tuning_rows(past, origins)
        found: _Fit = method(rows, values, fitted, checked, origins, preset)
        if best is None or found.error < best[0].error:
            best = found, checked
    assert best is not None
    return RivalRun(best[0].forecasts, _judged(series, horizon_h, best[1], best[0].left), best[0].what)


def _judged(series: HourlySeries, horizon_h: int, checked: Whole, left: Vector) -> Checked:
    return Checked(left, (series.hour[checked] + horizon_h) % DAY_H)


def _ridge(rows: Matrix, values: Vector, fitted: Whole, checked: Whole, origins: Whole, preset: Preset) -> _Fit:
    penalty, error = best_penalty(rows[fitted], values[fitted], rows[checked], values[checked])
    left = values[checked] - fit_ridge(rows[fitted], values[fitted], penalty).predict(rows[checked])
    whole = fit_ridge(rows[origins], values[origins], penalty).predict(np.nan_to_num(rows))
    usable = np.isfinite(rows).all(axis=1)
    return _Fit(
        error, left, np.where(usable, np.maximum(0.0, whole), np.nan), f"{preset} features, penalty {penalty:g}"
    )


def _boosting(rows: Matrix, values: Vector, fitted: Whole, checked: Whole, origins: Whole, preset: Preset) -> _Fit:
    """Histogram boosting, tuned on the newest three years (as the network is) and then fitted to all rows.

    One thread, because on a busy machine OpenMP's waiting threads cost twentyfold.
    """
    best: tuple[float, int, int, int, Vector] | None = None
    with threadpool_limits(1):
        for leaves, least in _LEAVES:
            tree = _trees(leaves, least, _TREES, stop=True)
            newest = fitted[-NEWEST_ROWS:]
            tree.fit(rows[newest], values[newest], X_val=rows[checked], y_val=values[checked])
            steps = [
                (float(np.sqrt(np.mean((p - values[checked]) ** 2))), p) for p in tree.staged_predict(rows[checked])
            ]
            count = int(np.argmin([error for error, _ in steps])) + 1
            error, forecast = steps[count - 1]
            if best is None or error < best[0]:
                best = error, leaves, least, count, values[checked] - forecast
        assert best is not None
        error, leaves, least, count, left = best
        tree = _trees(leaves, least, count, stop=False).fit(rows[origins], values[origins])
        whole = tree.predict(rows)
    usable = np.isfinite(rows).all(axis=1)
    what = f"{preset} features, {leaves} leaves, {count} trees"
    return _Fit(error, left, np.where(usable, np.maximum(0.0, whole), np.nan), what)


def _trees(leaves: int, least: int, count: int, *, stop: bool) -> HistGradientBoostingRegressor:
    return HistGradientBoostingRegressor(
        learning_rate=0.05,
        max_leaf_nodes=leaves,
        min_samples_leaf=least,
        l2_regularization=5.0,
        max_iter=count,
        early_stopping=stop,
        n_iter_no_change=_PATIENCE,
        random_state=0,
    )
