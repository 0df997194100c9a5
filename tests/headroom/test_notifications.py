"""Webhooks are signed, in order and patient, over a restart too; MQTT shows the whole state at any time."""

import asyncio
import base64
import hashlib
import hmac
import json
import signal
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiomqtt
import httpx
import pytest
from api_world import a_house
from mosquitto_broker import a_broker, free_port
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from domain.errors import HeadroomError, StorageError
from domain.ids import SiteId
from domain.setpoint import Alarm, AlarmKind
from headroom.clock import WallClock
from headroom.feed import Feed
from headroom.notices import alarm_notices
from headroom.notifications import mqtt
from headroom.notifications.mqtt import BrokerPublisher
from headroom.notifications.settings import Broker, Webhook, read_settings
from headroom.notifications.watched import Watched
from headroom.notifications.webhooks import WebhookSender
from inventory import outbox
from inventory.records import AlarmRecord
from inventory.repository import save_site
from inventory.site_file import parse_site
from inventory.store import InlineStore
from simulators.demo_site import demo_site

SITE = SiteId("cedar")
SECRET = b"0123456789abcdef0123456789abcdef"


class Receiver:
    """Takes messages, unless told to refuse the next so many."""

    def __init__(self) -> None:
        self.taken: list[dict[str, Any]] = []
        self.ids: list[str] = []
        self.refuse = 0
        app = Starlette(routes=[Route("/hook", self.hook, methods=["POST"])])
        self.client = httpx.AsyncClient(transport=httpx.ASGITransport(app))

    async def hook(self, request: Request) -> Response:
        body, headers = await request.body(), request.headers
        text = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        expected = base64.b64encode(hmac.new(SECRET, text, hashlib.sha256).digest()).decode()
        assert headers["webhook-signature"] == f"v1,{expected}"
        self.ids.append(headers["webhook-id"])
        if self.refuse:
            self.refuse -= 1
            return Response(status_code=503)
        self.taken.append(json.loads(body))
        return Response(status_code=204)

    def sender(self, store: InlineStore, site: SiteId = SITE, **hook: Any) -> WebhookSender:
        made = Webhook.model_validate({"name": "w", "url": "http://receiver/hook", "secret_file": "x", **hook})
        pauses_s = (0.01, 0.02)
        return WebhookSender(made, site, SECRET, store, WallClock(), lambda: str(uuid.uuid4()), self.client, pauses_s)


@asynccontextmanager
async def running(*parts: Any) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(part) for part in parts]
        await asyncio.sleep(0)
        yield
        for task in tasks:
            task.cancel()


async def until(fits: Any) -> None:
    async with asyncio.timeout(20):
        while not fits():
            await asyncio.sleep(0.01)


def alarm(subject: str, *, cleared: bool = False) -> dict[str, object]:
    return {"kind": "stale_meter", "subject": subject, "text": "silent", "cleared_at": "now" if cleared else None}


async def test_alarms_are_told_in_order_signed_and_again_until_they_are_taken() -> None:
    store, feed, receiver = InlineStore(), Feed(), Receiver()
    sender = receiver.sender(store)
    receiver.refuse = 3
    async with running(sender.run(), sender.follow(feed)):
        feed.publish("oak", "alarm", alarm("other"))
        feed.publish("cedar", "alarm", alarm("m1"))
        feed.publish("cedar", "feeder", {"id": "main"})
        feed.publish("cedar", "alarm", alarm("m1", cleared=True))
        await until(lambda: len(receiver.taken) == 2)
    assert [one["type"] for one in receiver.taken] == ["alarm.raised", "alarm.cleared"]
    assert receiver.taken[0]["data"]["site"] == "cedar"
    assert len(set(receiver.ids)) == 2, "a message that is tried again keeps its id"
    assert (sender.counts.delivered, sender.counts.failed, sender.counts.given_up) == (2, 3, 0)
    assert await store.query(lambda conn: outbox.oldest(conn, "w\ncedar")) is None


async def test_what_was_not_delivered_is_delivered_after_a_restart() -> None:
    store, receiver = InlineStore(), Receiver()
    first = receiver.sender(store)
    await first.take("alarm.raised", alarm("m1"))
    await first.take("alarm.raised", alarm("m2"))
    second = receiver.sender(store)
    async with running(second.run()):
        await until(lambda: len(receiver.taken) == 2)
    assert [one["data"]["subject"] for one in receiver.taken] == ["m1", "m2"]


class Away(InlineStore):
    """A store that takes nothing so many times."""

    left = 3

    async def transact(self, work: Any) -> Any:
        if self.left:
            self.left -= 1
            raise StorageError("away")
        return await super().transact(work)


async def test_a_database_that_is_away_delays_what_is_told_and_loses_none() -> None:
    store, feed, receiver = Away(), Feed(), Receiver()
    sender = receiver.sender(store)
    async with running(sender.run(), sender.follow(feed)):
        feed.publish("cedar", "alarm", alarm("m1"))
        feed.publish("cedar", "alarm", alarm("m2"))
        await until(lambda: len(receiver.taken) == 2)
    assert [one["data"]["subject"] for one in receiver.taken] == ["m1", "m2"]


async def test_only_what_was_asked_for_and_only_changes_are_told() -> None:
    store, feed, receiver = InlineStore(), Feed(), Receiver()
    sender = receiver.sender(store, events=["evse.changed"])
    evse = {"id": "P1-01", "state": "charging", "linked": True, "transaction_id": "1", "measured_a": 9.0}
    async with running(sender.run(), sender.follow(feed)):
        feed.publish("cedar", "alarm", alarm("m1"))
        for amps in (9.0, 9.1, 9.2):
            feed.publish("cedar", "evse", evse | {"measured_a": amps})
        feed.publish("cedar", "evse", evse | {"state": "finishing"})
        await until(lambda: len(receiver.taken) == 2)
        await asyncio.sleep(0.1)
    assert [one["data"]["state"] for one in receiver.taken] == ["charging", "finishing"]


async def test_the_queue_is_bounded_and_gives_up_the_oldest() -> None:
    store, at = InlineStore(), WallClock().now()
    lost = [
        await store.transact(lambda conn, n=number: outbox.add(conn, f"id{n}", "w", at, "e", {"n": n}, 3))
        for number in range(5)
    ]
    assert lost == [0, 0, 0, 1, 1]
    oldest = await store.query(lambda conn: outbox.oldest(conn, "w"))
    assert oldest is not None
    assert oldest.payload == {"n": 2}


async def test_a_message_that_nobody_takes_for_a_day_is_given_up() -> None:
    store, receiver = InlineStore(), Receiver()
    sender = receiver.sender(store)
    receiver.refuse = 1
    old = WallClock().now() - timedelta(hours=25)
    await store.transact(lambda conn: outbox.add(conn, "old", "w\ncedar", old, "e", {}, 9))
    await sender.take("alarm.raised", alarm("m1"))
    async with running(sender.run()):
        await until(lambda: receiver.taken)
    assert sender.counts.given_up == 1


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("webhooks: [{name: a, url: 'ftp://x', secret_file: SECRET}]", "webhooks.0.url"),
        ("webhooks: [{name: a, url: 'https://x', secret_file: SHORT}]", "16 characters"),
        ("webhooks: [{name: a, url: 'https://x', secret_file: /none}]", "secret_file"),
        ("webhooks: [{name: a, url: 'https://x', secret_file: SECRET, events: [alarms]}]", "events"),
        ("webhooks: [{name: a, url: 'https://x', secret_file: SECRET, sites: [oak]}]", "'oak'"),
        (
            "webhooks: [{name: a, url: 'https://x', secret_file: SECRET}, "
            "{name: a, url: 'https://y', secret_file: SECRET}]",
            "twice",
        ),
        ("mqtt: [{url: 'mqtt://x', prefix: 'a/#'}]", "prefix"),
        ("mqtts: []", "mqtts"),
        ("{", "not YAML"),
    ],
)
def test_a_file_that_cannot_be_used_is_one_clear_sentence(tmp_path: Path, text: str, told: str) -> None:
    for name, secret in (("SECRET", SECRET.decode()), ("SHORT", "short")):
        (tmp_path / name).write_text(secret)
        text = text.replace(name, str(tmp_path / name))
    file = tmp_path / "notify.yaml"
    file.write_text(text)
    with pytest.raises(HeadroomError, match=told):
        read_settings(file, ["cedar"])


@pytest.mark.server("mosquitto")
async def test_mqtt_shows_the_whole_state_its_changes_and_that_the_service_is_gone(tmp_path: Path) -> None:
    port = free_port()
    heard: dict[str, str] = {}

    async def listen() -> None:
        async with aiomqtt.Client("127.0.0.1", port) as client:
            await client.subscribe("building/#")
            async for message in client.messages:
                heard[str(message.topic)] = bytes(message.payload).decode()  # type: ignore[arg-type]

    async with a_house() as house:
        broker = Broker.model_validate({"url": f"mqtt://127.0.0.1:{port}", "prefix": "building"})
        service = house.service
        watched = Watched(service.controllers, service.feed, service.store, service.clock, service.feed.newest)
        publisher = BrokerPublisher(broker, watched, pauses_s=(0.05,))
        async with running(publisher.run()):
            await asyncio.sleep(0.2)  # the broker is away at first
            async with a_broker(tmp_path, port), running(listen()):
                awaited = {"building/status", "building/demo/evse/P2-01", "building/demo/feeder/main"}
                await until(lambda: awaited <= set(heard))
                assert heard["building/status"] == "online"
                assert json.loads(heard["building/demo/evse/P1-01"])["transaction_id"]
                house.service.feed.publish("demo", "alarm", alarm("m 1"))
                await until(lambda: "building/demo/alarm/stale_meter/m 1" in heard)
                house.service.feed.publish("demo", "alarm", alarm("m 1", cleared=True))
                await until(lambda: heard["building/demo/alarm/stale_meter/m 1"] == "")
                house.service.feed.close()
                await until(lambda: heard["building/status"] == "offline")


@pytest.mark.server("mosquitto")
async def test_a_publisher_whose_broker_no_longer_answers_can_be_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mqtt, "_TIMEOUT_S", 0.3)
    port = free_port()
    broker = Broker.model_validate({"url": f"mqtt://127.0.0.1:{port}"})
    async with a_house() as house, a_broker(tmp_path, port) as process:
        service = house.service
        watched = Watched(service.controllers, service.feed, service.store, service.clock, service.feed.newest)
        publisher = BrokerPublisher(broker, watched, pauses_s=(0.05,))
        async with aiomqtt.Client("127.0.0.1", port) as client, asyncio.timeout(20):
            await client.subscribe("#")
            publishing = asyncio.get_running_loop().create_task(publisher.run())
            async for message in client.messages:
                if message.payload == b"online":
                    break
        process.send_signal(signal.SIGSTOP)
        publishing.cancel()
        ended, _ = await asyncio.wait((publishing,), timeout=15)
        assert ended
        assert publishing.cancelled()


async def test_what_a_stream_lost_of_alarms_is_made_up_from_the_database() -> None:
    """More notices than a feed remembers came at once, the alarm among them."""
    store, feed, receiver = InlineStore(), Feed(), Receiver()
    site = parse_site(demo_site(2), "demo.yaml")
    await store.transact(lambda conn: save_site(conn, site, WallClock().now()))
    sender = receiver.sender(store, site=site.id)
    async with running(sender.run(), sender.follow(feed)):
        await asyncio.sleep(0.1)
        told = Alarm(AlarmKind.STALE_METER, "m-main", "silent")
        store.put(AlarmRecord(site.id, told, WallClock().now()))
        for _ in range(1_001):
            feed.publish(site.id, "feeder", {"id": "main"})
        for notice in alarm_notices([AlarmRecord(site.id, told, WallClock().now())]):
            feed.publish(site.id, "alarm", notice)
        for _ in range(2_001):
            feed.publish(site.id, "feeder", {"id": "main"})
        await until(lambda: receiver.taken)
    assert [one["data"]["subject"] for one in receiver.taken] == ["m-main"]
