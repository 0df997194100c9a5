"""What an EVSE may be drawing: the facts of the settling ledger (the rules are `ems.ledger`)."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """The limits that may still be in force at one EVSE.

    `limit_a` is the newest limit sent. `upper_a` is the highest limit that may still be obeyed until it settles:
    equal to `limit_a` once settled, the EVSE's full rating where nothing is known. `trusted` is False for an EVSE
    that was seen to draw more than its limit after the settle time.
    """

    limit_a: float
    upper_a: float
    sent_at: datetime | None = None
    acknowledged_at: datetime | None = None
    settled_at: datetime | None = None
    refused: bool = False
    trusted: bool = True
    raised_at: datetime | None = None
    """When the limit last rose: the next rise keeps its distance."""
    measured_a: float | None = None
    measured_at: datetime | None = None
    followed_s: tuple[float, ...] = ()
    """How long after their acknowledgement the last lower limits were seen to be followed, by the present car."""

    @property
    def settled(self) -> bool:
        """Whether the newest limit is known to be obeyed."""
        return self.settled_at is not None
