"""The durable state: written in batches, read back after a restart. Synchronous, over a SQLAlchemy `Connection`.

The live service calls these through `AsyncConnection.run_sync`, the twin directly. Nothing here opens, commits or rolls
back: the caller's transaction decides. Writing the same record twice leaves one row.
"""

import hashlib
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache, lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Connection, Table, bindparam, delete, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Dialect

from domain.ids import EvseId, MeterId, SiteId
from domain.metering import MeterReading
from domain.rotation import RotationState
from domain.session import Session
from domain.site import Site
from inventory import rows, tables
from inventory.locks import lock
from inventory.records import OverrideRecord, Record, RestoredState
from inventory.rows import ROWS, row_of
from inventory.spelling import dump_json

_TABLES = tuple(dict.fromkeys(table for table, _ in ROWS.values()))
APPEND_ONLY = (tables.decisions, tables.setpoint_events, tables.meter_readings, tables.evse_samples)
"""History: what stands there is never changed by a later record."""


def site_digest(site: Site) -> str:
    """A fingerprint of what the site file says, whatever its layout and comments (SHA-256, hex)."""
    return hashlib.sha256(dump_json(site).encode()).hexdigest()


def write(conn: Connection, batch: Iterable[Record]) -> None:
    """Writes records: the later of two for the same thing wins, history keeps the first.

    Charger records are for chargers that `save_site` has made known; others are left out.

    Raises:
        sqlalchemy.exc.IntegrityError: a record that names an EVSE or a site that was never saved.
    """
    by_table: dict[Table, dict[tuple[Any, ...], dict[str, Any]]] = {}
    for record in batch:
        table, values = row_of(record)
        key = tuple([values[name] for name in _key_of(table)])
        if table in APPEND_ONLY:
            by_table.setdefault(table, {}).setdefault(key, values)
        else:
            by_table.setdefault(table, {})[key] = values
    for table in _TABLES:
        found = by_table.get(table)
        if not found:
            continue
        if table in {tables.sites, tables.chargers}:
            conn.execute(_update(table, tuple(next(iter(found.values())))), _renamed(_in_order(found)))
        elif conn.dialect.name == "sqlite":
            _spelt(table, conn.dialect, tuple(next(iter(found.values())))).write(conn, _in_order(found))
        else:
            conn.execute(_upsert(table, conn.dialect.name), _in_order(found))


@cache
def _key_of(table: Table) -> tuple[str, ...]:
    return tuple(column.name for column in table.primary_key)


@dataclass(frozen=True, slots=True)
class _Spelt:
    """An upsert in SQLite's own words: SQLAlchemy spells the same statement anew for every batch."""

    sql: str
    columns: tuple[tuple[str, Callable[[Any], Any] | None], ...]
    """In the statement's order, each with what makes a value of it ready for the driver."""

    def write(self, conn: Connection, found: Sequence[Mapping[str, Any]]) -> None:
        """Write these rows, each with all the columns."""
        conn.exec_driver_sql(
            self.sql,
            [tuple([row[name] if made is None else made(row[name]) for name, made in self.columns]) for row in found],
        )


@lru_cache(maxsize=64)
def _spelt(table: Table, dialect: Dialect, columns: tuple[str, ...]) -> _Spelt:
    compiled = _upsert(table, dialect.name).compile(dialect=dialect, column_keys=list(columns))
    names = tuple(compiled.positiontup)
    return _Spelt(
        str(compiled), tuple((name, table.c[name].type.dialect_impl(dialect).bind_processor(dialect)) for name in names)
    )


def _in_order(found: Mapping[tuple[Any, ...], dict[str, Any]]) -> list[dict[str, Any]]:
    """By their keys: two processes that change the same rows in the same order do not lock each other out."""
    return [found[key] for key in sorted(found)]


@cache
def _upsert(table: Table, dialect: str) -> Any:
    """INSERT ... ON CONFLICT, in the words that SQLite and PostgreSQL share."""
    insert = postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)
    keys = [column.name for column in table.primary_key]
    if table in APPEND_ONLY:
        return insert.on_conflict_do_nothing(index_elements=keys)
    changed = {column.name: insert.excluded[column.name] for column in table.c if column.name not in keys}
    return insert.on_conflict_do_update(index_elements=keys, set_=changed)


@cache
def _update(table: Table, columns: tuple[str, ...]) -> Any:
    changed: dict[str, Any] = {name: bindparam(name) for name in columns if name != "id"}
    return update(table).where(table.c.id == bindparam("key_")).values(changed)


def _renamed(found: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """`id` under a name of its own: SQLAlchemy keeps column names for the values that are set."""
    return [{"key_" if name == "id" else name: value for name, value in values.items()} for values in found]


def save_site(conn: Connection, site: Site, at: datetime, *, salt: bytes | None = None) -> None:
    """Makes a site, its chargers and EVSEs known, as the file has them now.

    An EVSE that has moved to another charger or connector, or whose rating has changed, is another one: its limits are
    forgotten (unknown means full) and its open session is ended, as is that of an EVSE which is no longer in the file.
    `salt` (random where it is None) is used at the first time only: it keeps id tags from being guessed.
    """
    values = {"digest": site_digest(site), "timezone": site.timezone, "loaded_at": at}
    this = tables.sites.c.id == site.id
    if conn.execute(select(tables.sites.c.digest).where(this)).scalar() == values["digest"] and _is_known(conn, site):
        conn.execute(update(tables.sites).where(this).values(loaded_at=at))
        return
    lock(conn, "sites")  # an EVSE may have been another site's
    if conn.execute(select(tables.sites.c.id).where(this)).first() is None:
        fresh = salt if salt is not None else secrets.token_bytes(16)
        conn.execute(tables.sites.insert().values(id=site.id, salt=fresh.hex(), **values))
    else:
        conn.execute(update(tables.sites).where(this).values(**values))
    t = tables.evses
    ours = or_(t.c.site_id == site.id, t.c.id.in_([evse.id for evse in site.evses]))
    before = {row.id: row for row in conn.execute(select(t).where(ours))}
    _save_rows(conn, tables.chargers, [{"id": charger.id, "site_id": site.id} for charger in site.chargers], site, at)
    _save_rows(conn, tables.evses, _evse_rows(site), site, at)
    changed = [
        evse.id
        for evse in site.evses
        if evse.id in before
        and (before[evse.id].charger_id, before[evse.id].connector, before[evse.id].max_a)
        != (evse.charger, evse.connector, evse.max_a)
    ]
    current = {evse.id for evse in site.evses}
    gone = [evse for evse, row in before.items() if row.site_id == site.id and evse not in current]
    _forget(conn, [*changed, *gone], at)


def _is_known(conn: Connection, site: Site) -> bool:
    """Whether the rows of the site's chargers and EVSEs are those of its file: no other site has taken one."""
    for table, ids in (
        (tables.chargers, {str(charger.id) for charger in site.chargers}),
        (tables.evses, {str(evse.id) for evse in site.evses}),
    ):
        standing = select(table.c.id).where(table.c.site_id == site.id, table.c.retired_at.is_(None))
        if set(conn.execute(standing).scalars()) != ids:
            return False
    return True


def _save_rows(conn: Connection, table: Table, new: Sequence[Mapping[str, Any]], site: Site, at: datetime) -> None:
    """Inserts or renews the rows of a site, and retires those that are no longer in its file."""
    ids = {row["id"] for row in new}
    known = set(conn.execute(select(table.c.id).where(table.c.id.in_(ids))).scalars())
    renewed = [{**row, "own_id": row["id"], "retired_at": None} for row in new if row["id"] in known]
    if renewed:
        conn.execute(update(table).where(table.c.id == bindparam("own_id")), renewed)
    missing = [dict(row) for row in new if row["id"] not in known]
    if missing:
        conn.execute(table.insert(), missing)
    standing = select(table.c.id).where(table.c.site_id == site.id, table.c.retired_at.is_(None))
    for gone in set(conn.execute(standing).scalars()) - ids:
        conn.execute(update(table).where(table.c.id == gone).values(retired_at=at))


def _evse_rows(site: Site) -> list[dict[str, Any]]:
    return [
        {
            "id": evse.id,
            "site_id": site.id,
            "charger_id": evse.charger,
            "connector": evse.connector,
            "feeder_id": evse.feeder,
            "phases": "".join(evse.phases),
            "max_a": evse.max_a,
            "min_a": evse.min_a,
            "failsafe_a": evse.failsafe_a,
            "failsafe_proven": evse.failsafe_proven,
            "kind": evse.kind,
            "priority": evse.priority,
            "response_s": evse.response_s,
        }
        for evse in site.evses
    ]


def _forget(conn: Connection, evses: Iterable[str], at: datetime) -> None:
    sessions = tables.sessions
    for evse in evses:
        conn.execute(delete(tables.ledger).where(tables.ledger.c.evse_id == evse))
        conn.execute(delete(tables.setpoints).where(tables.setpoints.c.evse_id == evse))
        open_ones = update(sessions).where(sessions.c.evse_id == evse, sessions.c.ended_at.is_(None))
        conn.execute(open_ones.values(ended_at=at, end_reason="site file changed"))


def load_state(conn: Connection, site: Site) -> RestoredState:
    """What was known of a site: open sessions, limits, rotation, chargers, alarms. Empty where nothing was."""
    t = tables
    mine = conn.execute(select(t.sites).where(t.sites.c.id == site.id)).first()
    if mine is None:
        return RestoredState()
    evses = [evse.id for evse in site.evses]
    chargers = [charger.id for charger in site.chargers]
    told = [rows.charger_from(row) for row in _where(conn, t.chargers, t.chargers.c.id.in_(chargers))]
    plugs = [rows.connector_from(row) for row in _where(conn, t.connectors, t.connectors.c.charger_id.in_(chargers))]
    setpoints = [rows.setpoint_from(row) for row in _where(conn, t.setpoints, t.setpoints.c.evse_id.in_(evses))]
    ledger = _where(conn, t.ledger, t.ledger.c.evse_id.in_(evses))
    alarms = _where(conn, t.alarms, t.alarms.c.site_id == site.id, t.alarms.c.cleared_at.is_(None))
    rotation = _where(conn, t.rotations, t.rotations.c.site_id == site.id)
    standing = [rows.alarm_from(row) for row in alarms]
    override = OverrideRecord(site.id, mine.strategy, mine.scheduler)
    quirks = _where(conn, t.charger_quirks, t.charger_quirks.c.charger_id.in_(chargers))
    shadows = _where(conn, t.csms_profiles, t.csms_profiles.c.charger_id.in_(chargers))
    return RestoredState(
        chargers={facts.charger: facts for facts in told},
        connectors={(facts.charger, facts.connector): facts for facts in plugs},
        sessions=_open_sessions(conn, evses),
        ledger={EvseId(row.evse_id): rows.ledger_from(row) for row in ledger},
        setpoints={facts.evse: facts for facts in setpoints},
        readings=_newest_readings(conn, [meter.id for meter in site.meters]),
        limits=_standing_limits(conn, site),
        rotation=rows.rotation_from(rotation[0]) if rotation else RotationState(),
        alarms={(record.alarm.kind.value, record.alarm.subject): record for record in standing},
        override=override if override != OverrideRecord(site.id) else None,
        charger_quirks=tuple(map(rows.charger_quirks_from, quirks)),
        model_quirks=tuple(map(rows.model_quirks_from, _where(conn, t.model_quirks))),
        csms_profiles={record.charger: record for record in map(rows.csms_profiles_from, shadows)},
        salt=bytes.fromhex(mine.salt),
    )


def load_position(conn: Connection, site: SiteId) -> str | None:
    """Up to where the site's stream of events is in this state; None where nothing ever was."""
    t = tables.stream_positions
    return conn.execute(select(t.c.position).where(t.c.site_id == site)).scalar()


def _where(conn: Connection, table: Table, *clauses: ColumnElement[bool]) -> Sequence[Any]:
    return conn.execute(select(table).where(*clauses)).all()


def _open_sessions(conn: Connection, evses: Sequence[EvseId]) -> dict[EvseId, Session]:
    sessions = tables.sessions
    query = select(sessions).where(sessions.c.evse_id.in_(evses), sessions.c.ended_at.is_(None))
    found = conn.execute(query.order_by(sessions.c.started_at, sessions.c.id))
    return {session.evse: session for session in map(rows.session_from, found)}


def _newest_readings(conn: Connection, meters: Sequence[MeterId]) -> dict[MeterId, MeterReading]:
    readings = tables.meter_readings
    newest = (
        select(readings.c.meter_id, func.max(readings.c.at).label("at"))
        .where(readings.c.meter_id.in_(meters))
        .group_by(readings.c.meter_id)
        .subquery()
    )
    query = select(readings).join(newest, (readings.c.meter_id == newest.c.meter_id) & (readings.c.at == newest.c.at))
    return {reading.meter: reading for reading in map(rows.reading_from, conn.execute(query))}


def _standing_limits(conn: Connection, site: Site) -> tuple[Any, ...]:
    limits = tables.temporary_limits
    query = select(limits).where(limits.c.site_id == site.id, limits.c.withdrawn_at.is_(None))
    feeders = [feeder.id for feeder in site.feeders]
    found = conn.execute(query.where(limits.c.feeder_id.in_(feeders)).order_by(limits.c.starts_at, limits.c.id))
    return tuple(map(rows.limit_from, found))
