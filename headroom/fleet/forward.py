"""Requests about a site go to the process that controls it now; everything else is answered here.

The caller's credentials go along, and the controller's own gate judges them: nobody has to trust the forwarder.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

import httpx
import structlog
from starlette.datastructures import Headers
from starlette.responses import Response, StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from domain.errors import HeadroomError, UnknownIdError
from domain.ids import SiteId
from headroom.api.bodies import read_body
from headroom.api.permissions import Match, PermissionTable
from headroom.api.problems import ApiError, problem_response
from headroom.fleet.connection import TROUBLE, Fleet
from headroom.fleet.lease import Holder
from headroom.waiting import unless_cancelled

log = structlog.get_logger()

HOP_HEADER: Final = "x-headroom-hop"
_PATIENCE_S: Final = 6.0
"""So long a request waits for a site that is being taken over."""
_LOOK_AGAIN_S: Final = 0.2
_SILENT_S: Final = 60.0
"""An answer that says nothing for so long is given up; event streams say something every 15 s."""
_PROXY_PATHS: Final = frozenset({"/healthz", "/readyz", "/metrics"})
_NOT_PASSED_ON: Final = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "content-length",
        HOP_HEADER,
        "x-forwarded-for",
    }
)

SiteOf = Callable[[str, str], SiteId]
EvseOfLink = Callable[[str], Awaitable[str | None]]


class Signpost:
    """ASGI before the application. `is_here` says whether a site is controlled in this process, None where there is no
    such site; `site_of` whose an EVSE, a meter or a charger is; `evse_of_link` whose a driver's link. With
    `health_only` nothing else is served.
    """

    def __init__(
        self,
        app: ASGIApp,
        fleet: Fleet,
        is_here: Callable[[SiteId], bool | None],
        site_of: SiteOf,
        evse_of_link: EvseOfLink,
        *,
        health_only: bool = False,
    ) -> None:
        self.forwarded = 0
        self._app, self._fleet, self._is_here = app, fleet, is_here
        self._site_of, self._evse_of_link, self._health_only = site_of, evse_of_link, health_only
        self._table = PermissionTable()
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=50)
        self._client = httpx.AsyncClient(timeout=httpx.Timeout(5.0, read=_SILENT_S), limits=limits, trust_env=False)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            if self._health_only and scope["path"] not in _PROXY_PATHS:
                raise ApiError(404, "Not Found", "this process lets chargers in; the API is at the 'api' processes")
            site = await self._site(scope)
            if site is None or self._is_here(site) is not False:
                await self._app(scope, receive, send)
                return
            answer = await self._elsewhere(site, scope, receive)
        except HeadroomError as error:
            answer = problem_response(error)
        await answer(scope, receive, send)

    async def close(self) -> None:
        """Let the connections go."""
        await self._client.aclose()

    async def _site(self, scope: Scope) -> SiteId | None:
        """The site that a request is about; None where it is about none, or about nothing that is known."""
        match = self._table.find(scope["method"], scope["path"])
        if not isinstance(match, Match):
            return None
        try:
            for name, value in match.params.items():
                if name == "site":
                    return SiteId(value)
                if name in {"evse", "meter", "charger"}:
                    return self._site_of(name, value)
                if name == "link":
                    evse = await self._evse_of_link(value)
                    return None if evse is None else self._site_of("evse", evse)
        except UnknownIdError:
            return None
        return None

    async def _elsewhere(self, site: SiteId, scope: Scope, receive: Receive) -> Response:
        headers = Headers(scope=scope)
        if HOP_HEADER in headers:
            raise _nobody(site)
        body = b"" if scope["method"] in {"GET", "HEAD"} else await read_body(receive, headers)
        loop = asyncio.get_running_loop()
        until_s = loop.time() + _PATIENCE_S
        while True:
            url = await self._controller(site)
            if url is not None:
                answer = await self._ask(url, site, scope, body)
                if answer is not None:
                    return answer
            if loop.time() >= until_s:
                raise _nobody(site)
            await asyncio.sleep(_LOOK_AGAIN_S)

    async def _controller(self, site: SiteId) -> str | None:
        """Where the site's controller is; None while there is none."""
        try:
            value = await self._fleet.client.get(self._fleet.keys.lease(site))
        except TROUBLE:
            unless_cancelled()
            return None
        holder = Holder.parse(value) if value is not None else None
        return holder.url if holder is not None else None

    async def _ask(self, url: str, site: SiteId, scope: Scope, body: bytes) -> Response | None:
        """The controller's answer; None where it is to be asked for again: nothing was done."""
        query = scope["query_string"].decode("latin-1")
        path = scope.get("raw_path", scope["path"].encode()).decode("latin-1").partition("?")[0]
        client = scope["client"][0] if scope.get("client") else "unknown"
        passed = [(name, value) for name, value in Headers(scope=scope).items() if name not in _NOT_PASSED_ON]
        request = self._client.build_request(
            scope["method"],
            f"{url}{path}" + (f"?{query}" if query else ""),
            headers=[*passed, (HOP_HEADER, "1"), ("x-forwarded-for", client)],
            content=body or None,
        )
        try:
            found = await self._client.send(request, stream=True)
        except httpx.ConnectError:
            return None
        except httpx.HTTPError as error:
            if scope["method"] == "GET":
                return None
            log.warning("request_not_answered", site=site, error=f"{type(error).__name__}: {error}")
            raise ApiError(
                502, "Not known", "the site's controller went away in the middle of this; look again"
            ) from None
        if found.status_code == 503 and found.headers.get(HOP_HEADER) == "none":
            await found.aclose()
            return None
        self.forwarded += 1
        kept = {name: value for name, value in found.headers.items() if name not in _NOT_PASSED_ON}
        return StreamingResponse(_through(found), found.status_code, kept)


async def _through(found: httpx.Response) -> AsyncIterator[bytes]:
    """The body as it comes; a controller that goes away in the middle ends it."""
    try:
        async for chunk in found.aiter_raw():
            yield chunk
    except httpx.HTTPError as error:
        log.info("answer_cut_short", error=type(error).__name__)
    finally:
        await found.aclose()


def _nobody(site: SiteId) -> ApiError:
    headers = {"Retry-After": "2", HOP_HEADER: "none"}
    return ApiError(
        503, "Nobody decides", f"site '{site}' has no controller at this moment; try again", headers=headers
    )
