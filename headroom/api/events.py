"""Server-sent events with resume (HTML Living Standard, 9.2)."""

import asyncio
import json
from collections.abc import AsyncIterator

from headroom.feed import Feed

_KEEP_ALIVE_S = 15.0


async def as_server_sent_events(feed: Feed, site: str, after: int | None) -> AsyncIterator[str]:
    """The site's notices as event-stream text; a comment line keeps quiet connections open."""
    yield "retry: 2000\n\n"
    watch = feed.watch(site, after)
    following = asyncio.ensure_future(anext(watch))  # noqa: TID251 - awaited or cancelled below
    try:
        while True:
            done, _ = await asyncio.wait({following}, timeout=_KEEP_ALIVE_S)
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
        await watch.aclose()  # type: ignore[attr-defined]  # an async generator behind the iterator's type
