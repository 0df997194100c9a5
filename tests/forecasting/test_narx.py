"""The network is plain arrays equal to torch's; the model never looks ahead; a useless network is soon left out."""

import copy
from dataclasses import replace
from random import Random

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from loads import TINY, made, measured
from needs import needs_torch

from forecasting.features import table, target
from forecasting.fleet import Fleet
from forecasting.linear import fit_ridge
from forecasting.narx import THESIS_BLEND, HorizonModel, Share, TooShortError, fit, tuning_rows
from forecasting.network import between, encoder_of
from forecasting.series import HourlySeries
from forecasting.training import torch_prediction, train


@pytest.fixture(scope="module")
def house() -> HourlySeries:
    return measured()


@pytest.fixture(scope="module")
def trained(house: HourlySeries) -> HorizonModel:
    needs_torch()
    return fit(house.until(1800), 1, recipe=TINY)


def test_numpy_predicts_what_torch_predicts(house: HourlySeries, trained: HorizonModel) -> None:
    rows = trained.table(house).values[600:1600]
    inputs = trained.encode(rows)
    assert np.abs(torch_prediction(trained.network, inputs) - trained.network.apply_in_chunks(inputs, 300)).max() < 1e-5


def test_a_fleet_predicts_what_each_model_predicts(house: HourlySeries, trained: HorizonModel) -> None:
    needs_torch()
    other = fit(house.until(1500), 1, recipe=replace(TINY, seed=5))
    fleet = Fleet([trained, other, trained])
    rows = trained.table(house).values
    for at in (700, 1000, 2100):
        three = rows[at : at + 3]
        alone = [model.predict(three[n : n + 1])[0] for n, model in enumerate((trained, other, trained))]
        np.testing.assert_allclose(fleet.predict(three), alone, atol=1e-5)
    measured_columns = ~trained.table(house).binary
    wild = np.array([rows[700]] * 3)
    wild[:, measured_columns] = np.array([rows[700] * 0.0, rows[700] * 1e3, rows[700] - 1e3])[:, measured_columns]
    alone = [model.predict(wild[n : n + 1])[0] for n, model in enumerate((trained, other, trained))]
    np.testing.assert_allclose(fleet.predict(wild), alone, atol=1e-5)
    with pytest.raises(ValueError, match="same features"):
        Fleet([])


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=9, unique=True).map(sorted),
    st.lists(st.floats(-2e6, 2e6), min_size=1, max_size=6),
    st.randoms(use_true_random=False),
)
def test_interpolation_of_many_columns_is_numpys_of_each(
    knots: list[float], values: list[float], random: Random
) -> None:
    assume(min(np.diff(knots)) > 1e-3)
    heights = [random.uniform(-3, 3) for _ in knots]
    columns = [values, [*reversed(values)]]
    found = between(np.array(columns).T, np.array([knots, knots]), np.array([heights, heights[::-1]]))
    for column, levels, at in zip(columns, (heights, heights[::-1]), found.T, strict=True):
        np.testing.assert_allclose(at, np.interp(column, knots, levels), atol=1e-9)


def test_a_row_is_encoded_alone_as_among_many(house: HourlySeries, trained: HorizonModel) -> None:
    rows = trained.table(house).values[600:700]
    alone = np.concatenate([trained.encode(rows[at : at + 1]) for at in range(len(rows))])
    np.testing.assert_allclose(alone, trained.encode(rows), atol=1e-6)


def test_a_forecast_does_not_know_later_hours(house: HourlySeries, trained: HorizonModel) -> None:
    features, values = trained.table(house), target(house, 1)
    found = copy.deepcopy(trained).predict_following(features, values, 1800)
    wild = house.load.copy()
    wild[2000:] = 50.0
    other = replace(house, load=wild)
    again = copy.deepcopy(trained).predict_following(trained.table(other), target(other, 1), 1800)
    np.testing.assert_array_equal(found[:2000], again[:2000])
    assert not np.allclose(found[2100:2180], again[2100:2180])


def test_training_does_not_know_what_follows_the_training_span(house: HourlySeries, trained: HorizonModel) -> None:
    assert trained.horizon_h == 1
    wild = house.load.copy()
    wild[1800:] = 77.0
    again = fit(replace(house, load=wild).until(1800), 1, recipe=TINY)
    rows = trained.table(house).values[700:900]
    np.testing.assert_allclose(again.predict(rows), trained.predict(rows), atol=1e-6)


def test_checked_weeks_are_whole_and_the_newest_is_among_them() -> None:
    series = made(24 * 7 * 13)
    fitted, checked = tuning_rows(series, np.arange(len(series)))
    assert set(fitted) | set(checked) == set(range(len(series)))
    assert checked[-168:].tolist() == list(range(len(series) - 168, len(series)))
    assert len(checked) == 168 * 3


def test_the_network_learns_what_a_line_cannot() -> None:
    needs_torch()
    random = np.random.default_rng(4)
    hours = 24 * 120
    load = np.zeros(hours)
    for at in range(1, hours):  # a threshold in the last value: no line through it
        load[at] = (6.0 if load[at - 1] < 3.0 else 1.0 + 0.4 * load[at - 1]) + random.normal(0, 0.3)
    series = replace(made(hours), load=np.maximum(load, 0.05))
    end = 24 * 90
    model = fit(
        series.until(end), 1, recipe=replace(TINY, epochs=30, patience=8, batch=32, hidden=(32, 16), dropout=0.0)
    )
    features, values = model.table(series), target(series, 1)
    test = np.flatnonzero(features.usable & np.isfinite(values) & (np.arange(hours) >= end))
    learn = np.flatnonzero(features.usable[:end] & np.isfinite(values[:end]))
    line = fit_ridge(features.values[learn], values[learn], 10.0).predict(features.values[test])
    mine = model.predict(features.values[test])
    assert np.sqrt(np.mean((mine - values[test]) ** 2)) < 0.85 * np.sqrt(np.mean((line - values[test]) ** 2))


def test_the_thesis_preset_is_the_thesis(house: HourlySeries) -> None:
    needs_torch()
    model = fit(house.until(1800), 24, preset="thesis", recipe=replace(TINY, epochs=2))
    assert model.network.hidden == (128, 64, 32)
    assert model.network.members == 1
    rows = table(house, 24, "thesis").values[1000:1100]
    network = model.linear(rows) + model.correction(rows)
    expected = 0.8 * network + 0.2 * house.load[1000 - 24 : 1100 - 24]  # 48 h before the hour forecast
    np.testing.assert_allclose(model.predict(rows), np.maximum(0, expected), rtol=1e-9)
    assert THESIS_BLEND == 0.2


def test_same_seed_same_network_another_seed_another() -> None:
    needs_torch()
    series = made(1000)
    features = table(series, 1)
    rows = features.values[features.usable]
    inputs = encoder_of(features, rows).apply(rows)
    values = np.sin(rows[:, 0])
    one, two = (train(inputs, values, TINY, epochs=2).network for _ in range(2))
    other = train(inputs, values, replace(TINY, seed=1), epochs=2).network
    np.testing.assert_array_equal(one.apply(inputs[:50]), two.apply(inputs[:50]))
    assert not np.allclose(one.apply(inputs[:50]), other.apply(inputs[:50]))
    told: list[int] = []
    warm = train(
        inputs, values, TINY, epochs=2, start=one, progress=lambda epoch, _most, _error: told.append(epoch)
    ).network
    assert told == [1, 2]
    before, after = (np.mean((network.apply(inputs) - values) ** 2) for network in (one, warm))
    assert after < before  # a warm update goes on from what was learned


def test_a_network_that_is_wrong_loses_its_share_within_days_and_gets_it_back() -> None:
    share = Share(start=1.0, weight=24 * 10 * 0.04)
    for _ in range(72):
        share.learn(0.6, -0.1)
    assert share.now < 0.2
    for _ in range(24 * 30):
        share.learn(0.6, 0.6)
    assert 0.9 < share.now <= 1.25
    assert Share(0.7, 0.0).now == 0.7


def test_ranks_rise_with_the_value_and_ties_share_one() -> None:
    features = table(made(900), 1)
    rows = features.values[features.usable].copy()
    rows[:, 0] = np.round(rows[:, 0])
    encoder = encoder_of(features, rows)
    place = encoder.ranked.tolist().index(0)
    order = np.argsort(rows[:, 0], kind="stable")
    ranks = encoder.apply(rows)[order, place]
    assert (np.diff(ranks) >= -1e-6).all()
    assert len(np.unique(np.round(ranks, 4))) <= len(np.unique(rows[:, 0]))
    assert np.abs(encoder.apply(np.where(features.binary, rows, rows * 1e6))).max() <= 3.0


def test_too_little_data_is_refused_with_a_sentence() -> None:
    with pytest.raises(TooShortError, match="about seven weeks"):
        fit(made(600), 1, recipe=TINY)
