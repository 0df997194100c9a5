"""What is to be done, in the imperative."""

from dataclasses import dataclass
from datetime import datetime

from domain.ids import ChargerId, DecisionId, EvseId


@dataclass(frozen=True, slots=True)
class ApplySetpoint:
    """Hold one EVSE at `limit_a` for `deadman_s`, then at `failsafe_a` until told otherwise.

    `urgent` marks a reduction: it goes before the CSMS's own waiting CALLs. A newer command for the same EVSE
    replaces one that has not been sent.
    """

    charger: ChargerId
    connector: int
    evse: EvseId
    limit_a: float
    failsafe_a: float
    deadman_s: float
    decision: DecisionId
    at: datetime
    urgent: bool
    transaction_id: str | None = None


Command = ApplySetpoint
