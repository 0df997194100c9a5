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
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

import httpx
import structlog

from domain.errors import StorageError
from domain.ids import SiteId
from domain.ports import Clock
from headroom.feed import Feed
from headroom.notices import alarm_notices
from headroom.notifications.events import Digest
from headroom.notifications.settings import EventKind, Webhook
from headroom.waiting import unless_cancelled
from inventory import outbox, queries
from inventory.outbox import Due
from inventory.store import Store

log = structlog.get_logger()

MOST_WAITING = 10_000
GIVEN_UP_AFTER: Final = timedelta(hours=24)
_PAUSES_S: Final = (1.0, 5.0, 30.0, 120.0, 600.0, 1800.0)
_TIMEOUT_S = 10.0
_MAKE_UP: Final = timedelta(minutes=10)
"""Alarms of so long before are taken up when a site's feed is followed anew; `outbox.REMEMBERED` must be longer."""
_OURS: Final = uuid.UUID("7f1c2f0e-6d0b-5a5c-9a57-2b1d1f4a7e61")
"""The namespace of alarms' message ids."""


@dataclass
class WebhookCounts:
    """Since the start, for /metrics."""

    delivered: int = 0
    failed: int = 0
    given_up: int = 0


class WebhookSender:
    """One target and site: takes up what is to be told, and delivers it.

    In a fleet those of a site are its controller's, and their `store` is fenced: nobody else takes up or delivers.
    """

    def __init__(
        self,
        hook: Webhook,
        site: SiteId,
        secret: bytes,
        store: Store,
        clock: Clock,
        new_id: Callable[[], str],
        client: httpx.AsyncClient | None = None,
        pauses_s: tuple[float, ...] = _PAUSES_S,
        counts: WebhookCounts | None = None,
    ) -> None:
        self.hook, self.site, self.counts = hook, site, counts or WebhookCounts()
        self._secret, self._store, self._clock, self._new_id = secret, store, clock, new_id
        self._client = client or new_client()
        self._pauses_s, self._target = pauses_s, f"{hook.name}\n{site}"
        self._heard_at = clock.now()
        self._some = asyncio.Event()
        self._some.set()

    async def follow(self, feed: Feed, after: int | None = None) -> None:
        """Take up what happens after the notice `after`, until the feed ends; and first the alarms of the last minutes,
        as far as nobody did. A stream that broke off is taken up again.
        """
        digest, after = Digest(), feed.newest if after is None else after
        await self._make_up(self._clock.now())
        while not feed.closed:
            async for notice in feed.watch(self.site, after):
                heard_at, after = self._clock.now(), notice.id
                if notice.kind == "reset":  # the feed went on without us: what it said of alarms is in the database
                    await self._make_up(self._heard_at)
                event = digest.event_of(notice)
                if event is not None:
                    await self._surely_take(*event)
                self._heard_at = heard_at

    async def _make_up(self, heard_at: datetime) -> None:
        """Take up the alarms since some minutes before `heard_at`; those that were taken up are known by their ids."""
        for alarm in await self._alarms_since(heard_at - _MAKE_UP):
            await self._surely_take("alarm.raised" if alarm["cleared_at"] is None else "alarm.cleared", alarm)

    async def _alarms_since(self, since: datetime) -> list[dict[str, object]]:
        """Each as it was raised and as it was cleared; one of a moment once."""
        while True:
            try:
                await self._store.transact(lambda conn: outbox.adopt(conn, self.hook.name, self._target, self.site))
                found = await self._store.query(lambda conn: queries.alarms_since(conn, self.site, since))
                break
            except StorageError:
                unless_cancelled()
                await asyncio.sleep(self._pauses_s[1])
        raised = [replace(one, cleared_at=None) for one in found if since <= one.raised_at != one.cleared_at]
        return alarm_notices([*raised, *(one for one in found if one.cleared_at is not None)])

    async def _surely_take(self, event: EventKind, data: Mapping[str, object]) -> None:
        """Put an event into the outbox if it is asked for, as soon as the database takes it."""
        if event not in self.hook.events:
            return
        message = self._id_of(event, data)
        while True:
            if await self.take(event, data, message):
                return
            unless_cancelled()
            await asyncio.sleep(self._pauses_s[1])

    def _id_of(self, event: str, data: Mapping[str, object]) -> str:
        """An alarm has the same id whoever tells of it."""
        at = data.get("raised_at") if event == "alarm.raised" else data.get("cleared_at")
        if event == "evse.changed" or at is None:
            return self._new_id()
        alarm = (self._target, event, data["kind"], data["subject"], at)
        return str(uuid.uuid5(_OURS, "\n".join(map(str, alarm))))

    async def take(self, event: str, data: Mapping[str, object], message: str | None = None) -> bool:
        """Put an event into the outbox, under the id `message`; durable when this returns True."""
        at, own = self._clock.now(), message or self._new_id()
        payload = {"type": event, "timestamp": at.isoformat(), "data": {"site": self.site, **data}}
        try:
            lost = await self._store.transact(
                lambda conn: outbox.add(conn, own, self._target, at, event, payload, MOST_WAITING)
            )
        except StorageError as error:
            log.error("notification_not_stored", target=self.hook.name, kind=event, error=str(error))
            return False
        self.counts.given_up += lost
        self._some.set()
        return True

    async def run(self) -> None:
        """Deliver for ever, oldest first."""
        while True:
            try:
                due = await self._store.query(lambda conn: outbox.oldest(conn, self._target))
            except StorageError:
                unless_cancelled()
                await asyncio.sleep(self._pauses_s[1])
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
                is_alarm = due.event != "evse.changed"
                await self._store.transact(lambda conn: outbox.done(conn, due.id, remember=is_alarm))
            else:
                await self._store.transact(lambda conn: outbox.tried(conn, due.id))
        except StorageError as error:
            unless_cancelled()
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


def new_client() -> httpx.AsyncClient:
    """What messages are sent with; several senders may share one."""
    return httpx.AsyncClient(timeout=_TIMEOUT_S, follow_redirects=False)


def signed(secret: bytes, message: str, at: datetime, body: str) -> dict[str, str]:
    """The headers by which a receiver knows that a message is ours, and fresh."""
    stamp = str(int(at.timestamp()))
    digest = hmac.new(secret, f"{message}.{stamp}.{body}".encode(), hashlib.sha256).digest()
    signature = f"v1,{base64.b64encode(digest).decode()}"
    return {"webhook-id": message, "webhook-timestamp": stamp, "webhook-signature": signature}
