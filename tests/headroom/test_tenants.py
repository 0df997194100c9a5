"""One tenant cannot read or write another's site: every path, role, list, cursor, key and stream.

All names of the other building hold the word `birch` (see tenant_world), so that whatever leaks can be seen.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
from api_world import path_of
from asgi_stream import ask_without_end
from tenant_world import MINE, THEIRS, Quarter, a_quarter
from test_roles import _BODIES, begins

from headroom.access.roles import Permission, Role
from headroom.api.permissions import REQUIRED
from headroom.spool_look import SetAside, SpoolLook
from inventory.records import session_id

_SCOPED = ("site", "evse", "meter", "charger")


@pytest_asyncio.fixture
async def quarter() -> AsyncIterator[Quarter]:
    async with a_quarter() as made:
        await asyncio.sleep(0.3)
        yield made


async def known(quarter: Quarter, name: str) -> dict[str, str]:
    """The real values of a building's parameters."""
    admin = await quarter.with_role(Role.ADMIN)
    sessions = await quarter.get(f"/sites/{name}/sessions", admin)
    decisions = await quarter.get(f"/sites/{name}/decisions?limit=1", admin)
    limit = await admin.post(
        f"/api/v1/sites/{name}/limits", json={"feeder": f"{name}-main", "limit_a": 90, "reason": f"{name} test"}
    )
    token = await admin.post("/api/v1/tokens", json={"name": f"{name} gateway", "role": "viewer", "sites": [name]})
    link = await quarter.get(f"/evses/{name}-e1/driver-link", admin)
    return {
        "site": name,
        "evse": f"{name}-e1",
        "charger": f"{name}-cp1",
        "meter": f"{name}-meter",
        "session": sessions["items"][0]["id"],
        "decision": decisions["items"][0]["id"],
        "limit": limit.json()["id"],
        "token": token.json()["id"],
        "link": link["link"],
    }


def state(quarter: Quarter) -> str:
    """Everything of the other building that a write could have changed."""
    controller = quarter.service.controllers[quarter.sites[THEIRS].id]
    live, snapshot = controller.picture.live, controller.snapshot(quarter.service.clock.now())
    sessions = [view.session for view in snapshot.evses.values() if view.session is not None]
    wishes = [(session_id(one), one.departure_at, one.energy_wanted_wh, one.priority) for one in sessions]
    written = [dict(one.edits) for one in live.quirks.chargers.values()]
    of_models = {str(model): dict(one.edits) for model, one in live.quirks.models.items()}
    meters = [dict(one.current_a) for one in live.readings(quarter.sites[THEIRS].meters[0].id)]
    standing = [one.id for one in snapshot.limits]
    return repr((wishes, written, of_models, meters, standing, controller.site.strategy, controller.site.scheduler))


async def tried(client: httpx.AsyncClient, quarter: Quarter, method: str, url: str, body: object) -> tuple[int, str]:
    quarter.authority._calls._levels.clear()
    if url.endswith("/events"):
        return await begins(client, url), ""
    answer = await client.request(method, url, json=body)
    return answer.status_code, answer.text


async def confined(quarter: Quarter, role: Role) -> httpx.AsyncClient:
    return await quarter.with_role(role, sites=[MINE], evses=[f"{MINE}-e1"] if role is Role.DRIVER else None)


async def test_no_role_of_one_site_gets_at_another_by_any_path(quarter: Quarter) -> None:
    theirs = await known(quarter, THEIRS)
    before, attempts = state(quarter), 0
    for role in Role:
        client = await confined(quarter, role)
        for (method, template), permission in REQUIRED.items():
            if permission is Permission.OPEN or not any(f"{{{name}}}" in template for name in _SCOPED):
                continue
            body = json.loads(json.dumps(_BODIES.get(template)).replace('"main"', f'"{THEIRS}-main"'))
            status, text = await tried(client, quarter, method, path_of(template, theirs), body)
            assert status in {403, 404}, f"{role} {method} {template}: {status} {text}"
            assert theirs["session"] not in text or "no such" in text.lower() or "there is no" in text
            attempts += 1
    assert attempts > 150
    assert state(quarter) == before


async def test_a_path_of_ones_own_site_does_not_reach_the_others_things(quarter: Quarter) -> None:
    """The first parameter is mine, and the second theirs."""
    mine, theirs = await known(quarter, MINE), await known(quarter, THEIRS)
    admin, before = await confined(quarter, Role.ADMIN), state(quarter)
    for (method, template), permission in REQUIRED.items():
        inner = [name for name in ("session", "decision", "limit", "token") if f"{{{name}}}" in template]
        if permission is Permission.OPEN or not inner:
            continue
        mixed = {**mine, **{name: theirs[name] for name in inner}}
        status, text = await tried(admin, quarter, method, path_of(template, mixed), _BODIES.get(template))
        assert status == 404, f"{method} {template}: {status} {text}"
    assert state(quarter) == before


_WRITES: list[tuple[str, str, dict[str, Any]]] = [
    ("POST", "/sites/alder/limits", {"feeder": "birch-main", "limit_a": 1, "reason": "x"}),
    ("POST", "/sites/alder/limits/preview", {"feeder": "birch-main", "limit_a": 1, "reason": "x"}),
    ("POST", "/tokens", {"name": "x", "role": "viewer", "sites": ["birch"]}),
    ("POST", "/tokens", {"name": "x", "role": "viewer", "sites": ["alder", "birch"]}),
    ("POST", "/tokens", {"name": "x", "role": "driver", "evses": ["birch-e1"]}),
    ("POST", "/tokens", {"name": "x", "role": "driver", "sites": ["alder"], "evses": ["alder-e1", "birch-e1"]}),
    ("PUT", "/chargers/alder-cp1/quirks/model", {"written": {"after_zero": "stays_paused"}}),
]


@pytest.mark.parametrize(("method", "path", "body"), _WRITES)
async def test_what_a_body_names_of_another_site_is_not_written(
    quarter: Quarter, method: str, path: str, body: dict[str, Any]
) -> None:
    admin, before = await confined(quarter, Role.ADMIN), state(quarter)
    answer = await admin.request(method, f"/api/v1{path}", json=body)
    assert answer.status_code in {403, 404, 422}, answer.text
    assert state(quarter) == before


async def test_nothing_that_a_tenant_may_read_names_the_other_site(quarter: Quarter) -> None:
    mine, theirs = await known(quarter, MINE), await known(quarter, THEIRS)
    elsewhere = await quarter.with_role(Role.ADMIN, sites=[THEIRS])
    await elsewhere.post("/api/v1/sites/birch/strategy", json={"scheduler": "fcfs"})
    await elsewhere.put("/api/v1/chargers/birch-cp1/quirks", json={"written": {"write_budget_per_day": 7}})
    await elsewhere.delete("/api/v1/evses/birch-e2/driver-link")
    assert quarter.service.messages is not None
    await quarter.service.messages.flush()
    read = 0
    for role in Role:
        client = await confined(quarter, role)
        for method, template in REQUIRED:
            if method != "GET" or "{link}" in template or template.endswith(("/events", "/schema/site")):
                continue
            for query in ("", "?limit=500", "?evse=birch-e1", "?by=open&limit=500"):
                status, text = await tried(client, quarter, method, path_of(template, mine) + query, None)
                assert status < 500, text
                assert THEIRS not in text, f"{role} {template}{query}: {text[:2000]}"
                assert theirs["token"] not in text
                read += status == 200
    assert read > 150
    everything = await quarter.with_role(Role.ADMIN)
    assert THEIRS in json.dumps(await quarter.get("/audit?limit=500", everything)), "there was something to find"


async def test_a_tenant_sees_of_the_proxies_spools_its_own_messages_alone(
    quarter: Quarter, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = quarter.service.clock.now()
    aside = [SetAside(f"{name}-cp1", "StartTransaction", now) for name in (MINE, THEIRS)]

    async def spools() -> list[SpoolLook]:
        return [
            SpoolLook("host-1:/srv/1.spool.db", now, [], {f"{MINE}-cp1": 2, f"{THEIRS}-cp1": 3}, aside, answers=False),
            SpoolLook("host-2:/srv/birch.spool.db", now, [], {f"{THEIRS}-cp2": 1}, []),
        ]

    monkeypatch.setattr(quarter.service, "spools", spools)
    for role in (Role.OPERATOR, Role.ADMIN):
        answer = await (await confined(quarter, role)).get(f"/api/v1/sites/{MINE}/outages")
        found = answer.json()
        assert THEIRS not in answer.text
        assert "host" not in answer.text
        assert ".db" not in answer.text
        assert found["waiting"] == {f"{MINE}-cp1": 2}
        assert [one["charger"] for one in found["set_aside"]] == [f"{MINE}-cp1"]
        assert [(one["name"], one["answers"]) for one in found["spools"]] == [("", False)]
        everything = await quarter.get(f"/sites/{MINE}/outages", await quarter.with_role(role))
        named = [(one["name"], one["answers"]) for one in everything["spools"]]
        assert named == [("host-1:/srv/1.spool.db", False), ("host-2:/srv/birch.spool.db", True)]


async def test_a_cursor_of_another_sites_list_opens_nothing(quarter: Quarter) -> None:
    """A cursor says where to go on; which list is said by the path."""
    admin, viewer = await quarter.with_role(Role.ADMIN), await confined(quarter, Role.ADMIN)
    for path in ("/sites/{}/decisions", "/sites/{}/sessions", "/chargers/{}-cp1/messages", "/meters/{}-meter/readings"):
        quarter.meter_all(6.0)
        await asyncio.sleep(0.2)
        page = await quarter.get(f"{path.format(THEIRS)}?limit=1", admin)
        params = {"limit": "5"} if page["next"] is None else {"limit": "5", "cursor": page["next"]}
        answer = await viewer.get(f"/api/v1{path.format(MINE)}", params=params)
        assert answer.status_code in {200, 400}
        assert THEIRS not in answer.text
    for path in ("/tokens", "/sites", "/audit"):
        first = await quarter.get(f"{path}?limit=1", admin)
        answer = await viewer.get(f"/api/v1{path}", params={"cursor": first["next"] or "none"})
        assert THEIRS not in answer.text


async def test_the_same_idempotency_key_of_two_tenants_is_two_keys(quarter: Quarter) -> None:
    one, other = await confined(quarter, Role.OPERATOR), await quarter.with_role(Role.OPERATOR, sites=[THEIRS])
    key = {"Idempotency-Key": "the-same"}
    for client, name in ((one, MINE), (other, THEIRS)):
        body = {"feeder": f"{name}-main", "limit_a": 50, "reason": name}
        answer = await client.post(f"/api/v1/sites/{name}/limits", json=body, headers=key)
        assert answer.status_code == 201
        assert "idempotency-replayed" not in answer.headers
        assert answer.json()["feeder"] == f"{name}-main"
    stolen = await one.post(
        f"/api/v1/sites/{THEIRS}/limits",
        json={"feeder": f"{THEIRS}-main", "limit_a": 50, "reason": THEIRS},
        headers=key,
    )
    assert stolen.status_code == 404
    assert "birch-main" not in stolen.text


async def test_a_drivers_link_and_token_are_for_one_evse(quarter: Quarter) -> None:
    theirs = await known(quarter, THEIRS)
    seen = await quarter.get(f"/driver/{theirs['link']}")
    assert MINE not in json.dumps(seen)
    driver = await confined(quarter, Role.DRIVER)
    for path in (
        f"/evses/{THEIRS}-e1",
        f"/evses/{MINE}-e2",
        f"/evses/{THEIRS}-e1/samples",
        f"/evses/{MINE}-e2/setpoints",
    ):
        assert (await driver.get(f"/api/v1{path}")).status_code == 404, path


async def test_whatever_was_written_at_a_site_is_in_its_audit_trail_and_in_no_others(quarter: Quarter) -> None:
    mine, theirs = await confined(quarter, Role.ADMIN), await quarter.with_role(Role.ADMIN, sites=[THEIRS])
    assert (await mine.delete(f"/api/v1/evses/{MINE}-e1/driver-link")).status_code == 200
    assert (await mine.put(f"/api/v1/chargers/{MINE}-cp1/quirks", json={"written": {}})).status_code == 200
    assert (await mine.delete(f"/api/v1/evses/{THEIRS}-e1/driver-link")).status_code == 404, "and is noted there"
    seen = [
        (line["path"].removeprefix("/api/v1"), line["status"]) for line in (await quarter.get("/audit", mine))["items"]
    ]
    assert seen == [(f"/chargers/{MINE}-cp1/quirks", 200), (f"/evses/{MINE}-e1/driver-link", 200)]
    seen = [
        (line["path"].removeprefix("/api/v1"), line["status"])
        for line in (await quarter.get("/audit", theirs))["items"]
    ]
    assert seen == [(f"/evses/{THEIRS}-e1/driver-link", 404)]


@pytest.mark.parametrize("role", ["viewer", "operator", "admin", "grid_operator", "meter"])
async def test_a_token_of_some_evses_is_a_drivers(quarter: Quarter, role: str) -> None:
    """Any other role lists whole sites, and could hand out tokens without that bound."""
    admin = await quarter.with_role(Role.ADMIN)
    answer = await admin.post("/api/v1/tokens", json={"name": "x", "role": role, "evses": [f"{MINE}-e1"]})
    assert answer.status_code == 422


async def listen(quarter: Quarter, client: httpx.AsyncClient, last_id: str, found: list[bytes]) -> None:
    """The event stream of MINE, resumed from the beginning of time, until cancelled."""
    headers = {**dict(client.headers), "last-event-id": last_id}
    request = client.build_request("GET", f"/api/v1/sites/{MINE}/events", headers=headers)

    await ask_without_end(quarter.app, request, lambda message: found.append(message.get("body", b"")))


@pytest.mark.parametrize("last_id", ["0", "1", "999999999999999999"])
async def test_a_stream_of_events_tells_of_its_own_site_alone(quarter: Quarter, last_id: str) -> None:
    viewer, found = await confined(quarter, Role.VIEWER), []
    listening = asyncio.get_running_loop().create_task(listen(quarter, viewer, last_id, found))
    async with asyncio.timeout(15):
        while not found:
            await asyncio.sleep(0.05)
    for name in (THEIRS, MINE):
        controller = quarter.service.controllers[quarter.sites[name].id]
        operator = await quarter.with_role(Role.OPERATOR, sites=[name])
        body = {"feeder": f"{name}-main", "limit_a": 60, "reason": f"of {name}"}
        assert (await operator.post(f"/api/v1/sites/{name}/limits", json=body)).status_code == 201
        controller.trigger("test")
    async with asyncio.timeout(15):
        while b"event: limit" not in b"".join(found):
            await asyncio.sleep(0.05)
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)
    assert MINE.encode() in b"".join(found)
    assert THEIRS.encode() not in b"".join(found)
