"""Seconds to minutes: learned rises against persistence, coverage, and gaps."""

import numpy as np
import pytest

from forecasting.short import HORIZONS_S, ShortHorizon


def test_nothing_is_said_before_enough_was_seen() -> None:
    short = ShortHorizon()
    for step in range(60):
        short.observe(10.0 * step, 20.0)
        assert short.upper(60.0, 0.95) is None
    assert short.upper(7200.0, 0.95) is None


def test_the_bound_is_passed_as_often_as_it_says_and_never_below_the_newest() -> None:
    random = np.random.default_rng(2)
    load = 30.0 + 8.0 * np.sin(np.arange(9000) / 300.0)
    wander = np.zeros(9000)
    for at in range(1, 9000):
        wander[at] = 0.95 * wander[at - 1] + random.normal(0, 0.6)
    load = load + wander
    short = ShortHorizon()
    passed = dict.fromkeys(HORIZONS_S, 0)
    asked = 0
    for at, value in enumerate(load.tolist()):
        short.observe(10.0 * at, value)
        if at > 3000 and at + 90 < len(load) and at % 7 == 0:
            asked += 1
            for horizon_s in HORIZONS_S:
                bound = short.upper(horizon_s, 0.95)
                assert bound is not None
                assert bound >= value
                passed[horizon_s] += max(load[at + 1 : at + 1 + int(horizon_s / 10)]) > bound
    for count in passed.values():
        assert count / asked == pytest.approx(0.05, abs=0.03)


def test_a_load_that_alternates_is_bounded_tighter_than_by_its_past_rises() -> None:
    short = ShortHorizon()
    for step in range(600):  # a compressor: a minute on, a minute off
        short.observe(10.0 * step, 20.0 + 10.0 * (step // 6 % 2))
    bounds = []
    for step in range(600, 612):
        short.observe(10.0 * step, 20.0 + 10.0 * (step // 6 % 2))
        bound = short.upper(60.0, 0.95)
        assert bound is not None
        bounds.append(bound)
    assert sorted(bounds)[-2] < 31.0  # persistence and its rises would say 40 while it is on
    assert min(bounds) >= 30.0  # each minute has the compressor on


def test_a_gap_starts_the_window_anew_and_an_older_value_is_ignored() -> None:
    short = ShortHorizon()
    for step in range(400):
        short.observe(10.0 * step, 20.0 + step % 2)
    short.observe(9000.0, 35.0)
    assert short.upper(60.0, 0.95) is None
    for step in range(1, 12):
        short.observe(9000.0 + 10.0 * step, 35.0)
    before = short.upper(60.0, 0.95)
    assert before is not None
    short.observe(500.0, 500.0)
    assert short.upper(60.0, 0.95) == before
