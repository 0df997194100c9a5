"""What time alone does to links: in memory and in virtual time, where 60 s cost nothing and are exact."""

import asyncio
import itertools
from collections.abc import Callable

import pytest
from proxy_world import EPOCH, Notebook, charger_named, command
from websockets.client import ClientProtocol
from websockets.frames import PONG, TEXT, Frame
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from domain.events import ChargerDisconnected
from proxy.server import ChargerPlace, ProxyServer
from proxy.settings import ProxySettings
from simulators.network import MemoryNetwork
from simulators.virtual_time import VirtualClock, run


class Peer(asyncio.Protocol):
    """One end of a WebSocket in memory: says what it is told to, keeps what it hears."""

    def __init__(self, websocket: ClientProtocol | ServerProtocol, *, pongs: bool = True) -> None:
        self.websocket, self.pongs = websocket, pongs
        self.heard: list[str] = []
        self.status: int | None = None
        self.closed_s: float | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        if isinstance(self.websocket, ClientProtocol):
            self.websocket.send_request(self.websocket.connect())
            self.flush()

    def data_received(self, data: bytes) -> None:
        self.websocket.receive_data(data)
        for event in self.websocket.events_received():
            if isinstance(event, Request):
                response = self.websocket.accept(event)
                self.websocket.send_response(response)
            elif isinstance(event, Response):
                self.status = event.status_code
            elif isinstance(event, Frame) and event.opcode is TEXT:
                self.heard.append(bytes(event.data).decode())
        self.flush()

    def flush(self) -> None:
        for chunk in self.websocket.data_to_send():
            is_pong = bool(chunk) and chunk[0] & 0x0F == PONG
            if chunk and (self.pongs or not is_pong):
                self.transport.write(chunk)

    def say(self, text: str) -> None:
        self.websocket.send_text(text.encode())
        self.flush()

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed_s = asyncio.get_running_loop().time()


class House:
    """A proxy, a CSMS and a charger in memory."""

    def __init__(self, settings: ProxySettings | None = None) -> None:
        self.network = MemoryNetwork()
        self.desk = Notebook()
        self.events: list[object] = []
        ids = itertools.count(1)
        place = ChargerPlace(charger_named("CP001"), "ws://csms:9100/x")
        self.proxy = ProxyServer(
            network=self.network,
            clock=VirtualClock(),
            directory=lambda _: place,
            publish=self.events.append,
            desk=lambda *_: self.desk,
            settings=settings or ProxySettings(),
            new_id=lambda: f"own-{next(ids)}",
        )
        self.csms: list[Peer] = []

    async def open(self) -> None:
        self.port = await self.proxy.listen("proxy", 0)
        await self.network.listen(self._make_csms, "csms", 9100)

    def _make_csms(self) -> Peer:
        self.csms.append(Peer(ServerProtocol(subprotocols=["ocpp1.6"])))
        return self.csms[-1]

    async def charger(self, *, pongs: bool = True) -> Peer:
        uri = parse_uri(f"ws://proxy:{self.port}/CP001")
        peer = Peer(ClientProtocol(uri, subprotocols=["ocpp1.6"]), pongs=pongs)
        await self.network.dial(lambda: peer, "proxy", self.port)
        return peer

    async def pair(self, *, pongs: bool = True) -> tuple[Peer, Peer]:
        await self.open()
        charger = await self.charger(pongs=pongs)
        await asyncio.sleep(0.01)
        assert charger.status == 101
        return charger, self.csms[-1]

    @property
    def why(self) -> list[str]:
        return [event.why for event in self.events if isinstance(event, ChargerDisconnected)]


def in_virtual_time(main: Callable) -> Callable[[], None]:
    def test() -> None:
        run(main, start=EPOCH)

    test.__name__ = main.__name__
    test.__doc__ = main.__doc__
    return test


def call(number: int) -> str:
    return f'[2,"{number}","Heartbeat",{{}}]'


@in_virtual_time
async def test_a_csms_that_drops_packets_is_an_outage_after_five_seconds():
    house = House()
    await house.open()
    house.network.silence(9100)
    charger = await house.charger()
    await asyncio.sleep(4.9)
    assert charger.status is None
    await asyncio.sleep(0.2)
    assert charger.status == 503


@in_virtual_time
async def test_our_call_times_out_after_ten_seconds_and_its_late_reply_stays_inside():
    house = House()
    charger, csms = await house.pair()
    house.proxy.apply(command(number=1))
    house.proxy.apply(command("CP001", 7.0, number=2))
    await asyncio.sleep(9.9)
    assert [outcome.kind for outcome in house.desk.outcomes] == ["sent"]
    assert len(charger.heard) == 1
    await asyncio.sleep(0.2)
    assert [outcome.kind for outcome in house.desk.outcomes] == ["sent", "timeout", "sent"]
    assert len(charger.heard) == 2
    charger.say('[3,"own-1",{}]')
    await asyncio.sleep(300)
    charger.say('[3,"own-2",{}]')
    await asyncio.sleep(0.01)
    assert csms.heard == []
    assert house.proxy.counters.timed_out == 2


@in_virtual_time
async def test_unanswered_calls_of_the_peers_free_their_lines_in_time():
    house = House()
    charger, csms = await house.pair()
    charger.say(call(1))
    charger.say(call(2))
    csms.say(call(3))
    csms.say(call(4))
    await asyncio.sleep(29.9)
    assert csms.heard == [call(1)]
    await asyncio.sleep(0.2)
    assert csms.heard == [call(1), call(2)]
    assert charger.heard == [call(3)]
    await asyncio.sleep(30)
    assert charger.heard == [call(3), call(4)]
    csms.say('[3,"1",{"late":true}]')
    await asyncio.sleep(0.01)
    assert charger.heard[-1] == '[3,"1",{"late":true}]'
    assert [exchange.call.call_id for exchange in house.desk.exchanges] == ["1"]
    assert house.proxy.counters.gave_up == 2


@in_virtual_time
async def test_a_half_open_socket_of_a_charger_that_answers_pings_is_found():
    house = House()
    charger, csms = await house.pair()
    await asyncio.sleep(100)
    assert csms.closed_s is None  # both are silent, and both answer pings
    link = next(link for link in house.network.links if link.client is charger.transport)
    link.cut(tell=())
    await asyncio.sleep(81)
    assert csms.closed_s is not None
    assert house.why == ["charger: nothing was heard for 60 s"]


@in_virtual_time
async def test_a_charger_that_never_answers_pings_is_left_in_peace():
    house = House()
    charger, _ = await house.pair(pongs=False)
    await asyncio.sleep(3600)
    charger.say(call(1))
    await asyncio.sleep(0.01)
    assert house.csms[-1].heard == [call(1)]


@in_virtual_time
async def test_frames_are_a_sign_of_life_where_pongs_have_stopped():
    house = House()
    charger, csms = await house.pair()
    await asyncio.sleep(50)
    charger.pongs = False
    for number in range(10):
        charger.say(call(number))
        await asyncio.sleep(0.01)
        csms.say(f'[3,"{number}",{{}}]')
        await asyncio.sleep(50)
    assert csms.closed_s is None
    await asyncio.sleep(100)
    assert csms.closed_s is not None


@in_virtual_time
async def test_a_csms_that_takes_nothing_for_ten_seconds_is_gone():
    house = House()
    charger, csms = await house.pair()
    link = next(link for link in house.network.links if link.server is csms.transport)
    link.freeze(towards="server")
    for number in range(50):  # replies, which never wait: 500 kB
        charger.say(f'[3,"{number}",{{"data":"{"x" * 10_000}"}}]')
    await asyncio.sleep(9.9)
    assert house.why == []
    house.proxy.apply(command())
    await asyncio.sleep(0.01)
    assert charger.heard[-1].startswith('[2,"own-1"')  # the charger is read and served to the end
    await asyncio.sleep(3)
    assert house.why == ["CSMS: it has taken nothing for 10 s"]


@in_virtual_time
async def test_a_slow_csms_is_not_a_dead_one():
    """It is full for half a minute, and takes a little every 8 s."""
    house = House()
    charger, csms = await house.pair()
    csms.transport.pause_reading()
    for number in range(10):
        charger.say(f'[3,"{number}",{{"data":"{"x" * 100_000}"}}]')
    takes = csms.data_received

    def one_bite(data: bytes) -> None:
        csms.transport.pause_reading()
        takes(data)

    csms.data_received = one_bite
    for _ in range(4):
        await asyncio.sleep(8)
        assert house.why == []
        csms.transport.resume_reading()
    await asyncio.sleep(8)
    assert house.why == []
    assert len(csms.heard) == 10


@in_virtual_time
async def test_a_csms_that_accepts_and_says_nothing_is_let_go():
    house = House()
    house.port = await house.proxy.listen("proxy", 0)
    mute: list[Peer] = []

    class Mute(Peer):
        def data_received(self, data: bytes) -> None:
            mute.append(self)

    await house.network.listen(lambda: Mute(ServerProtocol()), "csms", 9100)
    charger = await house.charger()
    await asyncio.sleep(4.9)
    assert (charger.status, mute[0].closed_s) == (None, None)
    await asyncio.sleep(0.2)
    assert charger.status == 503
    assert mute[0].closed_s is not None


@in_virtual_time
async def test_a_charger_that_takes_nothing_is_gone_after_half_a_minute():
    house = House()
    charger, csms = await house.pair()
    link = next(link for link in house.network.links if link.client is charger.transport)
    link.freeze(towards="client")
    for number in range(50):
        csms.say(f'[3,"{number}",{{"data":"{"x" * 10_000}"}}]')
    await asyncio.sleep(29)
    assert house.why == []
    await asyncio.sleep(10)
    assert house.why == ["charger: it has taken nothing for 30 s"]


@in_virtual_time
async def test_the_newest_request_wins_even_where_an_older_one_is_answered_later():
    house = House()
    await house.open()
    real = house.network.dial
    delays = [3.0, 0.0]

    async def dial(factory, host, port, **options):
        await asyncio.sleep(delays.pop(0) if port == 9100 else 0.0)
        return await real(factory, host, port, **options)

    house.network.dial = dial
    older, newer = await house.charger(), await house.charger()
    await asyncio.sleep(10)
    assert (older.status, newer.status) == (503, 101)
    newer.say(call(1))
    await asyncio.sleep(0.01)
    assert [peer.heard for peer in house.csms if peer.closed_s is None] == [[call(1)]]
    assert len(house.csms) == 2


@pytest.mark.parametrize("leftover", [0, 3])
def test_nothing_is_left_behind(leftover):
    async def main():
        house = House()
        await house.open()
        for _ in range(5):
            charger = await house.charger()
            await asyncio.sleep(0.01)
            for number in range(leftover):
                charger.say(call(number))
            charger.transport.abort()
            await asyncio.sleep(1)
        await house.proxy.close(5.0)
        await asyncio.sleep(10)
        return house

    house = run(main, start=EPOCH)
    assert house.network.links == []
    assert not house.proxy.links
    assert len(house.why) == 5
    assert house.proxy.counters.dropped == max(0, 5 * (leftover - 1))


def test_close_ends_in_time_though_a_charger_does_not_answer():
    async def main():
        house = House()
        charger, _ = await house.pair()
        next(link for link in house.network.links if link.client is charger.transport).freeze()
        before = asyncio.get_running_loop().time()
        await house.proxy.close(2.0)
        return asyncio.get_running_loop().time() - before

    assert run(main, start=EPOCH) <= 2.0
