"""Ridge and its recursion against closed forms."""

from dataclasses import replace

import numpy as np
import pytest

from forecasting.linear import RecursiveRidge, best_penalty, fit_ridge, followed


def problem(rows: int = 400, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    inputs = random.normal(2, 3, (rows, 4))
    return inputs, inputs @ np.array([1.0, -2.0, 0.5, 0.0]) + 7.0 + random.normal(0, 0.1, rows)


def test_ridge_without_penalty_is_least_squares_and_with_much_the_mean() -> None:
    inputs, values = problem()
    oracle, *_ = np.linalg.lstsq(np.c_[inputs, np.ones(len(inputs))], values, rcond=None)
    np.testing.assert_allclose(
        fit_ridge(inputs, values, 1e-8).predict(inputs), np.c_[inputs, np.ones(len(inputs))] @ oracle, atol=1e-6
    )
    np.testing.assert_allclose(fit_ridge(inputs, values, 1e12).predict(inputs), values.mean(), atol=1e-3)


def test_the_penalty_is_the_one_that_the_checked_rows_like() -> None:
    inputs, values = problem(60)
    noise = np.random.default_rng(3).normal(0, 1, (60, 40))
    wide = np.c_[inputs, noise]
    penalty, error = best_penalty(wide[:40], values[:40], wide[40:], values[40:])
    found = fit_ridge(wide[:40], values[:40], penalty)
    assert error == pytest.approx(float(np.sqrt(np.mean((found.predict(wide[40:]) - values[40:]) ** 2))))
    assert penalty < 100


@pytest.mark.parametrize("half_life_d", [None, 3.0])
def test_learning_in_pieces_gives_the_weights_of_one_weighted_fit(half_life_d: float | None) -> None:
    inputs, values = problem()
    ages = np.arange(399.0, -1.0, -1.0)
    pieces = RecursiveRidge.start(inputs[:100], values[:100], ages[:100] - 300.0, 2.0, half_life_d)
    for first in range(100, 400, 50):
        part = slice(first, first + 50)
        pieces.learn(inputs[part], values[part], ages[part] - ages[first + 49], 50.0)
    scaled = pieces.standard.apply(inputs)
    weight = np.ones(400) if half_life_d is None else 0.5 ** (ages / (24 * half_life_d))
    penalty = np.diag([2.0] * 4 + [0.0])
    gram = scaled.T @ (scaled * weight[:, None]) + penalty
    np.testing.assert_allclose(pieces.weights, np.linalg.solve(gram, scaled.T @ (values * weight)), rtol=1e-6)


def test_following_learns_a_change_and_never_from_what_is_not_yet_known() -> None:
    inputs, values = problem(1200)
    changed = values.copy()
    changed[600:] += 5.0
    known = np.ones(1200, dtype=bool)

    def start() -> RecursiveRidge:
        return RecursiveRidge.start(inputs[:476], changed[:476], np.arange(475.0, -1, -1), 1.0, 5.0)

    found = followed(start(), inputs, changed, known, 500, 24)
    assert np.isnan(found[:500]).all()
    assert abs(found[1100:] - changed[1100:]).mean() < 0.4  # has learned the step
    assert abs(found[600:620] - changed[600:620]).mean() > 4.5  # could not know it
    other = changed.copy()
    other[800:] = -100.0  # known from hour 824 on
    again = followed(start(), inputs, other, known, 500, 24)
    np.testing.assert_array_equal(found[:824], again[:824])
    assert not np.allclose(found[860:], again[860:])


def test_a_wild_reading_moves_a_forecast_no_further_than_eight_deviations() -> None:
    inputs, values = problem()
    model = fit_ridge(inputs, values, 1.0)
    wild = inputs[:1].copy()
    wild[0, 0] = 1e9
    edge = wild.copy()
    edge[0, 0] = model.standard.mean[0] + 8.0 * model.standard.deviation[0]
    np.testing.assert_allclose(model.predict(wild), model.predict(edge))
    assert replace(model, weights=model.weights * 0).predict(wild)[0] == 0.0
