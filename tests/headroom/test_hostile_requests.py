"""No input reaches a query, a path, a header or a log unescaped, and none is a fault of ours."""

import asyncio
import io
import json
import logging
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import pytest_asyncio
import structlog
from api_world import BASE, House, a_house, path_of
from hypothesis import given, settings
from hypothesis import strategies as st
from test_roles import values

from headroom import logs
from headroom.access.roles import Role
from headroom.api.permissions import REQUIRED
from headroom.api.writes import auditable
from headroom.clock import WallClock

WORDS = (
    "'",
    '"',
    "' OR 1=1--",
    "x'); DROP TABLE sessions;--",
    "..",
    "../../etc/passwd",
    "\\..\\..",
    "\0",
    "a" * 9000,
    "%s%n{0}{site.__class__}",
    "\r\nX-Evil: 1",
    "\n{}",
    "=cmd|' /C calc'!A0",
    "<script>alert(1)</script>",
    "\x1b[31m",
    "\ud800",
    "%00",
    "%2e%2e%2f",
    "$(touch evil)",
    "`touch evil`",
    ";touch evil",
    "-1",
    "1e999",
    "9999-12-31T23:59:59-14:00",
    "0001-01-01T00:00:00+14:00",
)
BODIES = (
    b"[" * 3900,
    b"[" * 3_000_000,
    b'{"a":' * 300 + b"1" + b"}" * 300,
    b'{"written":' * 200 + b"{}" + b"}" * 200,
    b"\xff\xfe",
    b"NaN",
    b"[NaN]",
    b'"\\ud800"',
    b'{"name":"\\ud800","role":"viewer"}',
    b'{"name":"\\u0000","role":"viewer"}',
    b'{"name":"a","role":"viewer","sites":["\\ud800"]}',
    b'{"name":"a","role":"driver","evses":["\\u0000"]}',
    b'{"token":"\\udfff"}',
    b'{"feeder":"main","limit_a":1,"reason":"\\ud800"}',
    b'{"feeder":"main","limit_a":1,"reason":"\\u0000"}',
    b'{"feeder":"main","limit_a":1e999,"reason":"x"}',
    b'{"feeder":"main","limit_a":1,"reason":"x","from":"9999-12-31T23:59:59-14:00"}',
    b'{"feeder":"main","limit_a":1,"reason":"x","from":"0001-01-01T00:00:00+14:00"}',
    b'{"feeder":"main","limit_a":1,"reason":"x","until":"9999-12-31T23:59:59-14:00"}',
    b'{"departure_at":"9999-12-31T23:59:59-14:00"}',
    b'{"at":"0001-01-01T00:00:00+14:00","current_a":{"A":1,"B":1,"C":1}}',
    b'{"at":"9999-12-31T23:59:59-14:00","current_a":{"A":1,"B":1,"C":1}}',
    b'{"at":1e300,"current_a":{"A":1}}',
    b'{"written":{"after_zero":"\\ud800"}}',
    b'{"written":{"write_budget_per_day":1e999}}',
    b'{"written":{"write_budget_per_day":123456789012345678901234567890}}',
    b'{"written":{"level":[[[]]],"\\u0000":1}}',
)


@pytest_asyncio.fixture
async def house() -> AsyncIterator[House]:
    async with a_house(mode="token") as made:
        yield made


def addresses(house: House, known: dict[str, str]) -> list[tuple[str, str]]:
    """Each endpoint with each word in each of its parameters, and in each query that it knows."""
    plain = {name: quote(value, safe="") for name, value in known.items()}
    documented = house.app.openapi()["paths"]
    found = []
    for method, template in REQUIRED:
        if template.endswith(("/events", "/alternatives")):
            continue
        asks = documented[template][method.lower()].get("parameters", ())
        queries = [one["name"] for one in asks if one["in"] == "query"]
        for word in WORDS:
            escaped = quote(word.encode("utf-8", "surrogatepass"), safe="")
            inside = [name for name in plain if f"{{{name}}}" in template]
            found += [(method, path_of(template, {**plain, name: escaped})) for name in inside]
            found += [(method, f"{path_of(template, plain)}?{query}={escaped}") for query in queries]
    return found


async def ask(house: House, client: httpx.AsyncClient, method: str, path: str, **more: Any) -> httpx.Response:
    for buckets in (house.authority._calls, house.authority._open_calls, house.authority._failures):
        buckets._levels.clear()
    answer = await client.request(method, BASE + path, **more)
    assert answer.status_code < 500, f"{method} {path[:200]}: {answer.text[:300]}"
    for name, value in answer.headers.items():
        assert not set(name + value) & set("\r\n\0"), f"{method} {path[:200]}: {name}: {value!r}"
        assert "x-evil" not in name
    if not answer.is_success:
        assert answer.headers["content-type"] == "application/problem+json"
    return answer


async def test_no_word_in_a_path_or_a_query_is_a_fault_of_ours(house: House) -> None:
    admin = await house.with_role(Role.ADMIN)
    known, tables = await values(house, admin), await table_names(house)
    tried = 0
    for method, path in addresses(house, known):
        await ask(house, admin, method, path)
        tried += 1
    assert tried > 1000
    assert await table_names(house) == tables
    assert (await house.get("/sites/demo", admin))["id"] == "demo"


async def table_names(house: House) -> list[str]:
    def read(conn: Any) -> list[str]:
        return [row[0] for row in conn.exec_driver_sql("select name from sqlite_master order by name")]

    return await house.service.store.query(read)


async def test_no_body_is_a_fault_of_ours_and_none_stops_the_decisions(house: House) -> None:
    admin = await house.with_role(Role.ADMIN)
    known = await values(house, admin)
    for method, template in REQUIRED:
        if method == "GET":
            continue
        for body in BODIES:
            for headers in ({}, {"Idempotency-Key": f"k-{hash((template, body))}"}):
                given = {"Content-Type": "application/json", **headers}
                await ask(house, admin, method, path_of(template, known), content=body, headers=given)
    await house.decided()
    assert house.service.missing() == []
    assert house.service.store.counts.rejected == 0, "what is answered is stored"
    lines = json.dumps((await house.get("/audit?limit=500", admin))["items"])
    assert "[[[[[[[[[[[[[[[[[[[[[[[" not in lines


@pytest.mark.parametrize("at", ["9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "1999-12-31T00:00:00Z"])
@pytest.mark.parametrize("name", ["from", "until"])
async def test_a_limit_of_a_time_that_cannot_be_told_everywhere_is_refused(house: House, name: str, at: str) -> None:
    """It was taken once, and every decision after it failed."""
    grid = await house.with_role(Role.GRID_OPERATOR)
    body = {"feeder": "main", "limit_a": 50, "reason": "x", name: at}
    for path in ("/limits", "/limits/preview"):
        answer = await grid.post(f"/api/v1/sites/demo{path}", json=body)
        assert answer.status_code == 422, answer.text
    assert house.controller.snapshot(house.service.clock.now()).limits == ()
    await house.decided()


async def test_headers_are_only_read(house: House) -> None:
    admin = await house.with_role(Role.ADMIN)
    for word in WORDS:
        raw = word.encode("utf-8", "surrogatepass")
        for name, value in (
            ("authorization", b"Bearer " + raw),
            ("authorization", b"Bearer hr_" + raw),
            ("cookie", b"headroom_session=" + raw),
            ("last-event-id", raw),
            ("origin", raw),
            ("content-length", raw),
        ):
            await ask(house, house.client, "GET", "/api/v1/sites", headers={name: value})  # type: ignore[dict-item]
        limit = {"feeder": "main", "limit_a": 99, "reason": word.encode(errors="replace").decode()}
        key = {"Idempotency-Key": raw}
        await ask(house, admin, "POST", "/api/v1/sites/demo/limits/preview", json=limit, headers=key)


async def test_a_line_of_the_log_stays_one_line_whatever_is_in_it(house: House, monkeypatch: Any) -> None:
    written = io.StringIO()
    monkeypatch.setattr("sys.stderr", written)
    before = structlog.get_config()
    try:
        logs.configure("INFO", WallClock())
        for word in WORDS:
            structlog.get_logger().warning("charger_turned_away", charger=word, why=word, password=word)
        await house.caller("a.b.c\x1b[31m").get("/api/v1/me")
        await asyncio.sleep(0.1)
    finally:
        structlog.configure(**before)
        logging.getLogger().handlers.clear()
    lines = written.getvalue().splitlines()
    assert len(lines) > len(WORDS)
    for line in lines:
        found = json.loads(line)
        assert found.get("password", "[redacted]") == "[redacted]"
        assert line.isascii()
        assert line.isprintable()


@settings(max_examples=60, deadline=None)
@given(
    st.recursive(st.none() | st.floats() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner))
)
def test_whatever_was_sent_can_be_noted(value: Any) -> None:
    json.dumps(auditable(json.dumps(value).encode()))


def test_what_is_nested_without_end_can_be_noted() -> None:
    for depth in (10, 100, 300, 600, 1500):
        json.dumps(auditable(b"[" * depth + b"]" * depth))
        json.dumps(auditable(b'{"a":' * depth + b"1" + b"}" * depth))
