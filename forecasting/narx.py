"""The NARX: a network on the residual of a linear autoregression that follows the building through time.

    forecast(t + h) = sum over members of  v_k w_k(t)' x(t)  +  share(t) * scale * network(encode(x(t)))

x(t) are the features of `forecasting.features`. The linear skip has three members (all features, the thesis's lags,
days alike), each by recursive least squares with two half-lives (180 days and none), solved again each day from what
became known: seed 004's future work, "recursive parameter estimation". The network learns what the frozen first member
left over, several seeds averaged, one model per horizon (direct, not fed back). `share` starts at what the checked
rows confirm, shrunk towards 1, and follows the last ten days: where the building does what the network never saw, the
linear part soon stands alone. Where a whole year has been seen, boosted trees on the same features speak for a fifth of
the forecast: they err in other hours. Before, they would not: trees cannot go on where the load leaves what was seen.

The preset `thesis` is seed 004 section 4.2 as printed: 128-64-32 on the lags of equation 4.2 and cyclic calendar with
products, 0.8 network + 0.2 of the value 48 h before (4.3); no skip, nothing recursive.
"""

from dataclasses import dataclass, field, replace

import numpy as np

from domain.errors import HeadroomError
from forecasting.features import Bends, Preset, Table, bends_of, knows_seasons, members, table, target, two_days_before
from forecasting.linear import RecursiveRidge, Ridge, Standard, best_penalty, fit_ridge, followed, standard_of
from forecasting.network import Encoder, Floats, Network, encoder_of
from forecasting.series import WEEK_H, HourlySeries, Mask, Matrix, Vector, Whole
from forecasting.training import Progress, Recipe, for_thesis, train
from forecasting.training import Trained as Fitted
from forecasting.trees import Trees, fit_trees

HALF_LIVES_D: tuple[float | None, ...] = (180.0, None)
CHECKED_WEEK = 6
"""Each sixth week, the newest among them, is kept from the trial fit: it stops the training and chooses the penalty."""
NEWEST_ROWS = 26_280
"""The network learns from the newest three years; the linear part from all."""
LEAST_ROWS = 24 * 28
TREES_PART = 0.2
THESIS_BLEND = 0.2
"""Seed 004, equation 4.3."""
_PRIOR = 0.5
_SHARPNESS = 20.0
_SHARE_D = 10.0
_FADE = 0.5 ** (1.0 / (24.0 * _SHARE_D))
_MOST_SHARE = 1.25


class TooShortError(HeadroomError):
    """A series that is too short to train on."""

    def __init__(self, name: str, rows: int) -> None:
        super().__init__(
            f"{name}: only {rows} hours have all lags and a target, {LEAST_ROWS} are needed: about seven weeks of load"
        )


def tuning_rows(series: HourlySeries, origins: Whole) -> tuple[Whole, Whole]:
    """Origins to fit and origins to check on, for every model alike: whole weeks, counted back from the end."""
    weeks_back = (len(series) - 1 - origins) // WEEK_H
    checked = weeks_back % CHECKED_WEEK == 0
    return origins[~checked], origins[checked]


@dataclass
class Share:
    """How much of the network's correction is confirmed: least squares over the last ten days, from a start.

    share = (start * weight + sum of correction * left) / (weight + sum of correction^2), what is `left` by the linear
    part, both sums halved every ten days, `weight` ten days of the correction's usual power; kept in [0, 1.25].
    """

    start: float
    weight: float
    confirmed: float = 0.0
    power: float = 0.0

    @property
    def now(self) -> float:
        """The factor on the next correction."""
        if self.weight + self.power <= 0.0:
            return self.start
        return min(max((self.start * self.weight + self.confirmed) / (self.weight + self.power), 0.0), _MOST_SHARE)

    def learn(self, correction: float, left: float) -> None:
        """One hour on, the correction of an origin whose target has become known."""
        self.confirmed = _FADE * self.confirmed + correction * left
        self.power = _FADE * self.power + correction * correction


@dataclass(frozen=True)
class Checked:
    """Errors (measured - forecast) on the checked rows, of a model that was not fitted to them; hours of day beside."""

    errors: Vector
    hours: Whole


@dataclass
class Skip:
    """One linear member: the columns that it looks at, and its weight in the linear part (all sum to 1)."""

    columns: Whole
    weight: float
    ridge: RecursiveRidge | Ridge

    def predict(self, rows: Matrix) -> Vector:
        """One value per row of all features."""
        return self.ridge.predict(rows[:, self.columns])


@dataclass
class HorizonModel:
    """One horizon of a NARX. `skips` follow the building; everything else stays as trained.

    `scale` turns the network's output into the load's unit. `blend` > 0 mixes in column `reference` (thesis).
    """

    horizon_h: int
    preset: Preset
    names: tuple[str, ...]
    bends: Bends
    skips: tuple[Skip, ...]
    encoder: Encoder | Standard
    network: Network
    scale: float
    share: Share
    blend: float
    reference: int
    checked: Checked
    epochs: int = 0
    trees: Trees | None = None

    def table(self, series: HourlySeries) -> Table:
        """The features that this model looks at."""
        return table(series, self.horizon_h, self.preset, self.bends, season="sin-season" in self.names)

    def encode(self, rows: Matrix) -> Floats:
        """Network inputs of feature rows."""
        return self.encoder.apply(rows).astype(np.float32)

    def correction(self, rows: Matrix) -> Vector:
        """What the network adds to the linear part at a share of 1, in the load's unit."""
        return self.scale * self.network.apply_in_chunks(self.encode(rows))

    def linear(self, rows: Matrix) -> Vector:
        """The linear part by its newest weights."""
        return np.asarray(sum(skip.weight * skip.predict(rows) for skip in self.skips))

    def predict(self, rows: Matrix) -> Vector:
        """The load `horizon_h` hours after each row's origin, never negative, by the newest weights and share."""
        return self.combined(self.linear(rows), self.correction(rows), rows)

    def combined(self, linear: Vector, correction: Vector, rows: Matrix) -> Vector:
        """What `predict` makes of `linear` and `correction` of these rows."""
        return self._blended(linear + self.share.now * correction, rows)

    def learn(self, rows: Matrix, values: Vector, ages_h: Vector, passed_h: float) -> None:
        """`passed_h` hours went by since the last call, and these rows' targets, `ages_h` old, became known."""
        for skip in self.skips:
            if isinstance(skip.ridge, RecursiveRidge):
                skip.ridge.learn(rows[:, skip.columns], values, ages_h, passed_h)

    def predict_following(self, features: Table, values: Vector, first: int) -> Vector:
        """Forecasts at every origin from `first` on, learning what became known before each; NaN before `first`.

        The skips and the share of this model are changed: afterwards they are those of the last hour.
        """
        rows = np.nan_to_num(features.values)
        known = features.usable & np.isfinite(values)
        linear, correction = np.zeros(len(rows)), np.full(len(rows), np.nan)
        for skip in self.skips:
            mine = rows[:, skip.columns]
            linear += skip.weight * (
                followed(skip.ridge, mine, values, known, first, self.horizon_h)
                if isinstance(skip.ridge, RecursiveRidge)
                else skip.ridge.predict(mine)
            )
        correction[first:] = self.correction(rows[first:])
        shares = self._shares(correction, values - linear, known, first)
        found = np.full(len(rows), np.nan)
        found[first:] = self._blended((linear + shares * correction)[first:], rows[first:])
        return np.where(features.usable, found, np.nan)

    def _shares(self, correction: Vector, left: Vector, known: Mask, first: int) -> Vector:
        found = np.full(len(left), self.share.now)
        if self.blend > 0.0:
            return found
        for origin in range(first, len(left)):
            passed = origin - self.horizon_h
            if passed >= first and known[passed]:
                self.share.learn(float(correction[passed]), float(left[passed]))
            found[origin] = self.share.now
        return found

    def _blended(self, whole: Vector, rows: Matrix) -> Vector:
        mixed = (1.0 - self.blend) * whole + self.blend * rows[:, self.reference]
        if self.trees is not None:
            mixed = (1.0 - TREES_PART) * mixed + TREES_PART * self.trees.predict(rows)
        return np.maximum(0.0, mixed)


def fit(
    series: HourlySeries,
    horizon_h: int,
    *,
    preset: Preset = "default",
    recipe: Recipe | None = None,
    progress: Progress | None = None,
    network: bool = True,
) -> HorizonModel:
    """Train one horizon on the whole of `series` (cut it with `until` first to keep hours back).

    Without `network` all but the network is fitted, which needs no torch: it stays silent (default preset only).

    Raises:
        TooShortError: fewer than `LEAST_ROWS` hours to learn from.
        TorchMissingError: torch is not installed.
    """
    recipe = recipe or Recipe()
    bends = bends_of(series, len(series)) if preset == "default" else ()
    features = table(series, horizon_h, preset, bends, season=knows_seasons(series))
    values = target(series, horizon_h)
    origins = np.flatnonzero(features.usable & np.isfinite(values))
    if len(origins) < LEAST_ROWS:
        raise TooShortError(series.name, len(origins))
    fitted, checked = tuning_rows(series, origins)
    work = _Work(series, horizon_h, features, values, bends, origins, fitted, checked, progress)
    return _fit_thesis(work, for_thesis(recipe)) if preset == "thesis" else _fit_default(work, recipe, network)


@dataclass(frozen=True)
class _Work:
    series: HourlySeries
    horizon_h: int
    features: Table
    values: Vector
    bends: Bends
    origins: Whole
    fitted: Whole
    checked: Whole
    progress: Progress | None = field(default=None)

    def rows(self, which: Whole) -> tuple[Matrix, Vector]:
        return self.features.values[which], self.values[which]

    def judged(self, forecast: Vector) -> Checked:
        hours = (self.series.hour[self.checked] + self.horizon_h) % 24
        return Checked(self.values[self.checked] - np.maximum(0.0, forecast), hours)


def _fit_default(work: _Work, recipe: Recipe, network: bool) -> HorizonModel:
    rows, values = work.rows(work.fitted)
    checked_rows, truth = work.rows(work.checked)
    whole = members(work.features.names)["whole"]
    penalty, _ = best_penalty(rows[:, whole], values, checked_rows[:, whole], truth)
    first = fit_ridge(rows[:, whole], values, penalty)
    encoder = encoder_of(work.features, rows)
    line = first.predict(checked_rows[:, whole])
    left, left_checked = values - first.predict(rows[:, whole]), truth - line
    scale = max(float(left.std()), 1e-9)
    corrected = _Corrected(encoder, scale, recipe, work.progress)
    trial = corrected.tried(rows, left, checked_rows, left_checked) if network else corrected.silent()
    tried = scale * trial.network.apply_in_chunks(encoder.apply(checked_rows))
    share = _share(tried, left_checked)
    every_row, every_value = work.rows(work.origins)
    rest = every_value - fit_ridge(every_row[:, whole], every_value, penalty).predict(every_row[:, whole])
    final = corrected.trained(every_row, rest, trial.epochs) if network else trial
    trees, said = _trees(work) if knows_seasons(work.series) else (None, None)
    forecast = line + share * tried
    usual = float(np.mean((scale * final.network.apply_in_chunks(encoder.apply(every_row[-NEWEST_ROWS:]))) ** 2))
    return HorizonModel(
        horizon_h=work.horizon_h,
        preset="default",
        names=work.features.names,
        bends=work.bends,
        skips=_skips(work, penalty),
        encoder=encoder,
        network=final.network,
        scale=scale,
        share=Share(share, 24.0 * _SHARE_D * usual),
        blend=0.0,
        reference=0,
        checked=work.judged(forecast if said is None else (1.0 - TREES_PART) * forecast + TREES_PART * said),
        epochs=trial.epochs,
        trees=trees,
    )


@dataclass(frozen=True)
class _Corrected:
    """The network on what the linear part leaves over, on the newest rows."""

    encoder: Encoder
    scale: float
    recipe: Recipe
    progress: Progress | None

    def tried(self, rows: Matrix, left: Vector, checked_rows: Matrix, left_checked: Vector) -> Fitted:
        """Stopped by the checked rows."""
        judge = self.encoder.apply(checked_rows), left_checked / self.scale
        inputs, values = self._newest(rows, left)
        return train(inputs, values, self.recipe, checked=judge, progress=self.progress)

    def trained(self, rows: Matrix, left: Vector, epochs: int) -> Fitted:
        """For as long as the trial was best."""
        return train(*self._newest(rows, left), self.recipe, epochs=epochs, progress=self.progress)

    def silent(self) -> Fitted:
        """A network that corrects nothing."""
        nothing = np.zeros((1, self.encoder.inputs, 1), dtype=np.float32)
        return Fitted(Network((nothing,), (np.zeros((1, 1, 1), dtype=np.float32),)), 0, float("nan"))

    def _newest(self, rows: Matrix, left: Vector) -> tuple[Floats, Vector]:
        return self.encoder.apply(rows[-NEWEST_ROWS:]), left[-NEWEST_ROWS:] / self.scale


def _trees(work: _Work) -> tuple[Trees, Vector]:
    """Trees fitted to the newest rows, and what a trial fit said of the checked ones."""
    columns = members(work.features.names)["whole"]
    rows, values = work.rows(work.fitted[-NEWEST_ROWS:])
    trial = fit_trees(rows, values, columns, checked=work.rows(work.checked))
    every_row, every_value = work.rows(work.origins[-NEWEST_ROWS:])
    return fit_trees(every_row, every_value, columns, count=len(trial.roots)), trial.predict(work.rows(work.checked)[0])


def _skips(work: _Work, penalty: float) -> tuple[Skip, ...]:
    """Every member with every half-life; a member's weight falls with the 20th power of its error on checked rows."""
    ages = (len(work.series) - 1 - work.horizon_h - work.origins).astype(float)
    found: list[tuple[float, Whole, RecursiveRidge]] = []
    rows, values = work.rows(work.origins)
    for name, columns in members(work.features.names).items():
        chosen, error = best_penalty(
            work.features.values[np.ix_(work.fitted, columns)],
            work.values[work.fitted],
            work.features.values[np.ix_(work.checked, columns)],
            work.values[work.checked],
        )
        for half_life in HALF_LIVES_D:
            used = penalty if name == "whole" else chosen
            ridge = RecursiveRidge.start(rows[:, columns], values, ages, used, half_life)
            found.append((max(error, 1e-12), columns, ridge))
    least = min(error for error, _, _ in found)
    weights = [(least / error) ** _SHARPNESS for error, _, _ in found]
    return tuple(
        Skip(columns, weight / sum(weights), ridge) for weight, (_, columns, ridge) in zip(weights, found, strict=True)
    )


def _share(tried: Vector, left: Vector) -> float:
    """The factor on the network that the checked rows would choose, drawn towards 1 by half their number."""
    power = float(tried @ tried)
    return 1.0 if power == 0.0 else float(np.clip((tried @ left / power + _PRIOR) / (1.0 + _PRIOR), 0.0, 1.0))


def _fit_thesis(work: _Work, recipe: Recipe) -> HorizonModel:
    rows, values = work.rows(work.fitted)
    checked_rows, truth = work.rows(work.checked)
    standard = standard_of(rows)
    mean, scale = float(values.mean()), max(float(values.std()), 1e-9)
    newest = slice(-NEWEST_ROWS, None)
    trained = train(
        standard.apply(rows[newest]).astype(np.float32),
        (values[newest] - mean) / scale,
        recipe,
        checked=(standard.apply(checked_rows).astype(np.float32), (truth - mean) / scale),
        progress=work.progress,
    )
    constant = np.zeros(rows.shape[1] + 1)
    constant[-1] = mean
    model = HorizonModel(
        horizon_h=work.horizon_h,
        preset="thesis",
        names=work.features.names,
        bends=(),
        skips=(Skip(np.arange(rows.shape[1]), 1.0, Ridge(standard, constant)),),
        encoder=standard,
        network=trained.network,
        scale=scale,
        share=Share(1.0, 0.0),
        blend=THESIS_BLEND,
        reference=work.features.names.index(f"load-{two_days_before(work.horizon_h)}"),
        checked=Checked(np.empty(0), np.empty(0, dtype=np.int64)),
        epochs=trained.epochs,
    )
    return replace(model, checked=work.judged(model.predict(checked_rows)))
