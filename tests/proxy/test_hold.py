"""A site that holds: its chargers go on without the CSMS, and the CSMS is told everything, once, in order."""

import json
from dataclasses import replace

import pytest
from hold_world import QUICK, HoldWorld, hold_world, meter, start, stop
from proxy_world import beside, command, soon, until
from websockets.exceptions import ConnectionClosed, InvalidStatus

from domain.events import ChargerDisconnected, CsmsLost, CsmsReturned, StartInDoubt
from proxy.legs import LegSettings
from proxy.protocol.replay import PROVISIONAL_FROM
from proxy.protocol.turns import RelaySettings
from proxy.settings import ProxySettings

BOOT = {"chargePointVendor": "V", "chargePointModel": "M"}


async def held_session(world: HoldWorld, charger) -> int:
    """A whole session while the CSMS is away; its provisional id."""
    given = await world.ask(charger, "StartTransaction", start())
    await world.ask(charger, "MeterValues", meter(given["transactionId"], 1500))
    await world.ask(charger, "StopTransaction", stop(given["transactionId"], 2000))
    return given["transactionId"]


async def test_a_session_during_an_outage_reaches_the_csms_in_order_with_its_own_id():
    async with hold_world() as world, world.charger() as charger:
        await world.ask(charger, "Authorize", {"idTag": "TAG"})
        await world.lose_csms()
        world.csms.told.clear()
        assert (await world.ask(charger, "Authorize", {"idTag": "TAG"}))["idTagInfo"]["status"] == "Accepted"
        assert (await world.ask(charger, "Authorize", {"idTag": "NEW"}))["idTagInfo"]["status"] == "Invalid"
        given = await world.ask(charger, "StartTransaction", start())
        provisional = given["transactionId"]
        assert provisional >= PROVISIONAL_FROM
        assert given["idTagInfo"]["status"] == "Accepted"
        await world.ask(
            charger, "StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Preparing"}
        )
        await world.ask(charger, "StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Charging"})
        assert await world.ask(charger, "MeterValues", meter(provisional, 1500)) == {}
        assert "currentTime" in await world.ask(charger, "Heartbeat", {})
        assert (await world.ask(charger, "DataTransfer", {"vendorId": "x"})) == {"status": "Rejected"}
        assert world.csms.told == []
        await world.csms_returns()
        await world.all_told()
        assert world.csms.told == [
            ("StartTransaction", start()),
            ("StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Charging"}),
            ("MeterValues", meter(7, 1500)),
        ]
        # From here on live, in both directions, with the charger's id on its side.
        await world.ask(charger, "MeterValues", meter(provisional, 1700))
        await world.ask(charger, "StopTransaction", stop(provisional, 2000))
        assert world.csms.told[3:] == [("MeterValues", meter(7, 1700)), ("StopTransaction", stop(7, 2000))]
        await world.csms.connections[-1].send('[2,"r","RemoteStopTransaction",{"transactionId":7}]')
        assert json.loads(await soon(charger.recv()))[3] == {"transactionId": provisional}
        assert len(world.heard(CsmsLost)) == len(world.heard(CsmsReturned)) == 1
        assert not world.heard(ChargerDisconnected) + world.heard(StartInDoubt)


async def test_a_state_after_an_outage_is_relayed_again_and_not_kept():
    states = [{"connectorId": 1, "errorCode": "NoError", "status": status} for status in ("Preparing", "Charging")]
    async with hold_world() as world, world.charger() as charger:
        await world.ask(charger, "Heartbeat", {})
        await world.lose_csms()
        await world.ask(charger, "StatusNotification", states[0])
        await world.csms_returns()
        await world.all_told()
        await until(lambda: world.proxy.office.counters.replayed == 1)
        held = world.proxy.office.counters.held
        for state in states:
            await world.ask(charger, "StatusNotification", state)
        assert world.proxy.office.counters.held == held
        assert [told for action, told in world.csms.told if action == "StatusNotification"] == [states[0], *states]


async def test_the_ems_goes_on_without_a_csms():
    async with hold_world() as world, world.charger() as charger:
        await world.lose_csms()
        world.proxy.apply(command(limit_a=8.0))
        ours = json.loads(await soon(charger.recv()))
        assert ours[2:] == ["SetChargingProfile", {"limit": 8.0}]
        await charger.send(json.dumps([3, ours[1], {"status": "Accepted"}]))
        await until(lambda: [outcome.kind for outcome in world.desks["CP001"].outcomes] == ["sent", "result"])


async def test_nothing_is_lost_or_doubled_when_the_proxy_dies_twice():
    async with hold_world() as world:
        async with world.charger() as charger:
            await world.ask(charger, "BootNotification", BOOT)
            await world.ask(charger, "Authorize", {"idTag": "TAG"})
            await world.lose_csms()
            given = await world.ask(charger, "StartTransaction", start())
        await world.proxy.close(0.0)
        await world.start()
        async with world.charger() as charger:
            assert (await world.ask(charger, "BootNotification", BOOT))["status"] == "Accepted"
            assert (await world.ask(charger, "Authorize", {"idTag": "TAG"}))["idTagInfo"]["status"] == "Accepted"
            again = await world.ask(charger, "StartTransaction", start())  # its answer was lost
            assert again == given
            await world.ask(charger, "MeterValues", meter(given["transactionId"], 1500))
        await world.proxy.close(0.0)
        await world.start()
        world.csms.told.clear()
        async with world.charger() as charger:
            await world.csms_returns()
            await world.all_told()
            await world.ask(charger, "StopTransaction", stop(given["transactionId"], 2000))
            await world.ask(charger, "StartTransaction", start())  # an old repeat, when all is told: known
            assert world.csms.told == [
                ("StartTransaction", start()),
                ("BootNotification", BOOT),
                ("MeterValues", meter(7, 1500)),
                ("StopTransaction", stop(7, 2000)),
            ]


async def test_who_is_let_in_during_an_outage():
    async with hold_world() as world:
        mine, other = {"Authorization": "Basic bWluZQ=="}, {"Authorization": "Basic b3RoZXI="}
        await world.csms.stop()
        with pytest.raises(InvalidStatus) as refused:
            await world.charger(additional_headers=mine)  # never seen before
        assert refused.value.response.status_code == 503
        await world.csms.start()
        async with world.charger(additional_headers=mine):
            await until(lambda: world.proxy.links)
        await world.csms.stop()
        for headers in (other, {}):
            with pytest.raises(InvalidStatus):
                await world.charger(additional_headers=headers)
        with pytest.raises(InvalidStatus):
            await world.charger(additional_headers=mine, subprotocols=["ocpp2.0.1"])
        async with world.charger(additional_headers=mine) as charger:
            assert charger.subprotocol == "ocpp1.6"
            # The CSMS has never accepted its BootNotification: it waits, and can still be controlled.
            assert (await world.ask(charger, "BootNotification", BOOT))["status"] == "Pending"
        assert world.proxy.counters.admitted_without_csms == 1


async def test_a_csms_that_refuses_the_charger_when_it_is_back_has_the_word():
    async with hold_world() as world, world.charger() as charger:
        await world.lose_csms()
        world.csms.refuse_with = 401
        await world.csms.start()
        with pytest.raises(ConnectionClosed):
            await soon(charger.recv())
        await world.csms.stop()
        with pytest.raises(InvalidStatus):
            await world.charger()


async def test_a_csms_that_returns_while_the_charger_has_no_socket_is_said_to_be_back():
    async with hold_world() as world:
        async with world.charger() as charger:
            await world.ask(charger, "BootNotification", BOOT)
            assert not world.heard(CsmsLost) + world.heard(CsmsReturned)
            await world.lose_csms()
        await until(lambda: not world.proxy.links)
        await world.csms.start()
        async with world.charger():
            await until(lambda: world.heard(CsmsReturned))
        async with world.charger():
            await until(lambda: world.proxy.links)
        assert len(world.heard(CsmsLost)) == len(world.heard(CsmsReturned)) == 1


async def test_somebody_with_a_wrong_password_does_not_lock_the_charger_out_of_an_outage():
    async with hold_world() as world:
        mine, wrong = {"Authorization": "Basic bWluZQ=="}, {"Authorization": "Basic d3Jvbmc="}
        async with world.charger(additional_headers=mine) as charger:
            assert (await world.ask(charger, "BootNotification", BOOT))["status"] == "Accepted"
        world.csms.refuse_with = 401
        with pytest.raises(InvalidStatus):
            await world.charger(additional_headers=wrong)
        await world.csms.stop()
        async with world.charger(additional_headers=mine) as charger:
            assert (await world.ask(charger, "BootNotification", BOOT))["status"] == "Accepted"


async def test_a_start_whose_reply_was_lost_is_sent_once_more_and_listed():
    async with hold_world() as world, world.charger() as charger:
        world.csms.deaf_to = {"StartTransaction"}
        async with beside(world.ask(charger, "StartTransaction", start())) as asked:
            await until(lambda: "StartTransaction" in world.csms.actions())
            await world.lose_csms()
            provisional = (await asked)["transactionId"]
        assert provisional >= PROVISIONAL_FROM
        await world.ask(charger, "MeterValues", meter(provisional, 1500))
        world.csms.deaf_to = set()
        await world.csms_returns()
        await world.all_told()
        assert world.csms.actions() == ["StartTransaction", "StartTransaction", "MeterValues"]
        (event,) = world.heard(StartInDoubt)
        assert (event.id_tag, event.given_up) == ("TAG", False)
        (doubt,) = await world.proxy.office.doubts()
        assert (doubt.charger, doubt.transaction, doubt.real, doubt.sends) == ("CP001", provisional, 7, 2)


@pytest.mark.parametrize("recognises_repeats", [False, True])
async def test_a_start_whose_reply_is_lost_again_and_again(recognises_repeats):
    async with hold_world(recognises_repeats=recognises_repeats) as world, world.charger() as charger:
        await world.lose_csms()
        await held_session(world, charger)
        world.csms.deaf_to = {"StartTransaction"}
        for sends in (1, 2):
            await world.csms.start()
            await until(lambda sends=sends: world.csms.actions().count("StartTransaction") == sends)
            await world.lose_csms()
        world.csms.deaf_to = set()
        await world.csms_returns()
        await world.all_told()
        if recognises_repeats:
            assert world.csms.actions()[2:] == ["StartTransaction", "MeterValues", "StopTransaction"]
        else:
            assert world.csms.actions() == ["StartTransaction"] * 2  # the rest is on disk, for a person
            assert world.heard(StartInDoubt)[-1].given_up
            assert world.proxy.counters.set_aside == 3
            assert [doubt.real for doubt in await world.proxy.office.doubts()] == [None]
        assert await world.ask(charger, "Authorize", {"idTag": "TAG"})  # life goes on


async def test_a_late_reply_supplies_the_id_and_nothing_is_sent_again():
    hold = replace(QUICK, local_answer_s=0.05, late_reply_s=5.0)
    async with hold_world(hold=hold) as world, world.charger() as charger:
        world.csms.silent = True
        given = await world.ask(charger, "StartTransaction", start())
        assert given["transactionId"] >= PROVISIONAL_FROM
        await world.ask(charger, "MeterValues", meter(given["transactionId"], 1500))
        assert world.csms.actions() == ["StartTransaction"]
        world.csms.silent = False
        reply = '[3,"c1",{"transactionId":99,"idTagInfo":{"status":"Accepted"}}]'
        await world.csms.connections[-1].send(reply)
        await world.csms.connections[-1].send(reply)  # also twice it stays inside
        await world.all_told()
        assert world.csms.told[1:] == [("MeterValues", meter(99, 1500))]
        await world.ask(charger, "StopTransaction", stop(given["transactionId"], 2000))
        assert world.csms.told[2:] == [("StopTransaction", stop(99, 2000))]
        assert not world.heard(StartInDoubt)


async def test_a_disk_that_fails_lets_the_charger_keep_its_message():
    async with hold_world() as world, world.charger() as charger:
        await world.lose_csms()
        world.spool._connection.execute("DROP TABLE entry")
        await charger.send(json.dumps([2, "1", "StartTransaction", start()]))
        with pytest.raises(ConnectionClosed):
            await soon(charger.recv())
        assert world.proxy.counters.spool_errors >= 1


async def test_a_csms_that_stops_reading_counts_as_gone():
    relay = RelaySettings(charger_call_s=0.05)
    settings = ProxySettings(hold=QUICK, relay=relay, csms_leg=LegSettings(stall_s=0.3))
    async with hold_world(settings=settings) as world, world.charger(max_size=None) as charger:
        await until(lambda: world.csms.connections)
        world.csms.connections[-1].transport.pause_reading()
        for number in range(4):
            await charger.send(
                json.dumps([2, f"big{number}", "DataTransfer", {"vendorId": "v", "data": "x" * 3_000_000}])
            )
        await until(lambda: world.heard(CsmsLost))
        assert "take" in world.heard(CsmsLost)[0].why  # too much waits, or it has taken nothing for too long
        assert world.proxy.links  # the charger noticed nothing
        await until(lambda: not any(link.csms_away for link in world.proxy.links.values()))  # it was dialled again
        world.csms.connections[0].transport.abort()


@pytest.mark.parametrize("csms", ["there", "away"])
async def test_neighbours_of_chargers_that_flap_or_never_answer_keep_their_service(csms):
    names = ("CP001", "FLAPS", "MUTE")
    async with hold_world(names=names) as world, world.charger() as good, world.charger("MUTE") as mute:
        async with world.charger("FLAPS"):
            pass
        await world.ask(good, "Authorize", {"idTag": "TAG"})
        if csms == "away":
            await world.lose_csms()
        for number in range(10):
            world.proxy.apply(command("MUTE", limit_a=6.0 + number))
            async with world.charger("FLAPS") as flapping:
                await flapping.send(json.dumps([2, "1", "StartTransaction", start(number)]))
                assert await world.ask(good, "MeterValues", meter(None, number)) == {}
        assert json.loads(await soon(mute.recv()))[2] == "SetChargingProfile"
        world.proxy.apply(command(limit_a=9.0))
        assert json.loads(await soon(good.recv()))[3] == {"limit": 9.0}


async def test_a_restart_is_no_outage():
    async with hold_world() as world, world.charger():
        await until(lambda: world.proxy.links)
        await world.proxy.close(1.0)
        assert not world.heard(CsmsLost)
        assert len(world.heard(ChargerDisconnected)) == 1
