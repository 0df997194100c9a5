"""The tables of access and of messages that are due: tokens, page sessions, drivers' links, audit, keys, outbox."""

from sqlalchemy import Column, Index, Integer, String, Table

from inventory.tables import ID, LONG_TEXT, PEER_TEXT, JsonValue, UtcDateTime, metadata

HASH = String(64)
NAME = PEER_TEXT

api_tokens = Table(
    "api_tokens",
    metadata,
    Column("id", String(16), primary_key=True),
    Column("name", NAME, nullable=False),
    Column("role", String(16), nullable=False),
    Column("sites", JsonValue),
    Column("evses", JsonValue),
    Column("secret_hash", HASH, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime),
    Column("revoked_at", UtcDateTime),
)

page_sessions = Table(
    "page_sessions",
    metadata,
    Column("secret_hash", HASH, primary_key=True),
    Column("token_id", String(16)),
    Column("caller", JsonValue, nullable=False),
    Column("created_at", UtcDateTime, nullable=False),
    Column("expires_at", UtcDateTime, nullable=False),
)

driver_links = Table(
    "driver_links",
    metadata,
    Column("evse_id", ID, primary_key=True),
    Column("generation", Integer, nullable=False),
    Column("changed_at", UtcDateTime, nullable=False),
)

signing_keys = Table(
    "signing_keys",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("secret", String(128), nullable=False),
)

audit = Table(
    "audit",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("at", UtcDateTime, nullable=False),
    Column("caller", NAME, nullable=False),
    Column("name", NAME, nullable=False),
    Column("role", String(16)),
    Column("via", String(16), nullable=False),
    Column("client", NAME, nullable=False),
    Column("method", String(8), nullable=False),
    Column("path", LONG_TEXT, nullable=False),
    Column("site_id", ID),
    Column("status", Integer, nullable=False),
    Column("body", JsonValue),
    Index(None, "at", "id"),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("caller", NAME, primary_key=True),
    Column("key", NAME, primary_key=True),
    Column("fingerprint", HASH, nullable=False),
    Column("status", Integer, nullable=False),
    Column("headers", JsonValue, nullable=False),
    Column("body", LONG_TEXT, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Index(None, "at"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("target", NAME, nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("at", UtcDateTime, nullable=False),
    Column("event", String(32), nullable=False),
    Column("payload", JsonValue, nullable=False),
    Column("attempts", Integer, nullable=False),
    Index(None, "target", "sequence"),
)
