"""Training again in service: a candidate is judged on the last week, which it has not seen, before it may answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from forecasting.artefact import ArtefactError, Trained, fingerprint, load, save
from forecasting.features import target
from forecasting.narx import HorizonModel, fit
from forecasting.series import DAY_H, WEEK_H, HourlySeries, Vector, Whole, repair
from forecasting.teaching import card
from forecasting.training import Recipe, TorchMissingError, torch_or_complain

LEAST_HOURS = 8 * WEEK_H
"""Fewer hours than this are not trained on: seven weeks to fit, one to judge."""


@dataclass(frozen=True)
class Renewal:
    """How the last week went: RMSE by horizon ("1h") of the candidate, the model in service and the best plain rival.

    `ratio`: the candidate's over the better of the others, geometric mean over the horizons. `network`: whether torch
    was there to train one.
    """

    taken: bool
    network: bool
    ratio: float
    candidate: Mapping[str, float]
    incumbent: Mapping[str, float]
    plain: Mapping[str, float]


def renew(
    series: HourlySeries, horizons_h: Sequence[int], out: Path, incumbent: Path | None, recipe: Recipe | None = None
) -> Renewal:
    """Train on all but the last week, judge on it, and write `out` and its card where nothing else was better.

    The candidate then follows the last week, so that it is as of the newest hour. Without torch its network stays
    silent: a linear model that follows the building, with trees once a year has been seen.

    Raises:
        TooShortError: see `forecasting.narx.fit`.
    """
    recipe = recipe or Recipe(threads=1)
    network = _has_torch()
    end = len(series) - WEEK_H
    old = _incumbent(incumbent)
    models: dict[int, HorizonModel] = {}
    found: dict[str, dict[str, float]] = {"candidate": {}, "incumbent": {}, "plain": {}}
    for horizon_h in horizons_h:
        model = models[horizon_h] = fit(series.until(end), horizon_h, recipe=recipe, network=network)
        truth, name = target(series, horizon_h), f"{horizon_h}h"
        judged = np.arange(max(end - horizon_h, 0), len(series))
        judged = judged[np.isfinite(truth[judged])]
        found["candidate"][name] = _rmse(_followed(model, series, end), truth, judged)
        if old is not None and horizon_h in old.models:
            found["incumbent"][name] = _rmse(_followed(old.models[horizon_h], series, _end(old, series)), truth, judged)
        lags = (0, -horizon_h % DAY_H, -horizon_h % WEEK_H)
        plain = repair(series.load).lagged(lags)
        found["plain"][name] = min(_rmse(plain[:, place], truth, judged) for place in range(len(lags)))
    ratio = _ratio(found)
    if ratio <= 1.0:
        trained = _trained(series, recipe, models)
        checksum = save(trained, out)
        out.with_name(out.name + ".md").write_text(card(trained, checksum), encoding="utf-8")
    return Renewal(ratio <= 1.0, network, ratio, found["candidate"], found["incumbent"], found["plain"])


def _has_torch() -> bool:
    try:
        torch_or_complain()
    except TorchMissingError:
        return False
    return True


def _incumbent(file: Path | None) -> Trained | None:
    try:
        return None if file is None else load(file)
    except ArtefactError:
        return None  # one that cannot be read cannot be better either


def _end(trained: Trained, series: HourlySeries) -> int:
    """The first hour of `series` that the model has not learned from."""
    passed = np.datetime64(trained.last, "h") - series.start
    return int(np.clip(passed.astype(int) + 1, 0, len(series)))


def _followed(model: HorizonModel, series: HourlySeries, end: int) -> Vector:
    features = model.table(series)
    return model.predict_following(features, target(series, model.horizon_h), max(0, end - model.horizon_h))


def _rmse(forecast: Vector, truth: Vector, rows: Whole) -> float:
    errors = (truth - forecast)[rows]
    errors = errors[np.isfinite(errors)]
    return float(np.sqrt(np.mean(errors**2))) if errors.size else float("nan")


def _ratio(found: Mapping[str, Mapping[str, float]]) -> float:
    """NaN (no hour to judge on) is no reason to take a candidate."""
    logs = []
    for name, mine in found["candidate"].items():
        others = [found[who][name] for who in ("incumbent", "plain") if name in found[who]]
        logs.append(np.log(max(mine, 1e-9) / max(min(others), 1e-9)))
    ratio = float(np.exp(np.mean(logs)))
    return ratio if np.isfinite(ratio) else float("inf")


def _trained(series: HourlySeries, recipe: Recipe, models: Mapping[int, HorizonModel]) -> Trained:
    ends = series.start + np.array([0, len(series) - 1]).astype("timedelta64[h]")
    name = fingerprint(series.load, series.exogenous, "default", recipe)
    missing = int(np.isnan(series.load).sum())
    return Trained(series.name, str(ends[0]), str(ends[1]), len(series), missing, name, recipe, models)
