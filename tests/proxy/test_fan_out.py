"""A second reader sees what it is meant to see, and cannot disturb the first, whatever it does."""

import asyncio
import json
from dataclasses import replace

from proxy_world import Csms, reply_to, soon, until, world
from websockets.asyncio.server import serve

from proxy.settings import HoldSettings, ProxySettings

SETTINGS = ProxySettings(hold=HoldSettings(redial_first_s=0.02, redial_most_s=0.05))


def second_at(port: int):
    return lambda place: replace(place, fan_out_url=f"ws://127.0.0.1:{port}/second")


def is_dialling(task):
    return task.get_name() == "second reader of CP001"


async def test_it_sees_what_the_charger_says_and_the_replies_and_is_not_heard():
    second = Csms()
    async with serve(second.handle, "127.0.0.1", 0, subprotocols=["ocpp1.6"], compression=None) as server:
        port = server.sockets[0].getsockname()[1]
        headers = {"Authorization": "Basic c2VjcmV0"}
        async with world(SETTINGS, asks=second_at(port)) as here, here.charger(additional_headers=headers) as charger:
            # Accepted there is not yet open here, and what comes before it is open is dropped.
            await until(lambda: second.connections and not any(is_dialling(task) for task in asyncio.all_tasks()))
            assert second.newest.request.path == "/second/CP001"
            assert "Authorization" not in second.newest.request.headers
            await second.newest.send('[2,"evil","Reset",{"type":"Hard"}]')
            await second.newest.send('[3,"1",{"evil":true}]')
            await charger.send('[2, "1","Heartbeat",{}]')
            await reply_to(here.csms.newest, await here.csms.next(), '{"currentTime": "now"}')
            assert await soon(charger.recv()) == '[3,"1",{"currentTime": "now"}]'
            await here.csms.newest.send('[2,"c","Reset",{"type":"Soft"}]')
            assert json.loads(await soon(charger.recv()))[1] == "c"
            await charger.send('[3,"c",{"status":"Accepted"}]')
            seen = [await second.next() for _ in range(3)]
            assert seen == [
                '[2, "1","Heartbeat",{}]',
                '[3,"1",{"currentTime": "now"}]',
                '[3,"c",{"status":"Accepted"}]',
            ]
            assert here.proxy.counters.fan_out == 3
            await second.newest.close()  # and it is dialled again
            await until(lambda: len(second.connections) == 2)


async def test_one_that_reads_nothing_loses_messages_and_nobody_else_does():
    over = asyncio.Event()

    async def reads_nothing(connection) -> None:
        connection.transport.pause_reading()
        await over.wait()
        connection.transport.abort()

    async with serve(reads_nothing, "127.0.0.1", 0, subprotocols=["ocpp1.6"], compression=None) as server:
        port = server.sockets[0].getsockname()[1]
        async with world(SETTINGS, asks=second_at(port)) as here, here.charger() as charger:
            await until(lambda: server.connections)
            padding = "x" * 100_000
            number = 0
            while here.proxy.counters.fan_out_dropped < 20:
                number += 1
                assert number < 2000
                await charger.send(f'[2,"{number}","DataTransfer",{{"vendorId":"v","data":"{padding}"}}]')
                await reply_to(here.csms.newest, await here.csms.next())
                await soon(charger.recv())
            assert here.proxy.links
        over.set()


async def test_one_that_is_not_there_costs_nothing():
    async with world(SETTINGS, asks=second_at(9)) as here, here.charger() as charger:
        await charger.send('[2,"1","Heartbeat",{}]')
        await reply_to(here.csms.newest, await here.csms.next())
        assert await soon(charger.recv()) == '[3,"1",{}]'
        assert here.proxy.counters.fan_out_dropped == 2
