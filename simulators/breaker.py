"""Thermal-magnetic breakers: when a real one would have opened.

A bimetal heated by the square of the current, with one time constant, trips at the temperature of a steady 1.13 times
the rating (IEC 60898-1's conventional non-tripping current; UL 489 must hold 1.0 and trip at 1.35). From cold that is
the inverse-time curve t = tau ln(m^2 / (m^2 - 1.13^2)), m = current over rating. With tau = 270 s: 1.35 times trips
after 326 s (UL 489: within 60 min), twice the rating after 104 s (UL 489: within 120 s for the smallest frame, longer
for others), 2.55 times after 59 s (IEC 60898-1: within 60 s). From 8 times the rating on the magnet trips at once.
"""

from math import inf, log

import numpy as np

from simulators.phasors import Amps

HOLDS_AT = 1.13
TIME_CONSTANT_S = 270.0
MAGNETIC_AT = 8.0
EARLIEST_TIME_CONSTANT_S = 4.6
"""Of the fastest breaker that the standard lets through: 2.55 times the rating for 1 s (IEC 60898-1, table 7)."""


def trip_time_s(multiple: float) -> float:
    """Seconds until a cold breaker opens at a constant `multiple` of its rating; infinite up to 1.13."""
    if multiple >= MAGNETIC_AT:
        return 0.0
    if multiple <= HOLDS_AT:
        return inf
    return TIME_CONSTANT_S * log(multiple**2 / (multiple**2 - HOLDS_AT**2))


class BreakerBank:
    """One multi-pole breaker per feeder; any pole opens it.

    Args:
        rating_a: per feeder [n], A.
        time_constant_s: how fast the bimetal follows.

    `heat` is per feeder and phase, 1.0 = steady at the rating; a breaker trips above 1.13^2. After a trip the bank
    counts it and goes on with a cold breaker, so that a lasting overload trips again: the supply is not cut.
    """

    def __init__(self, rating_a: Amps, time_constant_s: float = TIME_CONSTANT_S) -> None:
        self._time_constant_s = time_constant_s
        self._rating_a = np.asarray(rating_a, dtype=np.float64)[:, None]
        self.trips = np.zeros(len(rating_a), dtype=np.int64)
        self.heat: Amps | None = None

    def step(self, current_a: Amps, dt_s: float) -> None:
        """Carry `current_a` [n, 3] A for `dt_s` s; the first step finds breakers warm from that current, at most 1."""
        self.run(current_a[None], np.array([dt_s]))

    def run(self, currents_a: Amps, dts_s: Amps) -> None:
        """One step after the other: `currents_a` [steps, n, 3] A, for `dts_s` [steps] s each."""
        squares = (currents_a / self._rating_a) ** 2
        if self.heat is None:
            self.heat = np.minimum(squares[0], 1.0)
        most = max(squares.max(initial=0.0), self.heat.max())
        for squared, share in zip(squares, (-np.expm1(-dts_s / self._time_constant_s)).tolist(), strict=True):
            self.heat += (squared - self.heat) * share
            if most > HOLDS_AT**2:  # else nothing can get so hot
                self._trip(self.heat, squared)

    def _trip(self, heat: Amps, squared: Amps) -> None:
        if heat.max() <= HOLDS_AT**2 and squared.max() < MAGNETIC_AT**2:
            return
        opened = ((heat > HOLDS_AT**2) | (squared >= MAGNETIC_AT**2)).any(axis=1)
        self.trips += opened
        heat[opened] = 0.0
