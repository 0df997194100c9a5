"""Drawn fleets, arrivals and prices follow the laws that the source names."""

import numpy as np
import pytest
from planning_oracles import price_days

from ems.planning.fleet import arrival_rate, cohort_arrivals, mode_alpha, two_peak_fleet, workplace_fleet
from ems.planning.prices import gaussian_days, mean_profile, to_slots


def test_workplace_arrivals_and_stays() -> None:
    stays = workplace_fleet(np.random.default_rng(0), 20_000)
    arrival = np.array([stay.arrival for stay in stays]) / 12
    length = np.array([stay.departure - stay.arrival for stay in stays]) / 12
    assert arrival.mean() == pytest.approx(24 * 5.52 / 17.52, abs=0.1)
    assert length.mean() == pytest.approx(6.0, abs=0.05)
    assert length.std() == pytest.approx(1.0, abs=0.05)
    share = np.array([stay.energy_kwh for stay in stays]) / (22.0 * length)
    assert share.mean() == pytest.approx(0.5, abs=0.01)
    assert share.max() <= 1.0


def test_two_peaks_at_seven_and_seventeen() -> None:
    assert mode_alpha(7 / 24) == pytest.approx(5.53, abs=0.01)
    stays = two_peak_fleet(np.random.default_rng(1), 20_000, morning=0.6)
    hours = np.bincount([stay.arrival // 6 for stay in stays], minlength=24)
    assert np.argmax(hours[:12]) in (6, 7)
    assert 12 + np.argmax(hours[12:]) in (16, 17)
    assert all(stay.departure <= 144 and stay.departure > stay.arrival for stay in stays)


def test_arrivals_peak_at_six_and_seventeen_and_split_as_printed() -> None:
    rate = arrival_rate(144, 10_000.0)
    assert rate.sum() / 6 == pytest.approx(10_000.0)
    assert np.argmax(rate[:72]) // 6 in (5, 6)
    assert (72 + np.argmax(rate[72:])) // 6 in (16, 17)
    arrivals = cohort_arrivals(np.random.default_rng(2), rate)
    assert arrivals[:, 0].sum() == 0.0
    assert arrivals[:, 10].sum() / arrivals[:, 1].sum() == pytest.approx(11 / 2)
    assert arrivals.sum() == pytest.approx(10_000.0, rel=0.05)


def test_rounding_as_printed_gives_whole_cars_and_loses_small_fleets() -> None:
    rng = np.random.default_rng(3)
    large = cohort_arrivals(rng, arrival_rate(144, 100_000.0), rounded=True)
    assert (large == np.floor(large)).all()
    assert cohort_arrivals(rng, arrival_rate(144, 100.0), rounded=True).sum() < 10.0


def test_scenarios_have_the_moments_of_history() -> None:
    history = price_days()[-300:]
    drawn = gaussian_days(np.random.default_rng(4), history, 20_000)
    error = history.std(axis=0) / np.sqrt(20_000)
    assert (np.abs(drawn.mean(axis=0) - mean_profile(history)) < 5 * error).all()
    assert np.corrcoef(drawn, rowvar=False)[7, 8] == pytest.approx(np.corrcoef(history, rowvar=False)[7, 8], abs=0.02)


@pytest.mark.parametrize("slots", [24, 96, 144, 288])
def test_resampling_keeps_hours_and_means(slots: int) -> None:
    profile = np.random.default_rng(5).uniform(0.0, 1.0, 24)
    steps, lines = to_slots(profile, slots), to_slots(profile, slots, "lines")
    assert steps.reshape(24, -1).mean(axis=1) == pytest.approx(profile)
    assert lines.mean() == pytest.approx(profile.mean(), rel=0.02)
    assert lines.min() >= profile.min() - 1e-12


@pytest.mark.parametrize("wrong", [np.ones((3, 23)), np.ones(24), np.ones((0, 24))])
def test_days_must_be_days(wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match="24"):
        mean_profile(wrong)


def test_one_day_has_no_covariance_and_an_hour_list_is_no_day() -> None:
    with pytest.raises(ValueError, match="two whole days"):
        gaussian_days(np.random.default_rng(0), np.ones((1, 24)), 1)
    with pytest.raises(ValueError, match="24 hours"):
        to_slots(np.ones(23), 24)
