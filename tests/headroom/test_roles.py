"""Each role is tried against each path, and no path is missing from the table."""

import asyncio
import re
from collections.abc import AsyncIterator

import httpx
import pytest
import pytest_asyncio
from api_world import House, a_house, path_of
from asgi_stream import ask_without_end

from headroom.access.roles import GRANTS, Permission, Role
from headroom.api.permissions import REQUIRED, Match, PermissionTable

# What each role may do, written out by hand: the table of grants must say the same.
_SEES = {"self", "site", "read", "evse", "metrics"}
_EXPECTED = {
    "viewer": _SEES,
    "operator": _SEES | {"wish", "limit", "operate"},
    "grid_operator": {"self", "site", "limit"},
    "meter": {"self", "meter"},
    "driver": {"self", "evse", "wish"},
    "admin": {str(permission) for permission in Permission},
}
_BODIES: dict[str, object] = {
    "/api/v1/sites/{site}/limits": {"feeder": "main", "limit_a": 100, "reason": "test"},
    "/api/v1/sites/{site}/limits/preview": {"feeder": "main", "limit_a": 100, "reason": "test"},
    "/api/v1/sites/{site}/sessions/{session}": {"energy_wanted_kwh": 5},
    "/api/v1/sites/{site}/strategy": {"scheduler": "round_robin"},
    "/api/v1/sites/{site}/seals": {"digest": "0" * 64},
    "/api/v1/evses/{evse}/trial-limit": {"limit_a": 30, "seconds": 1},
    "/api/v1/meters/{meter}/readings": [],
    "/api/v1/tokens": {"name": "x", "role": "viewer"},
    "/api/v1/login": {"token": "hr_no_such"},
}


@pytest_asyncio.fixture
async def house() -> AsyncIterator[House]:
    async with a_house(mode="token") as made:
        yield made


async def values(house: House, admin: httpx.AsyncClient) -> dict[str, str]:
    sessions = await house.get("/sites/demo/sessions", admin)
    decisions = await house.get("/sites/demo/decisions?limit=1", admin)
    link = await house.get("/evses/P1-01/driver-link", admin)
    return {
        "site": "demo",
        "evse": "P1-01",
        "charger": "CP001",
        "meter": house.site.meters[0].id,
        "session": sessions["items"][0]["id"],
        "decision": decisions["items"][0]["id"],
        "link": link["link"],
        "limit": "no-such-limit",
        "token": "no-such-token",
        "model": "none",
        "vendor": "none",
    }


async def status(client: httpx.AsyncClient, method: str, url: str, body: object) -> int:
    """The status alone: an event stream would not end."""
    async with asyncio.timeout(20):
        if url.endswith("/events"):
            return await begins(client, url)
        return (await client.request(method, url, json=body)).status_code


async def begins(client: httpx.AsyncClient, url: str) -> int:
    """How an endless answer begins (httpx's ASGI transport waits for the end)."""
    found: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    request = client.build_request("GET", url)

    def heard(message: dict[str, object]) -> None:
        if message["type"] == "http.response.start" and not found.done():
            found.set_result(int(str(message["status"])))

    app = client._transport.app  # type: ignore[attr-defined]
    running = asyncio.get_running_loop().create_task(ask_without_end(app, request, heard))
    try:
        return await found
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_each_role_against_each_path(house: House) -> None:
    admin = await house.with_role(Role.ADMIN)
    known = await values(house, admin)
    callers = {None: house.client}
    for role in Role:
        callers[role] = await house.with_role(role, evses=["P1-01"] if role is Role.DRIVER else None)
    tried = 0
    for (method, template), permission in REQUIRED.items():
        url, body = path_of(template, known), _BODIES.get(template)
        for role, client in callers.items():
            house.authority._calls._levels.clear()
            house.authority._open_calls._levels.clear()
            found = await status(client, method, url, body)
            what = f"{role} {method} {template}: {found}"
            if permission is Permission.OPEN:
                assert found < 500, what
                assert found not in {403, 429}, what
            elif role is None:
                assert found == 401, what
            elif str(permission) in _EXPECTED[role]:
                assert found < 500, what
                assert found not in {401, 403}, what
            else:
                assert found == 403, what
            tried += 1
    assert tried == len(REQUIRED) * 7


def test_grants_are_what_is_promised() -> None:
    for role in Role:
        assert {str(one) for one in GRANTS[role]} - {"open"} == _EXPECTED[role] - {"open"}


async def test_every_path_of_the_application_is_in_the_table_and_the_other_way_round(house: House) -> None:
    document = house.app.openapi()
    served = {(verb.upper(), path) for path, item in document["paths"].items() for verb in item}
    assert served == set(REQUIRED)


def test_a_path_that_is_not_in_the_table_is_not_served() -> None:
    table = PermissionTable()
    assert table.find("GET", "/api/v1/secrets") == frozenset()
    assert table.find("PUT", "/api/v1/sites") == {"GET"}
    found = table.find("POST", "/api/v1/sites/demo/limits/preview")
    assert isinstance(found, Match)
    assert found.template.endswith("/limits/preview")


@pytest.mark.parametrize("path", ["/api/v1/sites/other", "/api/v1/sites/other/limits", "/api/v1/evses/none"])
async def test_what_is_out_of_scope_does_not_exist(house: House, path: str) -> None:
    confined = await house.with_role(Role.VIEWER, sites=["elsewhere"])
    everywhere = await house.with_role(Role.VIEWER)
    inside = re.sub("other", "demo", path).replace("none", "P1-01")
    assert (await everywhere.get(inside)).status_code == 200
    for url in (path, inside):
        answer = await confined.get(url)
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"
    assert (await house.get("/sites", confined))["items"] == []


async def test_a_driver_has_the_evses_of_the_token_and_sets_no_priority(house: House) -> None:
    driver = await house.with_role(Role.DRIVER, evses=["P1-01"])
    other = await house.with_role(Role.DRIVER, evses=["P2-01"])
    session = (await house.get("/evses/P1-01", driver))["session"]["id"]
    assert (await other.get("/api/v1/evses/P1-01")).status_code == 404
    url = f"/api/v1/sites/demo/sessions/{session}"
    assert (await other.patch(url, json={"energy_wanted_kwh": 5})).status_code == 404
    assert (await driver.patch(url, json={"priority": 1.5})).status_code == 403
    answer = await driver.patch(url, json={"energy_wanted_kwh": 5})
    assert (answer.status_code, answer.json()["energy_wanted_kwh"]) == (200, 5.0)
