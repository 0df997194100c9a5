"""The linear part: ridge regression, and the same followed through time by recursive least squares."""

from dataclasses import dataclass

import numpy as np

from forecasting.series import DAY_H, Mask, Matrix, Vector

PENALTIES = (1.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0, 10000.0)
_CLIP = 8.0
_TINY = 1e-9


@dataclass(frozen=True)
class Standard:
    """Mean and standard deviation of each column over the rows that a model was fitted to."""

    mean: Vector
    deviation: Vector

    def apply(self, rows: Matrix) -> Matrix:
        """Standardised rows with a constant column appended; clipped at 8 deviations against wild readings."""
        scaled = np.clip((rows - self.mean) / self.deviation, -_CLIP, _CLIP)
        return np.concatenate([scaled, np.ones((*rows.shape[:-1], 1))], axis=-1)


def standard_of(rows: Matrix) -> Standard:
    """Column statistics; a constant column gets the deviation 1."""
    deviation = rows.std(axis=0)
    return Standard(rows.mean(axis=0), np.where(deviation > _TINY, deviation, 1.0))


@dataclass(frozen=True)
class Ridge:
    """y = w' standard(x); the constant is not penalised."""

    standard: Standard
    weights: Vector

    def predict(self, rows: Matrix) -> Vector:
        """One value per row."""
        return np.asarray(self.standard.apply(rows) @ self.weights)


def fit_ridge(rows: Matrix, values: Vector, penalty: float) -> Ridge:
    """Minimise the sum of squares + penalty ||w||^2."""
    standard = standard_of(rows)
    scaled = standard.apply(rows)
    return Ridge(standard, _solve(scaled.T @ scaled, scaled.T @ values, penalty))


def _solve(gram: Matrix, moment: Vector, penalty: float) -> Vector:
    ridge = np.full(len(gram), penalty)
    ridge[-1] = _TINY
    return np.asarray(np.linalg.solve(gram + np.diag(ridge), moment))


def best_penalty(rows: Matrix, values: Vector, checked: Matrix, truth: Vector) -> tuple[float, float]:
    """The penalty of the lowest squared error on rows that it was not fitted to, and its RMSE there."""
    standard = standard_of(rows)
    scaled, test = standard.apply(rows), standard.apply(checked)
    gram, moment = scaled.T @ scaled, scaled.T @ values
    errors = [
        (float(np.sqrt(np.mean((test @ _solve(gram, moment, penalty) - truth) ** 2))), penalty) for penalty in PENALTIES
    ]
    error, penalty = min(errors)
    return penalty, error


@dataclass
class RecursiveRidge:
    """Ridge whose normal equations forget: an hour counts half after `half_life_d` days (None: never).

    Recursive least squares in information form: every new hour adds its outer product, the weights are solved again
    once a day. Same weights as a batch fit with those hour weights, which is what the tests check.
    """

    standard: Standard
    penalty: float
    half_life_d: float | None
    gram: Matrix
    moment: Vector
    weights: Vector

    @classmethod
    def start(
        cls, rows: Matrix, values: Vector, ages_h: Vector, penalty: float, half_life_d: float | None
    ) -> "RecursiveRidge":
        """From history: `ages_h` hours have passed since each row."""
        standard = standard_of(rows)
        scaled = standard.apply(rows)
        counted = scaled * _kept(half_life_d, ages_h)[:, None]
        gram, moment = counted.T @ scaled, counted.T @ values
        return cls(standard, penalty, half_life_d, gram, moment, _solve(gram, moment, penalty))

    def learn(self, rows: Matrix, values: Vector, ages_h: Vector, passed_h: float) -> None:
        """`passed_h` hours went by, and these rows, `ages_h` old by now, have become known."""
        faded = _kept(self.half_life_d, np.array([passed_h]))[0]
        scaled = self.standard.apply(rows)
        counted = scaled * _kept(self.half_life_d, ages_h)[:, None]
        self.gram = self.gram * faded + counted.T @ scaled
        self.moment = self.moment * faded + counted.T @ values
        self.weights = _solve(self.gram, self.moment, self.penalty)

    def predict(self, rows: Matrix) -> Vector:
        """One value per row, by the newest weights."""
        return np.asarray(self.standard.apply(rows) @ self.weights)


def _kept(half_life_d: float | None, ages_h: Vector) -> Vector:
    return np.ones(len(ages_h)) if half_life_d is None else 0.5 ** (ages_h / (DAY_H * half_life_d))


def followed(start: RecursiveRidge, rows: Matrix, values: Vector, known: Mask, first: int, horizon_h: int) -> Vector:
    """What `start` predicts at every origin from `first` on, learning each day what became known; NaN before.

    Args:
        start: fitted to origins whose target lies before hour `first`; it is changed.
        rows: one row of features per hour.
        values: the target of each origin; that of origin i becomes known at hour i + horizon_h.
        known: origins with features and target.
        first: the first origin to predict at.
        horizon_h: how far ahead.
    """
    hours = len(rows)
    predicted, learned = np.full(hours, np.nan), max(0, first - horizon_h + 1)
    for origin in range(first, hours, DAY_H):
        if origin > first:
            new = np.arange(learned, origin - horizon_h + 1)
            due = new[known[new]]
            start.learn(rows[due], values[due], (origin - horizon_h - due).astype(float), float(len(new)))
            learned = int(origin - horizon_h + 1)
        day = slice(origin, min(hours, origin + DAY_H))
        predicted[day] = start.predict(rows[day])
    return predicted
