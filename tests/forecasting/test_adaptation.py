"""Drift is seen where it is and not where it is not; the week decides who answers."""

import numpy as np
import pytest

from forecasting.adaptation import Contest, DriftDetector


@pytest.mark.parametrize("seed", range(5))
def test_errors_that_double_are_seen_within_a_fortnight_and_steady_ones_are_not(seed: int) -> None:
    random = np.random.default_rng(seed)
    detector = DriftDetector()
    assert not max(detector.observe(error) for error in random.normal(0, 1, 24 * 90))
    seen = [detector.observe(error) for error in random.normal(0, 2, 24 * 14)]
    assert any(seen)
    assert not any(seen[:6])
    detector.reset()
    assert not detector.drifted


def test_the_network_answers_until_a_rival_was_better_over_the_week_and_again_after() -> None:
    contest = Contest("narx")
    said = {"narx": 10.0, "persistence": 12.0, "week": 14.0}
    assert contest.best(said) == "narx"
    for _ in range(168):
        contest.observe(said, 10.0)
    assert contest.best(said) == "narx"
    for _ in range(168):
        contest.observe({"narx": 20.0, "persistence": 12.0, "week": 10.1}, 10.0)
    assert contest.best(said) == "week"
    assert contest.best({"narx": 1.0, "persistence": 1.0}) == "persistence"
    for _ in range(168):
        contest.observe(said, 10.0)
    assert contest.best(said) == "narx"


def test_a_small_lead_or_a_few_hours_do_not_set_the_network_aside() -> None:
    contest = Contest("narx")
    for _ in range(23):
        contest.observe({"narx": 20.0, "week": 10.0}, 10.0)
    assert contest.best({"narx": 1.0, "week": 1.0}) == "narx"
    close = Contest("narx")
    for _ in range(100):
        close.observe({"narx": 11.01, "week": 11.0}, 10.0)
    assert close.best({"narx": 1.0, "week": 1.0}) == "narx"
    assert close.best({"week": 1.0}) == "week"
    assert Contest("narx").best({"persistence": 1.0, "week": 2.0}) == "persistence"
