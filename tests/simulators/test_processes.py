"""Processes in virtual time: paused ones are late, killed ones are silent, and the network outlives both."""

import asyncio
from datetime import UTC, datetime

from simulators import virtual_time
from simulators.network import MemoryNetwork
from simulators.processes import State, VirtualProcess

START = datetime(2026, 3, 2, tzinfo=UTC)


def play(main):
    return virtual_time.run(main, start=START)


async def beat(said: list[float]) -> None:
    loop = asyncio.get_running_loop()
    try:
        while True:
            await asyncio.sleep(1.0)
            said.append(loop.time())
    finally:
        said.append(-1.0)


def test_a_paused_process_does_nothing_and_its_timers_are_late() -> None:
    async def main() -> list[float]:
        said: list[float] = []
        process = VirtualProcess("service")
        process.start(beat(said))
        await asyncio.sleep(2.5)
        process.pause()
        await asyncio.sleep(10.0)
        assert said == [1.0, 2.0]
        process.resume()
        await asyncio.sleep(1.2)
        return said

    assert play(main)[:4] == [1.0, 2.0, 12.5, 13.5]


def test_a_killed_process_has_no_last_word() -> None:
    async def main() -> list[float]:
        said: list[float] = []
        process = VirtualProcess("service")
        process.start(beat(said))
        await asyncio.sleep(1.5)
        process.kill()
        await asyncio.sleep(60.0)
        before = list(said)
        process.resume()
        assert process.state is State.KILLED
        process.bury()
        return before

    assert play(main) == [1.0]


def test_what_a_task_starts_and_waits_for_belongs_to_its_process() -> None:
    async def main() -> list[float]:
        said: list[float] = []

        async def parent() -> None:
            async with asyncio.TaskGroup() as group:
                group.create_task(beat(said))
                asyncio.get_running_loop().call_later(3.0, said.append, 99.0)

        process = VirtualProcess("service")
        process.start(parent())
        await asyncio.sleep(1.5)
        process.kill()
        await asyncio.sleep(60.0)
        process.bury()
        return list(said)

    assert play(main) == [1.0]


class Peer(asyncio.Protocol):
    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.lost: list[float] = []
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self.heard.append(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.append(asyncio.get_running_loop().time())


class Served:
    """A server in a process, and a client outside of it."""

    def __init__(self) -> None:
        self.network, self.process = MemoryNetwork(), VirtualProcess("service")
        self.servers: list[Peer] = []
        self.client = Peer()

    def make(self) -> Peer:
        self.servers.append(Peer())
        return self.servers[-1]

    async def open(self) -> None:
        await self.process.start(self.network.listen(self.make, "127.0.0.1", 9000))
        await self.network.dial(lambda: self.client, "127.0.0.1", 9000)


def test_bytes_for_a_paused_process_wait_for_it() -> None:
    async def main() -> None:
        served = Served()
        await served.open()
        served.process.pause()
        served.client.transport.write(b"while you slept")
        await asyncio.sleep(5.0)
        assert served.servers[0].heard == []
        served.process.resume()
        await asyncio.sleep(0.1)
        assert served.servers[0].heard == [b"while you slept"]

    play(main)


def test_a_killed_process_closes_its_sockets_and_ports_and_what_it_sent_arrives() -> None:
    async def main() -> None:
        served = Served()
        served.network.delay_s = 0.5
        await served.open()
        served.servers[0].transport.write(b"goodbye")
        served.process.kill()
        await asyncio.sleep(2.0)
        assert served.client.heard == [b"goodbye"]
        assert len(served.client.lost) == 1
        assert served.servers[0].lost == []
        try:
            await served.network.dial(Peer, "127.0.0.1", 9000)
        except ConnectionRefusedError:
            return
        raise AssertionError("the port of a killed process is closed")

    play(main)


def test_a_machine_without_power_leaves_its_peers_half_open() -> None:
    async def main() -> None:
        served = Served()
        await served.open()
        served.process.kill(silently=True)
        await asyncio.sleep(600.0)
        served.client.transport.write(b"is anybody there?")
        await asyncio.sleep(600.0)
        assert served.client.lost == []

    play(main)
