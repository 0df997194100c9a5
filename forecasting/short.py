"""Seconds to minutes ahead: a small recursive NARX on the newest ten steps of a meter.

Seed 004, section 4.3: "receives the past 10 time steps ... predicts the next time step using a rolling window". Here it
predicts the largest value of the next minute, 5 or 15 minutes, relative to the newest, from the last ten 10 s steps,
linearly, by recursive least squares that forget over about a day; then the quantile of its own errors is added.
"""

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Sequence
from typing import Any

import numpy as np

from forecasting.series import Matrix, Vector

HORIZONS_S = (60.0, 300.0, 900.0)
STEP_S = 10.0
STEPS = 10
_FORGET = 1.0 - 1.0 / 8640.0
_KEPT = 8640
_ENOUGH = 120
_UNCOUNTED = 60
_PRIOR = 10.0
_GAP_S = 60.0


class _Learner:
    """The horizons of one series, learned side by side: weights [horizon, input], and the errors of what was said."""

    def __init__(self, steps_ahead: tuple[int, ...]) -> None:
        """`steps_ahead` rising: the first horizons are learned before the later ones have anything to learn from."""
        self.steps_ahead = steps_ahead
        self._weights: Matrix = np.zeros((len(steps_ahead), STEPS + 1))
        self._covariances = np.broadcast_to(np.eye(STEPS + 1) / _PRIOR, (len(steps_ahead), STEPS + 1, STEPS + 1)).copy()
        self._learned = [0] * len(steps_ahead)
        self._newest = tuple(deque[float]() for _ in steps_ahead)
        self._ordered: tuple[list[float], ...] = tuple([] for _ in steps_ahead)

    def rise(self, place: int, inputs: Vector) -> float:
        """How far above the newest value the largest of a horizon's values is expected."""
        return float(np.dot(self._weights[place], inputs))

    def learn(self, inputs: Matrix, rises_a: Vector) -> None:
        """Recursive least squares (Ljung, "System Identification", 1999, 11.2) of the first horizons.

        `inputs` [horizon, input], `rises_a` [horizon]; the errors are kept before learning.
        """
        count = len(inputs)
        weights, covariances = self._weights[:count], self._covariances[:count]
        errors = rises_a - np.einsum("hi,hi->h", weights, inputs)
        spread = (covariances @ inputs[:, :, None])[:, :, 0]
        gain = spread / (_FORGET + np.einsum("hi,hi->h", inputs, spread))[:, None]
        weights += gain * errors[:, None]
        covariances -= gain[:, :, None] * spread[:, None, :]
        covariances /= _FORGET
        for place, error in enumerate(errors.tolist()):
            self._keep(place, error)

    def _keep(self, place: int, error: float) -> None:
        newest, ordered = self._newest[place], self._ordered[place]
        self._learned[place] += 1
        if self._learned[place] > _UNCOUNTED:
            newest.append(error)
            insort(ordered, error)
        if len(newest) > _KEPT:
            del ordered[bisect_left(ordered, newest.popleft())]
        if self._learned[place] % 16 == 0:
            # Without excitation (a steady load) forgetting would let the covariance grow without bound.
            covariance = self._covariances[place]
            covariance *= min(1.0, 1e4 / max(float(covariance.trace()), 1e-9))

    def margin(self, place: int, quantile: float) -> float | None:
        """The quantile of a horizon's errors; None before there are enough to read it."""
        ordered = self._ordered[place]
        if len(ordered) < _ENOUGH:
            return None
        return ordered[min(len(ordered) - 1, int(quantile * len(ordered)))]


class ShortHorizon:
    """One phase of one feeder on a 10 s grid; the largest value within a step counts."""

    def __init__(self) -> None:
        self._learner = _Learner(tuple(round(horizon_s / STEP_S) for horizon_s in HORIZONS_S))
        self._steps: deque[float] = deque(maxlen=self._learner.steps_ahead[-1] + STEPS + 1)
        self._at_s: float | None = None
        self._said: dict[tuple[float, float], float | None] = {}

    def observe(self, at_s: float, value_a: float) -> None:
        """One more plausible value, A; an older one is ignored. After a gap the window begins anew."""
        if self._at_s is not None and at_s < self._at_s:
            return
        self._said.clear()
        if self._at_s is not None and at_s - self._at_s < STEP_S:
            self._steps[-1] = max(self._steps[-1], value_a)
            return
        if self._at_s is not None and at_s - self._at_s > _GAP_S:
            self._steps.clear()
        missed = 0 if self._at_s is None or not self._steps else round((at_s - self._at_s) / STEP_S) - 1
        for _ in range(missed):
            self._append(self._steps[-1])
        self._append(value_a)
        self._at_s = at_s

    def upper(self, horizon_s: float, quantile: float) -> float | None:
        """The quantile of the largest value within the horizon; None while too little is known or it is too long."""
        if (horizon_s, quantile) not in self._said:
            self._said[horizon_s, quantile] = self._upper(horizon_s, quantile)
        return self._said[horizon_s, quantile]

    def _upper(self, horizon_s: float, quantile: float) -> float | None:
        if len(self._steps) <= STEPS:
            return None
        place = next((place for place, known_s in enumerate(HORIZONS_S) if known_s >= horizon_s), None)
        margin = None if place is None else self._learner.margin(place, quantile)
        if place is None or margin is None:
            return None
        values = list(self._steps)
        return values[-1] + max(0.0, self._learner.rise(place, _inputs(values[-STEPS - 1 :])) + margin)

    def _append(self, value_a: float) -> None:
        self._steps.append(value_a)
        known = list(self._steps)
        ready = [ahead for ahead in self._learner.steps_ahead if len(known) > ahead + STEPS]
        if ready:
            inputs = _inputs([known[-ahead - STEPS - 1 : -ahead] for ahead in ready])
            rises_a = np.array([max(known[-ahead:]) - known[-ahead - 1] for ahead in ready])
            self._learner.learn(inputs, rises_a)


def _inputs(values: Sequence[float] | Sequence[Sequence[float]]) -> Any:
    """The last ten values relative to the newest, and a constant; a row for each of several lists of values."""
    inputs = np.array(values)
    inputs -= inputs[..., -1:].copy()
    inputs[..., -1] = 1.0
    return inputs
