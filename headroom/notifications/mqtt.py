"""State over MQTT, retained: `<prefix>/<site>/evse/<id>`, `.../feeder/<id>`, `.../alarm/<kind>/<subject>`.

An alarm that is cleared leaves an empty message, which takes the retained one away. `<prefix>/status` is `online`, or
`offline` by the broker itself when the connection is lost.
"""

import asyncio
import json
import ssl
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

import aiomqtt
import structlog

from headroom.notices import evse_notice, feeder_notice
from headroom.notifications.settings import Broker
from headroom.service import Service

log = structlog.get_logger()

_TIMEOUT_S = 10.0
_PAUSES_S = (1.0, 5.0, 15.0, 60.0)


class BrokerPublisher:
    """One broker. Whatever was missed while it was away is made up by publishing the whole state again."""

    def __init__(self, broker: Broker, service: Service, pauses_s: tuple[float, ...] = _PAUSES_S) -> None:
        self._broker, self._service, self._pauses_s = broker, service, pauses_s
        self._sites = [name for name in service.controllers if broker.sites is None or name in broker.sites]
        self._alarms: set[str] = set()

    async def run(self) -> None:
        """Until the feed ends or this is cancelled; a broker that is away is tried again."""
        failures = 0
        while not self._service.feed.closed:
            try:
                async with await self._client() as client:
                    failures = 0
                    await client.publish(self._topic("status"), "online", qos=1, retain=True)
                    await self._publish(client)
                    await client.publish(self._topic("status"), "offline", qos=1, retain=True)
            except (aiomqtt.MqttError, OSError) as error:
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
            tls_context=ssl.create_default_context(cafile=broker.ca) if secure else None,
            will=aiomqtt.Will(self._topic("status"), "offline", qos=1, retain=True),
            timeout=_TIMEOUT_S,
            keepalive=30,
        )

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

    async def _follow(self, client: aiomqtt.Client, site: str) -> None:
        while not self._service.feed.closed:  # a stream that did not keep up is begun anew
            watch = self._service.feed.watch(site, self._service.feed.newest)
            await self._whole(client, site)
            async for notice in watch:
                if notice.kind in {"evse", "feeder"}:
                    await self._say(client, self._topic(site, notice.kind, str(notice.data["id"])), notice.data)
                elif notice.kind == "alarm":
                    topic = self._topic(site, "alarm", str(notice.data["kind"]), str(notice.data["subject"]))
                    await self._say(client, topic, notice.data if notice.data["cleared_at"] is None else None)

    async def _whole(self, client: aiomqtt.Client, site: str) -> None:
        controller = next(one for name, one in self._service.controllers.items() if name == site)
        now = self._service.clock.now()
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
        for topic in mine - set(standing):
            await self._say(client, topic, None)
        for topic, document in standing.items():
            await self._say(client, topic, document)

    async def _say(self, client: aiomqtt.Client, topic: str, document: Mapping[str, object] | None) -> None:
        text = "" if document is None else json.dumps(document, default=str)
        await client.publish(topic, text, qos=1, retain=True)
        if "/alarm/" in topic:
            (self._alarms.discard if document is None else self._alarms.add)(topic)

    def _topic(self, *parts: str) -> str:
        """Ids may hold what topics may not: such letters are percent-encoded."""
        return "/".join([self._broker.prefix, *(quote(part, safe=" :@,;()[]'!") for part in parts)])
