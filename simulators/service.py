"""How well the cars were served: energy, shares, waits and contactor switches, from true currents."""

import numpy as np
import numpy.typing as npt

from simulators.phasors import Amps
from simulators.world_report import jain_index

NOTHING_A = 0.05
LEAST_POSSIBLE_WH = 100.0

Mask = npt.NDArray[np.bool_]


class ServiceJudge:
    """Keeps the books of the stays at `evses` places; the measures are those of `WorldReport`."""

    def __init__(self, evses: int) -> None:
        self._present = np.zeros(evses, dtype=np.bool_)
        self._on = np.zeros(evses, dtype=np.bool_)
        self._requested_wh, self._possible_wh, self._delivered_wh = np.zeros(evses), np.zeros(evses), np.zeros(evses)
        self._full_w, self._wait_s = np.zeros(evses), np.zeros(evses)
        self._ended_shares: list[float] = []
        self.sessions = 0
        self.delivered_wh = 0.0
        self.requested_wh = 0.0
        self.longest_wait_s = 0.0
        self.switches = 0

    def begin(self, place: int, requested_wh: float, full_w: float) -> None:
        """A car that asks for `requested_wh` and can take `full_w` plugs in."""
        self._present[place] = True
        self._requested_wh[place], self._full_w[place] = requested_wh, full_w
        self._possible_wh[place] = self._delivered_wh[place] = self._wait_s[place] = 0.0
        self.sessions += 1
        self.requested_wh += requested_wh

    def end(self, place: int) -> None:
        """The car at `place` leaves."""
        self._ended_shares += self._shares(np.array([place]))
        self._present[place] = False

    def observe(self, dt_s: float, current_a: Amps, power_w: Amps, in_need: Mask) -> None:
        """Book `dt_s` s during which the EVSEs carried `current_a` and `power_w`; all [n].

        `in_need` marks a car that still wants energy at the end of the step.
        """
        energy_wh = power_w * (dt_s / 3600)
        self.delivered_wh += float(energy_wh.sum())
        self._delivered_wh += energy_wh
        self._possible_wh += self._full_w * self._present * (dt_s / 3600)
        on = current_a > NOTHING_A
        needy = in_need & self._present
        self.switches += int(((on != self._on) & needy).sum())
        self._on = on
        self._wait_s = np.where(needy & ~on, self._wait_s + dt_s, 0.0)
        self.longest_wait_s = max(self.longest_wait_s, float(self._wait_s.max(initial=0.0)))

    @property
    def jain_index(self) -> float:
        """Over all stays, those in progress included."""
        return jain_index(self._ended_shares + self._shares(np.flatnonzero(self._present)))

    def _shares(self, places: npt.NDArray[np.int64]) -> list[float]:
        possible_wh = np.minimum(self._requested_wh[places], self._possible_wh[places])
        kept = possible_wh >= LEAST_POSSIBLE_WH
        shares = self._delivered_wh[places][kept] / possible_wh[kept]
        return [float(share) for share in np.minimum(shares, 1.0)]
