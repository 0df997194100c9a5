"""What measurement says of a limit, in the words of the domain."""

from domain.events import SetpointConfirmed, SetpointIgnored
from domain.ids import DecisionId, EvseId
from domain.ledger import LedgerEntry


def verdict_of(
    evse: EvseId, before: LedgerEntry, after: LedgerEntry, decision: DecisionId | None
) -> SetpointConfirmed | SetpointIgnored | None:
    """What measurement says of the newest limit, where that is news. Time alone confirms nothing."""
    measured_at = after.measured_at
    if before.trusted and not after.trusted and measured_at is not None:
        drawn_a = after.measured_a or 0.0
        return SetpointIgnored(evse, measured_at, after.limit_a, decision, drawn_a, "meter")
    settled_at, asked_at = after.settled_at, after.acknowledged_at
    if settled_at in (None, before.settled_at) or measured_at is None or asked_at is None or measured_at <= asked_at:
        return None
    return SetpointConfirmed(evse, settled_at, after.limit_a, decision, "meter")
