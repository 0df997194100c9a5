"""PostgreSQL's partitions of the measured values: one for each month, made ahead, dropped whole when they are too old.

A row whose month has no partition of its own (imported years, a clock far ahead) lies in the table's `_other`
partition: no row is ever refused for its time. SQLite has no partitions; nothing is done there.
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime

from sqlalchemy import Connection, Table, text

from inventory import tables
from inventory.locks import lock

PARTITIONED = {tables.meter_readings: "at", tables.evse_samples: "received_at", tables.setpoint_events: "at"}
"""Tables and the column by which each is partitioned."""

MONTHS_AHEAD = 2
OTHER = "_other"

_MONTH = re.compile(r"_(\d{4})_(\d{2})$")


def make_partitions(conn: Connection, now: datetime, ahead: int = MONTHS_AHEAD) -> tuple[str, ...]:
    """Makes the partitions of this month and the next ones, as far as they are missing; their names.

    Rows of a month that were written before it had a partition are moved into it. Writers into the partitions that are
    there already go on meanwhile.
    """
    if conn.dialect.name != "postgresql":
        return ()
    lock(conn, "partitions")
    conn.execute(text("set local lock_timeout = '2s'"))
    made = []
    for table, column in PARTITIONED.items():
        known = set(_partitions(conn, table))
        taken_until = max(
            (_end(name) for name in known if "_before_" in name), default=datetime.min.replace(tzinfo=UTC)
        )
        for month in _months(now, ahead):
            name = f"{table.name}_{month:%Y_%m}"
            if name not in known and month >= taken_until:
                _make(conn, table.name, column, name, month)
                made.append(name)
    return tuple(made)


def drop_partitions(conn: Connection, older_than: datetime) -> tuple[str, ...]:
    """Drops the partitions of which every row is older; their names. A month that began later is kept whole."""
    if conn.dialect.name != "postgresql":
        return ()
    lock(conn, "partitions")
    conn.execute(text("set local lock_timeout = '2s'"))
    dropped = []
    for table in PARTITIONED:
        for name in _partitions(conn, table):
            if _MONTH.search(name) and _end(name) <= older_than:
                conn.execute(text(f"drop table {name}"))
                dropped.append(name)
    return tuple(dropped)


def _partitions(conn: Connection, table: Table) -> tuple[str, ...]:
    found = conn.execute(
        text("select inhrelid::regclass::text from pg_inherits where inhparent = to_regclass(:table) order by 1"),
        {"table": table.name},
    )
    return tuple(found.scalars())


def _make(conn: Connection, table: str, column: str, name: str, month: datetime) -> None:
    """Filled first, then attached: that takes the lightest lock of the table, and of `_other` a short one."""
    other, between = f"{table}{OTHER}", {"since": month, "until": _next(month)}
    conn.execute(text(f"create table {name} (like {table} including defaults)"))
    conn.execute(text(f"lock table {other} in share row exclusive mode"))
    conn.execute(
        text(
            f"with moved as (delete from {other} where {column} >= :since and {column} < :until returning *) "  # noqa: S608 - names of ours
            f"insert into {name} select * from moved"
        ),
        between,
    )
    bounds = f"from ('{month.isoformat()}') to ('{_next(month).isoformat()}')"
    conn.execute(text(f"alter table {table} attach partition {name} for values {bounds}"))


def _months(now: datetime, ahead: int) -> Iterator[datetime]:
    month = now.astimezone(UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    for _ in range(ahead + 1):
        yield month
        month = _next(month)


def _next(month: datetime) -> datetime:
    return month.replace(year=month.year + month.month // 12, month=month.month % 12 + 1)


def _end(name: str) -> datetime:
    """When the rows of a partition end: NAME_2026_03 holds March, NAME_before_2026_03 all before March."""
    found = _MONTH.search(name)
    assert found is not None, name
    month = datetime(int(found[1]), int(found[2]), 1, tzinfo=UTC)
    return month if "_before_" in name else _next(month)
