"""Seconds to minutes ahead: a small recursive NARX on the newest ten steps of a meter.

Seed 004, section 4.3: "receives the past 10 time steps ... predicts the next time step using a rolling window". Here it
predicts the largest value of the next minute, 5 or 15 minutes, relative to the newest, from the last ten 10 s steps,
linearly, by recursive least squares that forget over about a day; then the quantile of its own errors is added.
"""

from bisect import bisect_left, insort
from collections import deque

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


class _Horizon:
    """One horizon of one series: weights, and the errors of what was said."""

    def __init__(self, steps_ahead: int) -> None:
        self.steps_ahead = steps_ahead
        self._weights: Vector = np.zeros(STEPS + 1)
        self._covariance: Matrix = np.eye(STEPS + 1) / _PRIOR
        self._learned = 0
        self._newest: deque[float] = deque()
        self._ordered: list[float] = []

    def rise(self, inputs: Vector) -> float:
        """How far above the newest value the largest of the coming ones is expected."""
        return float(self._weights @ inputs)

    def learn(self, inputs: Vector, rise_a: float) -> None:
        """Recursive least squares (Ljung, "System Identification", 1999, 11.2); the error is kept before learning."""
        error = rise_a - self.rise(inputs)
        self._learned += 1
        if self._learned > _UNCOUNTED:
            self._newest.append(error)
            insort(self._ordered, error)
        if len(self._newest) > _KEPT:
            del self._ordered[bisect_left(self._ordered, self._newest.popleft())]
        spread = self._covariance @ inputs
        gain = spread / (_FORGET + inputs @ spread)
        self._weights = self._weights + gain * error
        self._covariance = (self._covariance - gain[:, None] * spread) / _FORGET
        if self._learned % 16 == 0:
            # Without excitation (a steady load) forgetting would let the covariance grow without bound.
            self._covariance *= min(1.0, 1e4 / max(float(self._covariance.trace()), 1e-9))

    def margin(self, quantile: float) -> float | None:
        """The quantile of the errors; None before there are enough to read it."""
        if len(self._ordered) < _ENOUGH:
            return None
        return self._ordered[min(len(self._ordered) - 1, int(quantile * len(self._ordered)))]


class ShortHorizon:
    """One phase of one feeder on a 10 s grid; the largest value within a step counts."""

    def __init__(self) -> None:
        self._horizons = tuple(_Horizon(round(horizon_s / STEP_S)) for horizon_s in HORIZONS_S)
        longest = self._horizons[-1].steps_ahead
        self._steps: deque[float] = deque(maxlen=longest + STEPS + 1)
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
        one = next((known for known in self._horizons if known.steps_ahead * STEP_S >= horizon_s), None)
        margin = one.margin(quantile) if one is not None else None
        if one is None or margin is None:
            return None
        return self._steps[-1] + max(0.0, one.rise(_inputs(list(self._steps)[-STEPS - 1 :])) + margin)

    def _append(self, value_a: float) -> None:
        self._steps.append(value_a)
        known = list(self._steps)
        for one in self._horizons:
            ahead = one.steps_ahead
            if len(known) > ahead + STEPS:
                past = known[-ahead - STEPS - 1 : -ahead]
                one.learn(_inputs(past), max(known[-ahead:]) - past[-1])


def _inputs(values: list[float]) -> Vector:
    """The last ten values relative to the newest, and a constant."""
    inputs = np.array(values[-STEPS - 1 :])
    inputs -= inputs[-1]
    inputs[-1] = 1.0
    return inputs
