"""What the event stream says, ready for JSON."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from itertools import islice

from domain.setpoint import Decision, Setpoint
from domain.site import Evse
from domain.snapshot import EvseView, FeederView
from ems.ledger import counted_a
from inventory.records import AlarmRecord, Record

MOST_TRIGGERS = 8
"""A panel of hundreds of EVSEs may have a reason for each of them."""


def told_triggers(triggers: Collection[str]) -> str:
    """Why a decision was made, in words; no more than a person reads."""
    told = ", ".join(islice(triggers, MOST_TRIGGERS))
    more = len(triggers) - MOST_TRIGGERS
    return (f"{told} and {more} more" if more > 0 else told) or "interval"


def decision_notice(
    decision: Decision, changed: Sequence[Setpoint], explained: Sequence[Setpoint], elapsed_ms: float
) -> dict[str, object]:
    """A decision: which set-points changed, and why, in the words of a resident's question.

    `explained`: those that stand as they were, for another reason.
    """
    return {
        "id": decision.id,
        "at": decision.at.isoformat(),
        "trigger": decision.trigger,
        "rung": decision.rung,
        "rung_why": decision.rung_why,
        "elapsed_ms": round(elapsed_ms, 3),
        "alarms": [alarm.text for alarm in decision.alarms],
        "changed": [_point(point) for point in changed],
        "explained": [_point(point) for point in explained],
    }


def _point(point: Setpoint) -> dict[str, object]:
    reason = point.reason
    return {
        "evse": point.evse,
        "limit_a": point.limit_a,
        "target_a": point.target_a,
        "kind": reason.kind,
        "text": reason.text,
        "feeder": reason.feeder,
        "phase": reason.phase,
        "place": reason.place,
        "next_turn_at": None if reason.next_turn_at is None else reason.next_turn_at.isoformat(),
    }


def evse_notice(view: EvseView, evse: Evse, now: datetime) -> dict[str, object]:
    """An EVSE as it is now, and what the panel counts it at."""
    return {
        "id": view.evse,
        "state": view.state,
        "linked": view.linked,
        "in_force_a": view.ledger.limit_a,
        "counted_a": round(counted_a(view.ledger, evse, now), 2),
        "measured_a": view.ledger.measured_a,
        "measured_at": None if view.ledger.measured_at is None else view.ledger.measured_at.isoformat(),
        "confirmed": view.ledger.settled,
        "trusted": view.ledger.trusted,
        "transaction_id": None if view.session is None else view.session.transaction_id,
        "energy_kwh": None if view.session is None else round(view.session.energy_wh / 1000, 3),
    }


def feeder_notice(view: FeederView) -> dict[str, object]:
    """A feeder's load."""
    return {
        "id": view.feeder,
        "source": view.source,
        "base_load_a": {phase: round(amps, 2) for phase, amps in view.base_likely_a.items()},
        "planned_base_a": {phase: round(view.planned_a(phase), 2) for phase in view.base_likely_a},
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
