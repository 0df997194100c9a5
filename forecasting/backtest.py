"""Rolling origin, no look-ahead: every model fitted to the same first part, asked at every later hour.

A forecast for hour t + h uses hours up to t. Models are fitted once, to the hours before `end`; origins run from
`end - 1`. The NARX then follows the building as it does in service (see `forecasting.narx`); `narx_frozen` is the same
one without. The rivals stay as fitted. Intervals are adaptive for all models alike. Hours without a measurement are
not scored, and every model is scored on the same ones.
"""

import math
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from forecasting.features import target
from forecasting.intervals import COVERAGE, AdaptiveInterval, Band
from forecasting.narx import Checked, HorizonModel, TooShortError, fit
from forecasting.rivals import RIVALS, RivalName, run_rival
from forecasting.series import DAY_H, HourlySeries, Vector, Whole
from forecasting.training import Recipe

TEST_SHARE = 0.2
SUBJECTS = ("narx", "narx_frozen", "narx_thesis")
Told = Callable[[str], None]


@dataclass(frozen=True)
class Score:
    """One model at one horizon, in the load's unit. `coverage_by_month`: months with at least a week of hours."""

    rmse: float
    mae: float
    pinball: float
    coverage: float
    width: float
    coverage_by_month: dict[str, float]
    chosen: str = ""

    def as_json(self) -> dict[str, object]:
        """All but what was chosen, which is empty for the NARX."""
        return {
            "rmse": self.rmse,
            "mae": self.mae,
            "pinball": self.pinball,
            "coverage_90": self.coverage,
            "width_90": self.width,
            "coverage_90_by_month": self.coverage_by_month,
            **({"chosen": self.chosen} if self.chosen else {}),
        }


@dataclass(frozen=True)
class Report:
    """A whole backtest: scores by horizon ("1h") and model."""

    series: str
    train_hours: int
    test_hours: int
    first: str
    last: str
    horizons: dict[str, dict[str, Score]]

    def ratio(self, horizon: str) -> float:
        """RMSE of the NARX over that of the best rival."""
        scores = self.horizons[horizon]
        return scores["narx"].rmse / min(scores[name].rmse for name in RIVALS if name in scores)

    def as_json(self) -> dict[str, object]:
        """The document of `headroom forecast backtest --json`."""
        return {
            "series": self.series,
            "train_hours": self.train_hours,
            "test_hours": self.test_hours,
            "test_from": self.first,
            "test_to": self.last,
            "horizons": {
                horizon: {name: score.as_json() for name, score in scores.items()}
                for horizon, scores in self.horizons.items()
            },
            "coverage_90": {horizon: scores["narx"].coverage for horizon, scores in self.horizons.items()},
            "ratio_to_best_rival": {horizon: self.ratio(horizon) for horizon in self.horizons},
        }


def backtest(
    series: HourlySeries,
    horizons_h: tuple[int, ...] = (1, 24),
    *,
    recipe: Recipe | None = None,
    test_share: float = TEST_SHARE,
    rivals: tuple[RivalName, ...] = RIVALS,
    told: Told | None = None,
) -> Report:
    """Train on the first part, forecast the rest.

    Raises:
        TooShortError: the first part is too short to train on, or the last holds no measured hour.
        TorchMissingError: torch is not installed.
    """
    recipe, end = recipe or Recipe(), int((1.0 - test_share) * len(series))
    tell = told or (lambda _: None)
    found: dict[str, dict[str, Score]] = {}
    rows: Whole = np.empty(0, dtype=np.int64)
    for horizon_h in horizons_h:
        forecasts: dict[str, tuple[Vector, Checked, str]] = {}
        for name in ("narx", "narx_thesis"):
            tell(f"{horizon_h} h: {name}")
            thesis = name == "narx_thesis"
            model = fit(series.until(end), horizon_h, preset="thesis" if thesis else "default", recipe=recipe)
            forecasts |= _subject(name, model, series, end)
        for rival in rivals:
            tell(f"{horizon_h} h: {rival}")
            run = run_rival(rival, series, horizon_h, end)
            forecasts[rival] = run.forecasts, run.checked, run.chosen
        truth = target(series, horizon_h)
        scored = np.isfinite(truth) & (np.arange(len(series)) >= end - 1)
        for values, _, _ in forecasts.values():
            scored &= np.isfinite(values)
        rows = np.flatnonzero(scored)
        if not rows.size:
            raise TooShortError(series.name, 0)
        found[f"{horizon_h}h"] = {
            name: _score(series, horizon_h, rows, truth, *forecast) for name, forecast in forecasts.items()
        }
    days = (series.start + np.array([end, len(series) - 1]).astype("timedelta64[h]")).astype("datetime64[D]")
    return Report(series.name, end, len(rows), str(days[0]), str(days[1]), found)


def _subject(name: str, model: HorizonModel, series: HourlySeries, end: int) -> dict[str, tuple[Vector, Checked, str]]:
    features = model.table(series)
    found: dict[str, tuple[Vector, Checked, str]] = {}
    if name == "narx":
        frozen = np.where(features.usable, model.predict(np.nan_to_num(features.values)), np.nan)
        found["narx_frozen"] = frozen, model.checked, ""
    following = model.predict_following(features, target(series, model.horizon_h), end - 1)
    return {name: (following, model.checked, ""), **found}


def _score(
    series: HourlySeries, horizon_h: int, rows: Whole, truth: Vector, forecasts: Vector, checked: Checked, chosen: str
) -> Score:
    errors = truth[rows] - forecasts[rows]
    low, high = _bands(series, horizon_h, rows, errors, checked)
    held = (errors >= low) & (errors <= high)
    tail = (1.0 - COVERAGE) / 2.0
    pinball = np.mean([_pinball(errors - low, tail), _pinball(errors, 0.5), _pinball(errors - high, 1.0 - tail)])
    months: dict[str, list[bool]] = defaultdict(list)
    for month, inside in zip(series.month_of(rows + horizon_h), held.tolist(), strict=True):
        months[month].append(inside)
    return Score(
        rmse=math.sqrt(float(np.mean(errors**2))),
        mae=float(np.abs(errors).mean()),
        pinball=float(pinball),
        coverage=float(held.mean()),
        width=float((high - low).mean()),
        coverage_by_month={month: float(np.mean(all_)) for month, all_ in months.items() if len(all_) >= 7 * DAY_H},
        chosen=chosen,
    )


def _pinball(over: Vector, quantile: float) -> float:
    return float(np.mean(np.maximum(quantile * over, (quantile - 1.0) * over)))


def _bands(
    series: HourlySeries, horizon_h: int, rows: Whole, errors: Vector, checked: Checked
) -> tuple[Vector, Vector]:
    """The band issued at each origin, errors taken in only when their target has passed."""
    interval = AdaptiveInterval(checked)
    issued: list[Band] = []
    due = 0
    for origin in rows.tolist():
        while due < len(issued) and rows[due] + horizon_h <= origin:
            hour = int((series.hour[rows[due]] + horizon_h) % DAY_H)
            interval.observe(hour, float(errors[due]), issued[due])
            due += 1
        issued.append(interval.band(int((series.hour[origin] + horizon_h) % DAY_H)))
    return np.array([band.low for band in issued]), np.array([band.high for band in issued])
