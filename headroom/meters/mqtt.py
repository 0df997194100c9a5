"""Meters that publish to an MQTT broker: one connection per broker and user, kept alive for ever."""

import asyncio
import ssl
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urlsplit

import aiomqtt

from domain.site import Meter, MqttSource
from headroom.meters.backoff import Backoff
from headroom.meters.desk import MeterDesk
from headroom.meters.values import Conversion, published

_TIMEOUT_S = 10.0
_QUEUED = 10_000


class BrokerListener:
    """Listens to one broker for the meters that name it with the same user and authority."""

    def __init__(self, desk: MeterDesk, meters: Sequence[Meter], backoff: Callable[[], Backoff] = Backoff) -> None:
        """`meters` all have the same `broker_of`."""
        self._desk, self._backoff = desk, backoff()
        self._meters: list[tuple[Meter, MqttSource, Conversion]] = [
            (meter, meter.mqtt, Conversion.of(desk.site, meter)) for meter in meters if meter.mqtt is not None
        ]

    async def run(self) -> None:
        """Until cancelled; a broker that is away is tried again."""
        while True:
            try:
                await self._listen()
            except (aiomqtt.MqttError, OSError, TimeoutError, ValueError) as problem:
                for meter, source, _ in self._meters:
                    self._desk.lost(meter.id, f"{source.url}: {problem or type(problem).__name__}")
            await self._backoff.wait()

    async def _listen(self) -> None:
        source = self._meters[0][1]
        parts = urlsplit(source.url)
        secure = parts.scheme == "mqtts"
        client = aiomqtt.Client(
            hostname=parts.hostname or "127.0.0.1",
            port=parts.port or (8883 if secure else 1883),
            username=source.username,
            password=await _password(source),
            tls_context=ssl.create_default_context(cafile=source.ca) if secure else None,
            timeout=_TIMEOUT_S,
            keepalive=30,
            max_queued_incoming_messages=_QUEUED,
        )
        async with client:
            for topic in {source.topic for _, source, _ in self._meters}:
                await client.subscribe(topic, qos=1)
            self._backoff.succeeded()
            async for message in client.messages:
                self._hear(message)

    def _hear(self, message: aiomqtt.Message) -> None:
        """A retained message is what was said some time ago: without a time of its own it is no reading."""
        body = message.payload if isinstance(message.payload, bytes) else str(message.payload).encode()
        for meter, source, conversion in self._meters:
            if not message.topic.matches(source.topic):
                continue
            try:
                at, current_a = published(source, conversion, body)
            except ValueError as problem:
                self._desk.refuse(meter.id, f"{message.topic}: {problem}")
                continue
            if at is not None or not message.retain:
                self._desk.take(meter.id, at, current_a)


async def _password(source: MqttSource) -> str | None:
    if source.password_file is None:
        return None
    text = await asyncio.to_thread(Path(source.password_file).read_text, encoding="utf-8")
    return text.strip()


def broker_of(source: MqttSource) -> tuple[str | None, ...]:
    """What meters must share to share a connection."""
    return (source.url, source.username, source.password_file, source.ca)


def listeners(desk: MeterDesk, meters: Sequence[Meter]) -> list[BrokerListener]:
    """One for each broker of these meters."""
    groups: dict[tuple[str | None, ...], list[Meter]] = {}
    for meter in meters:
        if meter.mqtt is not None:
            groups.setdefault(broker_of(meter.mqtt), []).append(meter)
    return [BrokerListener(desk, group) for group in groups.values()]
