"""A car's stay at an EVSE, and the state of the EVSE as the charger tells it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from domain.ids import EvseId


class EvseState(StrEnum):
    """The union of 1.6 connector states and 2.x charging states, as far as the EMS tells them apart."""

    UNKNOWN = "unknown"
    AVAILABLE = "available"
    PREPARING = "preparing"
    CHARGING = "charging"
    SUSPENDED_EV = "suspended_ev"
    SUSPENDED_EVSE = "suspended_evse"
    FINISHING = "finishing"
    RESERVED = "reserved"
    UNAVAILABLE = "unavailable"
    FAULTED = "faulted"


@dataclass(frozen=True, slots=True)
class Session:
    """A transaction seen from the building: who charges where since when, and what the driver wishes.

    `full_since` is set while the car itself refuses current that it is offered.
    """

    evse: EvseId
    transaction_id: str
    started_at: datetime
    ended_at: datetime | None = None
    id_tag_hash: str | None = None
    energy_wh: float = 0.0
    meter_start_wh: float | None = None
    departure_at: datetime | None = None
    energy_wanted_wh: float | None = None
    priority: float | None = None
    full_since: datetime | None = None

    @property
    def wants_current(self) -> bool:
        """Whether the car still takes what it is offered."""
        return self.ended_at is None and self.full_since is None
