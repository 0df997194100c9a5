"""What the API asks of the past: newest first, in pages that stay right while new rows arrive (keyset, not offset)."""

import base64
import binascii
import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Generic, Literal, TypeVar

from sqlalchemy import ColumnElement, Connection, Float, Row, Select, Table, func, or_, select, tuple_

from domain.errors import HeadroomError
from domain.ids import ChargerId, DecisionId, EvseId, MeterId, SiteId
from domain.metering import EvseSample, MeterReading
from domain.rotation import RotationState
from domain.session import Session
from domain.setpoint import Rung
from domain.snapshot import TemporaryLimit
from inventory import rows, tables
from inventory.records import AlarmRecord, ChargerFacts, DecisionRecord, SetpointEvent
from inventory.spelling import typed

T = TypeVar("T")

MAX_PAGE = 1000

SessionOrder = Literal["newest", "oldest", "most_energy", "least_energy"]
_SESSION_ORDERS: Mapping[SessionOrder, tuple[str, bool]] = {
    "newest": ("started_at", False),
    "oldest": ("started_at", True),
    "most_energy": ("energy_wh", False),
    "least_energy": ("energy_wh", True),
}


class BadCursorError(HeadroomError):
    """A page's cursor that no list gave out."""

    def __init__(self, cursor: str) -> None:
        super().__init__(f"cursor '{cursor[:80]}' is not one that a list gave out: use the 'next' of its last page")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some of a list, and the cursor of what follows (None at the end)."""

    items: tuple[T, ...]
    next: str | None = None


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A session with its id in the API, and why it ended."""

    id: str
    site: SiteId
    charger: ChargerId
    connector: int
    session: Session
    end_reason: str | None


@dataclass(frozen=True, slots=True)
class DecisionSummary:
    """A decision without its set-points."""

    id: DecisionId
    at: datetime
    trigger: str
    strategy: str
    rung: Rung
    rung_why: str
    elapsed_ms: float | None
    alarms: int


def sessions(
    conn: Connection,
    site: SiteId,
    *,
    limit: int = 100,
    cursor: str | None = None,
    evse: EvseId | None = None,
    open_only: bool = False,
    since: datetime | None = None,
    until: datetime | None = None,
    order: SessionOrder = "newest",
) -> Page[SessionRow]:
    """A site's sessions that began in [since, until). `BadCursorError` for a cursor that no list gave out."""
    t = tables.sessions
    query = _between(_with_evse(t).where(t.c.site_id == site), t.c.started_at, since, until)
    if evse is not None:
        query = query.where(t.c.evse_id == evse)
    if open_only:
        query = query.where(t.c.ended_at.is_(None))
    by, ascending = _SESSION_ORDERS[order]
    return page_of(conn, query, (t.c[by], t.c.id), limit, cursor, _session_row, ascending=ascending)


def session(conn: Connection, session_id: str) -> SessionRow | None:
    """One session, or None."""
    row = conn.execute(_with_evse(tables.sessions).where(tables.sessions.c.id == session_id)).first()
    return _session_row(row) if row is not None else None


def decisions(
    conn: Connection,
    site: SiteId,
    *,
    limit: int = 100,
    cursor: str | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Page[DecisionSummary]:
    """A site's decisions in [since, until), the newest first, without their set-points."""
    t = tables.decisions
    # From the index: the column lies behind a large site's documents. Older rows have no count.
    alarms = func.coalesce(t.c.alarm_count, func.json_array_length(t.c.alarms)).label("alarms")
    columns = (t.c.id, t.c.at, t.c.trigger, t.c.strategy, t.c.rung, t.c.rung_why, t.c.elapsed_ms, alarms)
    query = _between(select(*columns).where(t.c.site_id == site), t.c.at, since, until)
    return page_of(conn, query, (t.c.at, t.c.id), limit, cursor, _decision_summary)


def decision(conn: Connection, decision_id: DecisionId | str) -> DecisionRecord | None:
    """One decision with its inputs, set-points and reasons, or None."""
    row = conn.execute(select(tables.decisions).where(tables.decisions.c.id == decision_id)).first()
    return rows.decision_from(row) if row is not None else None


def rotation_before(conn: Connection, site: SiteId, at: datetime, decision_id: DecisionId) -> RotationState:
    """The turns that the decision before this one left; empty where it was the first."""
    t = tables.decisions
    earlier = tuple_(t.c.at, t.c.id) < tuple_(at, decision_id, types=[t.c.at.type, t.c.id.type])
    query = select(t.c.rotation).where(t.c.site_id == site, earlier).order_by(t.c.at.desc(), t.c.id.desc()).limit(1)
    found = conn.execute(query).scalar()
    return RotationState() if found is None else typed(found, RotationState)


def readings(
    conn: Connection,
    meter: MeterId,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int = 100,
    cursor: str | None = None,
) -> Page[MeterReading]:
    """A meter's readings in [since, until), the newest first."""
    t = tables.meter_readings
    query = _between(select(t).where(t.c.meter_id == meter), t.c.at, since, until)
    return page_of(conn, query, (t.c.at,), limit, cursor, rows.reading_from)


def samples(
    conn: Connection,
    evse: EvseId,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int = 100,
    cursor: str | None = None,
) -> Page[EvseSample]:
    """What an EVSE drew in [since, until) by our clock, the newest first."""
    t = tables.evse_samples
    query = _between(select(t).where(t.c.evse_id == evse), t.c.received_at, since, until)
    return page_of(conn, query, (t.c.received_at,), limit, cursor, rows.sample_from)


def setpoint_events(
    conn: Connection, evse: EvseId, *, limit: int = 100, cursor: str | None = None
) -> Page[SetpointEvent]:
    """What became of an EVSE's limits, the newest first."""
    t = tables.setpoint_events
    return page_of(
        conn, select(t).where(t.c.evse_id == evse), (t.c.at, t.c.step), limit, cursor, rows.setpoint_event_from
    )


def alarms(
    conn: Connection, site: SiteId, *, standing_only: bool = False, limit: int = 100, cursor: str | None = None
) -> Page[AlarmRecord]:
    """A site's alarms, the newest first."""
    t = tables.alarms
    query = select(t).where(t.c.site_id == site)
    if standing_only:
        query = query.where(t.c.cleared_at.is_(None))
    return page_of(conn, query, (t.c.raised_at, t.c.kind, t.c.subject), limit, cursor, rows.alarm_from)


def alarms_since(conn: Connection, site: SiteId, since: datetime) -> tuple[AlarmRecord, ...]:
    """A site's alarms that were raised or cleared since then, the oldest first."""
    t = tables.alarms
    query = select(t).where(t.c.site_id == site, or_(t.c.raised_at >= since, t.c.cleared_at >= since))
    return tuple(map(rows.alarm_from, conn.execute(query.order_by(t.c.raised_at, t.c.kind, t.c.subject))))


def limits(conn: Connection, site: SiteId, *, limit: int = 100, cursor: str | None = None) -> Page[TemporaryLimit]:
    """A site's temporary limits, past ones included, withdrawn ones not; the latest start first."""
    t = tables.temporary_limits
    query = select(t).where(t.c.site_id == site, t.c.withdrawn_at.is_(None))
    return page_of(conn, query, (t.c.starts_at, t.c.id), limit, cursor, rows.limit_from)


def chargers(conn: Connection, site: SiteId) -> tuple[ChargerFacts, ...]:
    """The chargers of a site as last known, retired ones left out, by id."""
    t = tables.chargers
    query = select(t).where(t.c.site_id == site, t.c.retired_at.is_(None)).order_by(t.c.id)
    return tuple(map(rows.charger_from, conn.execute(query)))


def row_counts(conn: Connection) -> Mapping[str, int]:
    """How many rows each table holds."""
    return {table.name: conn.execute(select(func.count()).select_from(table)).scalar_one() for table in _TABLES}


_TABLES: tuple[Table, ...] = tuple(tables.metadata.sorted_tables)


def _with_evse(t: Table) -> Select[Any]:
    e = tables.evses
    return select(t, e.c.charger_id, e.c.connector).join(e, e.c.id == t.c.evse_id)


def _session_row(row: Row[Any]) -> SessionRow:
    return SessionRow(
        row.id, SiteId(row.site_id), ChargerId(row.charger_id), row.connector, rows.session_from(row), row.end_reason
    )


def _decision_summary(row: Row[Any]) -> DecisionSummary:
    return DecisionSummary(
        id=DecisionId(row.id),
        at=row.at,
        trigger=row.trigger,
        strategy=row.strategy,
        rung=Rung(row.rung),
        rung_why=row.rung_why,
        elapsed_ms=row.elapsed_ms,
        alarms=row.alarms,
    )


def _between(
    query: Select[Any], column: ColumnElement[datetime], since: datetime | None, until: datetime | None
) -> Select[Any]:
    if since is not None:
        query = query.where(column >= since)
    if until is not None:
        query = query.where(column < until)
    return query


def page_of(
    conn: Connection,
    query: Select[Any],
    order: tuple[ColumnElement[Any], ...],
    limit: int,
    cursor: str | None,
    make: Callable[[Row[Any]], T],
    *,
    ascending: bool = False,
) -> Page[T]:
    """`limit` is held within 1 and 1000. The order's first column is a time or a number, the rest are text."""
    limit = min(max(limit, 1), MAX_PAGE)
    if cursor is not None:
        here = tuple_(*order)
        last = tuple_(*_position(cursor, order), types=[c.type for c in order])
        query = query.where(here > last if ascending else here < last)
    ordered = query.order_by(*(column.asc() if ascending else column.desc() for column in order))
    found = conn.execute(ordered.limit(limit + 1)).all()
    items = found[:limit]
    more = len(found) > limit
    return Page(tuple(map(make, items)), _cursor(items[-1], order) if more else None)


def _cursor(row: Row[Any], order: tuple[ColumnElement[Any], ...]) -> str:
    first, *rest = (getattr(row, str(column.key)) for column in order)
    text = json.dumps([first.isoformat() if isinstance(first, datetime) else first, *rest])
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _position(cursor: str, order: tuple[ColumnElement[Any], ...]) -> tuple[Any, ...]:
    try:
        first, *rest = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        begins = _number(first) if isinstance(order[0].type, Float) else _instant(first)
    except (ValueError, TypeError, binascii.Error):
        raise BadCursorError(cursor) from None
    if len(rest) + 1 != len(order) or not all(isinstance(value, str) for value in rest):
        raise BadCursorError(cursor)
    return (begins, *rest)


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError("not a number")
    return float(value)


def _instant(value: str) -> datetime:
    at = datetime.fromisoformat(value)
    if at.tzinfo is None:
        raise ValueError("not an instant")
    return at
