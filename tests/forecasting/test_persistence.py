"""The plain forecast: never below the newest load, and as wide as the load has been seen to rise."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from domain.ids import FeederId
from domain.site import Phase
from forecasting.persistence import HORIZONS_S, Persistence

MAIN = FeederId("main")
START = datetime(2026, 3, 1, 17, 0, tzinfo=UTC)


def observed(values_a: list[float], step_s: float = 10.0) -> Persistence:
    forecast = Persistence()
    for index, value_a in enumerate(values_a):
        forecast.observe(MAIN, START + timedelta(seconds=index * step_s), {Phase.A: value_a})
    return forecast


def test_a_feeder_never_seen_has_no_forecast() -> None:
    assert Persistence().upper(MAIN, START, 60) is None


@given(st.lists(st.floats(0, 400), min_size=1, max_size=200), st.sampled_from(HORIZONS_S))
def test_never_below_the_newest_value_and_wider_for_longer_horizons(values_a: list[float], horizon_s: float) -> None:
    forecast = observed(values_a)
    near = forecast.upper(MAIN, START, horizon_s)
    far = forecast.upper(MAIN, START, HORIZONS_S[-1])
    assert near is not None
    assert far is not None
    assert values_a[-1] <= near[Phase.A] <= far[Phase.A] + 1e-9


def test_a_steady_load_is_trusted_and_a_stepping_one_keeps_its_step_as_margin() -> None:
    steady = observed([40.0] * 200).upper(MAIN, START, 60)
    stepping = observed([40.0, 52.0] * 100).upper(MAIN, START, 60)
    assert steady == {Phase.A: 40.0}
    assert stepping == {Phase.A: 64.0}


def test_the_rise_quantile_covers_what_follows() -> None:
    """On a load with random steps, the one-minute bound is passed about as often as its quantile says."""
    import random

    source = random.Random(7)
    values_a = [50.0]
    for _ in range(4000):
        values_a.append(max(0.0, values_a[-1] * 0.98 + 1.0 + source.gauss(0, 1.5)))
    forecast = Persistence(quantile=0.95)
    passed = asked = 0
    for index, value_a in enumerate(values_a[:-6]):
        at = START + timedelta(seconds=10 * index)
        forecast.observe(MAIN, at, {Phase.A: value_a})
        if index > 500:
            upper = forecast.upper(MAIN, at, 60)
            assert upper is not None
            asked += 1
            passed += max(values_a[index + 1 : index + 7]) > upper[Phase.A]
    assert 0.01 < passed / asked < 0.10


def test_an_older_value_changes_nothing() -> None:
    forecast = observed([10.0, 20.0, 30.0])
    before = forecast.upper(MAIN, START, 300)
    forecast.observe(MAIN, START, {Phase.A: 500.0})
    assert forecast.upper(MAIN, START, 300) == before
