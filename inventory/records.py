"""What is written down: one frozen record per fact, and everything that a restart brings back.

A record with a key replaces the older one of that key; one without is history, of which every entry stays.
"""

import hashlib
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Literal

from domain.events import OcppVersion
from domain.ids import ChargerId, DecisionId, EvseId, MeterId, SiteId
from domain.ledger import LedgerEntry
from domain.metering import EvseSample, MeterReading
from domain.rotation import RotationState
from domain.session import EvseState, Session
from domain.setpoint import Alarm, Decision
from domain.snapshot import SiteSnapshot, TemporaryLimit
from inventory.load_book import FeederMinute, Shortfall
from inventory.quirk_book import ChargerQuirks, ModelQuirks


@dataclass(frozen=True, slots=True)
class ChargerFacts:
    """What a charger has told of itself; what was found out about it is in `inventory.quirk_book`."""

    charger: ChargerId
    vendor: str | None = None
    model: str | None = None
    firmware: str | None = None
    version: OcppVersion | None = None
    linked: bool = False
    link_changed_at: datetime | None = None
    last_seen_at: datetime | None = None
    booted_at: datetime | None = None
    boot_accepted: bool | None = None


@dataclass(frozen=True, slots=True)
class ConnectorFacts:
    """The state of a connector and the CSMS's own limit there. Connector 0 is the whole charger."""

    charger: ChargerId
    connector: int
    state: EvseState = EvseState.UNKNOWN
    state_at: datetime | None = None
    csms_limit_a: float | None = None
    csms_limit_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """A session as it stands; `end_reason` is the charger's word, or ours where the charger never said."""

    site: SiteId
    session: Session
    end_reason: str | None = None


@dataclass(frozen=True, slots=True)
class LedgerRecord:
    """The limits that may be in force at an EVSE: durable before an increase is sent."""

    evse: EvseId
    entry: LedgerEntry


@dataclass(frozen=True, slots=True)
class SetpointFacts:
    """The four lives of an EVSE's set-point: wanted, sent, accepted (or refused), confirmed by measurement.

    `schedule_a`: what the charger's own composite schedule said last. `ignored_a`: the last limit that it accepted and
    did not hold.
    """

    evse: EvseId
    decision: DecisionId | None = None
    wanted_a: float | None = None
    wanted_at: datetime | None = None
    sent_a: float | None = None
    sent_at: datetime | None = None
    accepted_a: float | None = None
    accepted_at: datetime | None = None
    refused_a: float | None = None
    refused_at: datetime | None = None
    refused_why: str | None = None
    confirmed_a: float | None = None
    confirmed_at: datetime | None = None
    schedule_a: float | None = None
    schedule_at: datetime | None = None
    ignored_a: float | None = None
    ignored_at: datetime | None = None


SetpointStep = Literal["sent", "accepted", "refused", "confirmed", "ignored"]


@dataclass(frozen=True, slots=True)
class SetpointEvent:
    """One step in the life of a limit, kept as history."""

    evse: EvseId
    at: datetime
    step: SetpointStep
    limit_a: float
    decision: DecisionId | None = None
    why: str | None = None


@dataclass(frozen=True, slots=True)
class DecisionRecord:
    """A decision, what it looked at (`inventory.inputs`) and how long it took.

    A decision that is to be written brings its `snapshot` instead of `inputs`: who writes it makes those of it.
    """

    site: SiteId
    decision: Decision
    inputs: Mapping[str, Any] = field(default_factory=dict)
    elapsed_ms: float | None = None
    snapshot: SiteSnapshot | None = None


@dataclass(frozen=True, slots=True)
class ReadingRecord:
    """A building meter's reading, whether or not it was the newest."""

    reading: MeterReading


@dataclass(frozen=True, slots=True)
class SampleRecord:
    """What an EVSE drew."""

    evse: EvseId
    sample: EvseSample


@dataclass(frozen=True, slots=True)
class LimitRecord:
    """A temporary limit on a feeder; `withdrawn_at` where it was taken back before its end."""

    site: SiteId
    limit: TemporaryLimit
    withdrawn_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class RotationRecord:
    """Who has had how much of a turn."""

    site: SiteId
    rotation: RotationState


@dataclass(frozen=True, slots=True)
class AlarmRecord:
    """An alarm from when it was raised to when it was cleared (None: it still stands)."""

    site: SiteId
    alarm: Alarm
    raised_at: datetime
    cleared_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class OverrideRecord:
    """Strategy and scheduler as switched at run time; None follows the site file."""

    site: SiteId
    strategy: str | None = None
    scheduler: str | None = None


@dataclass(frozen=True, slots=True)
class CsmsProfilesRecord:
    """The CSMS's own charging profiles at a charger, in the words of `version` (JSON values)."""

    charger: ChargerId
    version: OcppVersion
    at: datetime
    profiles: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class StreamPosition:
    """Up to where a site's stream of events is taken up: written in one transaction with what those events changed."""

    site: SiteId
    position: str


Record = (
    ChargerFacts
    | ConnectorFacts
    | SessionRecord
    | LedgerRecord
    | SetpointFacts
    | SetpointEvent
    | DecisionRecord
    | ReadingRecord
    | SampleRecord
    | LimitRecord
    | RotationRecord
    | AlarmRecord
    | OverrideRecord
    | ChargerQuirks
    | ModelQuirks
    | CsmsProfilesRecord
    | StreamPosition
    | FeederMinute
    | Shortfall
)


def session_id(session: Session) -> str:
    """A session's id in the API and the database: the same each time, because a transaction id alone is not unique.

    A CSMS that starts counting again after a restart gives two sessions the same transaction id.
    """
    return _session_id(session.evse, session.transaction_id, session.started_at.astimezone(UTC))


@lru_cache(maxsize=16_384)
def _session_id(evse: EvseId, transaction_id: str, started_at: datetime) -> str:
    return hashlib.sha256(f"{evse}\n{transaction_id}\n{started_at.isoformat()}".encode()).hexdigest()[:20]


_KEYS: Mapping[type, Callable[[Any], Hashable]] = {
    ChargerFacts: lambda record: record.charger,
    ConnectorFacts: lambda record: (record.charger, record.connector),
    SessionRecord: lambda record: session_id(record.session),
    LedgerRecord: lambda record: record.evse,
    SetpointFacts: lambda record: record.evse,
    LimitRecord: lambda record: record.limit.id,
    RotationRecord: lambda record: record.site,
    AlarmRecord: lambda record: (record.site, record.alarm.kind, record.alarm.subject, record.raised_at),
    OverrideRecord: lambda record: record.site,
    ChargerQuirks: lambda record: record.charger,
    ModelQuirks: lambda record: record.model,
    CsmsProfilesRecord: lambda record: record.charger,
    StreamPosition: lambda record: record.site,
    FeederMinute: lambda record: (record.site, record.feeder, record.at),
    Shortfall: lambda record: (record.session, record.since),
}


def record_key(record: Record) -> Hashable | None:
    """What a record replaces while it waits to be written; None for history."""
    kind = type(record)
    return (kind, _KEYS[kind](record)) if kind in _KEYS else None


@dataclass(frozen=True, slots=True)
class RestoredState:
    """All that a restart brings back of one site. Links are not in it: a link is known again when it is made again.

    `alarms` are those that still stand, by (kind, subject). `readings` is the newest of each meter.
    """

    chargers: Mapping[ChargerId, ChargerFacts] = field(default_factory=dict)
    connectors: Mapping[tuple[ChargerId, int], ConnectorFacts] = field(default_factory=dict)
    sessions: Mapping[EvseId, Session] = field(default_factory=dict)
    ledger: Mapping[EvseId, LedgerEntry] = field(default_factory=dict)
    setpoints: Mapping[EvseId, SetpointFacts] = field(default_factory=dict)
    readings: Mapping[MeterId, MeterReading] = field(default_factory=dict)
    limits: tuple[TemporaryLimit, ...] = ()
    rotation: RotationState = field(default_factory=RotationState)
    alarms: Mapping[tuple[str, str], AlarmRecord] = field(default_factory=dict)
    override: OverrideRecord | None = None
    charger_quirks: tuple[ChargerQuirks, ...] = ()
    model_quirks: tuple[ModelQuirks, ...] = ()
    csms_profiles: Mapping[ChargerId, CsmsProfilesRecord] = field(default_factory=dict)
    salt: bytes = b""
