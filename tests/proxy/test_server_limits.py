"""Floods wait, storms are let in gradually, and neighbours keep their service."""

import asyncio
import contextlib
from dataclasses import replace

import pytest
from proxy_world import soon, until, world
from websockets.exceptions import InvalidStatus

from proxy.allowance import Allowance
from proxy.door import DoorSettings
from proxy.settings import ProxySettings


def test_an_allowance_fills_up_with_time():
    now_s = 0.0
    allowance = Allowance(10.0, 5.0, lambda: now_s)
    assert allowance.spend(5) == 0.0
    assert allowance.spend(2) == pytest.approx(0.2)
    now_s = 0.2
    assert allowance.spend(0) == 0.0
    now_s = 1000.0
    assert allowance.spend(5) == 0.0
    assert allowance.spend(1) == pytest.approx(0.1)


async def test_who_says_too_much_waits_and_nothing_is_lost():
    # A SEND needs no answer, so that nothing but the allowance holds it up.
    sent = [f'[6,"{number}","NotifyPeriodicEventStream",{{}}]' for number in range(120)]
    other = '[2,"neighbour","Heartbeat",{}]'
    async with contextlib.AsyncExitStack() as stack:
        here = await stack.enter_async_context(world(asks=lambda place: replace(place, messages=(400.0, 10))))
        flooder = await stack.enter_async_context(here.charger())
        neighbour = await stack.enter_async_context(here.charger(path="/ocpp/CP002"))
        for message in sent:
            await flooder.send(message)
        await neighbour.send(other)
        received = [await here.csms.next() for _ in range(len(sent) + 1)]
        assert received.index(other) < len(sent)
        received.remove(other)
        assert received == sent
        assert here.proxy.door.counters.throttled > 0
        assert len(here.proxy.links) == 2


async def test_a_storm_reaches_the_csms_a_few_at_a_time_and_everybody_gets_in():
    names = tuple(f"CP{number:03}" for number in range(60))
    inside = most = 0

    async def slow(connection, request):
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        await asyncio.sleep(0.005)
        inside -= 1

    settings = ProxySettings(door=DoorSettings(at_once=5))
    async with contextlib.AsyncExitStack() as stack:
        here = await stack.enter_async_context(world(settings, names=names, csms_options={"process_request": slow}))
        await asyncio.gather(*(stack.enter_async_context(here.charger(path=f"/{name}")) for name in names))
        assert len(here.proxy.links) == len(names)
        assert most == 5
        assert here.proxy.door.waited >= len(names) - 5
        assert here.proxy.door.waiting == 0


async def test_beyond_the_line_there_is_503_and_a_time_to_come_back():
    release = asyncio.Event()

    async def hanging(connection, request):
        await release.wait()

    settings = ProxySettings(door=DoorSettings(at_once=1, most_waiting=0))
    async with world(settings, csms_options={"process_request": hanging}) as here:
        first = asyncio.get_running_loop().create_task(here.charger().__aenter__())
        await until(lambda: here.proxy._admissions)
        with pytest.raises(InvalidStatus) as caught:
            async with here.charger(path="/ocpp/CP002"):
                raise AssertionError("it was let in")
        assert caught.value.response.status_code == 503
        assert int(caught.value.response.headers["Retry-After"]) >= 10
        release.set()
        await (await soon(first)).close()


async def test_one_that_reconnects_all_the_time_keeps_nobody_out():
    """Its handshakes hang, and it begins ever new ones; a neighbour is let in at once."""
    release = asyncio.Event()

    async def hanging(connection, request):
        if request.path.endswith("CP001") and len(seen) > 3:
            await release.wait()
        seen.append(request.path)

    seen: list[str] = []
    settings = ProxySettings(door=DoorSettings(at_once=4))
    async with world(settings, csms_options={"process_request": hanging}) as here:
        for _ in range(4):
            async with here.charger():
                pass
        tries = [asyncio.get_running_loop().create_task(here.charger().__aenter__()) for _ in range(6)]
        await until(lambda: here.proxy.door.waiting == 1)
        async with here.charger(path="/ocpp/CP002") as neighbour:
            await neighbour.send('[2,"1","Heartbeat",{}]')
            assert await here.csms.next() == '[2,"1","Heartbeat",{}]'
        release.set()
        for result in await asyncio.gather(*tries, return_exceptions=True):
            if not isinstance(result, BaseException):
                await result.close()
