"""How a charger is let in, or told why not."""

import asyncio
import base64
import contextlib
import socket

import pytest
from proxy_world import soon, until, world
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.http11 import Response

from domain.events import ChargerConnected
from proxy.addresses import caller
from proxy.settings import ProxySettings


async def test_a_charger_is_let_in_with_its_own_words():
    async with world(names=("CP 1/ä",)) as here:
        path = "/any/prefix/CP%201%2F%C3%A4?site=4&x=%20"
        async with here.charger(path, subprotocols=["ocpp2.0.1", "ocpp1.6"]) as charger:
            await until(lambda: here.csms.connections)
            request = here.csms.newest.request
            assert request.path == "/csms/CP%201%2F%C3%A4?site=4&x=%20"
            assert request.headers["Sec-WebSocket-Protocol"] == "ocpp2.0.1, ocpp1.6"
            assert "Sec-WebSocket-Extensions" not in request.headers
            # The CSMS of this test prefers 1.6, whatever the charger would like best.
            assert charger.subprotocol == here.csms.newest.subprotocol == "ocpp1.6"
            assert here.proxy.links["CP 1/ä"].version == "ocpp1.6"
            assert [event.version for event in here.told(ChargerConnected)] == ["ocpp1.6"]


async def test_the_authorization_header_goes_up_byte_for_byte():
    # A 1.6 key is bytes, not text: the password here is no UTF-8.
    credentials = base64.b64encode(b"CP001:\xff\x00\xfe key").decode()
    async with world() as here, here.charger(additional_headers={"Authorization": f"Basic {credentials}"}):
        await until(lambda: here.csms.connections)
        assert here.csms.newest.request.headers["Authorization"] == f"Basic {credentials}"


async def test_a_header_that_is_not_ascii_goes_up_as_it_is():
    async with world() as here:
        reader, writer = await asyncio.open_connection("127.0.0.1", here.port)
        writer.write(raw_request("CP001", b"Sec-WebSocket-Protocol: ocpp1.6\r\nAuthorization: Basic \xe4\xf6\xfc\r\n"))
        assert b" 101 " in await soon(reader.readline())
        await until(lambda: here.csms.connections)
        assert here.csms.newest.request.headers["Authorization"].encode("latin-1") == b"Basic \xe4\xf6\xfc"
        writer.close()


def raw_request(identity: str, more: bytes = b"") -> bytes:
    return (
        b"GET /ocpp/%b HTTP/1.1\r\nHost: proxy\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n%b\r\n"
    ) % (identity.encode(), more)


async def refused(here, path="/ocpp/CP001", **options) -> Response:
    with pytest.raises(InvalidStatus) as caught:
        async with here.charger(path, **options):
            raise AssertionError("it was let in")
    return caught.value.response


@pytest.mark.parametrize("query", ["a\rAuthorization: x", "a\nb", "a\x00", "a\udcff", "\u00e4"])
def test_what_would_not_fit_into_our_own_request_line_is_no_call(query):
    assert caller("/ocpp/CP001?site=4&x=%0D") is not None
    assert caller(f"/ocpp/CP001?{query}") is None


@pytest.mark.parametrize("path", ["/ocpp/CP999", "/ocpp/", "/", "/ocpp/%FF", f"/ocpp/{'x' * 49}", "/ocpp/a%0Ab"])
async def test_who_is_unknown_gets_404_and_a_sentence(path):
    async with world() as here:
        response = await refused(here, path)
        assert response.status_code == 404
        assert len(response.body.decode().strip().splitlines()) == 1
        assert b"identity" in response.body
        assert here.proxy.counters.unknown_identity == 1
        assert not here.csms.connections


@pytest.mark.parametrize("status", [401, 403, 404, 418])
async def test_the_refusal_of_the_csms_becomes_the_chargers(status):
    def no(connection, request):
        response = connection.respond(200, "no such charger\n")
        response.status_code, response.reason_phrase = status, "Because"
        response.headers["WWW-Authenticate"] = 'Basic realm="csms"'
        return response

    async with world(csms_options={"process_request": no}) as here:
        response = await refused(here)
        assert (response.status_code, response.reason_phrase) == (status, "Because")
        assert response.headers["WWW-Authenticate"] == 'Basic realm="csms"'
        assert response.body == b"no such charger\n"
        assert here.proxy.counters.refused_by_csms == 1
        assert not here.proxy.links


@pytest.mark.parametrize("status", [500, 502, 503, 429, 302])
async def test_an_error_of_the_csms_is_an_outage(status):
    def no(connection, request):
        response = connection.respond(200, "")
        response.status_code, response.reason_phrase = status, "Trouble"
        return response

    async with world(csms_options={"process_request": no}) as here:
        response = await refused(here)
        assert response.status_code == 503
        assert response.headers["Retry-After"] == "10"
        assert b"CSMS" in response.body
        assert here.proxy.counters.csms_unreachable == 1


async def test_no_csms_at_all_is_an_outage():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    async with world(csms_url=f"ws://127.0.0.1:{port}/csms") as here:
        assert (await refused(here)).status_code == 503


async def test_a_csms_that_talks_no_websocket_is_an_outage():
    async def nonsense(reader, writer):
        writer.write(b"SSH-2.0-OpenSSH_9.6\r\n")
        await reader.read()
        writer.close()

    server = await asyncio.start_server(nonsense, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        async with world(csms_url=f"ws://127.0.0.1:{port}") as here:
            assert (await refused(here)).status_code == 503


async def test_a_csms_that_is_silent_is_an_outage():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        async with world(ProxySettings(dial_s=0.1), csms_url=f"ws://127.0.0.1:{port}") as here:
            assert (await refused(here)).status_code == 503


async def test_no_common_subprotocol_ends_as_ocpp_says():
    async with world() as here:
        async with here.charger(subprotocols=["ocpp1.5", "soap"]) as charger:
            assert charger.subprotocol is None
            with pytest.raises(ConnectionClosed) as caught:
                await soon(charger.recv())
        assert caught.value.rcvd.code == 1002
        assert "ocpp1.6" in caught.value.rcvd.reason
        assert here.proxy.counters.no_common_version == 1
        assert not here.csms.connections


async def test_only_versions_that_we_speak_are_offered_upstream():
    async with world() as here, here.charger(subprotocols=["ocpp1.5", "ocpp1.6"]) as charger:
        assert charger.subprotocol == "ocpp1.6"
        assert here.csms.newest.request.headers["Sec-WebSocket-Protocol"] == "ocpp1.6"


@pytest.mark.parametrize("offered", [None, ["ocpp2.0.1"]])
async def test_without_the_csmss_choice_the_pair_goes_on_without(offered):
    async with world(csms_options={"subprotocols": None}) as here, here.charger(subprotocols=offered) as charger:
        assert charger.subprotocol is None
        await charger.send('[2,"1","Heartbeat",{}]')
        assert await here.csms.next() == '[2,"1","Heartbeat",{}]'
        assert here.proxy.links["CP001"].version == ("ocpp2.0.1" if offered else "ocpp1.6")


async def test_a_browser_is_told_what_this_is():
    async with world() as here:
        reader, writer = await asyncio.open_connection("127.0.0.1", here.port)
        writer.write(b"GET /ocpp/CP001 HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = await soon(reader.read())
        assert answer.startswith(b"HTTP/1.1 426 ")
        writer.close()


@pytest.mark.parametrize(
    "junk", [b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n", b"GET / SPDY\r\n\r\n", b"G" * 70_000, b"a: b\r\n" * 20_000]
)
async def test_junk_instead_of_a_request_ends_that_socket_alone(junk):
    async with world() as here, here.charger() as charger:
        reader, writer = await asyncio.open_connection("127.0.0.1", here.port)
        writer.write(junk)
        with contextlib.suppress(ConnectionError):
            await soon(reader.read())
        writer.close()
        await charger.send('[2,"1","Heartbeat",{}]')
        assert await here.csms.next() == '[2,"1","Heartbeat",{}]'


async def test_who_sends_no_request_is_not_waited_for():
    async with world(ProxySettings(handshake_s=0.05)) as here:
        reader, writer = await asyncio.open_connection("127.0.0.1", here.port)
        assert await soon(reader.read()) == b""
        writer.close()


async def test_frames_right_behind_the_request_wait_for_the_answer():
    """A ping and a CALL in the same packet as the request: nothing may come out before the 101."""
    async with world() as here:
        reader, writer = await asyncio.open_connection("127.0.0.1", here.port)
        ping = b"\x89\x80\x00\x00\x00\x00"
        call = b'[2,"early","Heartbeat",{}]'
        masked = bytes([0x81, 0x80 | len(call), 0, 0, 0, 0]) + call
        writer.write(raw_request("CP001", b"Sec-WebSocket-Protocol: ocpp1.6\r\n") + ping + masked)
        head = await soon(reader.readuntil(b"\r\n\r\n"))
        assert head.startswith(b"HTTP/1.1 101 ")
        assert await soon(reader.readexactly(2)) == b"\x8a\x00"
        assert await here.csms.next() == call.decode()
        writer.close()


async def test_a_call_of_the_csms_right_behind_its_101_reaches_the_charger():
    async with world() as here:
        here.csms.greeting = '[2,"greeting","GetConfiguration",{}]'
        async with here.charger() as charger:
            assert await soon(charger.recv()) == here.csms.greeting
