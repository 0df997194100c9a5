"""Server-sent events with resume (HTML Living Standard, 9.2)."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Annotated

from fastapi import APIRouter, Header, Request
from fastapi.responses import StreamingResponse

from domain.ids import SiteId
from domain.ports import Clock
from headroom.api.authority import Authority
from headroom.feed import Feed, Notice
from headroom.service import Service

_ASK_AGAIN_S = 15.0
"""How often it is asked whether the caller may still listen."""
_GATHER_S = 0.25
"""A listener is written to no more often: a large site changes hundreds of times a second, and a page that drew each
change by itself would do nothing else. What comes after a quiet while is written at once."""
_TICK_S = 2.0
"""How often the service's time is told; it also keeps a quiet connection open."""


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
        where what was missed is not remembered; `time`, without an id, every 2 s: the service's clock may run fast. The
        stream ends when the caller's token does.
        """
        known = last_event_id is not None and last_event_id.isascii() and last_event_id.isdigit()
        after = int(str(last_event_id)[:18]) if known else None
        controller = service.controller(site)

        async def still_welcome() -> bool:
            return await authority.still_welcome(request)

        stream = as_server_sent_events(service.feed, service.clock, controller.site.id, after, still_welcome)
        return StreamingResponse(stream, media_type="text/event-stream", headers={"Cache-Control": "no-store"})

    return routes


async def _always() -> bool:
    return True


async def as_server_sent_events(
    feed: Feed, clock: Clock, site: str, after: int | None, still_welcome: Callable[[], Awaitable[bool]] = _always
) -> AsyncIterator[str]:
    """The site's notices as event-stream text, and the time by `clock` every `_TICK_S`.

    `still_welcome` is asked every `_ASK_AGAIN_S`.
    """
    loop = asyncio.get_running_loop()
    asked_s = ticked_s = loop.time()
    watch = feed.batches(site, after, _GATHER_S)
    following = asyncio.ensure_future(anext(watch))  # noqa: TID251 - awaited or cancelled below
    try:
        await asyncio.sleep(0)  # it watches from here on: whoever has the first line misses nothing after it
        yield f"retry: 2000\n\n{_time(clock)}"
        while True:
            done, _ = await asyncio.wait({following}, timeout=max(0.0, ticked_s + _TICK_S - loop.time()))
            if loop.time() - asked_s >= _ASK_AGAIN_S:
                asked_s = loop.time()
                if not await still_welcome():
                    return
            if loop.time() - ticked_s >= _TICK_S:
                ticked_s = loop.time()
                yield _time(clock)
            if not done:
                continue
            try:
                batch = following.result()
            except StopAsyncIteration:
                return
            yield "".join(_event(notice) for notice in batch)
            following = asyncio.ensure_future(anext(watch))  # noqa: TID251 - awaited or cancelled below
    finally:
        following.cancel()
        await asyncio.wait({following})
        await watch.aclose()


def _event(notice: Notice) -> str:
    return f"id: {notice.id}\nevent: {notice.kind}\ndata: {notice.json}\n\n"


def _time(clock: Clock) -> str:
    return f'event: time\ndata: {{"at": "{clock.now().isoformat()}"}}\n\n'
