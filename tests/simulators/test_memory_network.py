"""Both networks keep the same contract; the one in memory keeps asyncio's rules of flow control and ending."""

import asyncio
import errno
import ssl
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.network import LoopNetwork
from simulators.memory_link import MemoryTransport
from simulators.memory_wire import WIRE_CAPACITY
from simulators.network import MemoryNetwork, Network
from simulators.virtual_time import run

START = datetime(2026, 3, 1, tzinfo=UTC)


class Recorder(asyncio.Protocol):
    """Writes down all that a transport tells."""

    def __init__(self, *, keep_open: bool = False) -> None:
        self.told: list[str] = []
        self.data = b""
        self.keep_open = keep_open
        self.error: Exception | None = None
        self.lost = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.told.append("made")

    def data_received(self, data: bytes) -> None:
        self.data += data

    def eof_received(self) -> bool:
        self.told.append("eof")
        return self.keep_open

    def pause_writing(self) -> None:
        self.told.append("pause")

    def resume_writing(self) -> None:
        self.told.append("resume")

    def connection_lost(self, exc: Exception | None) -> None:
        self.told.append("lost")
        self.error = exc
        self.lost.set_result(None)


class Pair:
    """A link's two ends."""

    def __init__(self, client: Recorder, server: Recorder) -> None:
        self.client, self.server = client, server


async def link(network: Network, *, client_keeps: bool = False, server_keeps: bool = False) -> Pair:
    made: list[Recorder] = []

    def accept() -> Recorder:
        made.append(Recorder(keep_open=server_keeps))
        return made[-1]

    listener = await network.listen(accept, "127.0.0.1", 0)
    _, client = await network.dial(lambda: Recorder(keep_open=client_keeps), "127.0.0.1", listener.port)
    assert isinstance(client, Recorder)
    await until(lambda: bool(made) and "made" in made[0].told)
    listener.close()
    return Pair(client, made[0])


def on_both(test: Callable[[Network], Awaitable[None]]) -> None:
    """The same test on real sockets and in memory: they may not differ."""
    run(lambda: test(MemoryNetwork()), start=START)
    asyncio.run(_awaiting(test, LoopNetwork()))


async def _awaiting(test: Callable[[Network], Awaitable[None]], network: Network) -> None:
    await asyncio.wait_for(test(network), 20)


async def until(true: Callable[[], bool]) -> None:
    for _ in range(100_000):
        if true():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never came true")


async def settle() -> None:
    for _ in range(50):
        await asyncio.sleep(0.001)


def test_bytes_arrive_unchanged_both_ways_and_close_is_told_once() -> None:
    async def check(network: Network) -> None:
        pair = await link(network)
        pair.client.transport.write(b"hello ")
        pair.client.transport.writelines([b"wor", bytearray(b"ld"), memoryview(b"!")])
        pair.server.transport.write(b"back")
        await settle()
        assert (pair.server.data, pair.client.data) == (b"hello world!", b"back")
        pair.client.transport.write(b"last words")
        pair.client.transport.close()
        pair.client.transport.write(b"never sent")
        assert pair.client.transport.is_closing()
        await pair.server.lost
        await pair.client.lost
        assert pair.server.data == b"hello world!last words"
        assert pair.client.told == ["made", "lost"]
        assert pair.server.told == ["made", "eof", "lost"]
        assert pair.client.error is pair.server.error is None

    on_both(check)


def test_a_half_closed_link_still_carries_the_other_direction() -> None:
    async def check(network: Network) -> None:
        pair = await link(network, server_keeps=True)
        assert pair.client.transport.can_write_eof()
        pair.client.transport.write(b"question")
        pair.client.transport.write_eof()
        with pytest.raises(RuntimeError, match="after write_eof"):
            pair.client.transport.write(b"more")
        await settle()
        assert (pair.server.data, pair.server.told) == (b"question", ["made", "eof"])
        pair.server.transport.write(b"answer")
        pair.server.transport.close()
        await pair.client.lost
        assert pair.client.data == b"answer"

    on_both(check)


def test_a_reader_that_pauses_stops_its_writer_and_loses_nothing() -> None:
    async def check(network: Network) -> None:
        pair = await link(network)
        pair.server.transport.pause_reading()
        pair.server.transport.pause_reading()
        assert not pair.server.transport.is_reading()
        pair.client.transport.set_write_buffer_limits(high=1000, low=100)
        assert pair.client.transport.get_write_buffer_limits() == (100, 1000)
        sent = bytes(range(256)) * 100
        total = b""
        while "pause" not in pair.client.told:
            pair.client.transport.write(sent)
            total += sent
            await asyncio.sleep(0)
        assert pair.client.transport.get_write_buffer_size() > 1000
        assert pair.server.data == b""
        pair.server.transport.resume_reading()
        await until(lambda: "resume" in pair.client.told)
        pair.client.transport.close()
        await pair.server.lost
        assert pair.server.data == total
        assert pair.client.told == ["made", "pause", "resume", "lost"]

    on_both(check)


def test_closing_sends_what_is_buffered_and_aborting_does_not() -> None:
    async def check(network: Network) -> None:
        big = b"x" * 20_000_000  # more than any kernel holds
        for how in ("close", "abort"):
            pair = await link(network)
            pair.server.transport.pause_reading()
            pair.client.transport.write(big)
            assert pair.client.transport.get_write_buffer_size() > 0
            getattr(pair.client.transport, how)()
            if how == "abort":
                await pair.client.lost
            pair.server.transport.resume_reading()
            await pair.server.lost
            assert (pair.server.data == big) is (how == "close")
            assert pair.client.error is None

    on_both(check)


def test_a_protocol_that_raises_loses_its_link_and_is_reported() -> None:
    class Bad(Recorder):
        def data_received(self, data: bytes) -> None:
            raise ValueError("cannot read this")

    async def check(network: Network) -> None:
        reported: list[dict[str, object]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
        pair = await link(network)
        bad = Bad()
        bad.transport = pair.server.transport
        pair.server.transport.set_protocol(bad)
        assert pair.server.transport.get_protocol() is bad
        pair.client.transport.write(b"boom")
        await bad.lost
        await pair.client.lost
        assert isinstance(bad.error, ValueError)
        assert reported[0]["exception"] is bad.error

    on_both(check)


def test_nobody_listens() -> None:
    async def check(network: Network) -> None:
        listener = await network.listen(Recorder, "127.0.0.1", 0)
        port = listener.port
        listener.close()
        await settle()
        with pytest.raises(ConnectionRefusedError):
            await network.dial(Recorder, "127.0.0.1", port)

    on_both(check)


def test_a_port_is_taken_once() -> None:
    async def check(network: Network) -> None:
        listener = await network.listen(Recorder, "127.0.0.1", 0)
        with pytest.raises(OSError, match=r".") as failure:
            await network.listen(Recorder, "127.0.0.1", listener.port)
        assert failure.value.errno == errno.EADDRINUSE
        listener.close()
        await settle()
        (await network.listen(Recorder, "127.0.0.1", listener.port)).close()

    on_both(check)


def test_names_and_addresses() -> None:
    async def main() -> None:
        network = MemoryNetwork()
        everywhere = await network.listen(Recorder, "", 9000)
        transport, _ = await network.dial(Recorder, "csms.example", 9000)
        assert transport.get_extra_info("peername") == ("csms.example", 9000)
        assert transport.get_extra_info("sockname")[0] == "csms.example"
        everywhere.close()
        here = await network.listen(Recorder, "localhost", 9000)
        await network.dial(Recorder, "127.0.0.1", 9000)
        with pytest.raises(ConnectionRefusedError):
            await network.dial(Recorder, "csms.example", 9000)
        with pytest.raises(ConnectionResetError, match="TLS"):
            await network.dial(Recorder, "localhost", 9000, ssl=ssl.create_default_context())
        here.close()
        assert len(network.links) == 2

    run(main, start=START)


def test_writing_demands_bytes_and_marks_demand_order() -> None:
    async def main() -> None:
        pair = await link(MemoryNetwork())
        with pytest.raises(TypeError, match="bytes-like"):
            pair.client.transport.write("text")  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="must be >="):
            pair.client.transport.set_write_buffer_limits(high=1, low=2)
        pair.client.transport.set_write_buffer_limits()
        assert pair.client.transport.get_write_buffer_limits() == (16 * 1024, 64 * 1024)
        pair.client.transport.set_write_buffer_limits(low=10)
        assert pair.client.transport.get_write_buffer_limits() == (10, 40)

    run(main, start=START)


def memory(transport: asyncio.Transport) -> MemoryTransport:
    assert isinstance(transport, MemoryTransport)
    return transport


def test_delay_is_kept_and_never_lets_bytes_overtake() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        network = MemoryNetwork(delay_s=0.2)
        began = loop.time()
        pair = await link(network)
        assert loop.time() - began == pytest.approx(0.4)
        pair.client.transport.write(b"a")
        network.links[0].delay_s = 0.0
        pair.client.transport.write(b"b")
        await asyncio.sleep(0.19)
        assert pair.server.data == b""
        await asyncio.sleep(0.02)
        assert pair.server.data == b"ab"

    run(main, start=START)


def test_a_frozen_link_waits_and_a_cut_one_is_told_to_whom_we_say() -> None:
    async def main() -> None:
        network = MemoryNetwork()
        pair = await link(network)
        network.links[0].freeze(towards="server")
        pair.client.transport.write(b"late")
        pair.server.transport.write(b"prompt")
        await settle()
        assert (pair.server.data, pair.client.data) == (b"", b"prompt")
        network.links[0].thaw()
        await settle()
        assert pair.server.data == b"late"
        network.links[0].cut(tell=("client",))
        pair.server.transport.write(b"into the void")
        await settle()
        assert isinstance(pair.client.error, ConnectionResetError)
        assert pair.server.told == ["made"]
        assert pair.client.data == b"prompt"
        pair.server.transport.abort()
        await settle()
        assert pair.server.told == ["made", "lost"]
        assert network.links == []

    run(main, start=START)


def test_whoever_still_sends_to_an_end_that_is_gone_is_reset() -> None:
    async def main() -> None:
        pair = await link(MemoryNetwork())
        pair.server.transport.pause_reading()
        pair.client.transport.write(b"x" * (WIRE_CAPACITY + 1))
        pair.server.transport.abort()
        await settle()
        assert isinstance(pair.client.error, ConnectionResetError)

    run(main, start=START)


def test_dials_to_a_silent_port_hang_until_it_is_restored() -> None:
    async def main() -> None:
        network = MemoryNetwork()
        listener = await network.listen(Recorder, "127.0.0.1", 9100)
        network.silence(9100)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(network.dial(Recorder, "127.0.0.1", 9100), 60)
        network.restore(9100)
        await network.dial(Recorder, "127.0.0.1", 9100)
        listener.close()

    run(main, start=START)


@settings(max_examples=40, deadline=None)
@given(
    chunks=st.lists(st.integers(1, 3 * WIRE_CAPACITY), min_size=1, max_size=6),
    pauses=st.lists(st.booleans(), min_size=1, max_size=12),
    delay_s=st.sampled_from([0.0, 0.003]),
)
def test_any_pausing_delivers_every_byte_in_order(chunks: list[int], pauses: list[bool], delay_s: float) -> None:
    async def main() -> None:
        pair = await link(MemoryNetwork(delay_s=delay_s))
        sent = b""
        for number, size in enumerate(chunks):
            piece = bytes([number]) * size
            pair.client.transport.write(piece)
            sent += piece
        pair.client.transport.close()
        for pause in pauses:
            (pair.server.transport.pause_reading if pause else pair.server.transport.resume_reading)()
            await asyncio.sleep(0.002)
        pair.server.transport.resume_reading()
        await pair.server.lost
        assert pair.server.data == sent
        assert memory(pair.client.transport).get_write_buffer_size() == 0

    run(main, start=START)
