"""Overloads, counted from true currents; knows nothing of set-points, meters or forecasts."""

from datetime import datetime

import numpy as np
import numpy.typing as npt

from domain.site import PHASES, Site
from simulators.breaker import EARLIEST_TIME_CONSTANT_S, BreakerBank
from simulators.phasors import Amps, Phasors
from simulators.world_report import Worst

Mask = npt.NDArray[np.bool_]

GRACE_S = 30.0
"""How long a load may pass the usable part of the rating before it counts."""
NOTHING_A = 0.05
"""Less than this is no EV load."""
AT_ONCE = 60
"""How many steps are judged together, at most."""


class ElectricalJudge:
    """Watches every phase of every feeder; the measures are those of `WorldReport`.

    What is observed is judged a minute at a time, or as soon as somebody asks for a measure: the figures are those of
    one step after the other.
    """

    def __init__(self, site: Site) -> None:
        self._feeders = site.feeders
        rating_a = np.array([feeder.rating_a for feeder in site.feeders])
        self._rating_a = rating_a[:, None]
        self._usable_a = np.array([[feeder.usable_a] for feeder in site.feeders])
        self._least_over_a = np.minimum(self._rating_a, self._usable_a) + 1e-6
        self._with_ev = _AboveUsable(len(site.feeders))
        self._alone = _AboveUsable(len(site.feeders))
        self._waiting: list[tuple[datetime, float, Phasors, Phasors]] = []
        self._breakers = BreakerBank(rating_a)
        self._earliest = BreakerBank(rating_a, EARLIEST_TIME_CONSTANT_S)
        self._max_loading = self._overload_s = self._base_overload_s = 0.0
        self._worst: Worst | None = None
        self._first_overload: Worst | None = None

    def observe(self, at: datetime, dt_s: float, ev: Phasors, base: Phasors) -> None:
        """Judge `dt_s` s that end at `at`. Neither array may be changed afterwards.

        Args:
            at: end of the step.
            dt_s: its length, s.
            ev: what EVSEs make of the current on [feeder, phase], A complex.
            base: what the building's other load makes of it, the same shape and frame.
        """
        self._waiting.append((at, dt_s, ev, base))
        if len(self._waiting) >= AT_ONCE:
            self._settle()

    @property
    def breakers(self) -> BreakerBank:
        """The breakers, as hot as they are now."""
        self._settle()
        return self._breakers

    @property
    def possible_trips(self) -> int:
        """How often a breaker at the fast edge of its standard's tolerance would have opened."""
        self._settle()
        return int(self._earliest.trips.sum())

    @property
    def max_loading(self) -> float:
        """Highest current of any phase over its rating."""
        self._settle()
        return self._max_loading

    @property
    def worst(self) -> Worst | None:
        """Where and when that was."""
        self._settle()
        return self._worst

    @property
    def overload_s(self) -> float:
        """For how long EVSEs took part in an overload, s."""
        self._settle()
        return self._overload_s

    @property
    def first_overload(self) -> Worst | None:
        """Where and when the first of it was."""
        self._settle()
        return self._first_overload

    @property
    def base_overload_s(self) -> float:
        """For how long the building's other load alone would have been an overload, s."""
        self._settle()
        return self._base_overload_s

    def _settle(self) -> None:
        """Judge what waits."""
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        base = np.array([one[3] for one in waiting])
        totals_a = np.abs(np.array([one[2] for one in waiting]) + base)
        self._find_worst([one[0] for one in waiting], totals_a / self._rating_a)
        with_ev, alone = self._may_be_over(totals_a, self._with_ev), self._may_be_over(np.abs(base), self._alone)
        for number, (at, dt_s, ev, own) in enumerate(waiting):
            if with_ev:
                over = self._over(totals_a[number], self._with_ev, dt_s) & (np.abs(ev) > NOTHING_A)
                if over.any():
                    self._overload_s += dt_s
                    self._first_overload = self._first_overload or self._where(over, at)
            if alone and self._over(np.abs(own), self._alone, dt_s).any():
                self._base_overload_s += dt_s
        dts_s = np.array([one[1] for one in waiting])
        self._breakers.run(totals_a, dts_s)
        self._earliest.run(totals_a, dts_s)

    def _find_worst(self, times: list[datetime], loadings: Amps) -> None:
        """The first of the highest, if it is higher than any before."""
        most = loadings.max()
        if most > self._max_loading:
            self._max_loading = float(most)
            number = int(loadings.max(axis=(1, 2)).argmax())
            self._worst = self._where(loadings[number] == most, times[number])

    def _may_be_over(self, currents_a: Amps, above: "_AboveUsable") -> bool:
        """Whether there is anything to look at step by step."""
        if (currents_a > self._least_over_a).any():
            return True
        above.clear()
        return False

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

    def clear(self) -> None:
        """None is."""
        self._since_s[:] = 0.0

    def step(self, above: Mask, dt_s: float) -> Amps:
        self._since_s = np.where(above, self._since_s + dt_s, 0.0)
        return self._since_s
