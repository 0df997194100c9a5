"""Tokens, page sessions, drivers' links, audit and idempotency keys, read and written over a `Connection`."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, delete, select, update
from sqlalchemy.dialects import postgresql, sqlite

from inventory import access_tables as t
from inventory.locks import lock
from inventory.queries import Page, page_of

KEY_LIVES = timedelta(hours=24)
"""How long an idempotency key is remembered."""


@dataclass(frozen=True, slots=True)
class TokenRow:
    """An API token as it is stored: of its secret only the SHA-256 (hex). None for `sites` and `evses`: all."""

    id: str
    name: str
    role: str
    secret_hash: str
    created_at: datetime
    sites: tuple[str, ...] | None = None
    evses: tuple[str, ...] | None = None
    expires_at: datetime | None = None
    revoked_at: datetime | None = None

    def valid_at(self, now: datetime) -> bool:
        """Neither revoked nor expired."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


@dataclass(frozen=True, slots=True)
class PageSessionRow:
    """A login of the page: `caller` is what the login was given, `token_id` the token behind it where it was one."""

    secret_hash: str
    token_id: str | None
    caller: dict[str, Any]
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One write: who, from where, what, and how it was answered."""

    id: str
    at: datetime
    caller: str
    name: str
    role: str | None
    via: str
    client: str
    method: str
    path: str
    site_id: str | None
    status: int
    body: Any


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """The answer to a write with an idempotency key."""

    caller: str
    key: str
    fingerprint: str
    status: int
    headers: dict[str, str]
    body: str
    at: datetime


def add_token(conn: Connection, token: TokenRow) -> None:
    """Stores a new token."""
    conn.execute(t.api_tokens.insert().values(**_values(token)))


def tokens(conn: Connection) -> tuple[TokenRow, ...]:
    """Every token, revoked ones too, oldest first."""
    found = conn.execute(select(t.api_tokens).order_by(t.api_tokens.c.created_at, t.api_tokens.c.id))
    return tuple(_token(row) for row in found)


def revoke_token(conn: Connection, token_id: str, now: datetime) -> bool:
    """Ends a token and the page sessions behind it; False where there is none that still stands."""
    standing = (t.api_tokens.c.id == token_id) & t.api_tokens.c.revoked_at.is_(None)
    done = conn.execute(update(t.api_tokens).where(standing).values(revoked_at=now)).rowcount
    conn.execute(delete(t.page_sessions).where(t.page_sessions.c.token_id == token_id))
    return done > 0


def add_page_session(conn: Connection, session: PageSessionRow) -> None:
    """Stores a login, and forgets those that are over."""
    conn.execute(delete(t.page_sessions).where(t.page_sessions.c.expires_at < session.created_at))
    conn.execute(t.page_sessions.insert().values(**_values(session)))


def page_sessions(conn: Connection, now: datetime) -> tuple[PageSessionRow, ...]:
    """The logins that are not over."""
    found = conn.execute(select(t.page_sessions).where(t.page_sessions.c.expires_at > now))
    return tuple(PageSessionRow(**dict(row._mapping)) for row in found)


def end_page_session(conn: Connection, secret_hash: str) -> None:
    """Logs out."""
    conn.execute(delete(t.page_sessions).where(t.page_sessions.c.secret_hash == secret_hash))


def signing_key(conn: Connection, name: str) -> bytes:
    """A key of this installation, made when it is first asked for."""
    lock(conn, "signing keys")
    found = conn.execute(select(t.signing_keys.c.secret).where(t.signing_keys.c.name == name)).scalar()
    if found is None:
        found = secrets.token_hex(32)
        conn.execute(t.signing_keys.insert().values(name=name, secret=found))
    return bytes.fromhex(found)


def link_generation(conn: Connection, evse: str) -> int:
    """Which driver's link of an EVSE is the valid one; it counts up with every revocation."""
    links = t.driver_links
    return conn.execute(select(links.c.generation).where(links.c.evse_id == evse)).scalar() or 0


def revoke_link(conn: Connection, evse: str, now: datetime) -> int:
    """Makes every link of an EVSE so far invalid; returns the new generation."""
    lock(conn, "driver links")
    generation = link_generation(conn, evse) + 1
    links = t.driver_links
    values = {"generation": generation, "changed_at": now}
    if not conn.execute(update(links).where(links.c.evse_id == evse).values(**values)).rowcount:
        conn.execute(links.insert().values(evse_id=evse, **values))
    return generation


def add_audit(conn: Connection, row: AuditRow) -> None:
    """Notes a write."""
    conn.execute(t.audit.insert().values(**_values(row)))


def audit(
    conn: Connection,
    *,
    sites: Sequence[str] | None = None,
    caller: str | None = None,
    limit: int = 100,
    cursor: str | None = None,
) -> Page[AuditRow]:
    """What was written, the newest first; of some sites or by one caller only where that is given."""
    query = select(t.audit)
    if sites is not None:
        query = query.where(t.audit.c.site_id.in_(sites))
    if caller is not None:
        query = query.where(t.audit.c.caller == caller)
    return page_of(conn, query, (t.audit.c.at, t.audit.c.id), limit, cursor, lambda row: AuditRow(**dict(row._mapping)))


def kept_answer(conn: Connection, caller: str, key: str, now: datetime) -> KeptAnswer | None:
    """The answer that was given to this key, if it is not older than `KEY_LIVES`."""
    keys = t.idempotency_keys
    mine = (keys.c.caller == caller) & (keys.c.key == key) & (keys.c.at > now - KEY_LIVES)
    row = conn.execute(select(keys).where(mine)).first()
    return None if row is None else KeptAnswer(**dict(row._mapping))


def keep_answer(conn: Connection, answer: KeptAnswer) -> None:
    """Remembers an answer, and forgets those that are too old. Of two for the same key the first stands."""
    keys = t.idempotency_keys
    conn.execute(delete(keys).where(keys.c.at <= answer.at - KEY_LIVES))
    insert = postgresql.insert if conn.dialect.name == "postgresql" else sqlite.insert
    conn.execute(insert(keys).on_conflict_do_nothing().values(**_values(answer)))


def _values(row: Any) -> dict[str, Any]:
    values = {name: getattr(row, name) for name in row.__slots__}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def _token(row: Row[Any]) -> TokenRow:
    values = dict(row._mapping)
    for name in ("sites", "evses"):
        values[name] = None if values[name] is None else tuple(values[name])
    return TokenRow(**values)
