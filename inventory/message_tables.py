"""The table of the OCPP message log. It has its time in the primary key, so that PostgreSQL can partition it."""

from sqlalchemy import Column, Index, Integer, String, Table

from inventory.tables import ID, IDENTITY, LONG_TEXT, PeerText, UtcDateTime, metadata

messages = Table(
    "messages",
    metadata,
    Column("charger_id", IDENTITY, primary_key=True),
    Column("at", UtcDateTime, primary_key=True),
    Column("id", String(32), primary_key=True),
    Column("site_id", ID, nullable=False),
    Column("direction", String(16), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("action", PeerText(64)),
    Column("message_id", PeerText(64)),
    Column("size", Integer, nullable=False),
    Column("payload", LONG_TEXT),
    Index(None, "site_id", "at", "id"),
)
