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

_STORED = func.coalesce(func.length(t.c.payload), 0) + ROW_BYTES


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


def stored_bytes(row: MessageRow) -> int:
    """What a message takes in the database, about."""
    return len(row.payload or "") + ROW_BYTES


def room_taken(conn: Connection, site: SiteId) -> int:
    """What a site's messages take, about, in bytes. Reads all of them: to be asked once."""
    return int(conn.execute(select(func.coalesce(func.sum(_STORED), 0)).where(t.c.site_id == site)).scalar_one())


def prune_messages(
    conn: Connection, site: SiteId, older_than: datetime, excess_bytes: float, *, at_most: int
) -> tuple[int, int]:
    """Deletes a site's oldest messages: those before a time, and as many more as take `excess_bytes`; at most so many
    at once. Returns how many and their bytes: call it until that is nothing.
    """
    oldest = select(t.c.at, t.c.id, _STORED.label("stored")).where(t.c.site_id == site)
    last, rows, freed = None, 0, 0
    for row in conn.execute(oldest.order_by(t.c.at, t.c.id).limit(at_most)):
        if row.at >= older_than and freed >= excess_bytes:
            break
        last, rows, freed = row, rows + 1, freed + row.stored
    if last is not None:
        types = [t.c.at.type, t.c.id.type]
        conn.execute(
            delete(t).where(t.c.site_id == site, tuple_(t.c.at, t.c.id) <= tuple_(last.at, last.id, types=types))
        )
    return rows, freed


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
