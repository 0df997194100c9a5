"""Messages that are due: kept until they are delivered, in order, and never more than so many for each target.

What was delivered is remembered for a while by its id: whoever takes a site over may put in again what it does not know
to have been told.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import Connection, delete, func, select, update

from inventory import access_tables as t
from inventory.locks import lock

REMEMBERED: Final = timedelta(minutes=15)
_DELIVERED: Final = -1
"""Of `attempts`."""


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
    """Puts a message at the end; returns how many of the oldest were given up for it.

    One whose id is there already, or was delivered within `REMEMBERED`, is not put in again.
    """
    lock(conn, f"outbox {target}")
    box = t.outbox
    delivered = (box.c.target == target) & (box.c.attempts == _DELIVERED)
    conn.execute(delete(box).where(delivered, box.c.at < at - REMEMBERED))
    if conn.execute(select(box.c.id).where(box.c.id == message)).first() is not None:
        return 0
    last = conn.execute(select(func.max(box.c.sequence)).where(box.c.target == target)).scalar() or 0
    conn.execute(
        box.insert().values(
            id=message, target=target, sequence=last + 1, at=at, event=event, payload=dict(payload), attempts=0
        )
    )
    due = (box.c.target == target) & (box.c.attempts != _DELIVERED)
    waiting = conn.execute(select(func.count()).select_from(box).where(due)).scalar_one()
    if waiting <= most:
        return 0
    oldest = select(box.c.id).where(due).order_by(box.c.sequence).limit(waiting - most)
    return int(conn.execute(delete(box).where(box.c.id.in_(oldest))).rowcount)


def adopt(conn: Connection, former: str, target: str, site: str) -> None:
    """What waits for the target `former` about a site is `target`'s from now on: once there was one for all sites."""
    box = t.outbox
    found = conn.execute(select(box.c.id, box.c.payload).where(box.c.target == former))
    ours = [row.id for row in found if row.payload["data"]["site"] == site]
    for message in ours:
        conn.execute(update(box).where(box.c.id == message).values(target=target))


def oldest(conn: Connection, target: str) -> Due | None:
    """The message whose turn it is."""
    box = t.outbox
    due = select(box).where(box.c.target == target, box.c.attempts != _DELIVERED)
    row = conn.execute(due.order_by(box.c.sequence).limit(1)).first()
    return None if row is None else Due(**dict(row._mapping))


def tried(conn: Connection, message: str) -> None:
    """One more attempt failed."""
    conn.execute(update(t.outbox).where(t.outbox.c.id == message).values(attempts=t.outbox.c.attempts + 1))


def done(conn: Connection, message: str, *, remember: bool = False) -> None:
    """Delivered, or given up; `remember` that for a while."""
    if remember:
        conn.execute(update(t.outbox).where(t.outbox.c.id == message).values(attempts=_DELIVERED))
    else:
        conn.execute(delete(t.outbox).where(t.outbox.c.id == message))
