"""WebSocket ends in memory and on real sockets: handshakes, refusals, closing, and OCPP-J's rules on top."""

import asyncio
import base64
import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest

from proxy.network import LoopNetwork
from simulators.frame_judge import FrameJudge
from simulators.network import MemoryNetwork, Network
from simulators.ocpp_line import FrameWatch, IncomingCall, LineSettings, MessageIds, OcppLine
from simulators.virtual_time import run
from simulators.wire import (
    Decide,
    HandshakeRefusedError,
    Opening,
    Refusal,
    ServerEnd,
    WebSocketEnd,
    basic_authorization,
    open_websocket,
    serve_websockets,
)

START = datetime(2026, 3, 1, tzinfo=UTC)


def on_both(test: Callable[[Network], Awaitable[None]]) -> None:
    """The same test in memory and on real sockets."""
    run(lambda: test(MemoryNetwork()), start=START)

    async def live() -> None:
        async with asyncio.timeout(20):
            await test(LoopNetwork())
        await asyncio.sleep(0.05)  # the sockets' own farewell

    asyncio.run(live())
    gc.collect()


class Server:
    """Keeps what its clients say."""

    def __init__(self) -> None:
        self.ends: list[ServerEnd] = []
        self.texts: list[str] = []
        self.closed: list[tuple[int, str]] = []
        self.port = 0

    def opened(self, end: ServerEnd) -> None:
        self.ends.append(end)
        end.on_text = self.texts.append
        end.on_closed = lambda code, reason: self.closed.append((code, reason))

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"


@asynccontextmanager
async def serving(network: Network, decide: Decide = lambda _: None) -> AsyncIterator[Server]:
    server = Server()
    listener = await serve_websockets(
        network, "127.0.0.1", 0, subprotocols=["ocpp2.0.1", "ocpp1.6"], on_open=server.opened, decide=decide
    )
    server.port = listener.port
    try:
        yield server
    finally:
        listener.close()


async def until(true: Callable[[], bool]) -> None:
    for _ in range(10_000):
        if true():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("it never became so")


def test_text_goes_both_ways_unchanged_and_closing_carries_its_code() -> None:
    async def check(network: Network) -> None:
        async with serving(network) as server:
            heard: list[str] = []
            ended: list[tuple[int, str]] = []

            def opened(end: WebSocketEnd) -> None:
                end.on_text = heard.append
                end.on_closed = lambda code, reason: ended.append((code, reason))

            client = await open_websocket(
                network, f"{server.url}/ocpp/CP%20001?a=1", subprotocols=["ocpp1.6"], on_open=opened
            )
            assert client.subprotocol == "ocpp1.6"
            texts = ["x", "Grüße ✓ \\u00e9", "y" * 300_000]
            for text in texts:
                client.send(text)
            await until(lambda: len(server.texts) == 3)
            assert server.texts == texts
            (end,) = server.ends
            assert end.opening == Opening("/ocpp/CP%20001", "a=1", "CP 001", ("ocpp1.6",), None, None)
            end.send("back")
            client.ping()
            await until(lambda: bool(heard))
            end.close(4000, "enough")
            await until(lambda: bool(ended) and bool(server.closed))
            assert (ended, server.closed) == ([(4000, "enough")], [(4000, "enough")])
            client.send("too late")
            assert not client.open

    on_both(check)


def test_a_dropped_link_is_1006() -> None:
    async def check(network: Network) -> None:
        async with serving(network) as server:
            client = await open_websocket(network, f"{server.url}/CP1", subprotocols=["ocpp1.6"])
            await until(lambda: bool(server.ends))
            client.abort()
            await until(lambda: bool(server.closed))
            assert server.closed == [(1006, "")]

    on_both(check)


@pytest.mark.parametrize("status", [401, 403, 404, 500, 503])
def test_a_refusal_shows_its_status(status: int) -> None:
    async def check(network: Network) -> None:
        async with serving(network, lambda _: Refusal(status, "go away")) as server:
            with pytest.raises(HandshakeRefusedError) as refusal:
                await open_websocket(network, f"{server.url}/CP1", subprotocols=["ocpp1.6"])
            assert (refusal.value.status, refusal.value.body) == (status, "go away")
            assert server.ends == []

    on_both(check)


def test_nobody_and_nothing_that_speaks_http() -> None:
    class Rude(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            assert isinstance(transport, asyncio.Transport)
            transport.write(b"220 mail.example ESMTP\r\n")
            transport.close()

    async def check(network: Network) -> None:
        listener = await network.listen(Rude, "127.0.0.1", 0)
        with pytest.raises(OSError, match="handshake"):
            await open_websocket(network, f"ws://127.0.0.1:{listener.port}/CP1")
        listener.close()
        await asyncio.sleep(0.01)
        with pytest.raises(ConnectionRefusedError):
            await open_websocket(network, f"ws://127.0.0.1:{listener.port}/CP1")

    on_both(check)


def test_a_server_that_says_nothing_is_given_up() -> None:
    async def main() -> None:
        network = MemoryNetwork()
        await network.listen(asyncio.Protocol, "127.0.0.1", 80)
        with pytest.raises(TimeoutError):
            await open_websocket(network, "ws://127.0.0.1/CP1")
        assert asyncio.get_running_loop().time() == pytest.approx(10, abs=0.1)

    run(main, start=START)


def test_a_client_that_says_nothing_is_dropped() -> None:
    async def main() -> None:
        network = MemoryNetwork()
        async with serving(network) as server:
            await network.dial(asyncio.Protocol, "127.0.0.1", server.port)
            await asyncio.sleep(11)
            assert network.links == []

    run(main, start=START)


def test_a_close_that_is_not_answered_ends_after_5_s() -> None:
    async def main() -> None:
        network = MemoryNetwork()
        async with serving(network) as server:
            client = await open_websocket(network, f"{server.url}/CP1", subprotocols=["ocpp1.6"])
            await until(lambda: bool(server.ends))
            network.links[0].freeze()
            client.close()
            await asyncio.sleep(5.1)
            network.links[0].thaw()
            await until(lambda: bool(server.closed))

    run(main, start=START)


@pytest.mark.parametrize("offered", [[], ["ocpp9"]])
def test_without_a_common_version_the_handshake_succeeds_and_the_server_closes(offered: list[str]) -> None:
    async def check(network: Network) -> None:
        async with serving(network) as server:
            codes: list[int] = []

            def opened(end: WebSocketEnd) -> None:
                assert end.subprotocol is None
                end.on_closed = lambda code, _: codes.append(code)

            await open_websocket(network, f"{server.url}/CP1", subprotocols=offered, on_open=opened)
            await until(lambda: bool(codes))
            assert codes == [1002]
            assert server.ends == []

    on_both(check)


def test_the_servers_preference_decides() -> None:
    async def check(network: Network) -> None:
        async with serving(network) as server:
            client = await open_websocket(network, f"{server.url}/C", subprotocols=["ocpp1.6", "x", "ocpp2.0.1"])
            assert client.subprotocol == "ocpp2.0.1"
            client.abort()
            await until(lambda: bool(server.closed))

    on_both(check)


def test_basic_authentication_carries_any_bytes() -> None:
    openings: list[Opening] = []

    async def check(network: Network) -> None:
        def decide(opening: Opening) -> Refusal | None:
            openings.append(opening)
            return None if opening.password == b"\xff\x00:pass" else Refusal(401)

        async with serving(network, decide) as server:
            header = basic_authorization("CP1", b"\xff\x00:pass")
            client = await open_websocket(network, f"{server.url}/CP1", subprotocols=["ocpp1.6"], authorization=header)
            client.abort()
            for wrong in (None, "Bearer token", "Basic !!!", basic_authorization("CP1", "pass")):
                with pytest.raises(HandshakeRefusedError) as refusal:
                    await open_websocket(network, f"{server.url}/CP1", subprotocols=["ocpp1.6"], authorization=wrong)
                assert refusal.value.status == 401
        assert (openings[0].user, openings[0].password) == ("CP1", b"\xff\x00:pass")

    on_both(check)
    assert base64.b64decode(basic_authorization("a", "é").removeprefix("Basic ")) == "a:é".encode()


def test_binary_and_broken_text_end_the_connection() -> None:
    async def main() -> None:
        network = MemoryNetwork()
        async with serving(network) as server:
            for spoil in ("send_binary", "send_text"):
                codes: list[int] = []
                client = await open_websocket(network, f"{server.url}/CP1", subprotocols=["ocpp1.6"])
                client.on_closed = lambda code, _, codes=codes: codes.append(code)
                getattr(client._ws, spoil)(b"\xff\xfe")
                client._flush()
                await until(lambda codes=codes: bool(codes))
                assert codes == [1003 if spoil == "send_binary" else 1007]

    run(main, start=START)


# OCPP-J on top


@asynccontextmanager
async def talking(
    *, on_call: Callable[[IncomingCall], None], timeout_s: float = 30.0, pipelined: bool = False
) -> AsyncIterator[tuple[OcppLine, ServerEnd, list[str], MemoryNetwork]]:
    """A line on the client's side; the other side is a bare end whose texts are kept."""
    network = MemoryNetwork()
    async with serving(network) as server:
        lines: list[OcppLine] = []

        def opened(end: WebSocketEnd) -> None:
            watch = FrameWatch("ocpp1.6", share=True, seed="s")
            settings = LineSettings(
                identity="CP1",
                side="charger",
                ids=MessageIds("seed"),
                watch=watch,
                judge=FrameJudge(),
                timeout_s=timeout_s,
                pipelined=pipelined,
            )
            lines.append(OcppLine(end, settings, on_call))
            end.on_text = lines[0].receive
            end.on_closed = lambda *_: lines[0].closed()

        await open_websocket(network, f"{server.url}/CP1", subprotocols=["ocpp1.6"], on_open=opened)
        await until(lambda: bool(server.ends))
        yield lines[0], server.ends[0], server.texts, network


def ids_of(texts: list[str]) -> list[str]:
    return [text.split('"')[1] for text in texts]


def test_one_call_at_a_time_and_replies_by_id() -> None:
    async def main() -> None:
        async with talking(on_call=lambda call: call.reply({})) as (line, other, texts, _):
            outcomes: list[tuple[str, str]] = []
            for name in "abc":
                line.call("Heartbeat", {}, lambda reply, name=name: outcomes.append((name, reply.kind)))
            await asyncio.sleep(1)
            assert len(texts) == 1
            assert (line.busy, line.waiting) == (True, 2)
            # A CALL from the other side crosses it and is answered meanwhile.
            other.send('[2,"theirs","Reset",{"type":"Hard"}]')
            other.send('[3,"nobody",{}]')
            await asyncio.sleep(1)
            assert line.unmatched == 1
            other.send(f'[3,"{ids_of(texts)[0]}",{{"currentTime":"2026-03-01T00:00:00Z"}}]')
            await asyncio.sleep(1)
            other.send(f'[4,"{ids_of(texts)[-1]}","InternalError","",{{}}]')
            await asyncio.sleep(1)
            assert outcomes == [("a", "result"), ("b", "error")]
            assert line.errors_received == ["InternalError"]
            assert len(texts) == 4
            assert texts[1] == '[3,"theirs",{}]'
            assert len(set(ids_of(texts))) == 4

    run(main, start=START)


def test_no_answer_is_a_time_out_and_the_late_one_is_nobodys() -> None:
    async def main() -> None:
        async with talking(on_call=lambda _: None, timeout_s=30) as (line, other, texts, _):
            began = asyncio.get_running_loop().time()
            kinds: list[str] = []
            line.call("Heartbeat", {}, lambda reply: kinds.append(reply.kind))
            line.call("Heartbeat", {}, lambda reply: kinds.append(reply.kind))
            await until(lambda: bool(kinds))
            assert kinds == ["timeout"]
            assert asyncio.get_running_loop().time() - began == pytest.approx(30, abs=0.01)
            await asyncio.sleep(1)
            other.send(f'[3,"{ids_of(texts)[0]}",{{}}]')
            other.send(f'[3,"{ids_of(texts)[1]}",{{}}]')
            await until(lambda: len(kinds) == 2)
            assert kinds == ["timeout", "result"]
            assert line.unmatched == 1

    run(main, start=START)


def test_a_lost_link_loses_what_is_open_and_what_waits() -> None:
    async def main() -> None:
        async with talking(on_call=lambda _: None) as (line, _, __, network):
            kinds: list[str] = []
            for _ in range(3):
                line.call("Heartbeat", {}, lambda reply: kinds.append(reply.kind))
            await asyncio.sleep(1)
            network.links[0].cut()
            await until(lambda: len(kinds) == 3)
            assert kinds == ["lost"] * 3
            assert (await line.ask("Heartbeat", {})).kind == "lost"

    run(main, start=START)


def test_a_pipelining_peer_does_not_wait() -> None:
    async def main() -> None:
        async with talking(on_call=lambda _: None, pipelined=True) as (line, _, texts, __):
            for _ in range(3):
                line.call("Heartbeat", {})
            await asyncio.sleep(1)
            assert len(texts) == 3

    run(main, start=START)


@pytest.mark.parametrize("text", ["", "{}", "[2]", '[2,7,"Reset",{}]', '[2,"a","Reset"]', '[9,"a",{}]', "[2,[,"])
def test_what_is_no_frame_is_counted_and_changes_nothing(text: str) -> None:
    async def main() -> None:
        called: list[IncomingCall] = []
        async with talking(on_call=called.append) as (line, other, texts, _):
            other.send(text)
            other.send('[2,"next","Reset",{"type":"Soft"}]')
            await asyncio.sleep(1)
            assert (line.unreadable, texts) == (1, [])
            assert [call.call_id for call in called] == ["next"]

    run(main, start=START)
