"""All rows from one database into another, whichever each is: what backups are made of."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from sqlalchemy import Connection, Table, delete, func, select, text

from inventory import access_tables as access_tables  # its tables belong to the same metadata
from inventory import base_load_hours as base_load_hours
from inventory import message_tables as message_tables
from inventory import tables
from inventory.fencing import site_leases
from inventory.partitions import MONTHS_AHEAD, PARTITIONED, make_partitions

LIMITS_IN_FORCE = (tables.ledger, tables.setpoints)
"""What chargers were allowed when the copy was made. Since then they may have been allowed more: after a restore that
is unknown, and unknown means full."""

_OF_THE_PLACE = (tables.schema_floor, site_leases)
"""What belongs to a database and not to what is in it. Numbers of leases must never go back."""

_BATCH = 5_000

Progress = Callable[[str, int], None]
"""Told of a table and how many of its rows are copied."""


def copied_tables() -> tuple[Table, ...]:
    """What a copy holds, in an order in which each table comes after those it points to."""
    return tuple(table for table in tables.metadata.sorted_tables if table not in _OF_THE_PLACE)


def row_counts(conn: Connection) -> dict[str, int]:
    """How many rows of each of these tables there are."""
    counted = ((table.name, select(func.count()).select_from(table)) for table in copied_tables())
    return {name: conn.execute(query).scalar_one() for name, query in counted}


def is_empty(conn: Connection) -> bool:
    """Whether nothing would be lost by emptying it."""
    return all(conn.execute(select(table).limit(1)).first() is None for table in copied_tables())


def copy_rows(source: Connection, target: Connection, told: Progress, *, without: tuple[Table, ...] = ()) -> None:
    """Copies what is in `source`, which has the newest schema, into `target`, which has it too and is empty."""
    for table in copied_tables():
        if table in without:
            continue
        count = 0
        for batch in _batches(source, table):
            target.execute(table.insert(), batch)
            count += len(batch)
            told(table.name, count)


def empty(conn: Connection) -> None:
    """Takes everything out that a copy would bring."""
    if conn.dialect.name == "postgresql":
        conn.execute(text(f"truncate {', '.join(table.name for table in copied_tables())}"))
        return
    for table in reversed(copied_tables()):
        conn.execute(delete(table))


def make_room(source: Connection, target: Connection, now: datetime) -> None:
    """Partitions in `target` for every month of which `source` has rows, as far as twenty years back."""
    stamps = [source.execute(select(func.min(table.c[column]))).scalar() for table, column in PARTITIONED.items()]
    oldest = max(min((at for at in stamps if at is not None), default=now), now.replace(year=now.year - 20, day=1))
    months = (now.astimezone(UTC).year - oldest.year) * 12 + now.astimezone(UTC).month - oldest.month
    make_partitions(target, oldest, max(0, months) + MONTHS_AHEAD)


def _batches(source: Connection, table: Table) -> Iterator[list[dict[str, object]]]:
    found = source.execution_options(yield_per=_BATCH).execute(select(table))
    for rows in found.mappings().partitions():
        yield [dict(row) for row in rows]
