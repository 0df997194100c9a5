"""What the control loop is told: from the first hour, with a poisoned meter, over weeks, and with a trained model."""

import copy
import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from loads import TINY, made
from needs import needs_torch

from domain.ids import FeederId
from domain.site import Phase
from forecasting.hourly import LEADS_H, HourlyForecast
from forecasting.linear import Ridge
from forecasting.live import LiveForecast
from forecasting.narx import HorizonModel, fit
from forecasting.plausible import Plausibility, Verdict
from forecasting.port import Forecaster

MAIN = FeederId("main")
START = datetime(2026, 3, 2, 0, 0, tzinfo=UTC)
POISON = {
    "zeros": lambda value, step: 0.0,
    "spikes": lambda value, step: value * (1000.0 if step % 3 == 0 else 1.0),
    "frozen": lambda value, step: 21.123,
    "negative": lambda value, step: -value,
    "NaN": lambda value, step: math.nan,
    "infinite": lambda value, step: math.inf,
    "a thousandth": lambda value, step: value / 1000.0,
    "thousandfold": lambda value, step: value * 1000.0,
}


def load_a(seconds: float) -> float:
    """A feeder's phase: a day with an evening, a compressor, and a ripple."""
    hour = seconds / 3600.0 % 24
    evening = 25.0 * math.exp(-(((hour - 19) / 2.0) ** 2))
    compressor = 4.0 * (seconds // 600 % 3 == 0)
    return 18.0 + evening + compressor + 1.3 * math.sin(seconds / 47.0) + 0.7 * math.sin(seconds / 13.0)


def run(hours: float, every_s: float = 60.0, start_s: float = 0.0, live: LiveForecast | None = None) -> LiveForecast:
    live = live or LiveForecast()
    steps = int(hours * 3600 / every_s)
    for step in range(steps):
        seconds = start_s + step * every_s
        live.observe(MAIN, START + timedelta(seconds=seconds), {Phase.A: load_a(seconds)})
    return live


@pytest.fixture(scope="module")
def two_days() -> LiveForecast:
    return run(48)


def upper_a(live: Forecaster, seconds: float, horizon_s: float = 60.0) -> float:
    found = live.upper(MAIN, START + timedelta(seconds=seconds), horizon_s)
    assert found is not None
    return found[Phase.A]


def test_nothing_is_said_of_a_feeder_never_seen_nor_after_a_first_reading_that_is_none() -> None:
    live = LiveForecast()
    assert live.upper(MAIN, START, 60) is None
    live.observe(MAIN, START, {Phase.A: math.nan})
    assert live.upper(MAIN, START, 60) is None
    assert live.bound(MAIN, Phase.A, START) is None
    assert live.samples(MAIN, Phase.A, START).size == 0
    assert live.verdict(MAIN, Phase.A) is Verdict.NOT_FINITE


@pytest.mark.parametrize("kind", list(POISON))
def test_a_poisoned_meter_never_lowers_the_bound(two_days: LiveForecast, kind: str) -> None:
    """Six hours of it: at no moment below what was said before, nor below what silence would have given."""
    live, silent = copy.deepcopy(two_days), copy.deepcopy(two_days)
    begin = 48 * 3600.0
    before = upper_a(live, begin, 60.0)
    for step in range(360):
        seconds = begin + 60.0 * step
        value = POISON[kind](load_a(seconds), step)
        live.observe(MAIN, START + timedelta(seconds=seconds), {Phase.A: value})
        bound = upper_a(live, seconds)
        assert math.isfinite(bound)
        if kind == "frozen" and step == 0:
            before = bound  # the first of the equal readings may be a true one
        if kind != "spikes":  # between spikes the readings are right
            assert bound >= before - 1e-9
        if kind not in {"spikes", "frozen"}:
            assert bound >= upper_a(silent, seconds) - 1e-9
        if kind == "frozen" and step > 20:
            assert bound >= 21.123
    clean = run(6, start_s=begin + 6 * 3600.0, live=live)
    fresh = run(6, start_s=begin + 6 * 3600.0, live=silent)
    after = begin + 12 * 3600.0
    assert upper_a(clean, after) < 1.5 * upper_a(fresh, after) + 5.0  # and leaves no lasting mark
    assert upper_a(clean, after) >= load_a(after - 60.0)


def test_time_stamps_of_the_future_neither_count_nor_lock_out_the_present(two_days: LiveForecast) -> None:
    live = copy.deepcopy(two_days)
    now = 48 * 3600.0
    before = upper_a(live, now)
    live.observe(MAIN, START + timedelta(days=400), {Phase.A: 1.0})
    assert live.verdict(MAIN, Phase.A) is Verdict.FROM_FUTURE
    assert upper_a(live, now) >= before - 1e-9
    live.observe(MAIN, START + timedelta(seconds=now + 60), {Phase.A: 77.0})
    assert live.verdict(MAIN, Phase.A) is Verdict.FINE
    assert upper_a(live, now + 60) >= 77.0
    live.observe(MAIN, START, {Phase.A: 1.0})
    assert live.verdict(MAIN, Phase.A) is Verdict.OLD


@given(st.lists(st.one_of(st.floats(allow_nan=True, allow_infinity=True), st.floats(0, 400)), max_size=60), st.data())
def test_whatever_a_meter_says_the_bound_is_sound_and_rises_with_the_horizon(
    values: list[float], data: st.DataObject
) -> None:
    live = LiveForecast()
    at = START
    for value in values:
        at += timedelta(seconds=data.draw(st.sampled_from([-30, 0, 5, 10, 60, 900, 4000, 90000])))
        live.observe(MAIN, at, {Phase.A: value})
        found = [live.upper(MAIN, at, horizon_s) for horizon_s in (10, 60, 300, 900, 3600, 7200, 86400, 200000)]
        if found[0] is not None:
            bounds = [bound[Phase.A] for bound in found if bound is not None]
            assert len(bounds) == len(found)
            assert bounds == sorted(bounds)
            assert all(math.isfinite(bound) and bound >= 0 for bound in bounds)


def test_silence_only_raises_the_bound(two_days: LiveForecast) -> None:
    newest = 48 * 3600.0 - 60.0
    bounds = [upper_a(two_days, newest + silence_s) for silence_s in (0, 30, 120, 600, 1800, 3600, 4 * 3600, 20 * 3600)]
    assert bounds == sorted(bounds)
    # A day's evening lies within twenty hours: the bound knows it.
    assert bounds[-1] >= max(load_a(seconds) for seconds in range(48 * 3600, 68 * 3600, 60)) - 6.0


def test_the_first_hour_has_a_bound_that_is_useful_and_holds() -> None:
    live = LiveForecast()
    held = wide = 0
    for minute in range(120):
        seconds = 17 * 3600.0 + 60.0 * minute  # the evening ramp begins
        live.observe(MAIN, START + timedelta(seconds=seconds), {Phase.A: load_a(seconds)})
        bound = upper_a(live, seconds, 3600.0)
        held += bound >= max(load_a(seconds + ahead) for ahead in range(0, 3600, 60))
        wide += bound > 4 * load_a(seconds)
    assert held >= 108
    assert wide == 0


def test_over_weeks_the_hours_bound_holds_as_often_as_it_says() -> None:
    series = made(24 * 7 * 9, level=20.0)
    forecast = HourlyForecast()
    held = asked = 0
    for hour, mean in enumerate(series.load.tolist()):
        forecast.observe(hour * 3600.0 + 300.0, mean - 1.0)  # closes the hour before
        said = forecast.bound(hour)
        if said is not None and hour > 24 * 14:
            asked += 1
            held += mean + 1.0 <= said.upper_a
        for minute, offset in ((25, 0.0), (45, 1.0)):
            forecast.observe(hour * 3600.0 + minute * 60.0, mean + offset)
    assert asked > 1000
    assert held / asked == pytest.approx(0.95, abs=0.02)
    forecast.observe(len(series) * 3600.0, 20.0)
    scenarios = forecast.samples(len(series))
    assert len(scenarios) > 300
    said = forecast.bound(len(series))
    assert said is not None
    assert np.quantile(scenarios, 0.95) == pytest.approx(said.upper_a, rel=0.1)


SERIES = made(24 * 7 * 16, level=20.0)
BEFORE = 24 * 7 * 8
MONDAY = 96
"""The series begins on a Monday, epoch time on a Thursday."""


@pytest.fixture(scope="module")
def models() -> dict[int, HorizonModel]:
    needs_torch()
    return {lead: fit(SERIES.until(BEFORE), lead, recipe=TINY) for lead in LEADS_H}


def feed(forecast: HourlyForecast, first: int, end: int, shift: float = 0.0) -> list[tuple[str, float, float]]:
    """Who spoke for each hour, the forecast and what came."""
    said = []
    for hour in range(first, end):
        mean = float(SERIES.load[hour]) + shift
        forecast.observe((hour + MONDAY) * 3600.0 + 300.0, mean)  # closes the hour before
        bound = forecast.bound(hour + MONDAY)
        if bound is not None:
            said.append((bound.by, bound.forecast_a, mean))
        forecast.observe((hour + MONDAY) * 3600.0 + 2100.0, mean)
    return said


def test_the_network_speaks_as_soon_as_four_weeks_are_known_and_beats_the_plain_ones(
    models: dict[int, HorizonModel],
) -> None:
    forecast = HourlyForecast()
    forecast.install(copy.deepcopy(models))
    said = feed(forecast, BEFORE - 24 * 28, BEFORE + 24 * 14)
    speakers = [by for by, _, _ in said]
    assert "narx" not in speakers[: 24 * 27]
    assert speakers[24 * 30 :].count("narx") > 0.9 * len(speakers[24 * 30 :])
    late = said[24 * 30 :]
    mine = np.sqrt(np.mean([(mean - forecast_a) ** 2 for _, forecast_a, mean in late]))
    plain = np.sqrt(np.mean([(late[n][2] - late[n - 1][2]) ** 2 for n in range(1, len(late))]))
    assert mine < 0.9 * plain


def test_a_network_that_has_become_worse_is_set_aside_and_its_drift_is_told(models: dict[int, HorizonModel]) -> None:
    forecast = HourlyForecast()
    broken = copy.deepcopy(models)
    for model in broken.values():  # as if trained on another meter
        model.skips = tuple(
            replace(skip, ridge=Ridge(skip.ridge.standard, skip.ridge.weights * 0.0 + 0.5)) for skip in model.skips
        )
    forecast.install(broken)
    said = feed(forecast, BEFORE - 24 * 28, BEFORE + 24 * 5)
    assert all(by != "narx" for by, _, _ in said[24 * 31 :])
    assert not forecast.drifted  # bad from the start is no drift
    healthy = HourlyForecast()
    healthy.install(copy.deepcopy(models))
    feed(healthy, BEFORE - 24 * 28, BEFORE + 24 * 7)
    assert not healthy.drifted
    random = np.random.default_rng(1)
    for hour in range(BEFORE + 24 * 7, BEFORE + 24 * 21):
        mean = 20.0 + 15.0 * random.random()
        healthy.observe((hour + MONDAY) * 3600.0 + 300.0, mean)
        healthy.observe((hour + MONDAY) * 3600.0 + 1900.0, mean)
    assert healthy.drifted
    healthy.install(copy.deepcopy(models))
    assert not healthy.drifted


def test_a_model_that_the_service_cannot_feed_is_left_out(models: dict[int, HorizonModel]) -> None:
    forecast = HourlyForecast()
    forecast.install({1: replace(models[1], bends=((5.0, 15.0),)), 24: replace(models[24], preset="thesis")})
    said = feed(forecast, BEFORE - 24 * 28, BEFORE + 24)
    assert all(by != "narx" for by, _, _ in said)


def test_a_meter_that_repeats_itself_by_nature_is_not_frozen() -> None:
    gate = Plausibility()
    verdicts = [gate.judge(60.0 * step, 20.0 if step % 40 else 21.0) for step in range(2000)]
    assert set(verdicts[500:]) == {Verdict.FINE}
    assert verdicts.count(Verdict.FROZEN) < 40


def test_a_real_fall_to_a_tenth_is_believed() -> None:
    gate = Plausibility()
    for step in range(500):
        assert gate.judge(60.0 * step, 20.0 + step % 3) is Verdict.FINE
    assert gate.judge(60.0 * 501, 2.0) is Verdict.FINE
    assert gate.judge(60.0 * 502, 0.02) is Verdict.TOO_LOW
    assert gate.judge(60.0 * 503, 23000.0) is Verdict.TOO_HIGH
    assert gate.judge(60.0 * 504, 1.9) is Verdict.FINE


def test_the_first_reading_after_a_long_silence_is_held_until_the_next_confirms_it() -> None:
    gate = Plausibility()
    assert gate.judge(0.0, 20.0) is Verdict.FINE
    assert gate.judge(86400.0, 21.0) is Verdict.FROM_FUTURE
    assert gate.judge(86460.0, 21.5) is Verdict.FINE
    assert gate.judge(86460.0 + 3600.0, 22.0) is Verdict.FINE
