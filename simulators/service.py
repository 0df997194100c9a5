"""How well the cars were served: energy, shares, waits and contactor switches, from true currents."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from simulators.phasors import Amps
from simulators.world_report import jain_index

NOTHING_A = 0.05
LEAST_POSSIBLE_WH = 100.0
AT_ONCE = 60
"""How many steps are booked together, at most."""

Mask = npt.NDArray[np.bool_]


class ServiceJudge:
    """Keeps the books of the stays at `evses` places; the measures are those of `WorldReport`.

    What is observed is booked a minute at a time, or as soon as somebody asks for a measure or a car comes or goes: the
    figures are those of one step after the other.
    """

    def __init__(self, evses: int) -> None:
        self._present = np.zeros(evses, dtype=np.bool_)
        self._on = np.zeros(evses, dtype=np.bool_)
        self._requested_wh, self._possible_wh, self._delivered_wh = np.zeros(evses), np.zeros(evses), np.zeros(evses)
        self._full_w, self._wait_s = np.zeros(evses), np.zeros(evses)
        self._ended_shares: list[float] = []
        self._waiting: list[tuple[float, Amps, Amps, Sequence[bool]]] = []
        self.sessions = 0
        self.requested_wh = 0.0
        self._total_wh = 0.0
        self._longest_wait_s = 0.0
        self._switches = 0

    def begin(self, place: int, requested_wh: float, full_w: float) -> None:
        """A car that asks for `requested_wh` and can take `full_w` plugs in."""
        self._settle()
        self._present[place] = True
        self._requested_wh[place], self._full_w[place] = requested_wh, full_w
        self._possible_wh[place] = self._delivered_wh[place] = self._wait_s[place] = 0.0
        self.sessions += 1
        self.requested_wh += requested_wh

    def end(self, place: int) -> None:
        """The car at `place` leaves."""
        self._settle()
        self._ended_shares += self._shares(np.array([place]))
        self._present[place] = False

    def observe(self, dt_s: float, current_a: Amps, power_w: Amps, in_need: Sequence[bool]) -> None:
        """Book `dt_s` s during which the EVSEs carried `current_a` and `power_w`; all [n], none changed afterwards.

        `in_need` marks a car that still wants energy at the end of the step.
        """
        self._waiting.append((dt_s, current_a, power_w, in_need))
        if len(self._waiting) >= AT_ONCE:
            self._settle()

    @property
    def delivered_wh(self) -> float:
        """By all EVSEs."""
        self._settle()
        return self._total_wh

    @property
    def longest_wait_s(self) -> float:
        """The longest that a car in need had no current without a break, s."""
        self._settle()
        return self._longest_wait_s

    @property
    def switches(self) -> int:
        """How often current began or ended while a car was in need."""
        self._settle()
        return self._switches

    @property
    def jain_index(self) -> float:
        """Over all stays, those in progress included."""
        self._settle()
        return jain_index(self._ended_shares + self._shares(np.flatnonzero(self._present)))

    def _settle(self) -> None:
        """Book what waits."""
        if not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        dts_s = np.array([one[0] for one in waiting])[:, None]
        energies_wh = np.array([one[2] for one in waiting]) * (dts_s / 3600)
        for energy_wh in energies_wh.sum(axis=1).tolist():
            self._total_wh += energy_wh
        self._delivered_wh = np.vstack([self._delivered_wh, energies_wh]).sum(axis=0)
        possible_wh = self._full_w * self._present * (dts_s / 3600)
        self._possible_wh = np.vstack([self._possible_wh, possible_wh]).sum(axis=0)
        on = np.array([one[1] for one in waiting]) > NOTHING_A
        needy = np.array([one[3] for one in waiting], dtype=np.bool_) & self._present
        before = np.vstack([self._on, on[:-1]])
        self._switches += int(((on != before) & needy).sum())
        self._on = on[-1]
        self._wait(needy & ~on, dts_s)

    def _wait(self, idle: Mask, dts_s: Amps) -> None:
        """Cars in need without current wait, the others do not."""
        if not idle.any():
            self._wait_s = np.zeros(len(self._wait_s))
            return
        for idle_now, dt_s in zip(idle, dts_s, strict=True):
            self._wait_s = np.where(idle_now, self._wait_s + dt_s, 0.0)
            self._longest_wait_s = max(self._longest_wait_s, float(self._wait_s.max(initial=0.0)))

    def _shares(self, places: npt.NDArray[np.int64]) -> list[float]:
        possible_wh = np.minimum(self._requested_wh[places], self._possible_wh[places])
        kept = possible_wh >= LEAST_POSSIBLE_WH
        shares = self._delivered_wh[places][kept] / possible_wh[kept]
        return [float(share) for share in np.minimum(shares, 1.0)]
