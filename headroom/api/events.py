"""Server-sent events with resume (HTML Living Standard, 9.2)."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Annotated

from fastapi import APIRouter, Header, Request
from fastapi.responses import StreamingResponse

from domain.ids import SiteId
from headroom.api.authority import Authority
from headroom.feed import Feed
from headroom.service import Service

_KEEP_ALIVE_S = 15.0


def router(service: Service, authority: Authority) -> APIRouter:
    """`/sites/{site}/events`."""
    routes = APIRouter(tags=["events"])

    @routes.get(
        "/sites/{site}/events",
        response_class=StreamingResponse,
        responses={200: {"description": "events", "content": {"text/event-stream": {"schema": {"type": "string"}}}}},
    )
    async def events(
        site: SiteId, request: Request, last_event_id: Annotated[str | None, Header()] = None
    ) -> StreamingResponse:
        """Server-sent events: everything that changes at a site; resumes after `Last-Event-ID`.

        Events: `evse`, `feeder`, `decision`, `alarm`; `limit`, `session` and `site` when somebody changed one; `reset`
        where what was missed is not remembered. The stream ends when the caller's token does.
        """
        known = last_event_id is not None and last_event_id.isascii() and last_event_id.isdigit()
        after = int(str(last_event_id)[:18]) if known else None
        controller = service.controller(site)

        async def still_welcome() -> bool:
            return await authority.still_welcome(request)

        stream = as_server_sent_events(service.feed, controller.site.id, after, still_welcome)
        return StreamingResponse(stream, media_type="text/event-stream", headers={"Cache-Control": "no-store"})

    return routes


async def _always() -> bool:
    return True


async def as_server_sent_events(
    feed: Feed, site: str, after: int | None, still_welcome: Callable[[], Awaitable[bool]] = _always
) -> AsyncIterator[str]:
    """The site's notices as event-stream text; a comment line keeps quiet connections open.

    `still_welcome` is asked every `_KEEP_ALIVE_S`.
    """
    loop = asyncio.get_running_loop()
    asked_s = loop.time()
    yield "retry: 2000\n\n"
    watch = feed.watch(site, after)
    following = asyncio.ensure_future(anext(watch))  # noqa: TID251 - awaited or cancelled below
    try:
        while True:
            done, _ = await asyncio.wait({following}, timeout=_KEEP_ALIVE_S)
            if loop.time() - asked_s >= _KEEP_ALIVE_S:
                asked_s = loop.time()
                if not await still_welcome():
                    return
            if not done:
                yield ": still here\n\n"
                continue
            try:
                notice = following.result()
            except StopAsyncIteration:
                return
            yield f"id: {notice.id}\nevent: {notice.kind}\ndata: {json.dumps(notice.data, default=str)}\n\n"
            following = asyncio.ensure_future(anext(watch))  # noqa: TID251 - awaited or cancelled below
    finally:
        following.cancel()
        await asyncio.wait({following})
        await watch.aclose()  # type: ignore[attr-defined]  # an async generator behind the iterator's type
