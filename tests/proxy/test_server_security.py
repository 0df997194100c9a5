"""Security profiles 0 to 3 over real sockets, against TLS that is not ours: Python's own settings on the other side."""

import asyncio
import base64
import contextlib
import ssl
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path

import pytest
import structlog
from certificate_world import DAY, NOW, Authority, client_side
from proxy_world import soon, until, world
from websockets.exceptions import ConnectionClosed, InvalidMessage, InvalidStatus

from domain.password import PasswordHash
from proxy.certificates import client_context, server_context
from proxy.entrance import EntryRules
from proxy.revocation import Revocations
from proxy.server import ChargerPlace

KEY = "0123456789abcdef0123456789abcdef"
HASHED = PasswordHash.of(KEY.encode(), b"salt of a test")


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def tls(authority: Authority) -> ssl.SSLContext:
    """One RSA and one ECDSA certificate, as A00.FR.317 has it."""
    pairs = [authority.issue("rsa", kind="2048", server=True), authority.issue("ecdsa", server=True)]
    return server_context(pairs, authority.file, NOW)


def asking(**rules):
    return lambda place: replace(place, entry=EntryRules(**rules))


def basic(user: str, password: bytes) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(user.encode() + b":" + password).decode()}


async def comes_in(here, **options) -> bool:
    async with here.charger(**options) as charger:
        await charger.send('[2,"1","Heartbeat",{}]')
        return await here.csms.next() == '[2,"1","Heartbeat",{}]'


async def told(here, **options) -> tuple[int, str]:
    with pytest.raises(InvalidStatus) as caught:
        async with here.charger(**options):
            raise AssertionError("it was let in")
    assert not here.proxy.links
    return caught.value.response.status_code, caught.value.response.body.decode()


async def cut_off(here, **options) -> None:
    """TLS itself says no: in the handshake, or with 1.3 right behind it."""
    with pytest.raises((OSError, EOFError, ConnectionClosed, InvalidMessage)):
        async with here.charger(**options) as charger:
            await soon(charger.recv())
    assert not here.proxy.links
    assert not here.csms.connections


# Profile 1: a password.


@pytest.mark.parametrize("sent", [bytes.fromhex(KEY), KEY.encode(), KEY.upper().encode()])
async def test_a_password_of_the_site_file_is_checked_here_in_every_form(sent: bytes):
    async with world(asks=asking(profile=1, key=HASHED)) as here:
        assert await comes_in(here, additional_headers=basic("CP001", sent))
        assert here.csms.newest.request.headers["Authorization"] == basic("CP001", sent)["Authorization"]


@pytest.mark.parametrize(
    "headers",
    [
        {},
        basic("CP001", b"wrong"),
        basic("CP002", bytes.fromhex(KEY)),
        basic("CP001", b""),
        {"Authorization": "Bearer x"},
        {"Authorization": "Basic !!!"},
    ],
)
async def test_without_the_right_password_nothing_is_dialled(headers):
    async with world(asks=asking(key=HASHED)) as here:
        status, sentence = await told(here, additional_headers=headers)
        assert status == 401
        assert "CP001" in sentence
        assert not here.csms.connections
        assert here.proxy.door.counters.failed_proof == 1


async def test_without_a_key_here_the_csms_judges_the_password():
    async with world(asks=asking(profile=1)) as here:
        assert (await told(here))[0] == 401
        assert await comes_in(here, additional_headers=basic("CP001", b"whatever"))


async def test_who_fails_again_and_again_waits_and_its_neighbour_does_not():
    async with world(asks=asking(key=HASHED)) as here:
        for _ in range(3):
            assert (await told(here, additional_headers=basic("CP001", b"wrong")))[0] == 401
        assert (await told(here, additional_headers=basic("CP001", bytes.fromhex(KEY))))[0] == 429
        assert here.proxy.door.counters.held_up == 1
        assert await comes_in(here, path="/ocpp/CP002", additional_headers=basic("CP002", bytes.fromhex(KEY)))


async def test_whom_the_csms_does_not_believe_again_and_again_waits():
    def no(connection, request):
        return connection.respond(401, "no")

    async with world(csms_options={"process_request": no}) as here:
        assert [(await told(here))[0] for _ in range(4)] == [401, 401, 401, 429]
        assert here.proxy.counters.refused_by_csms == 3


# Profile 2: TLS and a password.


async def test_tls_and_a_password(authority: Authority, tls):
    async with world(asks=asking(profile=2), tls=tls) as here:
        side = client_side(authority.file)
        assert await comes_in(here, ssl=side, additional_headers=basic("CP001", b"x"))
        assert (await told(here, ssl=side))[0] == 401


async def test_a_plain_connection_is_not_enough():
    async with world(asks=asking(profile=2)) as here:
        status, sentence = await told(here, additional_headers=basic("CP001", b"x"))
        assert status == 403
        assert "wss://" in sentence
        assert here.proxy.door.counters.not_allowed == 1


@pytest.mark.parametrize(
    "suite",
    [
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "AES128-GCM-SHA256",
        "AES256-GCM-SHA384",
    ],
)
async def test_the_four_suites_of_the_specification(authority: Authority, tls, suite: str):
    async with world(tls=tls) as here, here.charger(ssl=client_side(authority.file, ciphers=suite)) as charger:
        used = charger.transport.get_extra_info("ssl_object")
        assert (used.cipher()[0], used.version()) == (suite, "TLSv1.2")


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
async def test_older_versions_are_refused(authority: Authority, tls, version: ssl.TLSVersion):
    """A00.FR.312. The client is let down to it: without that its own library would refuse first."""
    side = client_side(authority.file, ciphers="ALL:@SECLEVEL=0")
    side.minimum_version = side.maximum_version = version
    async with world(tls=tls) as here:
        await cut_off(here, ssl=side)


async def test_a_suite_without_authenticated_encryption_is_refused(authority: Authority, tls):
    side = client_side(authority.file, ciphers="AES128-SHA:@SECLEVEL=0")
    async with world(tls=tls) as here:
        await cut_off(here, ssl=side)


async def test_plain_text_at_the_tls_port_ends_that_socket_alone(authority: Authority, tls):
    async with world(tls=tls) as here:
        with pytest.raises((OSError, EOFError, InvalidMessage)):
            async with here.charger():
                raise AssertionError("it was let in")
        assert await comes_in(here, ssl=client_side(authority.file))


async def test_who_begins_tls_and_says_no_more_is_not_waited_for(authority: Authority, tls, monkeypatch):
    monkeypatch.setattr("proxy.network.TLS_HANDSHAKE_S", 0.1)
    async with world(tls=tls) as here:
        reader, writer = await asyncio.open_connection("127.0.0.1", here.port)
        with contextlib.suppress(ConnectionError):
            assert await soon(reader.read()) == b""
        writer.close()
        assert await comes_in(here, ssl=client_side(authority.file))


# Profile 3: a client certificate.


async def test_a_client_certificate_is_proof(authority: Authority, tls):
    rules = asking(profile=3, organization="Example", key=HASHED)
    async with world(asks=rules, tls=tls) as here:
        pair = authority.issue("CP001", organization="Example")
        assert await comes_in(here, ssl=client_side(authority.file, pair))


async def test_the_common_name_may_be_a_serial_number(authority: Authority, tls):
    async with world(asks=asking(profile=3, common_name="SN-17"), tls=tls) as here:
        assert await comes_in(here, ssl=client_side(authority.file, authority.issue("SN-17")))
        status, sentence = await told(here, ssl=client_side(authority.file, authority.issue("CP001")))
        assert (status, "is for 'CP001'" in sentence) == (403, True)


@pytest.mark.parametrize("profile", [0, 3])
async def test_the_certificate_of_another_charger_is_refused(authority: Authority, tls, profile: int):
    async with world(asks=asking(profile=profile), tls=tls) as here:
        status, sentence = await told(here, ssl=client_side(authority.file, authority.issue("CP002")))
        assert (status, "is for 'CP002'" in sentence) == (403, True)
        assert not here.csms.connections


async def test_no_certificate_is_not_enough_for_profile_3(authority: Authority, tls):
    async with world(asks=asking(profile=3), tls=tls) as here:
        side = client_side(authority.file)
        assert (await told(here, ssl=side, additional_headers=basic("CP001", b"x")))[0] == 403


async def test_a_revoked_certificate_is_refused_from_the_next_connection_on(authority: Authority, tls):
    pair, other = authority.issue("CP001"), authority.issue("CP002")
    file = authority.crl(other, file="now.crl")
    revoked = Revocations(file, [authority.certificate])
    async with world(asks=asking(profile=3, revoked=revoked), tls=tls) as here:
        side = client_side(authority.file, pair)
        assert await comes_in(here, ssl=side)
        authority.crl(pair, other, file="now.crl")
        revoked.refresh()
        await until(lambda: not here.proxy.links)
        status, sentence = await told(here, ssl=side)
        assert (status, "revoked" in sentence) == (403, True)


async def test_certificates_of_strangers_and_expired_ones_end_in_tls(authority: Authority, tls, tmp_path: Path):
    stranger = Authority(tmp_path, "stranger").issue("CP001")
    old = authority.issue("CP001", begins=-3 * DAY, ends=-DAY, label="old")
    async with world(asks=asking(profile=3), tls=tls) as here:
        for pair in (stranger, old):
            await cut_off(here, ssl=client_side(authority.file, pair))


# Where from.


@pytest.mark.parametrize(("network", "status"), [("127.0.0.0/8", None), ("10.0.0.0/8", 403), ("::/0", 403)])
async def test_an_allow_list_of_networks(network: str, status: int | None):
    async with world(asks=asking(allow=(ip_network(network),))) as here:
        if status is None:
            assert await comes_in(here)
        else:
            assert (await told(here))[0] == status
            assert not here.csms.connections


# The CSMS's side.


def dialling(make) -> object:
    def asks(place: ChargerPlace) -> ChargerPlace:
        return replace(place, csms_tls=make)

    return asks


async def test_the_csms_meets_the_chargers_own_certificate(authority: Authority):
    """Mutual TLS: each charger's link shows the certificate that was issued for it."""
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority.file)
    pair = authority.issue("csms", server=True)
    server.load_cert_chain(pair.certificate, pair.key)
    server.verify_mode = ssl.CERT_REQUIRED
    own = authority.issue("CP001")
    asks = dialling(lambda: client_context(authority.file, own, NOW))
    async with world(csms_options={"ssl": server}, asks=asks) as here:
        assert await comes_in(here)
        subject = here.csms.newest.transport.get_extra_info("peercert")["subject"]
        assert (("commonName", "CP001"),) in subject


@pytest.mark.parametrize("fault", ["authority", "host name", "no client certificate", "expired files"])
async def test_a_csms_that_is_not_proved_is_an_outage(authority: Authority, tmp_path: Path, fault: str):
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=authority.file)
    pair = authority.issue("csms", server=True)
    server.load_cert_chain(pair.certificate, pair.key)
    ca, url, now = authority.file, None, NOW
    if fault == "authority":
        ca = Authority(tmp_path, "other").file
    elif fault == "no client certificate":
        server.verify_mode = ssl.CERT_REQUIRED
        server.maximum_version = ssl.TLSVersion.TLSv1_2  # with 1.3 it is told only after the handshake
    elif fault == "expired files":
        now = NOW + 400 * DAY
    asks = dialling(lambda: client_context(ca, None, now))
    async with world(csms_options={"ssl": server}, asks=asks, csms_url=url) as here:
        if fault == "host name":
            here.proxy._directory = lambda name: replace(
                asks(ChargerPlace(None, "")), csms_url=f"wss://127.0.0.2:{here.csms.port}/csms"
            )
        assert (await told(here))[0] == 503
        assert not here.csms.connections


# What is said of it.


async def test_no_secret_gets_into_the_log(authority: Authority, tls):
    secret = bytes.fromhex(KEY)
    structlog.reset_defaults()  # whoever configured logs before this may have left out warnings
    with structlog.testing.capture_logs() as logs:
        async with world(asks=asking(profile=2, key=HASHED), tls=tls) as here:
            side = client_side(authority.file)
            await told(here, ssl=side, additional_headers=basic("CP001", b"wrong-but-secret"))
            assert await comes_in(here, ssl=side, additional_headers=basic("CP001", secret))
    text = repr(logs)
    assert "charger_turned_away" in text
    for part in ("wrong-but-secret", KEY, base64.b64encode(secret).decode()[:10], HASHED.text):
        assert part not in text
    assert KEY not in repr(here.proxy) + repr(asking(key=HASHED)(ChargerPlace(None, "")))
