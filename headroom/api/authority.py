"""Who a request comes from and whether it may: tokens, OIDC, cookies, scopes and rates."""

from collections.abc import Callable
from typing import Literal

import structlog
from starlette.datastructures import Headers
from starlette.requests import Request

from domain.errors import UnknownIdError
from headroom.access.buckets import Buckets
from headroom.access.oidc import OidcError, OidcVerifier, ProviderError
from headroom.access.roles import ANYBODY_HERE, NOBODY, Caller, Permission
from headroom.access.tokens import PREFIX, TokenBook
from headroom.api.credentials import credentials
from headroom.api.entry import Entry
from headroom.api.permissions import Match
from headroom.api.problems import ApiError

log = structlog.get_logger()

_CALLS = (50.0, 300.0)
"""Requests a second and at once, for each caller."""
_OPEN_CALLS = (20.0, 100.0)
"""The same for each address without a token."""
_FAILURES = (0.2, 20.0)
"""Tokens that do not hold, for each address."""
_LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "[::1]"})

SiteOf = Callable[[str, str], str]
"""The site of an EVSE, meter or charger, by parameter name and id; `UnknownIdError` if there is none."""


class Authority:
    """Decides who may. With `access` open everybody is an administrator: for a service on loopback alone."""

    def __init__(
        self,
        book: TokenBook,
        site_of: SiteOf,
        mono: Callable[[], float],
        *,
        access: Literal["token", "open"] = "token",
        oidc: OidcVerifier | None = None,
        local_hosts_only: bool = False,
    ) -> None:
        self.book = book
        self.oidc = oidc
        self._site_of, self._mono, self._access = site_of, mono, access
        self._local_hosts_only = local_hosts_only
        self._calls, self._open_calls, self._failures = Buckets(*_CALLS), Buckets(*_OPEN_CALLS), Buckets(*_FAILURES)

    def check_host(self, headers: Headers) -> None:
        """An open service answers to names of this machine only: a foreign name that leads here is another's page."""
        host = headers.get("host", "").lower()
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
        if self._local_hosts_only and name not in _LOCAL_HOSTS:
            raise ApiError(403, "Another host", f"this service is open on this machine only, and not as '{name[:80]}'")

    async def nobody(self) -> Caller:
        """The caller of what needs no token."""
        return ANYBODY_HERE if self._access == "open" else NOBODY

    async def caller(self, credentials: tuple[str | None, str | None], client: str, match: Match) -> Caller:
        """Who comes with these credentials (bearer token, cookie); `ApiError` 401 where they do not hold.

        Nobody is asked for them where none are needed.
        """
        bearer, cookie = credentials
        if self._access == "open" or match.permission is Permission.OPEN:
            return await self.nobody()
        if bearer is not None:
            return await self.caller_with(bearer, client)
        if cookie is not None:
            return await self.book.caller_with_cookie(cookie) or NOBODY
        return NOBODY

    async def still_welcome(self, request: Request) -> bool:
        """Whether the caller of a long answer may still have it: the token may have been revoked meanwhile."""
        entry: Entry = request.state.entry
        assert entry.match is not None
        try:
            caller = await self.caller(credentials(request.headers), entry.client, entry.match)
        except ApiError as error:
            return error.status == 503  # the provider does not answer: not the caller's fault
        return caller.may(entry.match.permission)

    async def caller_with(self, bearer: str, client: str) -> Caller:
        """Who comes with this bearer token; `ApiError` 401 where it does not hold, 429 after too many of those."""
        try:
            if bearer.startswith(PREFIX):
                caller = await self.book.caller_with_token(bearer)
                if caller is not None:
                    return caller
                why = "this token is not known, was revoked or is over"
            elif self.oidc is not None:
                return await self.oidc.caller(bearer)
            else:
                why = "tokens of this service begin with hr_, and no OpenID Connect provider is set up"
        except OidcError as error:
            why = str(error)
        except ProviderError as error:
            raise ApiError(503, "The provider does not answer", str(error)) from None
        waits_s = self._failures.wait_s(client, self._mono())
        log.warning("caller_not_known", client=client, why=why)
        if waits_s:
            raise _too_many(waits_s)
        raise _unauthorised(why)

    def admit(self, caller: Caller, match: Match, client: str) -> None:
        """Nothing, or `ApiError`: 401 without a token, 403 without the permission, 404 out of scope, 429 too often."""
        if caller is not ANYBODY_HERE:
            buckets, who = (self._calls, caller.id) if caller.role else (self._open_calls, client)
            waits_s = buckets.wait_s(who, self._mono())
            if waits_s:
                raise _too_many(waits_s)
        if match.permission is Permission.OPEN:
            return
        if caller.role is None:
            raise _unauthorised("this needs a token: Authorization: Bearer hr_... (see `headroom token create`)")
        if not caller.may(match.permission):
            raise ApiError(403, "Not for this role", f"role '{caller.role}' may not do this")
        self._within_scope(caller, match)

    def site(self, match: Match) -> str | None:
        """The site that a request is about; None where it is about none, or none that there is."""
        for name, value in match.params.items():
            if name == "site":
                return value
            if name in {"evse", "meter", "charger"}:
                try:
                    return self._site_of(name, value)
                except UnknownIdError:
                    return None
        return None

    def _within_scope(self, caller: Caller, match: Match) -> None:
        """What is out of scope does not exist for the caller."""
        for name, value in match.params.items():
            if name == "site":
                if not caller.sees_site(value):
                    raise UnknownIdError("site", value)
            elif name in {"evse", "meter", "charger"}:
                known = caller.sees_site(self._site_of(name, value)) and (name != "evse" or caller.sees_evse(value))
                if not known:
                    raise UnknownIdError("EVSE" if name == "evse" else name, value)


def _unauthorised(why: str) -> ApiError:
    return ApiError(401, "Who is asking?", why, headers={"WWW-Authenticate": "Bearer"})


def _too_many(waits_s: float) -> ApiError:
    seconds = max(1, round(waits_s + 0.5))
    return ApiError(429, "Too often", f"try again in {seconds} s", headers={"Retry-After": str(seconds)})
