"""Trees as arrays say what scikit-learn says, alone, in a fleet, and after a round trip through the artefact."""

import copy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from loads import TINY, made
from needs import needs_torch
from sklearn.ensemble import HistGradientBoostingRegressor

from forecasting import trees as subject
from forecasting.artefact import Trained, load, save
from forecasting.fleet import Fleet
from forecasting.narx import HorizonModel, fit
from forecasting.trees import Trees, TreesOfMany, fit_trees

RANDOM = np.random.default_rng(4)
ROWS = RANDOM.normal(0, 1, (900, 7))
VALUES = np.where(ROWS[:, 2] > 0.3, 4.0, 1.0) + ROWS[:, 5] ** 2 + RANDOM.normal(0, 0.1, 900)
COLUMNS = np.array([2, 5, 6])


def test_the_arrays_predict_what_scikit_learn_predicts(monkeypatch: pytest.MonkeyPatch) -> None:
    kept: list[HistGradientBoostingRegressor] = []
    flat = subject._flat
    monkeypatch.setattr(subject, "_flat", lambda boosting, columns: kept.append(boosting) or flat(boosting, columns))
    trees = fit_trees(ROWS, VALUES, COLUMNS, count=30)
    fresh = RANDOM.normal(0, 1.5, (5000, 7))
    np.testing.assert_allclose(trees.predict(fresh), kept[0].predict(fresh[:, COLUMNS]), rtol=0, atol=1e-9)
    assert trees.predict(fresh[:0]).shape == (0,)


def test_checked_rows_stop_the_fit() -> None:
    noise = RANDOM.normal(0, 1, 900)
    stopped = fit_trees(ROWS[:600], noise[:600], COLUMNS, checked=(ROWS[600:], noise[600:]))
    assert len(stopped.roots) < 60


def test_many_at_once_are_each_alone() -> None:
    several = [fit_trees(ROWS[n:], VALUES[n:], COLUMNS, count=10 + n) for n in (0, 3, 9)]
    rows = RANDOM.normal(0, 1, (3, 7))
    alone = [one.predict(row[None, :])[0] for one, row in zip(several, rows, strict=True)]
    np.testing.assert_allclose(TreesOfMany(several).predict(rows), alone, rtol=0, atol=1e-9)


@pytest.fixture(scope="module")
def models() -> tuple[HorizonModel, HorizonModel]:
    needs_torch()
    series = made(24 * 380)
    return fit(series, 1, recipe=TINY), fit(series.until(24 * 360), 1, recipe=TINY)


def test_trees_speak_once_a_year_has_been_seen(models: tuple[HorizonModel, HorizonModel]) -> None:
    year, less = models
    assert isinstance(year.trees, Trees)
    assert less.trees is None
    features = year.table(made(24 * 380))
    rows = features.values[features.usable][-200:]
    without = replace(year, trees=None).predict(rows)
    np.testing.assert_allclose(year.predict(rows), np.maximum(0, 0.8 * without + 0.2 * year.trees.predict(rows)))


def test_the_artefact_and_the_fleet_keep_them(models: tuple[HorizonModel, HorizonModel], tmp_path: Path) -> None:
    year, _ = models
    save(Trained("made", "a", "b", 9120, 0, "f", TINY, {1: year}), tmp_path / "m.npz")
    back = load(tmp_path / "m.npz").models[1]
    features = year.table(made(24 * 380))
    rows = features.values[features.usable][-3:]
    np.testing.assert_array_equal(back.predict(rows), year.predict(rows))
    fleet = Fleet([year, copy.deepcopy(year), back])
    np.testing.assert_allclose(fleet.predict(rows), year.predict(rows), rtol=1e-5)
    with pytest.raises(ValueError, match="trees"):
        Fleet([year, replace(year, trees=None)])
