"""The table of the OCPP message log. It has its time in the primary key, so that PostgreSQL can partition it."""

from sqlalchemy import Column, Index, Integer, String, Table, Text

from inventory.tables import ID, IDENTITY, UtcDateTime, metadata

messages = Table(
    "messages",
    metadata,
    Column("charger_id", IDENTITY, primary_key=True),
    Column("at", UtcDateTime, primary_key=True),
    Column("id", String(32), primary_key=True),
    Column("site_id", ID, nullable=False),
    Column("direction", String(16), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("action", String(64)),
    Column("message_id", String(64)),
    Column("size", Integer, nullable=False),
    Column("payload", Text),
    Index(None, "site_id", "at", "id"),
)
