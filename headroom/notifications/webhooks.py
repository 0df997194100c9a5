"""Webhooks, signed as Standard Webhooks (standardwebhooks.com, version 1.0.0), in order, tried until they are taken.

A receiver checks `webhook-signature`: "v1," and the base64 of
HMAC-SHA256(secret, "{webhook-id}.{webhook-timestamp}.{body}"). The secret is the file's text; libraries of the
standard take it base64-encoded behind "whsec_".
"""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import httpx
import structlog

from domain.errors import StorageError
from domain.ports import Clock
from headroom.feed import Feed
from headroom.notifications.events import Digest
from headroom.notifications.settings import Webhook
from inventory import outbox
from inventory.outbox import Due
from inventory.store import Store

log = structlog.get_logger()

MOST_WAITING = 10_000
GIVEN_UP_AFTER: Final = timedelta(hours=24)
_PAUSES_S: Final = (1.0, 5.0, 30.0, 120.0, 600.0, 1800.0)
_TIMEOUT_S = 10.0


@dataclass
class WebhookCounts:
    """Since the start, for /metrics."""

    delivered: int = 0
    failed: int = 0
    given_up: int = 0


class WebhookSender:
    """One target: takes up what it is to be told, and delivers it."""

    def __init__(
        self,
        hook: Webhook,
        secret: bytes,
        store: Store,
        clock: Clock,
        new_id: Callable[[], str],
        client: httpx.AsyncClient | None = None,
        pauses_s: tuple[float, ...] = _PAUSES_S,
    ) -> None:
        self.hook, self.counts = hook, WebhookCounts()
        self._secret, self._store, self._clock, self._new_id = secret, store, clock, new_id
        self._client = client or httpx.AsyncClient(timeout=_TIMEOUT_S, follow_redirects=False)
        self._pauses_s = pauses_s
        self._some = asyncio.Event()
        self._some.set()

    async def follow(self, feed: Feed, site: str) -> None:
        """Take up what happens at a site, until the feed ends. A stream that broke off is taken up again."""
        digest, after = Digest(), None
        while not feed.closed:
            async for notice in feed.watch(site, after):
                after = notice.id
                event = digest.event_of(notice)
                if event is not None and event[0] in self.hook.events:
                    await self.take(site, event[0], event[1])

    async def take(self, site: str, event: str, data: Mapping[str, object]) -> None:
        """Put an event into the outbox; durable when this returns."""
        at, message = self._clock.now(), self._new_id()
        payload = {"type": event, "timestamp": at.isoformat(), "data": {"site": site, **data}}
        try:
            lost = await self._store.transact(
                lambda conn: outbox.add(conn, message, self.hook.name, at, event, payload, MOST_WAITING)
            )
        except StorageError as error:
            log.error("notification_not_stored", target=self.hook.name, kind=event, error=str(error))
            return
        self.counts.given_up += lost
        self._some.set()

    async def run(self) -> None:
        """Deliver for ever, oldest first."""
        while True:
            try:
                due = await self._store.query(lambda conn: outbox.oldest(conn, self.hook.name))
            except StorageError:
                await asyncio.sleep(self._pauses_s[-1])
                continue
            if due is None:
                self._some.clear()
                await self._some.wait()
                continue
            await self._deliver(due)

    async def _deliver(self, due: Due) -> None:
        """One attempt, and the pause after one that failed. What the database does not note is delivered again."""
        why = await self._post(due)
        over = self._clock.now() - due.at > GIVEN_UP_AFTER
        try:
            if why is None or over:
                await self._store.transact(lambda conn: outbox.done(conn, due.id))
            else:
                await self._store.transact(lambda conn: outbox.tried(conn, due.id))
        except StorageError as error:
            log.warning("notification_not_noted", target=self.hook.name, error=str(error))
        if why is None:
            self.counts.delivered += 1
            return
        self.counts.failed += 1
        self.counts.given_up += over
        level = log.error if over else log.warning
        level("notification_failed", target=self.hook.name, why=why, attempts=due.attempts + 1, given_up=over)
        await asyncio.sleep(self._pauses_s[min(due.attempts, len(self._pauses_s) - 1)])

    async def _post(self, due: Due) -> str | None:
        """Why it was not taken, or None."""
        body = json.dumps(due.payload, separators=(",", ":"))
        headers = {"content-type": "application/json", **signed(self._secret, due.id, self._clock.now(), body)}
        try:
            answer = await self._client.post(str(self.hook.url), content=body, headers=headers)
        except (httpx.HTTPError, OSError) as error:
            return f"{type(error).__name__}: {error}"
        return None if answer.is_success else f"it answered {answer.status_code}"


def signed(secret: bytes, message: str, at: datetime, body: str) -> dict[str, str]:
    """The headers by which a receiver knows that a message is ours, and fresh."""
    stamp = str(int(at.timestamp()))
    digest = hmac.new(secret, f"{message}.{stamp}.{body}".encode(), hashlib.sha256).digest()
    signature = f"v1,{base64.b64encode(digest).decode()}"
    return {"webhook-id": message, "webhook-timestamp": stamp, "webhook-signature": signature}
