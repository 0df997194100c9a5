"""Brokers and registers as they are: a real Mosquitto, a real Modbus server; both go away and come back."""

import asyncio
import contextlib
import json
import socket
import struct
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiomqtt
import pytest
import pytest_asyncio
from meter_world import NOW, Desk, site_with, until
from needs import program
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from domain.ids import MeterId
from domain.site import Phase
from headroom.meters.backoff import Backoff
from headroom.meters.modbus import pollers
from headroom.meters.mqtt import listeners

A, B, C = Phase


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


def quick() -> Backoff:
    return Backoff(0.05, 0.2)


class Broker:
    """Mosquitto on a port of its own, with one user."""

    def __init__(self, folder: Path, port: int) -> None:
        self.port, self._folder = port, folder
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        config = self._folder / "mosquitto.conf"
        text = f"listener {self.port} 127.0.0.1\nallow_anonymous true\npersistence false\n"
        await asyncio.to_thread(config.write_text, text)
        self._process = await asyncio.create_subprocess_exec(
            *("mosquitto", "-c", str(config)), stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
        )
        async with asyncio.timeout(20):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                except OSError:
                    await asyncio.sleep(0.02)
                else:
                    writer.close()
                    return

    async def stop(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def say(self, topic: str, document: object, *, retain: bool = False) -> None:
        body = document if isinstance(document, bytes) else json.dumps(document)
        async with aiomqtt.Client("127.0.0.1", self.port) as client:
            await client.publish(topic, body, qos=1, retain=retain)


@pytest_asyncio.fixture
async def broker(tmp_path: Path) -> AsyncIterator[Broker]:
    program("mosquitto", "apt-get install mosquitto")
    made = Broker(tmp_path, free_port())
    await made.start()
    yield made
    await made.stop()


async def heard(world: Desk, broker: Broker, topic: str, document: object, count: Callable[[], int]) -> None:
    """Said until it is heard: the listener may still be connecting."""
    before = count()
    async with asyncio.timeout(30):
        while count() == before:
            with contextlib.suppress(aiomqtt.MqttError):
                await broker.say(topic, document)
            await asyncio.sleep(0.1)


@pytest.mark.server("mosquitto")
async def test_published_readings_arrive_bad_ones_are_counted_and_a_lost_broker_is_found_again(broker: Broker) -> None:
    site = site_with(
        f"{{id: m1, mqtt: {{url: 'mqtt://127.0.0.1:{broker.port}', topic: 'house/+/state', "
        "fields: {A: 'emeters.0.current', B: 'emeters.1.current', C: 'emeters.2.current'}}}",
        f"{{id: m2, mqtt: {{url: 'mqtt://127.0.0.1:{broker.port}', topic: total, total_field: kw, measures: power, "
        "scale: 1000, unbalance: 1}}",
    )
    world = Desk(site)
    [listener] = listeners(world.desk, site.meters)
    listener._backoff = quick()
    body = {"emeters": [{"current": 10.5}, {"current": 11.5}, {"current": 12.5}]}
    m1, m2 = MeterId("m1"), MeterId("m2")
    async with asyncio.TaskGroup() as group:
        running = group.create_task(listener.run())
        await heard(world, broker, "house/1/state", body, lambda: world.desk.taken[m1])
        assert world.amps()[-1] == {A: 10.5, B: 11.5, C: 12.5}
        assert world.events[-1].reading.at == NOW
        await heard(world, broker, "total", {"kw": 3.6}, lambda: world.desk.taken[m2])
        assert world.amps("m2")[-1][C] == pytest.approx(3600 / 3 / (208 / 3**0.5 * 0.95))
        for bad in (b"{", {"emeters": []}, {"emeters": [{"current": -1}] * 3}, {"emeters": [{"current": 1e6}] * 3}):
            await heard(world, broker, "house/1/state", bad, lambda: world.desk.refused[m1])
        await broker.stop()
        await broker.start()
        await heard(world, broker, "house/2/state", body, lambda: world.desk.taken[m1])
        running.cancel()


@pytest.mark.server("mosquitto")
async def test_a_retained_message_without_a_time_is_no_reading(broker: Broker) -> None:
    site = site_with(f"{{id: m1, mqtt: {{url: 'mqtt://127.0.0.1:{broker.port}', topic: t, total_field: a}}}}")
    world = Desk(site)
    await broker.say("t", {"a": 77}, retain=True)
    [listener] = listeners(world.desk, site.meters)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(listener.run())
        await heard(world, broker, "t", {"a": 5}, lambda: world.desk.taken[MeterId("m1")])
        running.cancel()
    assert {amps[A] for amps in world.amps()} == {5.0}


def registers(value: float) -> list[int]:
    high, low = struct.unpack(">HH", struct.pack(">f", value))
    return [high, low]


class Gateway:
    """A Modbus server with float32 currents at 0, 2, 4 of unit 1, and an int16 total in W at 10 of unit 2."""

    def __init__(self) -> None:
        self.port = free_port()
        self._server: ModbusTcpServer | None = None

    async def start(self, amps: tuple[float, float, float] = (10.5, 11.5, 12.5), watts: int = 3600) -> None:
        words = [word for value in amps for word in registers(value)]
        devices = [
            SimDevice(1, [SimData(0, values=words, datatype=DataType.REGISTERS)]),
            SimDevice(2, [SimData(10, values=[watts], datatype=DataType.REGISTERS)]),
        ]
        self._server = ModbusTcpServer(devices, address=("127.0.0.1", self.port))
        await self._server.listen()

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.shutdown()


@pytest_asyncio.fixture
async def gateway() -> AsyncIterator[Gateway]:
    made = Gateway()
    await made.start()
    yield made
    await made.stop()


async def test_registers_are_polled_and_a_gateway_that_goes_away_comes_back(gateway: Gateway) -> None:
    at = f"host: 127.0.0.1, port: {gateway.port}, interval_s: 0.05"
    site = site_with(
        f"{{id: m1, modbus: {{{at}, registers: {{A: 0, B: 2, C: 4}}}}}}",
        f"{{id: m2, modbus: {{{at}, unit: 2, total_register: 10, encoding: uint16, measures: power, unbalance: 1}}}}",
        f"{{id: m3, modbus: {{{at}, registers: {{A: 500, B: 502, C: 504}}}}}}",
    )
    world = Desk(site)
    [poller] = pollers(world.desk, site.meters)
    poller._backoff = quick()
    m1, m3 = MeterId("m1"), MeterId("m3")
    async with asyncio.TaskGroup() as group:
        running = group.create_task(poller.run())
        await until(lambda: world.desk.taken[m1] >= 3 and world.amps("m2") and world.desk.refused[m3])
        assert world.amps()[-1] == {A: 10.5, B: 11.5, C: 12.5}
        assert world.amps("m2")[-1][A] == pytest.approx(3600 / 3 / (208 / 3**0.5 * 0.95))
        assert world.desk.taken[m3] == 0
        await gateway.stop()
        before = world.desk.taken[m1]
        await asyncio.sleep(0.3)
        assert world.desk.taken[m1] <= before + 1  # silent, not repeated: the meter goes stale
        await gateway.start((20.5, 21.5, 22.5))
        await until(lambda: world.amps()[-1][A] == 20.5)
        running.cancel()


async def test_a_gateway_that_never_answers_costs_nobody_anything() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(100)
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    site = site_with(f"{{id: m1, modbus: {{host: 127.0.0.1, port: {port}, registers: {{A: 0, B: 2, C: 4}}}}}}")
    world = Desk(site)
    [poller] = pollers(world.desk, site.meters)
    poller._backoff = quick()
    complaints: list[str] = []
    world.desk.lost = lambda meter, why: complaints.append(why)  # type: ignore[method-assign]
    async with asyncio.TaskGroup() as group:
        running = group.create_task(poller.run())
        await until(lambda: len(complaints) >= 3)
        running.cancel()
    server.close()
    assert world.events == []
