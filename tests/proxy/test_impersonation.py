"""One charger cannot speak for another: not by address, password or certificate, nor by ids in what it says."""

import base64
import ssl
from dataclasses import replace
from pathlib import Path

import pytest
from certificate_world import NOW, Authority, client_side
from hypothesis import given, settings
from hypothesis import strategies as st
from proxy_world import World, command, reply_to, soon, until, world
from websockets.exceptions import InvalidHandshake, InvalidStatus

from domain.password import PasswordHash
from proxy.addresses import caller
from proxy.certificates import server_context
from proxy.entrance import EntryRules, password_of
from proxy.server import ChargerPlace

KEYS = {"CP001": b"the key of one..", "CP002": b"the key of two.."}
HASHES = {name: PasswordHash.of(key, b"salt of a test") for name, key in KEYS.items()}

SPELLINGS = (
    "/ocpp/CP001",
    "/ocpp/CP002/CP001",
    "/ocpp/CP002/../CP001",
    "/ocpp/CP002/%2e%2e/CP001",
    "/ocpp/%43P001",
    "/ocpp/CP%30%30%31",
    "/ocpp/CP001/",
    "/ocpp/CP001?identity=CP002",
    "/ocpp/CP001?/CP002",
    "/CP001",
    "//CP001",
)
ODD = (
    "/ocpp/CP001%00",
    "/ocpp/CP001%0a",
    "/ocpp/CP001%2F..%2FCP002",
    "/ocpp/CP002%2FCP001",
    "/ocpp/cp001",
    "/ocpp/CP001%20",
    "/ocpp/%20CP001",
    "/ocpp/CP001%2e",
    "/ocpp/CP001;CP002",
    "/ocpp/CP001%3Fx",
    "/ocpp/CP%EF%BC%90%EF%BC%90%EF%BC%91",
    "/ocpp/..",
    "/ocpp/%2e%2e",
    "/ocpp/",
)


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> Authority:
    return Authority(tmp_path_factory.mktemp("impersonation"))


def basic(user: str, password: bytes) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(user.encode() + b":" + password).decode()}


def each_its_key(place: ChargerPlace) -> ChargerPlace:
    return replace(place, entry=EntryRules(profile=1, key=HASHES[str(place.charger.id)] if place.charger else None))


async def turned_away(here: World, path: str, **options: object) -> int:
    try:
        async with here.charger(path=path, **options):
            raise AssertionError(f"{path} was let in")
    except InvalidStatus as error:
        return error.response.status_code
    except InvalidHandshake:
        return 400


@pytest.mark.parametrize("path", SPELLINGS)
async def test_however_an_identity_is_spelt_its_own_password_is_asked_for(path: str) -> None:
    async with world(asks=each_its_key) as here:
        assert await turned_away(here, path, additional_headers=basic("CP002", KEYS["CP002"])) == 401
        async with here.charger(path=path, additional_headers=basic("CP001", KEYS["CP001"])):
            await until(lambda: here.proxy.links)
            assert list(here.proxy.links) == ["CP001"]
        assert len(here.csms.connections) == 1
        assert "CP002" not in here.csms.newest.request.path.rpartition("/")[0]


@pytest.mark.parametrize("path", ODD)
async def test_what_only_resembles_an_identity_is_nobody(path: str) -> None:
    async with world(asks=each_its_key) as here:
        for name, key in KEYS.items():
            assert await turned_away(here, path, additional_headers=basic(name, key)) in {400, 404, 429}
        assert not here.csms.connections


@pytest.mark.parametrize("path", SPELLINGS)
async def test_a_certificate_opens_its_own_identity_alone(authority: Authority, path: str) -> None:
    tls: ssl.SSLContext = server_context([authority.issue("proxy", server=True)], authority.file, NOW)
    side = client_side(authority.file, authority.issue("CP002"))
    async with world(tls=tls, asks=lambda place: replace(place, entry=EntryRules(profile=3))) as here:
        assert await turned_away(here, path, ssl=side) == 403
        assert not here.csms.connections


@pytest.mark.parametrize("common_name", ["*", "CP00?", "CP001\\", "CP001 ", "CP001,CN=CP002", "cp001"])
async def test_a_common_name_is_no_pattern(tmp_path: Path, common_name: str) -> None:
    authority = Authority(tmp_path)
    tls = server_context([authority.issue("proxy", server=True)], authority.file, NOW)
    side = client_side(authority.file, authority.issue(common_name, label="odd"))
    async with world(tls=tls, asks=lambda place: replace(place, entry=EntryRules(profile=3))) as here:
        assert await turned_away(here, "/ocpp/CP001", ssl=side) == 403


async def test_who_cannot_prove_itself_does_not_end_the_link_of_who_can() -> None:
    async with world(asks=each_its_key) as here:
        async with here.charger(additional_headers=basic("CP001", KEYS["CP001"])) as real:
            await until(lambda: here.proxy.links)
            for _ in range(3):
                assert await turned_away(here, "/ocpp/CP001", additional_headers=basic("CP002", KEYS["CP002"])) == 401
            await real.send('[2,"still","Heartbeat",{}]')
            assert await here.csms.next() == '[2,"still","Heartbeat",{}]'
        assert len(here.csms.connections) == 1


async def test_replies_are_for_the_socket_that_asked_whatever_their_ids() -> None:
    """Both chargers and both CSMS legs use the same ids at the same time."""
    async with world() as here, here.charger("/ocpp/CP001") as one, here.charger("/ocpp/CP002") as two:
        await until(lambda: len(here.csms.connections) == 2)
        legs = {leg.request.path.rpartition("/")[2]: leg for leg in here.csms.connections}
        for name, peer in (("one", one), ("two", two)):
            await peer.send(f'[2,"same","DataTransfer",{{"vendorId":"{name}"}}]')
        assert {await here.csms.next(), await here.csms.next()} == {
            '[2,"same","DataTransfer",{"vendorId":"one"}]',
            '[2,"same","DataTransfer",{"vendorId":"two"}]',
        }
        await legs["CP002"].send('[3,"same",{"data":"two"}]')
        await legs["CP001"].send('[3,"same",{"data":"one"}]')
        assert await soon(one.recv()) == '[3,"same",{"data":"one"}]'
        assert await soon(two.recv()) == '[3,"same",{"data":"two"}]'


async def test_a_reply_to_anothers_command_answers_nothing() -> None:
    """CP002 accepts the set-point that was sent to CP001: CP001's stays unanswered."""
    async with world() as here, here.charger("/ocpp/CP001") as one, here.charger("/ocpp/CP002") as two:
        await until(lambda: len(here.proxy.links) == 2)
        here.proxy.apply(command("CP001"))
        asked = str(await soon(one.recv()))
        own_id = asked.split('"')[1]
        for text in (f'[3,"{own_id}",{{"status":"Accepted"}}]', f'[4,"{own_id}","GenericError","",{{}}]'):
            await two.send(text)
        await two.send('[2,"after","Heartbeat",{}]')
        while '"after"' not in str(await here.csms.next()):
            pass
        ours = here.desks["CP001 ocpp1.6"].outcomes
        assert [one.kind for one in ours] == ["sent"]
        await reply_to(one, asked, '{"status":"Accepted"}')
        await until(lambda: len(ours) == 2)
        assert not here.desks["CP002 ocpp1.6"].outcomes


async def test_a_reply_to_anothers_csms_call_goes_up_its_own_leg_alone() -> None:
    async with world() as here, here.charger("/ocpp/CP001") as one, here.charger("/ocpp/CP002") as two:
        await until(lambda: len(here.csms.connections) == 2)
        legs = {leg.request.path.rpartition("/")[2]: leg for leg in here.csms.connections}
        await legs["CP001"].send('[2,"c-1","Reset",{"type":"Hard"}]')
        assert await soon(one.recv()) == '[2,"c-1","Reset",{"type":"Hard"}]'
        await two.send('[3,"c-1",{"status":"Accepted","by":"two"}]')
        await two.send('[2,"after","Heartbeat",{}]')
        while '"after"' not in str(await here.csms.next()):
            pass
        assert not here.desks["CP001 ocpp1.6"].exchanges
        await one.send('[3,"c-1",{"status":"Rejected"}]')
        await until(lambda: here.desks["CP001 ocpp1.6"].exchanges)
        assert not here.desks["CP002 ocpp1.6"].exchanges


async def test_what_a_payload_claims_changes_nothing_about_who_said_it() -> None:
    async with world() as here, here.charger("/ocpp/CP002") as two:
        await two.send(
            '[2,"b","BootNotification",{"chargePointModel":"m","chargePointVendor":"v",'
            '"chargePointSerialNumber":"CP001","chargeBoxSerialNumber":"CP001"}]'
        )
        await here.csms.next()
        await until(lambda: here.desks)
        assert list(here.desks) == ["CP002 ocpp1.6"]
        assert here.csms.newest.request.path.endswith("/CP002")
        assert {str(getattr(event, "charger", "CP002")) for event in here.events} == {"CP002"}


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=80) | st.sampled_from([*SPELLINGS, *ODD]))
def test_an_identity_is_printable_short_and_without_a_way_out_of_its_segment(target: str) -> None:
    who = caller(target)
    if who is not None:
        assert who.identity.isprintable()
        assert 0 < len(who.identity) <= 48
        assert "/" not in who.segment
        assert not set(who.segment + who.query) & set("\r\n\0")


@given(st.text(min_size=1, max_size=48), st.text(min_size=1, max_size=48), st.binary(max_size=40))
def test_a_header_is_for_the_user_that_it_names(one: str, other: str, password: bytes) -> None:
    try:
        header = basic(one, password)["Authorization"]
    except UnicodeEncodeError:
        return
    assert password_of(one, [header]) == password  # type: ignore[arg-type]
    assert password_of(one, [header, header]) is None  # type: ignore[arg-type]
    if other != one and ":" not in one + other:
        assert password_of(other, [header]) is None  # type: ignore[arg-type]
