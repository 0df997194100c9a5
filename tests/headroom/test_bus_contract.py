"""Both buses do the same: in one process, and over Redis."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime

import pytest
from fleet_world import a_fleet, until

from domain.events import Event, EvseStatusChanged
from domain.ids import ChargerId, SiteId
from domain.session import EvseState
from headroom.bus import Bus, Handler, InProcessBus
from headroom.fleet.codec import Told
from headroom.fleet.outbox import Outbox
from headroom.fleet.publisher import Publisher
from headroom.fleet.reading import BEGINNING, ReadingCounts, StreamReader

NOW = datetime(2026, 3, 3, tzinfo=UTC)
SITE = SiteId("cedar")

Made = Callable[[], contextlib.AbstractAsyncContextManager[Bus]]


def said(number: int) -> Event:
    return EvseStatusChanged(ChargerId("c"), number, NOW, EvseState.AVAILABLE)


class OverRedis:
    """What a worker tells, as its controller hears it."""

    def __init__(self, publisher: Publisher) -> None:
        self.heard = InProcessBus()
        self._publisher = publisher

    def publish(self, event: Event) -> None:
        self._publisher.publish(event)

    def subscribe(self, handler: Handler) -> None:
        self.heard.subscribe(handler)


@contextlib.asynccontextmanager
async def in_process() -> AsyncIterator[Bus]:
    yield InProcessBus()


@contextlib.asynccontextmanager
async def over_redis() -> AsyncIterator[Bus]:
    async with a_fleet() as fleet:
        outbox = Outbox(fleet)
        bus = OverRedis(Publisher(outbox, "w", lambda _: SITE))
        reader = StreamReader(fleet, SITE, BEGINNING, ReadingCounts())

        async def hear() -> None:
            while True:
                for _, told in await reader.wait():
                    assert isinstance(told, Told)
                    bus.heard.publish(told.event)

        async with asyncio.TaskGroup() as group:
            parts = [group.create_task(part()) for part in (outbox.run, hear)]
            yield bus
            for part in parts:
                part.cancel()


@pytest.mark.parametrize("made", [in_process, over_redis])
class TestBus:
    async def test_events_come_in_order_to_everybody(self, made: Made) -> None:
        async with made() as bus:
            one: list[Event] = []
            other: list[Event] = []
            bus.subscribe(one.append)
            bus.subscribe(other.append)
            events = [said(number) for number in range(1500)]
            for event in events:
                bus.publish(event)
            await until(lambda: len(other) >= len(events))
            assert one == other == events

    async def test_what_a_handler_publishes_comes_after(self, made: Made) -> None:
        async with made() as bus:
            heard: list[Event] = []

            def echo(event: Event) -> None:
                if event == said(1):
                    bus.publish(said(3))

            bus.subscribe(echo)
            bus.subscribe(heard.append)
            bus.publish(said(1))
            bus.publish(said(2))
            await until(lambda: len(heard) == 3)
            assert heard[0] == said(1)
            assert set(heard) == {said(1), said(2), said(3)}

    async def test_a_handler_that_fails_keeps_an_event_from_nobody(self, made: Made) -> None:
        async with made() as bus:
            heard: list[Event] = []

            def fail(_: Event) -> None:
                raise ValueError("a fault")

            bus.subscribe(fail)
            bus.subscribe(heard.append)
            bus.publish(said(1))
            bus.publish(said(2))
            await until(lambda: heard == [said(1), said(2)])
