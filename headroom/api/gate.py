"""The gate: every request's caller, permission, scope and rate are looked at here, before any endpoint sees it.

Fail closed: a path of the API that the table of permissions does not know is not served, whatever the application has.
"""

from collections.abc import Mapping
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from domain.errors import HeadroomError
from headroom.access.roles import Caller
from headroom.api.authority import Authority
from headroom.api.bodies import check_target, read_body
from headroom.api.credentials import credentials
from headroom.api.entry import Entry
from headroom.api.permissions import Match, PermissionTable
from headroom.api.problems import ApiError, problem_response
from headroom.api.writes import Writes

CSRF_HEADER = "x-csrf-token"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})

_SECURE_HEADERS: Mapping[str, str] = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "content-security-policy": (
        "default-src 'self'; img-src 'self' data:; "
        "object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
}


class Gate:
    """ASGI middleware around the application."""

    def __init__(self, app: ASGIApp, authority: Authority, writes: Writes, table: PermissionTable) -> None:
        self._app, self._authority, self._writes, self._table = app, authority, writes, table

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_securely(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in _SECURE_HEADERS.items():
                    headers.setdefault(name, value)
                if scope["scheme"] == "https":
                    headers.setdefault("strict-transport-security", "max-age=31536000")
                if guarded(scope["path"]):
                    headers.setdefault("cache-control", "no-store")
            await send(message)

        try:
            await self._let_in(scope, receive, send_securely)
        except HeadroomError as error:
            await problem_response(error)(scope, receive, send_securely)

    async def _let_in(self, scope: Scope, receive: Receive, send: Send) -> None:
        method, path, headers = scope["method"], scope["path"], Headers(scope=scope)
        client = scope["client"][0] if scope.get("client") else "unknown"
        self._authority.check_host(headers)
        if not guarded(path):
            scope.setdefault("state", {})["entry"] = Entry(await self._authority.nobody(), client, None)
            await self._app(scope, receive, send)
            return
        check_target(path, scope["query_string"])
        match = self._table.find(method, path)
        if not isinstance(match, Match):
            if match:
                allowed = ", ".join(sorted(match))
                raise ApiError(405, "Not allowed here", f"{path} takes {allowed}", headers={"Allow": allowed})
            raise ApiError(404, "Not Found", f"there is nothing at {path}")
        caller = await self._authority.caller(credentials(headers), client, match)
        scope.setdefault("state", {})["entry"] = Entry(caller, client, match)
        scope["state"]["site"] = self._authority.site(match)
        if method in _SAFE:
            self._authority.admit(caller, match, client)
            await self._app(scope, receive, send)
            return
        try:
            self._authority.admit(caller, match, client)
            check_origin(headers, caller)
        except HeadroomError as error:
            refused = problem_response(error).status_code
            if caller.role is not None and refused in {403, 404}:
                await self._writes.note(scope, b"", refused)
            raise
        body = await read_body(receive, headers)
        await self._writes.carry_out(self._app, scope, body, receive, send)


def guarded(path: str) -> bool:
    """Whether a path is the API's; everything else is the page's files."""
    return path.startswith("/api/") or path in {"/api", "/metrics", "/healthz", "/readyz"}


def check_origin(headers: Headers, caller: Caller) -> None:
    """A write that a browser sends for a page of another origin is refused; one by cookie needs its second half.

    A bearer token is not sent by a browser on its own, so those writes need neither.
    """
    if caller.via in {"token", "oidc"}:
        return
    origin = headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != headers.get("host"):
        raise ApiError(403, "Another origin", f"the page at {origin} may not write here")
    if headers.get("sec-fetch-site") in {"cross-site", "same-site"}:
        raise ApiError(403, "Another origin", "a page of another origin may not write here")
    if caller.csrf is not None and headers.get(CSRF_HEADER) != caller.csrf:
        raise ApiError(403, "Not from the page", f"send the 'csrf' of GET /api/v1/me as the header {CSRF_HEADER}")
