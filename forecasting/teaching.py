"""Training all horizons of a series, so that an interruption costs one horizon; and the card that goes with it."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from forecasting.artefact import ArtefactError, Trained, fingerprint, load, save
from forecasting.features import Preset
from forecasting.narx import HorizonModel, fit
from forecasting.series import HourlySeries
from forecasting.training import Progress, Recipe

Started = Callable[[int], Progress | None]
"""Told the horizon that begins; gives what is told after each of its epochs."""


def teach(
    series: HourlySeries,
    horizons_h: Sequence[int],
    file: Path,
    *,
    preset: Preset = "default",
    recipe: Recipe | None = None,
    started: Started | None = None,
) -> tuple[Trained, str]:
    """Train, write `file` and its card `file` + ".md", and give back both model and checksum.

    After each horizon what is done so far is kept in `file` + ".partial"; a call with the same data, preset and recipe
    goes on from there. `file` itself appears, or is replaced, only when all is done.

    Raises:
        TooShortError, TorchMissingError: see `forecasting.narx.fit`.
    """
    recipe = recipe or Recipe()
    name = fingerprint(series.load, series.exogenous, preset, recipe)
    partial = file.with_name(file.name + ".partial")
    models = _kept(partial, name)
    for horizon_h in horizons_h:
        if horizon_h not in models:
            progress = started(horizon_h) if started is not None else None
            models[horizon_h] = fit(series, horizon_h, preset=preset, recipe=recipe, progress=progress)
            save(_trained(series, name, recipe, models), partial)
    trained = _trained(series, name, recipe, {horizon_h: models[horizon_h] for horizon_h in horizons_h})
    checksum = save(trained, file)
    file.with_name(file.name + ".md").write_text(card(trained, checksum), encoding="utf-8")
    partial.unlink(missing_ok=True)
    return trained, checksum


def _kept(partial: Path, name: str) -> dict[int, HorizonModel]:
    try:
        found = load(partial)
    except ArtefactError:
        return {}
    return dict(found.models) if found.fingerprint == name else {}


def _trained(series: HourlySeries, name: str, recipe: Recipe, models: dict[int, HorizonModel]) -> Trained:
    ends = series.start + np.array([0, len(series) - 1]).astype("timedelta64[h]")
    missing = int(np.isnan(series.load).sum())
    return Trained(series.name, str(ends[0]), str(ends[1]), len(series), missing, name, recipe, models)


def checked_error(model: HorizonModel) -> tuple[float, float]:
    """RMSE and MAE on the checked weeks, of the trial fit that had not seen them."""
    errors = model.checked.errors
    return float(np.sqrt(np.mean(errors**2))), float(np.abs(errors).mean())


def card(trained: Trained, checksum: str) -> str:
    """The model card, in Markdown."""
    rows = []
    for horizon_h, model in trained.models.items():
        rmse, mae = checked_error(model)
        rows.append(f"| {horizon_h} h | {rmse:.4g} | {mae:.4g} | {len(model.checked.errors)} | {model.epochs} |")
    one = next(iter(trained.models.values()))
    network = one.network
    return "\n".join(
        [
            f"# Load forecast of {trained.series}",
            "",
            f"- Data: {trained.first} to {trained.last} (hours), {trained.hours} hours, {trained.missing} missing.",
            f"- Preset {one.preset}: {len(one.names)} features, {network.members} networks of hidden layers "
            f"{'-'.join(map(str, network.hidden))} (ReLU), {len(one.skips)} linear skips, "
            f"{0 if one.trees is None else len(one.trees.roots)} trees, seed {trained.recipe.seed}.",
            f"- Checksum (SHA-256): {checksum}",
            "",
            "| horizon | RMSE | MAE | hours checked | epochs |",
            "| --- | --- | --- | --- | --- |",
            *rows,
            "",
            "Errors are in the unit of the data, on every sixth week, by a trial fit that had not seen those weeks. "
            "`headroom forecast backtest` gives errors on later data, beside rivals.",
            "",
            "Made for one building's load, hourly. Not for another building, not for protection: breakers and the "
            "guard do that. Intervals are calibrated again in service from what the meter says.",
            "",
            f"Features: {', '.join(one.names)}.",
            "",
        ]
    )
