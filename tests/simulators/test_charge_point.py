"""Charge point and CSMS, face to face in virtual time: whole sessions of both versions."""

import pytest
from bench_site import Bench, HungryCar, both, play

from simulators.behaviour import Behaviour
from simulators.evse import EvseSpec, PlugState


@both
def test_a_whole_session(version: str) -> None:
    async def scene(table: Bench) -> None:
        await table.online()
        evse = table.evse
        assert table.csms.connected == {"CP 001"}
        assert table.csms.states["CP 001", 1] == "Available"
        evse.plug(HungryCar(), "tag-1")
        await table.live(2)
        assert evse.state is PlugState.CHARGING
        assert (evse.current_a, evse.offered_a) == (32.0, 32.0)
        await table.live(3598)
        session = evse.session
        assert session is not None
        assert session.id_tag == "tag-1"
        assert session.energy_wh == pytest.approx(32 * 208, rel=0.01)
        evse.unplug()
        assert (evse.current_a, evse.session) == (0.0, None)
        await table.live(5)
        (entry,) = table.csms.ledger.entries.values()
        assert (entry.identity, entry.connector, entry.id_tag) == ("CP 001", 1, "tag-1")
        assert entry.transaction_id == session.transaction_id
        assert entry.reason == "EVDisconnected"
        assert entry.meter_stop_wh - entry.meter_start_wh == pytest.approx(session.energy_wh, abs=1)
        assert entry.samples >= 118
        assert entry.missing_seq_nos == ()
        assert table.csms.states["CP 001", 1] == "Available"
        assert table.csms.ledger.running() == []
        assert table.judge.relayed() > 200
        table.clean()

    play(version, scene)


def test_the_order_of_a_session_in_16() -> None:
    async def scene(table: Bench) -> None:
        await table.online()
        table.evse.plug(HungryCar(), "tag-1")
        await table.live(10)
        table.evse.unplug()
        await table.live(5)
        told = [(one.action, one.payload.get("status")) for one in table.csms.journal if one.action != "MeterValues"]
        assert told == [
            ("BootNotification", None),
            ("StatusNotification", "Available"),
            ("StatusNotification", "Available"),
            ("StatusNotification", "Preparing"),
            ("Authorize", None),
            ("StartTransaction", None),
            ("StatusNotification", "Charging"),
            ("StopTransaction", None),
            ("StatusNotification", "Finishing"),
            ("StatusNotification", "Available"),
        ]
        table.clean()

    play("ocpp1.6", scene)


def test_the_events_of_a_session_in_201() -> None:
    async def scene(table: Bench) -> None:
        await table.online()
        table.evse.plug(HungryCar(), "tag-1")
        await table.live(100)
        table.evse.unplug()
        await table.live(5)
        events = table.heard("TransactionEvent")
        del events[4:-1]  # more samples
        assert [event["seqNo"] for event in events[:4]] == list(range(4))
        assert [(event["eventType"], event["triggerReason"]) for event in events] == [
            ("Started", "Authorized"),
            ("Updated", "ChargingStateChanged"),
            ("Updated", "MeterValuePeriodic"),
            ("Updated", "MeterValuePeriodic"),
            ("Ended", "EVCommunicationLost"),
        ]
        assert [("evse" in event, "idToken" in event) for event in events] == [(True, True)] + [(False, False)] * 4
        assert [event["transactionInfo"]["chargingState"] for event in events] == [
            "EVConnected",
            "Charging",
            "Charging",
            "Charging",
            "Idle",
        ]
        assert not any("offline" in event for event in events)
        table.clean()

    play("ocpp2.0.1", scene)


def test_a_transaction_that_begins_with_the_cable_carries_no_current_before_its_driver_is_known() -> None:
    async def scene(table: Bench) -> None:
        await table.online()
        car = HungryCar()
        table.evse.plug(car, None)
        await table.live(60)
        assert table.evse.transaction is not None
        assert table.evse.current_a == 0.0
        reply = await table.csms.remote_start("CP 001", 1, "tag-9")
        assert reply.payload == {"status": "Accepted", "transactionId": table.evse.transaction_id}
        await table.live(3)
        assert table.evse.current_a == 32.0
        table.evse.unplug()
        await table.live(3)
        events = table.heard("TransactionEvent")
        assert [(one["eventType"], one["triggerReason"]) for one in events if "meterValue" not in one] == [
            ("Updated", "RemoteStart"),
            ("Updated", "ChargingStateChanged"),
        ]
        assert events[0]["triggerReason"] == "CablePluggedIn"
        assert "idToken" not in events[0]
        (entry,) = table.csms.ledger.entries.values()
        assert (entry.id_tag, entry.connector, entry.missing_seq_nos) == ("tag-9", 1, ())
        table.clean()

    play("ocpp2.0.1", scene, behaviour=Behaviour(starts_at_plug=True))


@both
def test_a_limit_holds_and_zero_suspends(version: str) -> None:
    async def scene(table: Bench) -> None:
        await table.online()
        car = HungryCar()
        table.evse.plug(car, "tag-1")
        await table.live(3)
        for amps, flows, state in ((10, 10, "Charging"), (0, 0, "SuspendedEVSE"), (5.9, 0, "SuspendedEVSE")):
            assert (await table.limit(amps)).payload["status"] == "Accepted"
            await table.live(2)
            assert table.evse.current_a == table.evse.offered_a == flows
            assert table.evse.limit_a(table.clock.now()) == amps
            assert table.evse.state == state
        await table.limit(16)
        await table.live(2)
        assert (table.evse.current_a, table.evse.state) == (16, PlugState.CHARGING)
        car.wants = False
        await table.live(2)
        assert (table.evse.current_a, table.evse.state) == (0.0, PlugState.SUSPENDED_EV)
        # When both refuse, the EVSE's refusal is what is shown (1.6 section 4.9).
        await table.limit(0)
        await table.live(2)
        assert table.evse.state is PlugState.SUSPENDED_EVSE
        table.clean()

    play(version, scene)


@both
def test_a_limit_that_is_there_before_the_car_holds_from_the_first_second(version: str) -> None:
    async def scene(table: Bench) -> None:
        await table.online()
        await table.limit(0)
        car = HungryCar()
        table.evse.plug(car, "tag-1")
        await table.live(30)
        assert max(car.offers) == 0.0
        assert table.evse.state is PlugState.SUSPENDED_EVSE
        await table.limit(8)
        await table.live(2)
        assert table.evse.current_a == 8.0
        table.clean()

    play(version, scene)


@both
def test_remote_start_and_stop(version: str) -> None:
    async def scene(table: Bench) -> None:
        await table.online()
        assert (await table.csms.remote_start("CP 001", 7, "tag")).payload["status"] == "Rejected"
        # First the request, then the car.
        assert (await table.csms.remote_start("CP 001", 1, "tag")).payload["status"] == "Accepted"
        await table.live(10)
        table.evse.plug(HungryCar(), None)
        await table.live(3)
        number = table.evse.transaction_id
        assert number is not None
        assert (await table.csms.remote_stop("CP 001", "123456")).payload["status"] == "Rejected"
        assert (await table.csms.remote_stop("CP 001", number)).payload["status"] == "Accepted"
        await table.live(3)
        assert (table.evse.transaction, table.evse.current_a) == (None, 0.0)
        assert table.evse.state is PlugState.FINISHING
        # The car is still there: start again.
        assert (await table.csms.remote_start("CP 001", 1, "tag")).payload["status"] == "Accepted"
        await table.live(3)
        assert table.evse.current_a == 32.0
        assert [entry.reason for entry in table.csms.ledger.of("CP 001")] == ["Remote", None]
        # One that waited too long is forgotten.
        table.evse.unplug()
        await table.live(3)
        await table.csms.remote_start("CP 001", 1, "tag")
        await table.live(90)
        table.evse.plug(HungryCar(), None)
        await table.live(3)
        assert table.evse.transaction is None
        table.clean()

    play(version, scene)


@both
def test_reset_ends_transactions_boots_and_keeps_profiles(version: str) -> None:
    async def scene(table: Bench) -> None:
        await table.online()
        await table.limit(12)
        table.evse.plug(HungryCar(), "tag-1")
        await table.live(5)
        kind = "Hard" if version == "ocpp1.6" else "Immediate"
        assert (await table.ask("Reset", {"type": kind})).payload["status"] == "Accepted"
        await table.until(lambda: len(table.heard("BootNotification")) == 2)
        await table.online()
        (entry,) = table.csms.ledger.entries.values()
        assert entry.reason in ("HardReset", "ImmediateReset")
        assert table.evse.current_a == 0.0
        table.evse.unplug()
        table.evse.plug(HungryCar(), "tag-2")
        await table.live(5)
        assert table.evse.current_a == 12.0, "profiles outlive a reboot"
        table.charger.power_cycle()
        await table.until(lambda: len(table.heard("BootNotification")) == 3)
        await table.online()
        assert table.csms.ledger.of("CP 001")[-1].reason == "PowerLoss"
        table.clean()

    play(version, scene)


@both
def test_two_connectors_have_their_own_transactions(version: str) -> None:
    async def scene(table: Bench) -> None:
        await table.online()
        table.charger.evses[1].plug(HungryCar(), "one")
        table.charger.evses[2].plug(HungryCar(16), "two")
        await table.live(40)
        assert [evse.current_a for evse in table.charger.evses.values()] == [32.0, 16.0]
        table.charger.evses[2].unplug()
        await table.live(3)
        running = {entry.id_tag: entry.stopped_at is None for entry in table.csms.ledger.of("CP 001")}
        assert running == {"one": True, "two": False}
        with pytest.raises(RuntimeError, match="already has a car"):
            table.charger.evses[1].plug(HungryCar(), "three")
        table.clean()

    play(version, scene, evses=(EvseSpec(connector=1), EvseSpec(connector=2, conductors=3, voltage_v=120)))


@both
def test_the_same_seed_gives_the_same_frames(version: str) -> None:
    async def scene(table: Bench) -> list[str]:
        said: list[str] = []
        table.judge.sent = lambda identity, side, text: said.append(f"{side} {text}")
        table.judge.received = lambda *_: None
        await table.online()
        table.evse.plug(HungryCar(), "tag-1")
        await table.live(100)
        table.csms.stop(crash=True)
        await table.live(100)
        await table.csms.start()
        await table.live(300)
        return said

    first, second = play(version, scene), play(version, scene)
    assert len(first) > 30
    assert first == second
    assert play(version, scene, seed=2) != first
