"""The OCPP message log in the database: written in batches, read in pages, kept within days and room."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, Row, delete, func, select, tuple_
from sqlalchemy.dialects import postgresql, sqlite

from domain.ids import ChargerId, SiteId
from inventory.message_tables import messages as t
from inventory.queries import Page, page_of

Direction = Literal["from_charger", "from_csms", "to_charger", "to_csms"]
Kind = Literal["call", "result", "error", "result_error", "send", "other"]

ROW_BYTES = 250
"""What a row takes beside its payload, with its indexes."""


@dataclass(frozen=True, slots=True)
class MessageRow:
    """One message. `size` is the original's in bytes; `payload` is JSON text without secrets, None where it could not
    be read or was too long to keep. `id` orders messages of the same instant.
    """

    id: str
    site: SiteId
    charger: ChargerId
    at: datetime
    direction: Direction
    kind: Kind
    action: str | None
    message_id: str | None
    size: int
    payload: str | None


def add_messages(conn: Connection, rows: Sequence[MessageRow]) -> None:
    """Writes them; writing one twice leaves one."""
    if not rows:
        return
    insert = postgresql.insert(t) if conn.dialect.name == "postgresql" else sqlite.insert(t)
    values = [
        {
            "charger_id": row.charger,
            "at": row.at,
            "id": row.id,
            "site_id": row.site,
            "direction": row.direction,
            "kind": row.kind,
            "action": row.action,
            "message_id": row.message_id,
            "size": row.size,
            "payload": row.payload,
        }
        for row in rows
    ]
    conn.execute(insert.on_conflict_do_nothing(index_elements=["charger_id", "at", "id"]), values)


def messages_of(
    conn: Connection,
    charger: ChargerId,
    *,
    limit: int = 100,
    cursor: str | None = None,
    action: str | None = None,
    direction: Direction | None = None,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Page[MessageRow]:
    """A charger's messages, the newest first; `until` is not included. `BadCursorError` as for every list."""
    query = select(t).where(t.c.charger_id == charger)
    if action is not None:
        query = query.where(t.c.action == action)
    if direction is not None:
        query = query.where(t.c.direction == direction)
    if since is not None:
        query = query.where(t.c.at >= since)
    if until is not None:
        query = query.where(t.c.at < until)
    return page_of(conn, query, (t.c.at, t.c.id), limit, cursor, _row)


def prune_messages(conn: Connection, site: SiteId, older_than: datetime, max_bytes: float, *, at_most: int) -> int:
    """Deletes a site's messages before a time, and the oldest of those that take more than their room: at most so many
    of each. Returns how many; call it until that is 0.
    """
    mine = t.c.site_id == site
    key = tuple_(t.c.charger_id, t.c.at, t.c.id)
    keys = select(t.c.charger_id, t.c.at, t.c.id).where(mine)
    old = keys.where(t.c.at < older_than).limit(at_most)
    deleted = conn.execute(delete(t).where(key.in_(old))).rowcount
    used = func.sum(func.coalesce(func.length(t.c.payload), 0) + ROW_BYTES)
    count, taken = conn.execute(select(func.count(), used).where(mine)).one()
    if not count or taken <= max_bytes:
        return deleted
    too_many = min(at_most, int(count * (1 - max_bytes / taken)) + 1)
    oldest = keys.order_by(t.c.at, t.c.id).limit(too_many)
    return deleted + conn.execute(delete(t).where(key.in_(oldest))).rowcount


def _row(row: Row[Any]) -> MessageRow:
    return MessageRow(
        id=row.id,
        site=SiteId(row.site_id),
        charger=ChargerId(row.charger_id),
        at=row.at,
        direction=row.direction,
        kind=row.kind,
        action=row.action,
        message_id=row.message_id,
        size=row.size,
        payload=row.payload,
    )
