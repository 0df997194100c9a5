"""What every write goes through: idempotency keys and the audit trail."""

import hashlib
import json
import re
from collections.abc import Callable
from typing import Any

import structlog
from starlette.datastructures import Headers
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from domain.errors import StorageError
from domain.ports import Clock
from headroom.access.roles import Caller
from headroom.api.entry import Entry
from headroom.api.permissions import UNAUDITED, WITHOUT_KEYS, Match
from headroom.api.problems import ApiError
from inventory import access
from inventory.access import AuditRow, KeptAnswer
from inventory.store import Store

log = structlog.get_logger()

KEY_HEADER = "idempotency-key"
_KEY = re.compile(r"[\x21-\x7e]{1,200}")
_KEPT_HEADERS = ("content-type", "location")
_SECRETS = ("token", "secret", "password", "key")
_MOST_AUDITED = 4000
_DEEPEST_AUDITED = 20


class Writes:
    """Carries writes out: each at most once for a key, and each with a line in the audit trail."""

    def __init__(self, store: Store, clock: Clock, new_id: Callable[[], str]) -> None:
        self._store, self._clock, self._new_id = store, clock, new_id
        self._running: set[tuple[str, str]] = set()

    async def carry_out(self, app: ASGIApp, scope: Scope, body: bytes, receive: Receive, send: Send) -> None:
        """One write. With `Idempotency-Key` the first answer is given again, whatever became of the connection.

        Raises:
            ApiError: 400 for a key that is none, 409 while the first request with it runs, 422 for another request.
        """
        entry: Entry = scope["state"]["entry"]
        key = Headers(scope=scope).get(KEY_HEADER)
        assert entry.match is not None
        if key is None or entry.match.template in WITHOUT_KEYS:
            await self._audited(app, scope, body, receive, send)
            return
        if not _KEY.fullmatch(key):
            raise ApiError(400, "Not a key", f"{KEY_HEADER}: 1 to 200 visible ASCII characters")
        name = entry.caller.id if entry.caller.role is not None else f"at {entry.client}"
        fingerprint = hashlib.sha256(f"{scope['method']} {scope['path']}\n".encode() + body).hexdigest()
        if (name, key) in self._running:
            raise ApiError(409, "Still at it", "the first request with this key has not been answered yet")
        self._running.add((name, key))
        try:
            now = self._clock.now()
            kept = await self._store.query(lambda conn: access.kept_answer(conn, name, key, now), ())
            if kept is not None:
                await _again(kept, fingerprint)(scope, receive, send)
                return
            answer = _Answer(send)
            await self._audited(app, scope, body, receive, answer.keep)
            if answer.status < 500:
                to_keep = KeptAnswer(name, key, fingerprint, answer.status, answer.headers, answer.text, now)
                await self._store.transact(lambda conn: access.keep_answer(conn, to_keep))
            await answer.pass_on()
        finally:
            self._running.discard((name, key))

    async def _audited(self, app: ASGIApp, scope: Scope, body: bytes, receive: Receive, send: Send) -> None:
        entry: Entry = scope["state"]["entry"]
        assert entry.match is not None
        if entry.match.template in UNAUDITED:
            await app(scope, _replay(body, receive), send)
            return
        answer = _Answer(send)
        try:
            await app(scope, _replay(body, receive), answer.keep)
        finally:
            await self.note(scope, body, answer.status)
        await answer.pass_on()

    async def note(self, scope: Scope, body: bytes, status: int) -> None:
        """A line in the audit trail, durable before the write is answered; where the database fails, in the log."""
        entry: Entry = scope["state"]["entry"]
        assert entry.match is not None
        caller: Caller = scope["state"].get("acting", entry.caller)
        row = AuditRow(
            id=self._new_id(),
            at=self._clock.now(),
            caller=caller.id,
            name=caller.name,
            role=caller.role,
            via=caller.via,
            client=entry.client[:255],
            method=scope["method"],
            path=_without_link(scope["path"], entry.match),
            site_id=scope["state"].get("site"),
            status=status,
            body=auditable(body),
        )
        try:
            await self._store.transact(lambda conn: access.add_audit(conn, row))
        except StorageError as error:
            log.error("audit_not_stored", why=str(error), caller=row.caller, method=row.method, path=row.path)


class _Answer:
    """An answer that is held back."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._messages: list[Message] = []
        self.status = 500

    async def keep(self, message: Message) -> None:
        """In place of `send`."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
        self._messages.append(message)

    async def pass_on(self) -> None:
        """Send it after all."""
        for message in self._messages:
            await self._send(message)

    @property
    def headers(self) -> dict[str, str]:
        """Those that belong to the answer rather than to the connection."""
        found = Headers(raw=self._messages[0]["headers"])
        return {name: found[name] for name in _KEPT_HEADERS if name in found}

    @property
    def text(self) -> str:
        """The body."""
        return b"".join(message.get("body", b"") for message in self._messages[1:]).decode()


def _again(kept: KeptAnswer, fingerprint: str) -> Response:
    if kept.fingerprint != fingerprint:
        raise ApiError(422, "Another request", f"this {KEY_HEADER} was used for another request: take a new one")
    return Response(kept.body, kept.status, {**kept.headers, "idempotency-replayed": "true"})


def _replay(body: bytes, receive: Receive) -> Receive:
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


def auditable(body: bytes) -> Any:
    """A request's body as the audit trail keeps it: JSON without secrets, or None; its beginning where it is long."""
    if not body:
        return None
    if len(body) > _MOST_AUDITED:
        return {"bytes": len(body)}
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {"bytes": len(body)}
    return _without_secrets(found)


def _without_link(path: str, match: Match) -> str:
    """A driver's link is a secret of its own."""
    link = match.params.get("link")
    return path if link is None else path.removesuffix(link) + "[redacted]"


def _without_secrets(value: Any, depth: int = 0) -> Any:
    if depth == _DEEPEST_AUDITED and isinstance(value, dict | list):
        return "..."
    if isinstance(value, dict):
        return {
            str(name)[:100]: "[redacted]"
            if any(word in str(name).lower() for word in _SECRETS)
            else _without_secrets(one, depth + 1)
            for name, one in value.items()
        }
    if isinstance(value, list):
        return [_without_secrets(one, depth + 1) for one in value]
    return value
