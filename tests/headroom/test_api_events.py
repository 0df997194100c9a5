"""The event stream as a client has it: what people change is told, and a revoked token ends it."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from datetime import datetime
from functools import partial
from typing import Any

import pytest
from api_world import House, a_house

from headroom.access.roles import Role
from headroom.api import events
from inventory import access


async def lines(house: House, token: str, **headers: str) -> AsyncIterator[str]:
    """The stream's text as it comes (httpx's own ASGI transport waits for the end)."""
    queue: asyncio.Queue[str | None] = asyncio.Queue()
    client = house.caller(token)
    request = client.build_request("GET", "/api/v1/sites/demo/events", headers=headers)
    leave = asyncio.Event()

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            assert message["status"] == 200
        else:
            queue.put_nowait(message.get("body", b"").decode())
            if not message.get("more_body", False):
                queue.put_nowait(None)

    async def receive() -> dict[str, Any]:
        await leave.wait()
        return {"type": "http.disconnect"}

    scope = {
        "type": "http",
        "method": "GET",
        "scheme": "http",
        "path": request.url.path,
        "query_string": b"",
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "client": ("127.0.0.1", 1),
        "server": ("localhost", 80),
        "http_version": "1.1",
    }
    running = asyncio.get_running_loop().create_task(house.app(scope, receive, send))  # type: ignore[arg-type]
    try:
        async with asyncio.timeout(20):
            while (text := await queue.get()) is not None:
                for event in text.split("\n\n")[:-1]:
                    yield f"{event}\n\n"
    finally:
        leave.set()
        await running


def parsed(text: str) -> tuple[str, int, dict[str, Any]] | None:
    """An event with an id: the service's time has none."""
    found = dict(line.partition(": ")[::2] for line in text.splitlines())
    return (found["event"], int(found["id"]), json.loads(found["data"])) if "id" in found else None


async def test_what_somebody_changes_is_told_and_a_client_resumes() -> None:
    async with a_house(mode="token") as house:
        operator = await house.with_role(Role.OPERATOR)
        token = operator.headers["Authorization"].removeprefix("Bearer ")
        heard: list[str] = []
        first_id = 0
        stream = lines(house, token)
        async for text in stream:
            if not heard and "retry" in text:
                body = {"feeder": "main", "limit_a": 9, "reason": "test"}
                await operator.post("/api/v1/sites/demo/limits", json=body)
            found = parsed(text)
            if found is not None:
                heard.append(found[0])
                first_id = first_id or found[1]
            if {"limit", "decision"} <= set(heard):
                break
        await stream.aclose()  # type: ignore[attr-defined]
        again = lines(house, token, **{"Last-Event-ID": str(first_id)})
        async for text in again:
            found = parsed(text)
            if found is not None:
                assert found[1] == first_id + 1
                break
        await again.aclose()  # type: ignore[attr-defined]
        stale = lines(house, token, **{"Last-Event-ID": "7"})
        assert [parsed(text) async for text, _ in _first(stale, 3)][2][0] == "reset"  # type: ignore[index]
        await stale.aclose()  # type: ignore[attr-defined]


async def _first(stream: AsyncIterator[str], count: int) -> AsyncIterator[tuple[str, int]]:
    for number in range(count):
        yield await anext(stream), number


async def test_a_revoked_token_ends_the_stream(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "_ASK_AGAIN_S", 0.05)
    monkeypatch.setattr(events, "_TICK_S", 0.05)
    async with a_house(mode="token") as house:
        viewer = await house.with_role(Role.VIEWER)
        token = viewer.headers["Authorization"].removeprefix("Bearer ")
        me = (await house.get("/me", viewer))["id"].removeprefix("token:")
        count = 0
        async for _ in lines(house, token):
            count += 1
            if count == 3:
                now = house.service.clock.now()
                await house.authority.book.change(partial(access.revoke_token, token_id=me, now=now))
        assert count >= 3


async def test_the_service_s_own_time_is_told_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "_TICK_S", 0.05)
    async with a_house() as house:
        told: list[datetime] = []
        stream = lines(house, "")
        async for text in stream:
            told += [datetime.fromisoformat(at) for at in re.findall(r'event: time\ndata: {"at": "(.*?)"}\n\n', text)]
            if len(told) == 3:
                break
        await stream.aclose()  # type: ignore[attr-defined]
        assert told == sorted(told)
        assert abs((house.service.clock.now() - told[-1]).total_seconds()) < 60
