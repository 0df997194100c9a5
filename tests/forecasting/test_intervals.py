"""Coverage is kept while errors grow, shrink and turn one-sided."""

import numpy as np
import pytest

from forecasting.intervals import AdaptiveInterval, Band
from forecasting.narx import Checked


def checked(spread: float = 1.0, seed: int = 0) -> Checked:
    return Checked(np.random.default_rng(seed).normal(0, spread, 800), np.arange(800) % 24)


def run(errors: np.ndarray, delay_h: int = 24) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which errors were inside, and which below and above, each taken in `delay_h` hours after its band was issued."""
    interval = AdaptiveInterval(checked())
    issued: list[Band] = []
    for at in range(len(errors)):
        if at >= delay_h:
            interval.observe((at - delay_h) % 24, float(errors[at - delay_h]), issued[at - delay_h])
        issued.append(interval.band(at % 24))
    low, high = np.array([band.low for band in issued]), np.array([band.high for band in issued])
    return (errors >= low) & (errors <= high), errors < low, errors > high


def worlds() -> dict[str, np.ndarray]:
    random = np.random.default_rng(7)
    hours = np.arange(24 * 120)
    noise = random.normal(0, 1, len(hours))
    return {
        "as before": noise,
        "three times as large": 3 * noise,
        "growing": noise * (1 + hours / 800),
        "shrinking": noise / (1 + hours / 800),
        "by hour of day": noise * (1 + 2 * (hours % 24 > 17)),
        "one-sided": random.exponential(1, len(hours)) - 0.3,
        "heavy": random.standard_t(2.2, len(hours)),
        "in spells": noise * np.where(hours // 240 % 2, 3.0, 1.0),
        "shifted": noise + 1.5,
        # Here the newest four weeks alone are always too narrow, or too wide: only the adapted levels help.
        "doubling every five days": noise * 2.0 ** (hours / 120),
        "halving every nine days": noise * 0.5 ** (hours / 216),
    }


@pytest.mark.parametrize("name", list(worlds()))
def test_nine_of_ten_are_inside_over_every_span_and_month(name: str) -> None:
    inside, below, above = run(worlds()[name])
    assert 0.88 <= inside.mean() <= 0.92
    assert min(part.mean() for part in np.array_split(inside, 4)) >= 0.80
    assert abs(below.mean() - above.mean()) < 0.03


def test_upper_quantiles_are_in_order_and_passed_as_often_as_they_say() -> None:
    errors = np.random.default_rng(3).gamma(2, 1, 24 * 200)
    interval = AdaptiveInterval(checked())
    passed = dict.fromkeys((0.8, 0.95, 0.99), 0)
    for at, error in enumerate(errors.tolist()):
        bounds = [interval.upper(at % 24, quantile) for quantile in passed]
        assert bounds == sorted(bounds)
        if at > 800:
            for quantile, bound in zip(passed, bounds, strict=True):
                passed[quantile] += error > bound
        interval.observe(at % 24, error, interval.band(at % 24))
    shares = {quantile: count / (len(errors) - 801) for quantile, count in passed.items()}
    assert shares[0.8] == pytest.approx(0.2, abs=0.03)
    assert shares[0.95] == pytest.approx(0.05, abs=0.015)
    assert shares[0.99] == pytest.approx(0.01, abs=0.008)


def test_scenarios_and_sigma_come_from_the_same_errors_as_the_band() -> None:
    interval = AdaptiveInterval(checked(2.0))
    scenarios = interval.samples(5)
    assert len(scenarios) == 672
    assert interval.sigma(5) == pytest.approx(2.0, rel=0.15)
    assert np.quantile(scenarios, 0.95) == pytest.approx(interval.upper(5, 0.95), rel=0.02)


def test_without_any_error_the_band_has_no_width_and_the_first_errors_widen_it() -> None:
    interval = AdaptiveInterval(Checked(np.empty(0), np.empty(0, dtype=np.int64)))
    assert interval.band(0) == Band(0.0, 0.0)
    for at in range(48):
        interval.observe(at % 24, (-1.0) ** at * (1 + at % 5), interval.band(at % 24))
    assert interval.band(3).low < -1.0 < 1.0 < interval.band(3).high
