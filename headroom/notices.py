"""What the event stream says, ready for JSON."""

from collections.abc import Iterable, Sequence

from domain.setpoint import Decision, Setpoint
from domain.snapshot import EvseView, FeederView
from inventory.records import AlarmRecord, Record


def decision_notice(decision: Decision, changed: Sequence[Setpoint], elapsed_ms: float) -> dict[str, object]:
    """A decision: which set-points changed, and why, in the words of a resident's question."""
    return {
        "id": decision.id,
        "at": decision.at.isoformat(),
        "trigger": decision.trigger,
        "rung": decision.rung,
        "rung_why": decision.rung_why,
        "elapsed_ms": round(elapsed_ms, 3),
        "alarms": [alarm.text for alarm in decision.alarms],
        "changed": [
            {
                "evse": point.evse,
                "limit_a": point.limit_a,
                "target_a": point.target_a,
                "kind": point.reason.kind,
                "text": point.reason.text,
            }
            for point in changed
        ],
    }


def evse_notice(view: EvseView) -> dict[str, object]:
    """An EVSE as it is now."""
    return {
        "id": view.evse,
        "state": view.state,
        "linked": view.linked,
        "in_force_a": view.ledger.limit_a,
        "measured_a": view.ledger.measured_a,
        "confirmed": view.ledger.settled,
        "transaction_id": None if view.session is None else view.session.transaction_id,
    }


def feeder_notice(view: FeederView) -> dict[str, object]:
    """A feeder's load."""
    return {
        "id": view.feeder,
        "source": view.source,
        "base_load_a": {phase: round(amps, 2) for phase, amps in view.base_likely_a.items()},
        "metered_a": None if view.metered_a is None else dict(view.metered_a),
        "reading_at": None if view.reading_at is None else view.reading_at.isoformat(),
    }


def alarm_notices(records: Iterable[Record]) -> list[dict[str, object]]:
    """The alarms that were raised or cleared, of what was just written down."""
    return [
        {
            "kind": record.alarm.kind,
            "subject": record.alarm.subject,
            "text": record.alarm.text,
            "raised_at": record.raised_at.isoformat(),
            "cleared_at": None if record.cleared_at is None else record.cleared_at.isoformat(),
        }
        for record in records
        if isinstance(record, AlarmRecord)
    ]
