"""A session's energy: from the charger's register where it has one, else from power over time."""

import math
from dataclasses import dataclass
from datetime import datetime

from domain.metering import EvseSample
from domain.site import Evse, Site

MAX_GAP_S = 900.0
"""Power is not integrated over a longer silence: the energy is then too low, never invented."""
DOUBT = 3.0
DOUBT_WH = 1500.0
"""A register may rise this much faster than the EVSE's rating allows (it may count in whole kWh, and the site's nominal
voltage may be wrong) before it is taken for a reset or a wrong unit."""


def power_per_ampere_w(site: Site, evse: Evse) -> float:
    """W per ampere of set-point at nominal voltage: V_LN for one conductor, V_LL for two, sqrt(3) V_LL for three."""
    line_v = site.feeder(evse.feeder).line_to_line_v or site.electrical.line_to_line_v
    return line_v * {1: 1 / math.sqrt(3), 2: 1.0}.get(evse.conductors, math.sqrt(3))


@dataclass(slots=True)
class EnergyCounter:
    """Wh since the session began; never falls.

    A register that falls back, or jumps beyond what the EVSE could have delivered, starts a new count from there.
    """

    per_ampere_w: float
    max_a: float
    started_at: datetime
    meter_start_wh: float | None = None
    energy_wh: float = 0.0
    _register_wh: float | None = None
    _register_at: datetime | None = None
    _power_w: float | None = None
    _power_at: datetime | None = None

    def sample(self, sample: EvseSample) -> None:
        """Counts a sample."""
        if sample.energy_wh is not None:
            self.register(sample.energy_wh, sample.received_at)
        elif self._register_wh is None:
            self._integrate(self._power_of(sample), sample.received_at)

    def register(self, register_wh: float, at: datetime) -> None:
        """Counts a value of the charger's meter."""
        if not math.isfinite(register_wh) or register_wh < 0:
            return
        if self._register_wh is None or self._register_at is None:
            if self.meter_start_wh is not None:
                whole_wh = register_wh - self.meter_start_wh
                if 0 <= whole_wh <= self._possible_wh(self.started_at, at):
                    self.energy_wh = max(self.energy_wh, whole_wh)
        else:
            more_wh = register_wh - self._register_wh
            if 0 <= more_wh <= self._possible_wh(self._register_at, at):
                self.energy_wh += more_wh
        self._register_wh, self._register_at = register_wh, at

    def _possible_wh(self, since: datetime, at: datetime) -> float:
        hours = max(0.0, (at - since).total_seconds()) / 3600
        return DOUBT * self.per_ampere_w * self.max_a * hours + DOUBT_WH

    def _power_of(self, sample: EvseSample) -> float | None:
        """Power as reported, else from the current at nominal voltage; None where neither was reported."""
        power_w = sample.power_w
        if power_w is None and sample.current_a is not None:
            power_w = sample.current_a * self.per_ampere_w
        if power_w is None or not math.isfinite(power_w):
            return None
        return min(max(0.0, power_w), DOUBT * self.per_ampere_w * self.max_a)

    def _integrate(self, power_w: float | None, at: datetime) -> None:
        """Trapezoids between samples."""
        if power_w is not None and self._power_w is not None and self._power_at is not None:
            gap_s = (at - self._power_at).total_seconds()
            if 0 < gap_s <= MAX_GAP_S:
                self.energy_wh += (power_w + self._power_w) / 2 * gap_s / 3600
        if power_w is not None:
            self._power_w, self._power_at = power_w, at
