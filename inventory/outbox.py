"""Messages that are due: kept until they are delivered, in order, and never more than so many for each target."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, func, select, update

from inventory import access_tables as t
from inventory.locks import lock


@dataclass(frozen=True, slots=True)
class Due:
    """A message for a target. `attempts`: how often it was tried."""

    id: str
    target: str
    sequence: int
    at: datetime
    event: str
    payload: dict[str, Any]
    attempts: int


def add(
    conn: Connection, message: str, target: str, at: datetime, event: str, payload: Mapping[str, Any], most: int
) -> int:
    """Puts a message at the end; returns how many of the oldest were given up for it."""
    lock(conn, f"outbox {target}")
    box = t.outbox
    last = conn.execute(select(func.max(box.c.sequence)).where(box.c.target == target)).scalar() or 0
    conn.execute(
        box.insert().values(
            id=message, target=target, sequence=last + 1, at=at, event=event, payload=dict(payload), attempts=0
        )
    )
    waiting = conn.execute(select(func.count()).select_from(box).where(box.c.target == target)).scalar_one()
    if waiting <= most:
        return 0
    oldest = select(box.c.id).where(box.c.target == target).order_by(box.c.sequence).limit(waiting - most)
    return int(conn.execute(delete(box).where(box.c.id.in_(oldest))).rowcount)


def oldest(conn: Connection, target: str) -> Due | None:
    """The message whose turn it is."""
    box = t.outbox
    row = conn.execute(select(box).where(box.c.target == target).order_by(box.c.sequence).limit(1)).first()
    return None if row is None else Due(**dict(row._mapping))


def tried(conn: Connection, message: str) -> None:
    """One more attempt failed."""
    conn.execute(update(t.outbox).where(t.outbox.c.id == message).values(attempts=t.outbox.c.attempts + 1))


def done(conn: Connection, message: str) -> None:
    """Delivered, or given up."""
    conn.execute(delete(t.outbox).where(t.outbox.c.id == message))
