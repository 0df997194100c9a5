"""Between records and table rows, both ways. The only place that knows how a fact is spelt in the database."""

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Row, Table

from domain.ids import ChargerId, EvseId, FeederId, MeterId
from domain.ledger import LedgerEntry
from domain.metering import EvseSample, MeterReading
from domain.quirks import Model, Quirks
from domain.rotation import RotationState
from domain.session import EvseState, Session
from domain.setpoint import Alarm, AlarmKind, Decision, Rung, Setpoint
from domain.site import Phase
from domain.snapshot import TemporaryLimit
from inventory import tables
from inventory.inputs import inputs_of
from inventory.load_book import FeederMinute, Shortfall
from inventory.quirk_book import ChargerQuirks, ModelQuirks
from inventory.records import (
    AlarmRecord,
    ChargerFacts,
    ConnectorFacts,
    CsmsProfilesRecord,
    DecisionRecord,
    LedgerRecord,
    LimitRecord,
    OverrideRecord,
    ReadingRecord,
    Record,
    RotationRecord,
    SampleRecord,
    SessionRecord,
    SetpointEvent,
    SetpointFacts,
    StreamPosition,
    session_id,
)
from inventory.spelling import typed

Values = dict[str, Any]

_PHASE_COLUMNS = {Phase.A: "phase_a_a", Phase.B: "phase_b_a", Phase.C: "phase_c_a"}
_SESSION = (
    "transaction_id",
    "started_at",
    "ended_at",
    "id_tag_hash",
    "energy_wh",
    "meter_start_wh",
    "departure_at",
    "energy_wanted_wh",
    "priority",
    "full_since",
)
_LEDGER = (
    "limit_a",
    "upper_a",
    "sent_at",
    "acknowledged_at",
    "settled_at",
    "refused",
    "trusted",
    "raised_at",
    "measured_a",
    "measured_at",
)
_SETPOINT = (
    "wanted_a",
    "wanted_at",
    "sent_a",
    "sent_at",
    "accepted_a",
    "accepted_at",
    "refused_a",
    "refused_at",
    "refused_why",
    "confirmed_a",
    "confirmed_at",
    "schedule_a",
    "schedule_at",
    "ignored_a",
    "ignored_at",
)
_CHARGER = (
    "vendor",
    "model",
    "firmware",
    "version",
    "linked",
    "link_changed_at",
    "last_seen_at",
    "booted_at",
    "boot_accepted",
)
_MODEL = ("vendor", "model", "firmware")
_SAMPLE = ("received_at", "at", "current_a", "voltage_v", "power_w", "energy_wh", "offered_a", "soc")
PER_PHASE = ("base", "upper", "ev", "largest")
"""What a feeder's minute has of each phase: `base_a_a` is the base load of phase A, in A."""
_LIMIT = ("id", "limit_a", "starts_at", "ends_at", "reason", "author")


def _take(value: object, names: tuple[str, ...]) -> Values:
    return {name: getattr(value, name) for name in names}


def _charger(record: ChargerFacts) -> Values:
    return {"id": record.charger, **_take(record, _CHARGER)}


def _connector(record: ConnectorFacts) -> Values:
    return {
        "charger_id": record.charger,
        **_take(record, ("connector", "state_at", "csms_limit_a", "csms_limit_at")),
        "state": record.state.value,
    }


def _session(record: SessionRecord) -> Values:
    session = record.session
    return {
        "id": session_id(session),
        "site_id": record.site,
        "evse_id": session.evse,
        **_take(session, _SESSION),
        "end_reason": record.end_reason,
    }


def _setpoint(record: SetpointFacts) -> Values:
    return {"evse_id": record.evse, "decision_id": record.decision, **_take(record, _SETPOINT)}


def _setpoint_event(record: SetpointEvent) -> Values:
    return {
        "evse_id": record.evse,
        "decision_id": record.decision,
        **_take(record, ("at", "step", "limit_a", "why")),
    }


def _decision(record: DecisionRecord) -> Values:
    decision = record.decision
    return {
        "id": decision.id,
        "site_id": record.site,
        **_take(decision, ("at", "trigger", "strategy", "rung_why", "wake_at")),
        "rung": decision.rung.value,
        "elapsed_ms": record.elapsed_ms,
        "setpoints": decision.setpoints,
        "rotation": decision.rotation,
        "alarms": decision.alarms,
        "alarm_count": len(decision.alarms),
        "inputs": record.inputs if record.snapshot is None else inputs_of(record.snapshot),
    }


def _reading(record: ReadingRecord) -> Values:
    reading = record.reading
    phases = {column: reading.current_a.get(phase) for phase, column in _PHASE_COLUMNS.items()}
    return {"meter_id": reading.meter, "at": reading.at, **phases}


def _sample(record: SampleRecord) -> Values:
    sample = record.sample
    return {"evse_id": record.evse, **_take(sample, _SAMPLE), "line_a": list(sample.line_a) or None}


def _limit(record: LimitRecord) -> Values:
    return {
        "site_id": record.site,
        "feeder_id": record.limit.feeder,
        **_take(record.limit, _LIMIT),
        "withdrawn_at": record.withdrawn_at,
    }


def _rotation(record: RotationRecord) -> Values:
    return {"site_id": record.site, "state": record.rotation, "updated_at": record.rotation.updated_at}


def _alarm(record: AlarmRecord) -> Values:
    alarm = record.alarm
    return {
        "site_id": record.site,
        "kind": alarm.kind.value,
        "subject": alarm.subject,
        "text": alarm.text,
        "raised_at": record.raised_at,
        "cleared_at": record.cleared_at,
    }


def _charger_quirks(record: ChargerQuirks) -> Values:
    model = _take(record.model, _MODEL) if record.model is not None else dict.fromkeys(_MODEL)
    return {"charger_id": record.charger, **model, "learned": record.learned, "edits": record.edits}


def _model_quirks(record: ModelQuirks) -> Values:
    return {**_take(record.model, _MODEL), "learned": record.learned, "edits": record.edits}


def _csms_profiles(record: CsmsProfilesRecord) -> Values:
    return {
        "charger_id": record.charger,
        "version": record.version,
        "told_at": record.at,
        "profiles": record.profiles,
    }


def _minute(record: FeederMinute) -> Values:
    means = {
        f"{name}_{phase.value.lower()}_a": getattr(record, f"{name}_a").get(phase)
        for name in PER_PHASE
        for phase in Phase
    }
    rest = _take(record, ("at", "seconds", "limit_a", "curtailed_w", "waiting"))
    return {"site_id": record.site, "feeder_id": record.feeder, **rest, **means}


def _shortfall(record: Shortfall) -> Values:
    return {
        "session_id": record.session,
        **_take(record, ("since", "waited_s", "longest_wait_s", "curtailed_wh")),
    }


ROWS: Mapping[type, tuple[Table, Callable[[Any], Values]]] = {
    ChargerFacts: (tables.chargers, _charger),
    ConnectorFacts: (tables.connectors, _connector),
    SessionRecord: (tables.sessions, _session),
    LedgerRecord: (tables.ledger, lambda record: {"evse_id": record.evse, **_take(record.entry, _LEDGER)}),
    SetpointFacts: (tables.setpoints, _setpoint),
    SetpointEvent: (tables.setpoint_events, _setpoint_event),
    DecisionRecord: (tables.decisions, _decision),
    ReadingRecord: (tables.meter_readings, _reading),
    SampleRecord: (tables.evse_samples, _sample),
    LimitRecord: (tables.temporary_limits, _limit),
    RotationRecord: (tables.rotations, _rotation),
    AlarmRecord: (tables.alarms, _alarm),
    OverrideRecord: (
        tables.sites,
        lambda record: {"id": record.site, "strategy": record.strategy, "scheduler": record.scheduler},
    ),
    ChargerQuirks: (tables.charger_quirks, _charger_quirks),
    ModelQuirks: (tables.model_quirks, _model_quirks),
    CsmsProfilesRecord: (tables.csms_profiles, _csms_profiles),
    StreamPosition: (
        tables.stream_positions,
        lambda record: {"site_id": record.site, "position": record.position},
    ),
    FeederMinute: (tables.feeder_minutes, _minute),
    Shortfall: (tables.shortfalls, _shortfall),
}
"""Where a record goes, in the order in which a batch is written, and as what."""


def row_of(record: Record) -> tuple[Table, Values]:
    """The table and the values of a record."""
    table, spell = ROWS[type(record)]
    return table, spell(record)


def charger_from(row: Row[Any]) -> ChargerFacts:
    """A row of `chargers`."""
    return ChargerFacts(charger=ChargerId(row.id), **_take(row, _CHARGER))


def charger_quirks_from(row: Row[Any]) -> ChargerQuirks:
    """A row of `charger_quirks`."""
    model = None if row.vendor is None else Model(**_take(row, _MODEL))
    return ChargerQuirks(ChargerId(row.charger_id), model, typed(row.learned, Quirks), row.edits)


def csms_profiles_from(row: Row[Any]) -> CsmsProfilesRecord:
    """A row of `csms_profiles`."""
    return CsmsProfilesRecord(ChargerId(row.charger_id), row.version, row.told_at, tuple(row.profiles))


def model_quirks_from(row: Row[Any]) -> ModelQuirks:
    """A row of `model_quirks`."""
    return ModelQuirks(Model(**_take(row, _MODEL)), typed(row.learned, Quirks), row.edits)


def connector_from(row: Row[Any]) -> ConnectorFacts:
    """A row of `connectors`."""
    rest = _take(row, ("connector", "state_at", "csms_limit_a", "csms_limit_at"))
    return ConnectorFacts(charger=ChargerId(row.charger_id), state=EvseState(row.state), **rest)


def session_from(row: Row[Any]) -> Session:
    """A row of `sessions`."""
    return Session(evse=EvseId(row.evse_id), **_take(row, _SESSION))


def ledger_from(row: Row[Any]) -> LedgerEntry:
    """A row of `ledger`."""
    return LedgerEntry(**_take(row, _LEDGER))


def setpoint_from(row: Row[Any]) -> SetpointFacts:
    """A row of `setpoints`."""
    return SetpointFacts(evse=EvseId(row.evse_id), decision=row.decision_id, **_take(row, _SETPOINT))


def setpoint_event_from(row: Row[Any]) -> SetpointEvent:
    """A row of `setpoint_events`."""
    rest = _take(row, ("at", "step", "limit_a", "why"))
    return SetpointEvent(evse=EvseId(row.evse_id), decision=row.decision_id, **rest)


def reading_from(row: Row[Any]) -> MeterReading:
    """A row of `meter_readings`."""
    values = {phase: getattr(row, column) for phase, column in _PHASE_COLUMNS.items()}
    current_a = {phase: value for phase, value in values.items() if value is not None}
    return MeterReading(MeterId(row.meter_id), row.at, current_a)


def sample_from(row: Row[Any]) -> EvseSample:
    """A row of `evse_samples`."""
    return EvseSample(line_a=tuple(row.line_a or ()), **_take(row, _SAMPLE))


def limit_from(row: Row[Any]) -> TemporaryLimit:
    """A row of `temporary_limits`."""
    return TemporaryLimit(feeder=FeederId(row.feeder_id), **_take(row, _LIMIT))


def rotation_from(row: Row[Any]) -> RotationState:
    """A row of `rotations`."""
    return typed(row.state, RotationState)


def alarm_from(row: Row[Any]) -> AlarmRecord:
    """A row of `alarms`."""
    alarm = Alarm(AlarmKind(row.kind), row.subject, row.text)
    return AlarmRecord(row.site_id, alarm, row.raised_at, row.cleared_at)


def decision_from(row: Row[Any]) -> DecisionRecord:
    """A row of `decisions`."""
    decision = Decision(
        **_take(row, ("id", "at", "trigger", "strategy", "rung_why", "wake_at")),
        rung=Rung(row.rung),
        setpoints=typed(row.setpoints, tuple[Setpoint, ...]),
        rotation=typed(row.rotation, RotationState),
        alarms=typed(row.alarms, tuple[Alarm, ...]),
    )
    return DecisionRecord(row.site_id, decision, row.inputs, row.elapsed_ms)
