"""What is forgotten, and when: measured values and decisions soon, sessions after years, what is in force never."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, MetaData, Table, delete, or_, select, tuple_

from inventory import tables as t
from inventory.partitions import OTHER, PARTITIONED


def prune(
    conn: Connection, older_than: datetime, *, sessions_before: datetime | None = None, at_most: int = 10_000
) -> dict[str, int]:
    """Deletes measured values, steps of set-points and decisions before a time, and sessions, alarms and limits that
    were over before another (the same without it), at most so many rows of each table; returns how many, by table.

    Open sessions, standing alarms and limits still in force are kept whatever their age. Call it until it returns
    zeros: short transactions leave room for the writer. What lies in partitions is left to
    `inventory.partitions.drop_partitions`, which keeps whole months.
    """
    over = older_than if sessions_before is None else sessions_before
    limits = t.temporary_limits
    conditions: Mapping[Table, ColumnElement[bool]] = {
        t.evse_samples: t.evse_samples.c.received_at < older_than,
        t.meter_readings: t.meter_readings.c.at < older_than,
        t.setpoint_events: t.setpoint_events.c.at < older_than,
        t.decisions: t.decisions.c.at < older_than,
        t.feeder_minutes: t.feeder_minutes.c.at < older_than,
        t.shortfalls: t.shortfalls.c.since < over,
        t.sessions: t.sessions.c.ended_at < over,
        t.alarms: t.alarms.c.cleared_at < over,
        limits: or_(limits.c.ends_at < over, limits.c.withdrawn_at < over),
    }
    return {table.name: _delete(conn, table, old, at_most) for table, old in conditions.items()}


def _delete(conn: Connection, table: Table, old: ColumnElement[bool], at_most: int) -> int:
    within = table
    if conn.dialect.name == "postgresql" and table in PARTITIONED:
        within = _OTHERS[table]
        column = within.c[PARTITIONED[table]]
        old = column < old.right
    key = tuple_(*within.primary_key)
    doomed = select(*within.primary_key).where(old).limit(at_most)
    return conn.execute(delete(within).where(key.in_(doomed))).rowcount


_OTHERS = {table: table.to_metadata(MetaData(), name=f"{table.name}{OTHER}") for table in PARTITIONED}
