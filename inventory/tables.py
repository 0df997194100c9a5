"""The tables, in SQLAlchemy's words: portable between SQLite and PostgreSQL.

History tables (`meter_readings`, `evse_samples`, `setpoint_events`) have their time in the primary key, so that
PostgreSQL can partition them by it, and no foreign keys. Rows are never deleted because a site file changed: an EVSE
that is gone is `retired_at`, and its sessions stay readable.
"""

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class UtcDateTime(TypeDecorator[datetime]):
    """Aware UTC in, aware UTC out. SQLite keeps no time zone; a naive time is refused rather than guessed."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """To the database: UTC, without the zone where the database has none."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError(f"a time without a zone cannot be stored: {value.isoformat()}")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """From the database: aware UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if dialect.name == "sqlite" else value.astimezone(UTC)


class PeerText(TypeDecorator[str]):
    """Words from outside, as every database takes them: cut at the column's length, without NUL and lone surrogates."""

    impl = String
    cache_ok = True

    def __init__(self, length: int | None = None) -> None:
        super().__init__(length)
        self.length = length

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:  # noqa: ARG002 - SQLAlchemy's form
        """To the database."""
        if value is None:
            return None
        if not value.isascii():
            value = value.encode(errors="replace").decode()
        return value.replace("\x00", "\N{REPLACEMENT CHARACTER}")[: self.length]


class LongText(PeerText):
    """The same without an end."""

    impl = Text
    cache_ok = True


JsonValue = JSON(none_as_null=True)
"""Not JSONB: a document comes back as it was, also with NUL in a text; nothing is looked up inside."""

ID = String(64)
IDENTITY = String(48)
PEER_TEXT = PeerText(255)
"""What a charger tells of itself is cut at this length."""
LONG_TEXT = LongText()


def _site() -> Column[Any]:
    return Column("site_id", ID, ForeignKey("sites.id"), nullable=False)


def _evse_key() -> Column[Any]:
    return Column("evse_id", ID, ForeignKey("evses.id"), primary_key=True)


sites = Table(
    "sites",
    metadata,
    Column("id", ID, primary_key=True),
    Column("digest", String(64), nullable=False),
    Column("timezone", String(64), nullable=False),
    Column("loaded_at", UtcDateTime, nullable=False),
    Column("salt", String(64), nullable=False),
    Column("strategy", String(32)),
    Column("scheduler", String(32)),
)

chargers = Table(
    "chargers",
    metadata,
    Column("id", IDENTITY, primary_key=True),
    _site(),
    Column("vendor", PEER_TEXT),
    Column("model", PEER_TEXT),
    Column("firmware", PEER_TEXT),
    Column("version", String(16)),
    Column("linked", Boolean, nullable=False, default=False),
    Column("link_changed_at", UtcDateTime),
    Column("last_seen_at", UtcDateTime),
    Column("booted_at", UtcDateTime),
    Column("boot_accepted", Boolean),
    Column("retired_at", UtcDateTime),
    Index(None, "site_id"),
)

evses = Table(
    "evses",
    metadata,
    Column("id", ID, primary_key=True),
    _site(),
    Column("charger_id", IDENTITY, ForeignKey("chargers.id"), nullable=False),
    Column("connector", Integer, nullable=False),
    Column("feeder_id", ID, nullable=False),
    Column("phases", String(3), nullable=False),
    Column("max_a", Float, nullable=False),
    Column("min_a", Float, nullable=False),
    Column("failsafe_a", Float, nullable=False),
    Column("failsafe_proven", Boolean, nullable=False),
    Column("kind", String(8), nullable=False),
    Column("priority", Float, nullable=False),
    Column("response_s", Float, nullable=False),
    Column("retired_at", UtcDateTime),
    Index(None, "site_id"),
)

connectors = Table(
    "connectors",
    metadata,
    Column("charger_id", IDENTITY, ForeignKey("chargers.id"), primary_key=True),
    Column("connector", Integer, primary_key=True, autoincrement=False),
    Column("state", String(16), nullable=False),
    Column("state_at", UtcDateTime),
    Column("csms_limit_a", Float),
    Column("csms_limit_at", UtcDateTime),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", String(20), primary_key=True),
    _site(),
    Column("evse_id", ID, ForeignKey("evses.id"), nullable=False),
    Column("transaction_id", PEER_TEXT, nullable=False),
    Column("started_at", UtcDateTime, nullable=False),
    Column("ended_at", UtcDateTime),
    Column("end_reason", PEER_TEXT),
    Column("id_tag_hash", String(64)),
    Column("energy_wh", Float, nullable=False),
    Column("meter_start_wh", Float),
    Column("departure_at", UtcDateTime),
    Column("energy_wanted_wh", Float),
    Column("priority", Float),
    Column("full_since", UtcDateTime),
    Index(None, "site_id", "started_at", "id"),
    Index(None, "evse_id", "ended_at"),
)

ledger = Table(
    "ledger",
    metadata,
    _evse_key(),
    Column("limit_a", Float, nullable=False),
    Column("upper_a", Float, nullable=False),
    Column("sent_at", UtcDateTime),
    Column("acknowledged_at", UtcDateTime),
    Column("settled_at", UtcDateTime),
    Column("refused", Boolean, nullable=False),
    Column("trusted", Boolean, nullable=False),
    Column("raised_at", UtcDateTime),
    Column("measured_a", Float),
    Column("measured_at", UtcDateTime),
)

setpoints = Table(
    "setpoints",
    metadata,
    _evse_key(),
    Column("decision_id", ID),
    Column("wanted_a", Float),
    Column("wanted_at", UtcDateTime),
    Column("sent_a", Float),
    Column("sent_at", UtcDateTime),
    Column("accepted_a", Float),
    Column("accepted_at", UtcDateTime),
    Column("refused_a", Float),
    Column("refused_at", UtcDateTime),
    Column("refused_why", LONG_TEXT),
    Column("confirmed_a", Float),
    Column("confirmed_at", UtcDateTime),
    Column("schedule_a", Float),
    Column("schedule_at", UtcDateTime),
    Column("ignored_a", Float),
    Column("ignored_at", UtcDateTime),
)

setpoint_events = Table(
    "setpoint_events",
    metadata,
    Column("evse_id", ID, primary_key=True),
    Column("at", UtcDateTime, primary_key=True),
    Column("step", String(16), primary_key=True),
    Column("limit_a", Float, nullable=False),
    Column("decision_id", ID),
    Column("why", LONG_TEXT),
    Index(None, "at"),
)

decisions = Table(
    "decisions",
    metadata,
    Column("id", ID, primary_key=True),
    _site(),
    Column("at", UtcDateTime, nullable=False),
    Column("trigger", LONG_TEXT, nullable=False),
    Column("strategy", String(32), nullable=False),
    Column("rung", String(32), nullable=False),
    Column("rung_why", LONG_TEXT, nullable=False),
    Column("elapsed_ms", Float),
    Column("wake_at", UtcDateTime),
    Column("setpoints", JsonValue, nullable=False),
    Column("rotation", JsonValue, nullable=False),
    Column("alarms", JsonValue, nullable=False),
    Column("inputs", JsonValue, nullable=False),
    Column("alarm_count", Integer),
    Index(None, "site_id", "at", "id", "alarm_count"),
    Index(None, "at"),
)

meter_readings = Table(
    "meter_readings",
    metadata,
    Column("meter_id", ID, primary_key=True),
    Column("at", UtcDateTime, primary_key=True),
    Column("phase_a_a", Float),
    Column("phase_b_a", Float),
    Column("phase_c_a", Float),
    Index(None, "at"),
)

evse_samples = Table(
    "evse_samples",
    metadata,
    Column("evse_id", ID, primary_key=True),
    Column("received_at", UtcDateTime, primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    Column("current_a", Float),
    Column("line_a", JsonValue),
    Column("voltage_v", Float),
    Column("power_w", Float),
    Column("energy_wh", Float),
    Column("offered_a", Float),
    Column("soc", Float),
    Index(None, "received_at"),
)

temporary_limits = Table(
    "temporary_limits",
    metadata,
    Column("id", ID, primary_key=True),
    _site(),
    Column("feeder_id", ID, nullable=False),
    Column("limit_a", Float, nullable=False),
    Column("starts_at", UtcDateTime, nullable=False),
    Column("ends_at", UtcDateTime),
    Column("reason", LONG_TEXT, nullable=False),
    Column("author", LONG_TEXT, nullable=False),
    Column("withdrawn_at", UtcDateTime),
    Index(None, "site_id", "starts_at"),
)

rotations = Table(
    "rotations",
    metadata,
    Column("site_id", ID, ForeignKey("sites.id"), primary_key=True),
    Column("state", JsonValue, nullable=False),
    Column("updated_at", UtcDateTime),
)


def _per_phase(name: str) -> list[Column[Any]]:
    return [Column(f"{name}_{phase}_a", Float) for phase in "abc"]


feeder_minutes = Table(
    "feeder_minutes",
    metadata,
    Column("site_id", ID, primary_key=True),
    Column("feeder_id", ID, primary_key=True),
    Column("at", UtcDateTime, primary_key=True),
    Column("seconds", Float, nullable=False),
    *_per_phase("base"),
    *_per_phase("upper"),
    *_per_phase("ev"),
    *_per_phase("largest"),
    Column("limit_a", Float, nullable=False),
    Column("curtailed_w", Float, nullable=False),
    Column("waiting", Float, nullable=False),
    Index(None, "at"),
)

shortfalls = Table(
    "shortfalls",
    metadata,
    Column("session_id", String(20), primary_key=True),
    Column("since", UtcDateTime, primary_key=True),
    Column("waited_s", Float, nullable=False),
    Column("longest_wait_s", Float, nullable=False),
    Column("curtailed_wh", Float, nullable=False),
    Index(None, "since"),
)

alarms = Table(
    "alarms",
    metadata,
    Column("site_id", ID, ForeignKey("sites.id"), primary_key=True),
    Column("raised_at", UtcDateTime, primary_key=True),
    Column("kind", String(32), primary_key=True),
    Column("subject", ID, primary_key=True),
    Column("cleared_at", UtcDateTime),
    Column("text", LONG_TEXT, nullable=False),
)

charger_quirks = Table(
    "charger_quirks",
    metadata,
    Column("charger_id", IDENTITY, ForeignKey("chargers.id"), primary_key=True),
    Column("vendor", PEER_TEXT),
    Column("model", PEER_TEXT),
    Column("firmware", PEER_TEXT),
    Column("learned", JsonValue, nullable=False),
    Column("edits", JsonValue, nullable=False),
)

csms_profiles = Table(
    "csms_profiles",
    metadata,
    Column("charger_id", IDENTITY, ForeignKey("chargers.id"), primary_key=True),
    Column("version", String(16), nullable=False),
    Column("told_at", UtcDateTime, nullable=False),
    Column("profiles", JsonValue, nullable=False),
)

model_quirks = Table(
    "model_quirks",
    metadata,
    Column("vendor", PEER_TEXT, primary_key=True),
    Column("model", PEER_TEXT, primary_key=True),
    Column("firmware", PEER_TEXT, primary_key=True),
    Column("learned", JsonValue, nullable=False),
    Column("edits", JsonValue, nullable=False),
)

stream_positions = Table(
    "stream_positions",
    metadata,
    Column("site_id", ID, ForeignKey("sites.id"), primary_key=True),
    Column("position", String(64), nullable=False),
)

schema_floor = Table(
    "schema_floor",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("revision", String(8), nullable=False),
)
"""One row: the oldest program, by its newest migration, that can work with this schema."""
