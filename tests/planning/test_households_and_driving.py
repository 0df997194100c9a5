"""Base load and mobility: known laws are found again, and measured data fits."""

from datetime import date, datetime, timedelta

import numpy as np
import pytest
from planning_oracles import measured
from scipy import stats

from ems.planning.base_load import fit_base_load
from ems.planning.mobility import Charge, GammaLaw, daily_driving, draw_day, fit_gamma, fit_week
from headroom.plan_aggregator import FleetSetting, Neighbourhood, fit_neighbourhood, fit_weeks
from headroom.plan_series import bundled, read_series

START = datetime.fromisoformat("2018-01-01")


def synthetic(days: int, beta: float, sigma: float = 0.1) -> tuple[list[datetime], np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    at = [START + timedelta(hours=hour) for hour in range(24 * days)]
    hour, day = np.arange(24 * days) % 24, np.arange(24 * days) / 24
    price = rng.uniform(0.05, 0.4, len(at))
    truth = 1.0 + 0.4 * np.cos(2 * np.pi * (hour - 19) / 24) + 0.3 * np.cos(2 * np.pi * day / 365.25)
    truth = truth + 0.2 * (np.array([moment.weekday() for moment in at]) >= 5) + beta * (price - price.mean())
    noise = sigma * (1.0 + (hour >= 12)) * rng.standard_normal(len(at))
    return at, truth + noise, price, truth


def test_shape_elasticity_and_hourly_noise_are_found_again() -> None:
    at, load, price, truth = synthetic(365, -0.8)
    fitted = fit_base_load(at, load, price)
    assert fitted.price_beta == pytest.approx(-0.8, abs=4 * fitted.price_beta_se)
    assert fitted.price_beta_se < 0.05
    assert np.abs(fitted.mean_kw(at, price) - truth).max() < 0.08
    assert fitted.noise_kw[:12] == pytest.approx([0.1] * 12, abs=0.02)
    assert fitted.noise_kw[12:] == pytest.approx([0.2] * 12, abs=0.04)


def test_midnight_is_no_edge() -> None:
    at, load, _, _ = synthetic(40, 0.0)
    fitted = fit_base_load(at, load)
    steps = np.abs(np.diff(np.append(fitted.hour_kw, fitted.hour_kw[0])))
    assert steps[-1] <= 1.5 * steps.max()
    assert fitted.price_beta is None


def test_draws_have_the_mean_and_spread_of_the_homes() -> None:
    at, load, price, _ = synthetic(60, -0.8)
    fitted = fit_base_load(at, load, price, homes=1)
    rng = np.random.default_rng(1)
    drawn = np.array([fitted.draw_kw(rng, at[:24], price[:24], 400) for _ in range(500)])
    assert drawn.mean(axis=0) == pytest.approx(400 * fitted.mean_kw(at[:24], price[:24]), rel=0.01)
    assert drawn.std(axis=0) == pytest.approx(20 * fitted.noise_kw, rel=0.15)


def test_the_noise_of_a_mean_is_scaled_back_to_one_household() -> None:
    at, load, _, _ = synthetic(30, 0.0)
    alone, hundred = fit_base_load(at, load), fit_base_load(at, load, homes=100)
    assert hundred.noise_kw == pytest.approx(10.0 * alone.noise_kw)


def test_measured_homes_are_fitted_with_the_error_of_their_elasticity() -> None:
    file = bundled("fontana_homes.csv.gz")
    load, price = read_series(f"{file}:mean_home_kw", kind="loads"), read_series(f"{file}:price_usd_per_kwh")
    fitted = fit_base_load(load.at[:2000], load.values[:2000], price.values[:2000])
    assert 0.3 < fitted.mean_kw(load.at).mean() < 2.0
    assert fitted.residual_share < 0.8
    assert fitted.price_beta_se > 0


@pytest.mark.parametrize(
    ("count", "prices", "says"),
    [(24 * 13, None, "two weeks"), (24 * 20, 7, "as many"), (24 * 20, "nan", "not a number")],
)
def test_unreadable_loads_are_refused(count: int, prices: object, says: str) -> None:
    at = [START + timedelta(hours=hour) for hour in range(count)]
    load = np.full(count, np.nan if prices == "nan" else 1.0)
    with pytest.raises(ValueError, match=says):
        fit_base_load(at, load, np.ones(7) if prices == 7 else None)


@pytest.mark.parametrize(("k", "theta"), [(0.6, 5.0), (2.0, 4.0), (9.0, 1.5)])
def test_gamma_is_the_maximum_likelihood(k: float, theta: float) -> None:
    sample = np.random.default_rng(2).gamma(k, theta, 4000)
    law = fit_gamma(sample)
    shape, _, scale = stats.gamma.fit(sample, floc=0)
    assert (law.k, law.theta_kwh) == pytest.approx((shape, scale), rel=1e-4)
    assert law.mean_kwh == pytest.approx(sample.mean())
    assert law.scaled(1.2).mean_kwh == pytest.approx(1.2 * law.mean_kwh)


@pytest.mark.parametrize("sample", [[1.0], [1.0, 0.0], [2.0, 2.0]])
def test_samples_without_a_law_are_refused(sample: list[float]) -> None:
    with pytest.raises(ValueError, match="Gamma"):
        fit_gamma(np.array(sample))


def test_a_session_is_spread_over_the_days_since_the_last() -> None:
    day = date(2019, 5, 1)
    charges = [Charge(day, 9.0), Charge(day + timedelta(3), 4.0), Charge(day + timedelta(3), 5.0)]
    charges.append(Charge(day + timedelta(30), 50.0))
    driven = daily_driving(charges)
    assert driven == {day + timedelta(n): 3.0 for n in (1, 2, 3)}


def test_weekdays_with_few_days_take_the_common_law() -> None:
    rng = np.random.default_rng(3)
    driven = {date(2019, 1, 1) + timedelta(n): float(rng.gamma(2.0, 4.0)) for n in range(60)}
    only_sunday = {day: energy for day, energy in driven.items() if day.weekday() != 6}
    laws = fit_week(only_sunday)
    assert laws[6] == fit_gamma(np.array(list(only_sunday.values())))
    assert laws[0] != laws[6]


def test_a_day_is_drawn_from_its_law() -> None:
    drawn = draw_day(np.random.default_rng(4), [GammaLaw(2.0, 4.0)] * 20_000)
    assert drawn.mean() == pytest.approx(8.0, rel=0.03)
    assert drawn.var() == pytest.approx(32.0, rel=0.06)


def test_only_load_that_falls_with_price_is_elastic() -> None:
    at, load, price, _ = synthetic(30, -0.8)
    fixed = fit_base_load(at, load)
    for answer, used in ((load, True), (load + 2.0 * (price - price.mean()), False)):
        elastic = fit_base_load(at, answer, price)
        assert (Neighbourhood(fixed, elastic).market is elastic) == used


@pytest.mark.parametrize(("given_count", "counted"), [(None, 12), (1, 1)])
def test_the_excerpts_mean_is_of_twelve_homes(given_count: int | None, counted: int) -> None:
    setting = FleetSetting(
        homes=None,
        homes_price=None,
        homes_count=given_count,
        households=500,
        market_share=0.5,
        connection_kw=1500.0,
        charger_kw=1000.0,
        power_kw=7.4,
        efficiency=0.9,
        v2g=False,
        always_home=False,
        seed=0,
    )
    load = read_series(bundled("fontana_homes.csv.gz") + ":mean_home_kw", kind="loads")
    alone = fit_base_load(load.at, load.values).noise_kw
    assert fit_neighbourhood(setting).fixed.noise_kw == pytest.approx(np.sqrt(counted) * alone)


def test_measured_sessions_give_ten_weeks_of_laws() -> None:
    weeks = fit_weeks(measured("ev_trondheim/sessions.csv.gz", "trondheim_sessions.csv.gz"))
    assert len(weeks) == 10
    means = np.array([[law.mean_kwh for law in week] for week in weeks])
    assert means.min() > 0.5
    assert means.max() < 60.0
