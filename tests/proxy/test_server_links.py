"""What holds on real sockets while a charger is linked."""

import asyncio
import contextlib
import os
import socket

import pytest
import uvloop
from proxy_world import beside, command, reply_to, soon, until, world
from websockets.exceptions import ConnectionClosed, ConnectionClosedError
from websockets.utils import accept_key

from domain.events import ChargerConnected, ChargerDisconnected, SetpointRefused
from proxy.legs import LegSettings
from proxy.protocol.exchange import OwnCall
from proxy.protocol.turns import RelaySettings
from proxy.settings import ProxySettings


@pytest.mark.parametrize(
    "message",
    [
        '[2,"1","MeterValues",{"transactionId":,}]',
        '[2,"1","DataTransfer",{"vendorId":"x","data":"{\\"a\\":1.50}"}]',
        "[,{",
        "",
        "not JSON at all",
        ' [ 2 , "1","Vendor:Ünknown" , {"v": 1.2300, "v": 2e5} ] ',
        "[9,1,2,3]",
        b'[2,"binary","Heartbeat",{}]',
        '[2,"1","Big",{"data":"' + "x" * 300_000 + '"}]',
    ],
)
async def test_whatever_is_sent_arrives_as_it_was(message):
    async with world() as here, here.charger() as charger:
        await charger.send(message)
        assert await here.csms.next() == message
        await here.csms.newest.send(message)
        assert await soon(charger.recv()) == message


async def test_fragments_arrive_as_the_whole_message():
    async with world() as here, here.charger() as charger:
        await charger.send(["[2,", '"1","Heart', 'beat",{}]'])
        assert await here.csms.next() == '[2,"1","Heartbeat",{}]'


async def test_what_is_not_utf8_is_not_our_business():
    """Text that is no UTF-8 goes on as it is; the CSMS of this test is strict and closes, and so the pair ends."""
    async with world() as here, here.charger() as charger:
        await charger.send(b'[2,"1","Heartbeat",{"v":"\xff"}]', text=True)
        with pytest.raises(ConnectionClosedError) as caught:
            await soon(charger.recv())
        assert caught.value.rcvd.code == 1007


async def test_a_command_becomes_a_call_whose_reply_stays_inside():
    async with world() as here, here.charger() as charger:
        await until(lambda: here.proxy.links)
        here.proxy.apply(command(limit_a=14.0))
        ours = await soon(charger.recv())
        assert ours == '[2,"own-1","SetChargingProfile",{"limit":14.0}]'
        await reply_to(charger, ours, '{"status":"Accepted"}')
        await reply_to(charger, ours, '{"status":"again"}')
        await charger.send('[2,"1","Heartbeat",{}]')
        assert await here.csms.next() == '[2,"1","Heartbeat",{}]'
        desk = here.desks["CP001 ocpp1.6"]
        assert [outcome.kind for outcome in desk.outcomes] == ["sent", "result"]
        assert desk.outcomes[0].mono_s is not None
        assert desk.outcomes[1].payload == b'{"status":"Accepted"}'
        assert (here.proxy.counters.injected, here.proxy.counters.swallowed) == (1, 2)
        assert (here.proxy.counters.to_charger, here.proxy.counters.to_csms) == (0, 1)


async def test_a_csms_call_and_ours_take_turns():
    async with world() as here, here.charger() as charger:
        await until(lambda: here.csms.connections)
        await here.csms.newest.send('[2,"c1","GetConfiguration",{}]')
        assert await soon(charger.recv()) == '[2,"c1","GetConfiguration",{}]'
        await here.csms.newest.send('[2,"c2","SetChargingProfile",{}]')
        await until(lambda: here.csms.newest.protocol.state == 1)
        here.proxy.apply(command(urgent=True))
        await reply_to(charger, '[2,"c1"')
        ours = await soon(charger.recv())
        assert ours.startswith('[2,"own-1"')  # an urgent limit goes before the CSMS's waiting CALL
        await reply_to(charger, ours)
        assert await soon(charger.recv()) == '[2,"c2","SetChargingProfile",{}]'
        assert await here.csms.next() == '[3,"c1",{}]'


async def test_no_link_is_a_refusal_at_once():
    async with world() as here:
        here.proxy.apply(command("CP002", 8.0))
        (told,) = here.told(SetpointRefused)
        assert (told.evse, told.limit_a, told.why) == ("CP002-1", 8.0, "no link")


async def test_exchanges_are_told_with_the_instant_of_relaying():
    async with world() as here, here.charger() as charger:
        await charger.send('[2,"1","StartTransaction",{"connectorId":1}]')
        await reply_to(here.csms.newest, await here.csms.next(), '{"transactionId":7}')
        await soon(charger.recv())
        desk = here.desks["CP001 ocpp1.6"]
        await until(lambda: desk.exchanges)
        exchange = desk.exchanges[0]
        assert (exchange.call.action, exchange.ok, exchange.reply) == ("StartTransaction", True, b'{"transactionId":7}')
        assert exchange.relayed_mono_s is not None


async def test_the_newest_socket_wins_and_the_old_ones_end_is_its_own():
    async with world() as here, here.charger() as old:
        await until(lambda: here.proxy.links)
        desk = here.desks["CP001 ocpp1.6"]
        here.proxy.apply(command())
        await soon(old.recv())
        async with here.charger() as new:
            with pytest.raises(ConnectionClosed):
                await soon(old.recv())
            await until(lambda: here.csms.connections[0].protocol.state == 3)
            assert [outcome.kind for outcome in desk.outcomes] == ["sent", "lost"]
            assert here.told(ChargerDisconnected) == []
            assert len(here.told(ChargerConnected)) == 2
            await new.send('[3,"own-1",{"status":"Accepted"}]')  # late, on the new socket: still ours
            await new.send('[2,"1","Heartbeat",{}]')
            assert await here.csms.next() == '[2,"1","Heartbeat",{}]'
            here.proxy.apply(command(number=2))
            assert (await soon(new.recv())).startswith('[2,"own-2"')
        await until(lambda: not here.proxy.links)
        assert len(here.told(ChargerDisconnected)) == 1
        assert here.proxy.counters.replaced == 1


async def test_a_refused_newcomer_takes_nobodys_place():
    refuse = []

    def process(connection, request):
        return connection.respond(401, "wrong key\n") if refuse else None

    async with world(csms_options={"process_request": process}) as here, here.charger() as charger:
        refuse.append(True)
        with pytest.raises(Exception, match="401"):
            async with here.charger():
                pass
        await charger.send('[2,"1","Heartbeat",{}]')
        assert await here.csms.next() == '[2,"1","Heartbeat",{}]'


async def test_the_desk_is_asked_at_each_connection_and_told_of_losses():
    async with world() as here:
        async with here.charger():
            await until(lambda: here.proxy.links)
        await until(lambda: not here.proxy.links)
        desk = here.desks["CP001 ocpp1.6"]
        desk.at_connection = [OwnCall("SetChargingProfile", {"failsafe": 6}, "fallback", "t")]
        async with here.charger() as charger:
            assert await soon(charger.recv()) == '[2,"own-1","SetChargingProfile",{"failsafe":6}]'
        await until(lambda: len(desk.outcomes) == 2)
        assert [outcome.kind for outcome in desk.outcomes] == ["sent", "lost"]
        assert desk.connections == 2


async def test_a_desk_that_fails_disturbs_nobody():
    async with world() as here, here.charger() as charger:
        await until(lambda: here.proxy.links)
        here.desks["CP001 ocpp1.6"].fails = True
        await charger.send('[2,"1","Heartbeat",{}]')
        await reply_to(here.csms.newest, await here.csms.next())
        assert await soon(charger.recv()) == '[3,"1",{}]'
        here.proxy.apply(command())
        (told,) = here.told(SetpointRefused)
        assert "on fire" in told.why
        await until(lambda: here.proxy.counters.desk_errors == 3)


@pytest.mark.parametrize("side", ["charger", "csms"])
async def test_where_one_leg_ends_the_other_is_closed_with_the_same_words(side):
    async with world() as here, here.charger() as charger:
        await until(lambda: here.csms.connections)
        ends, other = (charger, here.csms.newest) if side == "charger" else (here.csms.newest, charger)
        await ends.close(4001, "good night")
        await soon(other.wait_closed())
        assert (other.close_code, other.close_reason) == (4001, "good night")
        (told,) = here.told(ChargerDisconnected)
        assert told.why == {"charger": "charger: good night", "csms": "CSMS: good night"}[side]


async def test_a_charger_that_vanishes_takes_its_csms_leg_along():
    async with world() as here:
        charger = await here.charger()
        await until(lambda: here.csms.connections)
        charger.transport.abort()
        await soon(here.csms.newest.wait_closed())
        await until(lambda: not here.proxy.links)


async def test_a_frame_of_ten_megabytes_closes_that_socket_alone():
    async with world() as here, here.charger("/CP002") as neighbour:
        charger = await here.charger()
        with contextlib.suppress(ConnectionClosed):
            await soon(charger.send("x" * 10_000_000))
        await soon(charger.wait_closed())
        assert charger.close_code == 1009
        await neighbour.send('[2,"1","Heartbeat",{}]')
        assert await here.csms.next() == '[2,"1","Heartbeat",{}]'


async def test_a_frame_of_ten_megabytes_from_the_csms_closes_that_pair_alone():
    async with world() as here, here.charger("/CP002") as neighbour:
        await until(lambda: here.csms.connections)
        beside = here.csms.newest
        async with here.charger() as charger:
            await until(lambda: len(here.csms.connections) == 2)
            with contextlib.suppress(ConnectionClosed):
                await soon(here.csms.newest.send("x" * 10_000_000))
            await soon(charger.wait_closed())
            assert charger.close_code == 1009
            await beside.send('[2,"1","Reset",{}]')
            assert await soon(neighbour.recv()) == '[2,"1","Reset",{}]'


async def test_a_csms_that_stops_reading_is_gone_and_the_charger_was_heard_until_then():
    """Nothing is read at the CSMS: 1 MB waits at the most, and our own CALLs work until the end."""
    silent = socket.create_server(("127.0.0.1", 0))
    port = silent.getsockname()[1]
    settings = ProxySettings(csms_leg=LegSettings(max_unsent_bytes=100_000), relay=RelaySettings(charger_call_s=0.001))
    async with world(settings, csms_url=f"ws://127.0.0.1:{port}") as here:
        loop = asyncio.get_running_loop()
        silent.setblocking(False)

        async def accept_and_read_no_more():
            peer, _ = await loop.sock_accept(silent)
            request = await loop.sock_recv(peer, 4096)
            key = request.split(b"Sec-WebSocket-Key: ")[1].split(b"\r\n")[0]
            await loop.sock_sendall(peer, handshake_answer(key))
            return peer

        async with beside(accept_and_read_no_more()) as accepting, here.charger() as charger:
            peer = await soon(accepting)

            async def flood():
                for number in range(10_000):
                    await charger.send(f'[2,"{number}","DataTransfer",{{"data":"{"x" * 10_000}"}}]')

            async with beside(flood()):
                here.proxy.apply(command())
                ours = await soon(charger.recv())
                await soon(charger.wait_closed())
            assert "own-1" in ours
            (told,) = here.told(ChargerDisconnected)
            assert told.why.startswith("CSMS: ")
            assert "does not take" in told.why
        peer.close()
    silent.close()


def handshake_answer(key: bytes) -> bytes:
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: %b\r\nSec-WebSocket-Protocol: ocpp1.6\r\n\r\n"
    ) % accept_key(key.decode()).encode()


async def test_a_charger_that_does_not_read_makes_the_csms_wait():
    """Memory in the middle stays bounded: the CSMS is not read while the charger is full."""
    async with world() as here, here.charger(max_queue=1) as charger:
        await until(lambda: here.csms.connections)
        charger.transport.pause_reading()
        sent = 0

        async def flood():
            nonlocal sent
            for number in range(10_000):
                await here.csms.newest.send(f'[3,"{number}",{{"data":"{"x" * 10_000}"}}]')
                sent += 1

        async with beside(flood()):
            async with asyncio.timeout(20):
                before = -1
                while sent != before:  # until it is stuck
                    before = sent
                    await asyncio.sleep(0.3)
            assert 0 < sent < 9_000  # kernel buffers on two sockets, and no more
            charger.transport.resume_reading()
            for number in range(sent):
                assert (await soon(charger.recv())).startswith(f'[3,"{number}"')
        charger.transport.abort()


async def test_closing_the_service_closes_every_socket_in_time():
    async with world() as here, here.charger() as charger:
        await until(lambda: here.csms.connections)
        reader, writer = await asyncio.open_connection("127.0.0.1", here.port)  # one that never asks
        await soon(here.proxy.close(2.0))
        assert charger.close_code in (None, 1012)
        await soon(charger.wait_closed())
        assert charger.close_code == 1012
        assert await soon(reader.read()) == b""
        writer.close()
        with pytest.raises(OSError, match=str(here.port)):
            await asyncio.open_connection("127.0.0.1", here.port)


async def test_many_at_once_are_all_let_in():
    names = tuple(f"CP{number}" for number in range(200))
    async with world(names=names) as here:
        chargers = await asyncio.gather(*(here.charger(f"/{name}") for name in names))
        assert len(here.proxy.links) == len(names)
        for charger in chargers:
            await charger.send(f'[2,"{os.urandom(4).hex()}","Heartbeat",{{}}]')
        for _ in chargers:
            await here.csms.next()
        await asyncio.gather(*(charger.close() for charger in chargers))
        await until(lambda: not here.proxy.links)


def test_the_same_holds_on_uvloop():
    """Its transports are asyncio's in all but their class, and its event order is its own."""

    async def main() -> None:
        async with world() as here, here.charger() as charger:
            for size in (1, 200, 70_000, 500_000):
                message = f'[2,"{size}","DataTransfer",{{"data":"{"x" * size}"}}]'
                await charger.send(message)
                assert await here.csms.next() == message
                await here.csms.newest.send(f'[3,"{size}",{{}}]')
                assert await soon(charger.recv()) == f'[3,"{size}",{{}}]'
            here.proxy.apply(command())
            await reply_to(charger, await soon(charger.recv()))
            await here.csms.newest.close(4001, "good night")
            await soon(charger.wait_closed())
            assert charger.close_code == 4001

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())
