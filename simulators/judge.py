"""Overloads, counted from true currents; knows nothing of set-points, meters or forecasts."""

from datetime import datetime

import numpy as np
import numpy.typing as npt

from domain.site import PHASES, Site
from simulators.breaker import BreakerBank
from simulators.phasors import Amps, Phasors
from simulators.world_report import Worst

Mask = npt.NDArray[np.bool_]

GRACE_S = 30.0
"""How long a load may pass the usable part of the rating before it counts."""
NOTHING_A = 0.05
"""Less than this is no EV load."""


class ElectricalJudge:
    """Watches every phase of every feeder; the measures are those of `WorldReport`."""

    def __init__(self, site: Site) -> None:
        self._feeders = site.feeders
        rating_a = np.array([feeder.rating_a for feeder in site.feeders])
        self._rating_a = rating_a[:, None]
        self._usable_a = np.array([[feeder.usable_a] for feeder in site.feeders])
        self._with_ev = _AboveUsable(len(site.feeders))
        self._alone = _AboveUsable(len(site.feeders))
        self.breakers = BreakerBank(rating_a)
        self.max_loading = 0.0
        self.overload_s = 0.0
        self.base_overload_s = 0.0
        self.worst: Worst | None = None
        self.first_overload: Worst | None = None

    def observe(self, at: datetime, dt_s: float, ev: Phasors, base: Phasors) -> Amps:
        """Judge `dt_s` s that end at `at`.

        Args:
            at: end of the step.
            dt_s: its length, s.
            ev: what EVSEs make of the current on [feeder, phase], A complex.
            base: what the building's other load makes of it, the same shape and frame.

        Returns:
            Magnitudes of the total [feeder, phase], A RMS.
        """
        total_a = np.abs(ev + base)
        loading = total_a / self._rating_a
        if loading.max() > self.max_loading:
            self.max_loading = float(loading.max())
            self.worst = self._where(loading == loading.max(), at)
        over = self._over(total_a, self._with_ev, dt_s) & (np.abs(ev) > NOTHING_A)
        if over.any():
            self.overload_s += dt_s
            if self.first_overload is None:
                self.first_overload = self._where(over, at)
        if self._over(np.abs(base), self._alone, dt_s).any():
            self.base_overload_s += dt_s
        self.breakers.step(total_a, dt_s)
        return total_a

    def _over(self, current_a: Amps, above: "_AboveUsable", dt_s: float) -> Mask:
        since_s = above.step(current_a > self._usable_a + 1e-6, dt_s)
        return (current_a > self._rating_a + 1e-6) | (since_s > GRACE_S + 1e-6)

    def _where(self, mask: Mask, at: datetime) -> Worst:
        row, column = (int(index) for index in np.argwhere(mask)[0])
        return Worst(self._feeders[row].id, PHASES[column], at)


class _AboveUsable:
    """For how long each phase has been above its usable rating without a break, s."""

    def __init__(self, feeders: int) -> None:
        self._since_s = np.zeros((feeders, len(PHASES)))

    def step(self, above: Mask, dt_s: float) -> Amps:
        self._since_s = np.where(above, self._since_s + dt_s, 0.0)
        return self._since_s
