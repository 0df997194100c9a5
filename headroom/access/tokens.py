"""API tokens: how they look, how they are kept, and which of them hold now.

A token is `hr_<id>_<secret>`: 256 random bits, of which only the SHA-256 is stored. (A slow hash is for passwords, that
people choose; nobody guesses 256 bits.)
"""

import asyncio
import hashlib
import hmac
import math
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import Connection

from domain.errors import StorageError
from domain.ports import Clock
from headroom.access.roles import Caller, Role
from inventory import access
from inventory.access import PageSessionRow, TokenRow
from inventory.store import Store

PREFIX = "hr_"
REMEMBERED_S = 5.0
"""How long a revocation by another process (`headroom token revoke`) may take to be noticed, in real seconds."""
PAGE_SESSION = timedelta(hours=12)

_ID_LETTERS = "23456789abcdefghjkmnpqrstuvwxyz"


def new_token(
    role: Role,
    name: str,
    now: datetime,
    *,
    sites: Sequence[str] | None = None,
    evses: Sequence[str] | None = None,
    lives: timedelta | None = None,
) -> tuple[str, TokenRow]:
    """A fresh token: the text for its holder, which is kept nowhere, and what is stored."""
    token_id = "".join(secrets.choice(_ID_LETTERS) for _ in range(8))
    text = f"{PREFIX}{token_id}_{secrets.token_urlsafe(32)}"
    row = TokenRow(
        id=token_id,
        name=name,
        role=role.value,
        secret_hash=hash_of(text),
        created_at=now,
        sites=None if sites is None else tuple(sites),
        evses=None if evses is None else tuple(evses),
        expires_at=None if lives is None else now + lives,
    )
    return text, row


def hash_of(secret: str) -> str:
    """What is stored of a secret (SHA-256, hex)."""
    return hashlib.sha256(secret.encode()).hexdigest()


def caller_of(row: TokenRow) -> Caller:
    """Who comes with this token."""
    return Caller(
        id=f"token:{row.id}",
        name=row.name,
        role=Role(row.role),
        via="token",
        sites=None if row.sites is None else frozenset(row.sites),
        evses=None if row.evses is None else frozenset(row.evses),
    )


@dataclass(frozen=True, slots=True)
class _Known:
    tokens: Mapping[str, TokenRow] = field(default_factory=dict)
    logins: Mapping[str, PageSessionRow] = field(default_factory=dict)


class TokenBook:
    """The tokens and page sessions that hold, read again every `REMEMBERED_S`: one query, whatever is thrown at it, and
    one caller who waits for it.

    While the database does not answer, those that were known last go on holding: a meter must be able to report.
    """

    def __init__(self, store: Store, clock: Clock, mono: Callable[[], float]) -> None:
        self._store, self._clock, self._mono = store, clock, mono
        self._known = _Known()
        self._read_s, self._changes = -math.inf, 0
        self._reading = asyncio.Lock()

    async def caller_with_token(self, text: str) -> Caller | None:
        """Who comes with this token; None where it is not one, or holds no more."""
        parts = text.removeprefix(PREFIX).split("_", 1)
        row = (await self._newest()).tokens.get(parts[0])
        given = hash_of(text)
        if row is None or not hmac.compare_digest(row.secret_hash, given) or not row.valid_at(self._clock.now()):
            return None
        return caller_of(row)

    async def caller_with_cookie(self, secret: str) -> Caller | None:
        """Who is logged in with this cookie; None where nobody is."""
        known = await self._newest()
        now, login = self._clock.now(), known.logins.get(hash_of(secret))
        if login is None or login.expires_at <= now:
            return None
        csrf = csrf_of(secret)
        if login.token_id is None:
            return _restored(login.caller, csrf)
        row = known.tokens.get(login.token_id)
        if row is None or not row.valid_at(now):
            return None
        caller = caller_of(row)
        return Caller(caller.id, caller.name, caller.role, "page", caller.sites, caller.evses, csrf)

    async def log_in(self, caller: Caller) -> str:
        """Begin a page session for a caller; returns the cookie's secret."""
        secret, now = secrets.token_urlsafe(32), self._clock.now()
        token_id = caller.id.removeprefix("token:") if caller.id.startswith("token:") else None
        row = PageSessionRow(hash_of(secret), token_id, _kept(caller), now, now + PAGE_SESSION)
        await self.change(lambda conn: access.add_page_session(conn, row))
        return secret

    async def log_out(self, secret: str) -> None:
        """End a page session."""
        await self.change(lambda conn: access.end_page_session(conn, hash_of(secret)))

    async def change(self, work: Callable[[Connection], object]) -> None:
        """Change what is stored; it holds at once."""
        await self._store.transact(work)
        self._changes += 1
        self._read_s = -math.inf

    async def _newest(self) -> _Known:
        if self._reading.locked() and self._read_s > -math.inf:
            return self._known  # somebody reads them again: one caller waits for the database, not all of them
        async with self._reading:
            if self._mono() - self._read_s >= REMEMBERED_S:
                now, changes = self._clock.now(), self._changes
                try:
                    tokens, logins = await self._store.query(
                        lambda conn: (access.tokens(conn), access.page_sessions(conn, now)), ()
                    )
                except StorageError:
                    if self._read_s == -math.inf:
                        raise
                else:
                    self._known = _Known(
                        {row.id: row for row in tokens}, {login.secret_hash: login for login in logins}
                    )
                if changes == self._changes:  # else what was read may be of before the change
                    self._read_s = self._mono()
        return self._known


def csrf_of(secret: str) -> str:
    """The second half of a page session, which a page of another origin cannot know."""
    return hmac.new(secret.encode(), b"csrf", hashlib.sha256).hexdigest()


def _kept(caller: Caller) -> dict[str, object]:
    return {
        "id": caller.id,
        "name": caller.name,
        "role": caller.role,
        "sites": None if caller.sites is None else sorted(caller.sites),
        "evses": None if caller.evses is None else sorted(caller.evses),
    }


def _restored(kept: Mapping[str, object], csrf: str) -> Caller:
    sites, evses = kept["sites"], kept["evses"]
    return Caller(
        id=str(kept["id"]),
        name=str(kept["name"]),
        role=Role(str(kept["role"])),
        via="page",
        sites=frozenset(sites) if isinstance(sites, list) else None,
        evses=frozenset(evses) if isinstance(evses, list) else None,
        csrf=csrf,
    )
