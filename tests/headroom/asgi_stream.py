"""An endless answer asked for by hand: httpx's ASGI transport would wait for its end."""

import asyncio
from collections.abc import Callable
from typing import Any

import httpx


async def ask_without_end(app: Any, request: httpx.Request, heard: Callable[[dict[str, Any]], object]) -> None:
    """Send a GET to an ASGI app and stay; `heard` is told each of its messages. Runs until cancelled."""

    async def send(message: dict[str, Any]) -> None:
        heard(message)

    async def receive() -> dict[str, object]:
        await asyncio.Event().wait()
        raise AssertionError

    scope = {
        "type": "http",
        "method": "GET",
        "scheme": "http",
        "path": request.url.path,
        "raw_path": request.url.raw_path,
        "query_string": b"",
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "client": ("127.0.0.1", 1),
        "server": ("localhost", 80),
        "http_version": "1.1",
        "root_path": "",
    }
    await app(scope, receive, send)
