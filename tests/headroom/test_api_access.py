"""Tokens, the page's cookie, drivers' links, rates and headers."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
import pytest
import pytest_asyncio
from api_world import BASE, House, a_house
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import HeadroomError
from headroom.access.buckets import Buckets
from headroom.access.links import read_link, sign_link
from headroom.access.options import access_options, first_token
from headroom.access.roles import Role
from headroom.access.tokens import hash_of, new_token
from inventory import access
from inventory.store import InlineStore


@pytest_asyncio.fixture
async def house() -> AsyncIterator[House]:
    async with a_house(mode="token") as made:
        yield made


async def test_a_token_is_told_once_and_kept_as_a_hash(house: House) -> None:
    admin = await house.with_role(Role.ADMIN)
    answer = await admin.post("/api/v1/tokens", json={"name": "gateway", "role": "viewer", "days": 1})
    made = answer.json()
    assert answer.status_code == 201
    rows = await house.service.store.query(access.tokens)
    row = next(row for row in rows if row.id == made["id"])
    assert row.secret_hash == hash_of(made["token"])
    assert made["token"] not in repr(rows)
    listed = await house.get("/tokens", admin)
    assert made["token"] not in json.dumps(listed)
    holder = house.caller(made["token"])
    assert (await holder.get("/api/v1/sites/demo")).status_code == 200
    assert (await holder.post("/api/v1/tokens", json={"name": "x", "role": "admin"})).status_code == 403
    assert (await admin.delete(f"/api/v1/tokens/{made['id']}")).status_code == 204
    assert (await holder.get("/api/v1/sites/demo")).status_code == 401, "at once, in the process that revokes"
    assert (await admin.delete(f"/api/v1/tokens/{made['id']}")).status_code == 404


async def test_an_administrator_of_one_site_hands_out_nothing_beyond_it(house: House) -> None:
    elsewhere = await house.with_role(Role.ADMIN, sites=["elsewhere"])
    assert (
        await elsewhere.post("/api/v1/tokens", json={"name": "x", "role": "viewer", "sites": ["demo"]})
    ).status_code == 404
    here = await house.with_role(Role.ADMIN, sites=["demo"])
    made = (await here.post("/api/v1/tokens", json={"name": "x", "role": "viewer"})).json()
    assert made["sites"] == ["demo"]
    assert [one["name"] for one in (await house.get("/tokens", here))["items"]] == ["a admin", "x"]
    assert (await here.post("/api/v1/tokens", json={"name": "x", "role": "driver"})).status_code == 422


async def test_who_tries_what_the_role_may_not_is_noted(house: House) -> None:
    viewer, admin = await house.with_role(Role.VIEWER), await house.with_role(Role.ADMIN)
    me = (await house.get("/me", viewer))["id"]
    assert (await viewer.post("/api/v1/sites/demo/strategy", json={"strategy": "none"})).status_code == 403
    assert (await house.client.post("/api/v1/sites/demo/strategy", json={})).status_code == 401
    lines = (await house.get("/audit", admin))["items"]
    assert [(line["caller"], line["status"]) for line in lines] == [(me, 403)]


async def test_tokens_that_are_over_or_wrong_are_not_known(house: House) -> None:
    now = house.service.clock.now()
    text, row = new_token(Role.VIEWER, "old", now - timedelta(days=2), lives=timedelta(days=1))
    await house.authority.book.change(lambda conn: access.add_token(conn, row))
    good, kept = new_token(Role.VIEWER, "good", now)
    await house.authority.book.change(lambda conn: access.add_token(conn, kept))
    assert (await house.caller(good).get("/api/v1/me")).status_code == 200
    for wrong in (text, good[:-1] + ("A" if good[-1] != "A" else "B"), "hr_", "hr__", "x", good.upper(), "a.b.c"):
        answer = await house.caller(wrong).get("/api/v1/me")
        assert answer.status_code == 401, wrong
        assert answer.headers["www-authenticate"] == "Bearer"


async def test_the_first_start_makes_an_administrator_once(house: House) -> None:
    store = InlineStore()
    text = await first_token(store, house.service.clock)
    assert text is not None
    assert await first_token(store, house.service.clock) is None
    ((row,),) = [await store.query(access.tokens)]
    assert (row.role, row.secret_hash) == ("admin", hash_of(text))


async def log_in(house: House, role: Role) -> tuple[httpx.AsyncClient, str]:
    bearer = await house.with_role(role)
    page = house.caller()
    answer = await page.post("/api/v1/login", json={"token": bearer.headers["Authorization"].removeprefix("Bearer ")})
    assert answer.status_code == 200, answer.text
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    return page, answer.json()["csrf"]


async def test_the_page_writes_by_cookie_only_with_its_second_half(house: House) -> None:
    page, csrf = await log_in(house, Role.OPERATOR)
    assert (await house.get("/me", page))["csrf"] == csrf
    url, body = "/api/v1/sites/demo/limits", {"feeder": "main", "limit_a": 90, "reason": "test"}
    assert (await page.get(url)).status_code == 200
    assert (await page.post(url, json=body)).status_code == 403
    assert (await page.post(url, json=body, headers={"X-CSRF-Token": "0" * 64})).status_code == 403
    foreign = {"X-CSRF-Token": csrf, "Origin": "http://evil.example"}
    assert (await page.post(url, json=body, headers=foreign)).status_code == 403
    ours = {"X-CSRF-Token": csrf, "Origin": BASE}
    assert (await page.post(url, json=body, headers=ours)).status_code == 201
    assert (await page.post("/api/v1/logout", headers=ours)).status_code == 204
    page.cookies.clear()
    assert (await page.get(url)).status_code == 401


async def test_a_logout_and_a_revocation_end_the_cookie(house: House) -> None:
    admin = await house.with_role(Role.ADMIN)
    for end in ("logout", "revoke"):
        page, csrf = await log_in(house, Role.VIEWER)
        secret = page.cookies["headroom_session"]
        if end == "logout":
            await page.post("/api/v1/logout", headers={"X-CSRF-Token": csrf})
        else:
            me = await house.get("/me", page)
            await admin.delete(f"/api/v1/tokens/{me['id'].removeprefix('token:')}")
        stolen = house.caller()
        stolen.cookies.set("headroom_session", secret)
        assert (await stolen.get("/api/v1/me")).status_code == 401, end


async def test_an_open_service_answers_to_this_machine_and_to_its_own_pages() -> None:
    async with a_house() as open_house:
        get = open_house.client.get
        assert (await get("/api/v1/me")).json()["via"] == "open"
        assert (await get("/api/v1/sites", headers={"Host": "rebound.example"})).status_code == 403
        url, body = "/api/v1/sites/demo/strategy", {"scheduler": "fcfs"}
        for headers in ({"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}):
            assert (await open_house.client.post(url, json=body, headers=headers)).status_code == 403
        assert (await open_house.client.post(url, json=body, headers={"Origin": BASE})).status_code == 200


def test_an_open_service_is_never_on_the_network() -> None:
    for host in ("0.0.0.0", "192.168.1.4", "::", "building.example"):
        with pytest.raises(HeadroomError, match="--access open"):
            access_options("open", host, None, None, "roles")
    for issuer in ("http://login.example", "ftp://x", "login"):
        with pytest.raises(HeadroomError, match="--oidc-issuer"):
            access_options("token", "0.0.0.0", issuer, "headroom", "roles")
    assert access_options("open", "127.0.0.1", None, None, "roles").mode == "open"


async def test_a_drivers_link_shows_one_evse_takes_wishes_and_can_be_revoked(house: House) -> None:
    operator = await house.with_role(Role.OPERATOR)
    link = (await house.get("/evses/P1-01/driver-link", operator))["link"]
    assert (await house.get("/evses/P1-01/driver-link", operator))["link"] == link, "the QR code stays right"
    drawn = await operator.get("/api/v1/evses/P1-01/driver-link.svg")
    assert drawn.headers["content-type"] == "image/svg+xml"
    assert drawn.text.startswith("<svg")
    seen = await house.get(f"/driver/{link}")
    assert (seen["evse"], seen["connected"]) == ("P1-01", True)
    answer = await house.client.patch(f"/api/v1/driver/{link}", json={"energy_wanted_kwh": 12})
    assert (answer.status_code, answer.json()["energy_wanted_kwh"]) == (200, 12.0)
    assert (await house.client.patch(f"/api/v1/driver/{link}", json={"priority": 1.5})).status_code == 422
    admin = await house.with_role(Role.ADMIN)
    lines = (await house.get("/audit", admin))["items"]
    assert [(line["status"], line["caller"], line["site_id"]) for line in lines] == [
        (422, "nobody", None),
        (200, "link:P1-01", "demo"),
    ]
    assert link not in json.dumps(lines)
    free = (await house.get("/evses/P2-01/driver-link", operator))["link"]
    assert (await house.client.patch(f"/api/v1/driver/{free}", json={})).status_code == 409
    fresh = (await operator.delete("/api/v1/evses/P1-01/driver-link")).json()["link"]
    assert (await house.client.get(f"/api/v1/driver/{link}")).status_code == 404
    assert (await house.client.get(f"/api/v1/driver/{fresh}")).status_code == 200


@given(st.binary(min_size=16, max_size=32), st.text(min_size=1, max_size=64), st.integers(0, 10**6), st.data())
def test_a_link_that_was_changed_anywhere_is_not_ours(
    key: bytes, evse: str, generation: int, data: st.DataObject
) -> None:
    link = sign_link(key, evse, generation)
    if len(link) <= 200:
        assert read_link(key, link) == (evse, generation)
    assert read_link(key + b"x", link) is None
    place = data.draw(st.integers(0, len(link) - 2))
    letter = data.draw(st.sampled_from("ABCdef019-_"))
    changed = link[:place] + letter + link[place + 1 :]
    assert changed == link or read_link(key, changed) is None
    assert read_link(key, data.draw(st.text(max_size=60))) is None


@given(st.floats(0.1, 100), st.integers(1, 50), st.lists(st.floats(0, 5), max_size=60))
def test_nobody_gets_more_than_the_burst_and_the_rate(rate_per_s: float, burst: int, pauses: list[float]) -> None:
    buckets, now_s, let_in = Buckets(rate_per_s, burst), 0.0, 0
    for pause_s in pauses:
        now_s += pause_s
        waits_s = buckets.wait_s("a", now_s)
        let_in += waits_s == 0
        if waits_s:
            assert Buckets(rate_per_s, burst).wait_s("b", now_s) == 0
    assert let_in <= burst + rate_per_s * now_s + 1e-6


async def test_who_asks_too_often_is_told_when_to_come_back() -> None:
    seconds = 1000.0
    async with a_house(mode="token", mono=lambda: seconds) as house:
        viewer, other = await house.with_role(Role.VIEWER), await house.with_role(Role.VIEWER)
        answers = [await viewer.get("/api/v1/me") for _ in range(302)]
        assert [one.status_code for one in answers] == [200] * 300 + [429] * 2
        assert answers[-1].headers["retry-after"] == "1"
        assert (await other.get("/api/v1/me")).status_code == 200
        seconds += 1.0
        assert [(await viewer.get("/api/v1/me")).status_code for _ in range(51)] == [200] * 50 + [429]
        guesses = [(await house.caller("hr_guess_x").get("/api/v1/me")).status_code for _ in range(21)]
        assert guesses == [401] * 20 + [429]
        seconds += 5.0
        assert (await house.caller("hr_guess_x").get("/api/v1/me")).status_code == 401


async def test_every_answer_has_secure_headers_and_a_large_body_is_refused(house: House) -> None:
    for path in ("/", "/healthz", "/api/v1/nothing", "/api/v1/sites"):
        headers = (await house.client.get(path)).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["cache-control"] == "no-store"
    meter = await house.with_role(Role.METER)
    large = b"[" + b" " * 5_000_000 + b"]"
    answer = await meter.post("/api/v1/meters/m-main/readings", content=large)
    assert (answer.status_code, answer.headers["content-type"]) == (413, "application/problem+json")
