"""Who is told in a fleet: by the site's controller alone, nothing lost and nothing doubled when another takes over."""

import json
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiomqtt
import httpx
import pytest
from fleet_world import SITE, Town, a_site, a_town, until
from mosquitto_broker import a_broker, free_port
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from headroom.fleet.controllers import Controllers
from headroom.fleet.lease import LEASE_S
from headroom.notifications.settings import NotifySettings
from headroom.notifications.webhooks import WebhookSender
from headroom.notifications.wiring import Notifiers
from inventory.fencing import Fence

ALONE = SITE.replace("  - {id: CP002", "#  - {id: CP002")
"""One charger, whose fall-back nobody has proven: that is an alarm as long as it has no link."""


class Receiver:
    """What every controller's webhook tells, in one place."""

    def __init__(self, folder: Path) -> None:
        self.taken: list[dict[str, Any]] = []
        self.ids: list[str] = []
        self.refuses = False
        self._app = Starlette(routes=[Route("/hook", self._hook, methods=["POST"])])
        secret = folder / "secret"
        secret.write_text("0123456789abcdef")
        hook = {"name": "w", "url": "http://receiver/hook", "secret_file": str(secret)}
        self.settings = NotifySettings.model_validate({"webhooks": [hook]})

    async def _hook(self, request: Request) -> Response:
        self.ids.append(request.headers["webhook-id"])
        if self.refuses:
            return Response(status_code=503)
        self.taken.append(await request.json())
        return Response(status_code=204)

    def notifiers(self) -> Notifiers:
        """Of one process."""
        client = httpx.AsyncClient(transport=httpx.ASGITransport(self._app))
        return Notifiers(self.settings, lambda: str(uuid.uuid4()), {}, client)

    @property
    def told(self) -> list[tuple[str, str]]:
        """What was taken: kind of event and of alarm."""
        return [(one["type"], one["data"]["kind"]) for one in self.taken]


RAISED, CLEARED = ("alarm.raised", "failsafe_unproven"), ("alarm.cleared", "failsafe_unproven")


async def in_charge(town: Town, controllers: Controllers) -> None:
    await until(lambda: town.site.id in controllers.controllers, 10 * LEASE_S)


async def stored(town: Town, controllers: Controllers) -> None:
    """What the site's controller has put there is in the database."""
    store = controllers.reigns[town.site.id].store
    assert store is not None
    await store.flush()


async def test_each_alarm_is_told_once_over_a_controllers_death(tmp_path: Path) -> None:
    receiver = Receiver(tmp_path)
    async with a_town(tmp_path, a_site(ALONE)) as town:
        _, wires = await town.worker("w1")
        notifiers = receiver.notifiers()
        first = await town.controllers("c1", notifiers=notifiers)
        running = town.start(first.run)
        await until(lambda: notifiers.webhooks["w"].delivered)
        await stored(town, first)
        running.cancel()
        second = await town.controllers("c2", notifiers=receiver.notifiers())
        town.start(second.run)
        await in_charge(town, second)
        await wires.connect("CP001")
        await until(lambda: CLEARED in receiver.told)
        assert receiver.told == [RAISED, CLEARED]
        assert len(set(receiver.ids)) == 2


async def test_what_a_controller_left_untold_its_successor_tells(tmp_path: Path) -> None:
    """One message was refused, so it waits; the other alarm never came as far as the outbox."""
    receiver = Receiver(tmp_path)
    receiver.refuses = True
    async with a_town(tmp_path, a_site(ALONE)) as town:
        _, wires = await town.worker("w1")
        first = await town.controllers("c1", notifiers=receiver.notifiers())
        running = town.start(first.run)
        await until(lambda: receiver.ids)
        running.cancel()
        mute = await town.controllers("c2")
        running = town.start(mute.run)
        await in_charge(town, mute)
        await wires.connect("CP001")
        await until(lambda: not mute.controllers[town.site.id].picture.live.alarms)
        await stored(town, mute)
        running.cancel()
        receiver.refuses = False
        third = await town.controllers("c3", notifiers=receiver.notifiers())
        town.start(third.run)
        await until(lambda: len(receiver.told) == 2, 10 * LEASE_S)
        assert receiver.told == [RAISED, CLEARED]
        assert len(set(receiver.ids)) == 2, "what is tried again keeps its id, whoever tries"


async def test_who_was_replaced_takes_up_and_notes_nothing(tmp_path: Path) -> None:
    receiver = Receiver(tmp_path)
    async with a_town(tmp_path, a_site(ALONE)) as town:
        controllers = await town.controllers("c1", notifiers=receiver.notifiers())
        town.start(controllers.run)
        await in_charge(town, controllers)
        newest = controllers.reigns[town.site.id].lease.token
        older = town.stores[0].fenced(Fence(town.site.id, newest - 1))
        sender = WebhookSender(
            receiver.settings.webhooks[0], town.site.id, b"x" * 16, older, town.clock, uuid.uuid4().hex.lower
        )
        assert not await sender.take("alarm.raised", {"kind": "failsafe_unproven", "subject": "e1"})


@pytest.mark.server("mosquitto")
async def test_mqtt_has_the_state_of_whoever_controls_the_site(tmp_path: Path) -> None:
    heard: list[tuple[str, str]] = []
    status, alarm = "headroom/cedar/status", "headroom/cedar/alarm/failsafe_unproven/e1"

    async def listen(port: int) -> None:
        async with aiomqtt.Client("127.0.0.1", port) as client:
            await client.subscribe("headroom/#")
            async for message in client.messages:
                told = bytes(message.payload).decode()  # type: ignore[arg-type]
                heard.append((str(message.topic), told))

    def said(topic: str) -> list[str]:
        return [text for about, text in heard if about == topic]

    port = free_port()
    async with a_broker(tmp_path, port), a_town(tmp_path, a_site(ALONE)) as town:
        settings = NotifySettings.model_validate({"mqtt": [{"url": f"mqtt://127.0.0.1:{port}"}]})
        new: Callable[[], Notifiers] = lambda: Notifiers(settings, lambda: uuid.uuid4().hex, {})  # noqa: E731
        town.start(lambda: listen(port))
        _, wires = await town.worker("w1")
        first, second = await town.controllers("c1", notifiers=new()), await town.controllers("c2", notifiers=new())
        town.start(first.run)
        await until(lambda: said(alarm))
        assert json.loads(said(alarm)[0])["cleared_at"] is None
        await first.hand_over(5.0)
        await until(lambda: said(status) == ["online", "offline"])
        town.start(second.run)
        await in_charge(town, second)
        await wires.connect("CP001")
        await until(lambda: said(alarm)[-1] == "" and said(status)[-1] == "online")
