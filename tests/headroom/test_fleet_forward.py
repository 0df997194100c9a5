"""What is asked about a site goes to its controller, with the caller's own credentials; everything else stays."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import httpx
import pytest
import uvicorn
from fleet_world import a_fleet
from starlette.requests import Request
from starlette.responses import JSONResponse, StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from domain.errors import UnknownIdError
from domain.ids import SiteId
from headroom.fleet.connection import Fleet
from headroom.fleet.forward import HOP_HEADER, Signpost
from headroom.supervisor import ApiServer

SITE = SiteId("cedar")


async def controller(scope: Scope, receive: Receive, send: Send) -> None:
    """Says what it was asked; or, of events, one after the other."""
    request = Request(scope, receive)
    if request.url.path.endswith("/events"):

        async def events() -> AsyncIterator[str]:
            for number in range(3):
                yield f"data: {number}\n\n"

        await StreamingResponse(events(), media_type="text/event-stream")(scope, receive, send)
        return
    body = (await request.body()).decode()
    told = {"at": "controller", "url": str(request.url), "body": body, "headers": dict(request.headers)}
    await JSONResponse(told, 202, {"x-own": "kept"})(scope, receive, send)


async def local(scope: Scope, receive: Receive, send: Send) -> None:
    await JSONResponse({"at": "local"})(scope, receive, send)


@contextlib.asynccontextmanager
async def served(app: ASGIApp) -> AsyncIterator[str]:
    bound = socket.create_server(("127.0.0.1", 0))
    server = ApiServer(uvicorn.Config(app, log_config=None, lifespan="off"))
    async with asyncio.TaskGroup() as group:
        group.create_task(server.serve(sockets=[bound]))
        await server.answering.wait()
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"
        server.should_exit = True


def site_of(kind: str, name: str) -> SiteId:
    if name == "m1":
        return SITE
    raise UnknownIdError(kind, name)


async def evse_of(_link: str) -> str | None:
    return None


@contextlib.asynccontextmanager
async def asked(fleet: Fleet, here: set[str], *, health_only: bool = False) -> AsyncIterator[httpx.AsyncClient]:
    def is_here(site: SiteId) -> bool | None:
        return site in here if site == SITE else None

    signpost = Signpost(local, fleet, is_here, site_of, evse_of, health_only=health_only)
    transport = httpx.ASGITransport(signpost)
    async with httpx.AsyncClient(transport=transport, base_url="http://api.example") as client:
        yield client
    await signpost.close()


async def test_a_site_s_requests_reach_its_controller_as_they_are() -> None:
    async with a_fleet() as fleet, served(controller) as url, asked(fleet, set()) as client:
        await fleet.client.set(fleet.keys.lease(SITE), f"7 c1 {url}")
        found = await client.post(
            "/api/v1/meters/m1/readings?x=%2Fy", content=b"[1]", headers={"authorization": "Bearer hr_1", "origin": "o"}
        )
        assert (found.status_code, found.headers["x-own"]) == (202, "kept")
        told = found.json()
        assert told["url"] == "http://api.example/api/v1/meters/m1/readings?x=%2Fy"
        assert told["body"] == "[1]"
        assert told["headers"]["authorization"] == "Bearer hr_1"
        assert told["headers"]["host"] == "api.example"
        assert told["headers"]["x-forwarded-for"] == "127.0.0.1"
        events = await client.get(f"/api/v1/sites/{SITE}/events")
        assert events.text == "data: 0\n\ndata: 1\n\ndata: 2\n\n"


@pytest.mark.parametrize(
    "path", ["/api/v1/sites", "/api/v1/sites/elm", "/api/v1/meters/m2/readings", "/", "/api/v1/me"]
)
async def test_what_is_about_no_site_of_others_stays(path: str) -> None:
    async with a_fleet() as fleet, asked(fleet, set()) as client:
        assert (await client.get(path)).json() == {"at": "local"}


async def test_a_site_that_is_controlled_here_is_answered_here() -> None:
    async with a_fleet() as fleet, asked(fleet, {SITE}) as client:
        assert (await client.get(f"/api/v1/sites/{SITE}")).json() == {"at": "local"}


async def test_what_was_passed_on_once_is_not_passed_on_again() -> None:
    async with a_fleet() as fleet, served(controller) as url, asked(fleet, set()) as client:
        await fleet.client.set(fleet.keys.lease(SITE), f"7 c1 {url}")
        found = await client.get(f"/api/v1/sites/{SITE}", headers={HOP_HEADER: "1"})
        assert (found.status_code, found.headers[HOP_HEADER]) == (503, "none")


async def test_a_request_waits_for_a_site_that_is_being_taken_over() -> None:
    async with a_fleet() as fleet, served(controller) as url, asked(fleet, set()) as client:
        asking = asyncio.get_running_loop().create_task(client.get(f"/api/v1/sites/{SITE}"))
        await asyncio.sleep(0.5)
        assert not asking.done()
        await fleet.client.set(fleet.keys.lease(SITE), f"8 c2 {url}")
        assert (await asking).json()["at"] == "controller"


async def test_a_proxy_s_process_serves_its_health_and_nothing_else() -> None:
    async with a_fleet() as fleet, asked(fleet, set(), health_only=True) as client:
        assert (await client.get("/readyz")).status_code == 200
        assert (await client.get("/api/v1/sites")).status_code == 404
