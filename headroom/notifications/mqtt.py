"""State over MQTT, retained: `<prefix>/<site>/evse/<id>`, `.../feeder/<id>`, `.../alarm/<kind>/<subject>`.

An alarm that is cleared leaves an empty message, which takes the retained one away. `<prefix>/status` is `online`, or
`offline` by the broker itself when the connection is lost. In a fleet each site's controller has a connection of its
own, and there is `<prefix>/<site>/status` instead.
"""

import asyncio
import hashlib
import json
import ssl
from collections.abc import Mapping
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Final
from urllib.parse import quote

import aiomqtt
import structlog

from domain.errors import StorageError
from domain.ids import SiteId
from headroom.notices import evse_notice, feeder_notice
from headroom.notifications.settings import Broker
from headroom.notifications.watched import Watched
from headroom.waiting import unless_cancelled
from inventory import queries

log = structlog.get_logger()

_TIMEOUT_S = 10.0
_PAUSES_S = (1.0, 5.0, 15.0, 60.0)
_CLEARED_SINCE: Final = timedelta(days=1)
"""Alarms that were cleared so long ago may still stand at the broker: whoever told of them has ended meanwhile."""


class BrokerPublisher:
    """One broker. Whatever was missed while it was away is made up by publishing the whole state again."""

    def __init__(self, broker: Broker, watched: Watched, pauses_s: tuple[float, ...] = _PAUSES_S) -> None:
        self._broker, self._watched, self._pauses_s = broker, watched, pauses_s
        self._sites = [name for name in watched.controllers if broker.sites is None or name in broker.sites]
        self._alarms: set[str] = set()
        self._status = self._topic(*(self._sites if watched.is_fleet else ()), "status")

    async def run(self) -> None:
        """Until the feed ends or this is cancelled; a broker that is away is tried again."""
        failures = 0
        while not self._watched.feed.closed:
            try:
                async with await self._client() as client:
                    failures = 0
                    await client.publish(self._status, "online", qos=1, retain=True)
                    try:
                        await self._publish(client)
                    finally:
                        with suppress(aiomqtt.MqttError):  # then the broker says so itself
                            await client.publish(self._status, "offline", qos=1, retain=True)
            except (aiomqtt.MqttError, OSError) as error:
                unless_cancelled()
                log.warning("mqtt_broker_away", url=str(self._broker.url), error=str(error))
                await asyncio.sleep(self._pauses_s[min(failures, len(self._pauses_s) - 1)])
                failures += 1

    async def _client(self) -> aiomqtt.Client:
        broker, url = self._broker, self._broker.url
        secure = url.scheme == "mqtts"
        password = None
        if broker.password_file is not None:
            password = (await asyncio.to_thread(Path(broker.password_file).read_text, encoding="utf-8")).strip()
        return aiomqtt.Client(
            hostname=url.host or "127.0.0.1",
            port=url.port or (8883 if secure else 1883),
            username=broker.username,
            password=password,
            identifier=self._identifier(),
            tls_context=ssl.create_default_context(cafile=broker.ca) if secure else None,
            will=aiomqtt.Will(self._status, "offline", qos=1, retain=True),
            timeout=_TIMEOUT_S,
            keepalive=30,
        )

    def _identifier(self) -> str | None:
        """Of a site of a fleet always the same: the broker then ends the connection of a controller that was replaced,
        and says that it is offline before the new one says that it is online.
        """
        if not self._watched.is_fleet:
            return None
        return f"headroom-{hashlib.blake2b(self._status.encode(), digest_size=6).hexdigest()}"

    async def _publish(self, client: aiomqtt.Client) -> None:
        """The whole state, then what changes; returns when every feed has ended."""
        loop = asyncio.get_running_loop()
        following = [loop.create_task(self._follow(client, site)) for site in self._sites]
        try:
            await asyncio.gather(*following)
        finally:
            for task in following:
                task.cancel()
            await asyncio.gather(*following, return_exceptions=True)

    async def _follow(self, client: aiomqtt.Client, site: SiteId) -> None:
        while not self._watched.feed.closed:  # a stream that did not keep up is begun anew
            watch = self._watched.feed.watch(site, self._watched.feed.newest)
            await self._whole(client, site)
            async for notice in watch:
                if notice.kind in {"evse", "feeder"}:
                    await self._say(client, self._topic(site, notice.kind, str(notice.data["id"])), notice.data)
                elif notice.kind == "alarm":
                    topic = self._topic(site, "alarm", str(notice.data["kind"]), str(notice.data["subject"]))
                    await self._say(client, topic, notice.data if notice.data["cleared_at"] is None else None)

    async def _whole(self, client: aiomqtt.Client, site: SiteId) -> None:
        controller = self._watched.controllers[site]
        now = self._watched.clock.now()
        for evse in controller.site.evses:
            view = controller.picture.view(evse.id, now)
            await self._say(client, self._topic(site, "evse", evse.id), evse_notice(view, evse, now))
        for feeder, loads in controller.picture.feeders.items():
            await self._say(client, self._topic(site, "feeder", feeder), feeder_notice(loads))
        standing = {
            self._topic(site, "alarm", one.alarm.kind, one.alarm.subject): {
                "kind": one.alarm.kind,
                "subject": one.alarm.subject,
                "text": one.alarm.text,
                "raised_at": one.raised_at.isoformat(),
                "cleared_at": None,
            }
            for one in controller.picture.live.alarms
        }
        mine = {topic for topic in self._alarms if topic.startswith(self._topic(site, "alarm"))}
        mine |= await self._cleared(site)
        for topic in mine - set(standing):
            await self._say(client, topic, None)
        for topic, document in standing.items():
            await self._say(client, topic, document)

    async def _cleared(self, site: SiteId) -> set[str]:
        since = self._watched.clock.now() - _CLEARED_SINCE
        try:
            found = await self._watched.store.query(lambda conn: queries.alarms_since(conn, site, since))
        except StorageError as error:
            log.warning("cleared_alarms_not_read", site=site, error=str(error))
            return set()
        return {self._topic(site, "alarm", one.alarm.kind, one.alarm.subject) for one in found if one.cleared_at}

    async def _say(self, client: aiomqtt.Client, topic: str, document: Mapping[str, object] | None) -> None:
        text = "" if document is None else json.dumps(document, default=str)
        await client.publish(topic, text, qos=1, retain=True)
        if "/alarm/" in topic:
            (self._alarms.discard if document is None else self._alarms.add)(topic)

    def _topic(self, *parts: str) -> str:
        """Ids may hold what topics may not: such letters are percent-encoded."""
        return "/".join([self._broker.prefix, *(quote(part, safe=" :@,;()[]'!") for part in parts)])
