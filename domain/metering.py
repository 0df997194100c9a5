"""What was measured: by a building's meters on feeders, by chargers on EVSEs."""

from dataclasses import dataclass
from datetime import datetime

from domain.ids import MeterId
from domain.site import PhaseAmps


@dataclass(frozen=True, slots=True)
class MeterReading:
    """One reading of a feeder's meter: total current per phase, EV charging included."""

    meter: MeterId
    at: datetime
    current_a: PhaseAmps


@dataclass(frozen=True, slots=True)
class EvseSample:
    """One sample of what an EVSE draws.

    `current_a` is the largest current in any of its conductors (they are equal in a two-leg or balanced load), derived
    from power where the charger reports none; None where neither was reported. `line_a` holds per-line values as the
    charger names them (index 0 = its L1) where it reports them. `received_at` is our clock, `at` the charger's stamp.
    """

    at: datetime
    received_at: datetime
    current_a: float | None
    line_a: tuple[float, ...] = ()
    voltage_v: float | None = None
    power_w: float | None = None
    energy_wh: float | None = None
    offered_a: float | None = None
    soc: float | None = None
