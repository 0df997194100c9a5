"""Charge point and CSMS, face to face in virtual time: whole sessions of both versions."""

import asyncio
from datetime import datetime, timedelta

import pytest
from bench_site import START, VERSIONS, Bench, HungryCar, play

from simulators.behaviour import Behaviour
from simulators.evse import EvseSpec, PlugState
from simulators.network import MemoryNetwork

both = pytest.mark.parametrize("version", VERSIONS)


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
def test_the_dead_man_tail_takes_over_without_a_link_by_the_chargers_own_clock(version: str) -> None:
    async def scene(table: Bench) -> None:
        await table.online()
        table.evse.plug(HungryCar(), "tag-1")
        schedule = {
            "startSchedule": (START - timedelta(seconds=60)).isoformat().replace("+00:00", "Z"),
            "chargingRateUnit": "A",
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 20.0}, {"startPeriod": 360, "limit": 6.0}],
        }
        profile = {"stackLevel": 3, "chargingProfileKind": "Absolute"}
        if version == "ocpp1.6":
            purpose = {"chargingProfileId": 9, "chargingProfilePurpose": "ChargePointMaxProfile"}
            whole = {"connectorId": 0, "csChargingProfiles": {**profile, **purpose, "chargingSchedule": schedule}}
        else:
            purpose = {"id": 9, "chargingProfilePurpose": "ChargingStationMaxProfile"}
            whole = {
                "evseId": 0,
                "chargingProfile": {**profile, **purpose, "chargingSchedule": [{"id": 1, **schedule}]},
            }
        assert (await table.ask("SetChargingProfile", whole)).payload["status"] == "Accepted"
        table.charger.go_offline()
        begun = table.clock.now()
        await table.live(299 - (begun - START).total_seconds())
        assert not table.charger.online
        assert table.evse.current_a == 20.0
        await table.live(2)
        assert table.evse.current_a == 6.0
        table.clean()

    play(version, scene)


@both
def test_what_happened_without_a_link_is_told_afterwards_in_order(version: str) -> None:
    async def scene(table: Bench) -> None:
        await table.online()
        table.evse.plug(HungryCar(), "first")
        await table.live(65)
        table.csms.stop(crash=True)
        await table.live(60)
        table.evse.unplug()
        await table.live(60)
        table.evse.plug(HungryCar(), "second")
        await table.live(120)
        table.evse.unplug()
        assert len(table.charger.outbox) >= 3
        await table.csms.start()
        await table.until(lambda: table.charger.online, patience_s=300)
        await table.online()
        first, second = table.csms.ledger.entries.values()
        assert (first.id_tag, second.id_tag) == ("first", "second")
        for entry in (first, second):
            assert entry.missing_seq_nos == ()
            assert entry.reason == "EVDisconnected"
        assert datetime.fromisoformat(first.stopped_at) < datetime.fromisoformat(second.started_at)
        assert second.meter_stop_wh - second.meter_start_wh == pytest.approx(120 * 32 * 208 / 3600, rel=0.02)
        assert (table.csms.ledger.orphans, table.charger.outbox.discarded) == (0, 0)
        if version == "ocpp2.0.1":
            assert first.offline_events >= 2
            assert second.offline_events == len(second.seq_nos)
        boots = table.heard("BootNotification")
        assert len(boots) == 1, "no BootNotification on a plain reconnect"
        table.clean()

    play(version, scene)


def test_a_start_whose_reply_was_lost_is_told_again_and_recognised() -> None:
    async def scene(table: Bench) -> None:
        await table.online()
        table.csms.delay_s = 5.0
        table.evse.plug(HungryCar(), "tag-1")
        await table.until(lambda: len(table.heard("StartTransaction")) == 1)
        table.csms.stop(crash=True)
        table.csms.delay_s = 0.0
        await table.csms.start()
        await table.until(lambda: table.evse.transaction_id is not None)
        assert len(table.heard("StartTransaction")) == 2
        assert table.csms.ledger.repeats == 0, "the reply never left: the first was not booked"
        table.evse.unplug()
        await table.live(5)
        assert [entry.reason for entry in table.csms.ledger.of("CP 001")] == ["EVDisconnected"]

    play("ocpp1.6", scene)


def test_a_start_that_was_booked_and_told_again_keeps_its_number() -> None:
    async def scene(table: Bench) -> None:
        await table.online()
        link = table.network.links[0]
        table.evse.plug(HungryCar(), "tag-1")
        table.csms.journal.clear()
        # The request gets through, the answer does not.
        while not table.heard("StartTransaction"):
            await table.clock.sleep(0)
        link.cut()
        await table.until(lambda: table.evse.transaction_id is not None)
        assert len(table.heard("StartTransaction")) == 2
        assert table.csms.ledger.repeats == 1
        assert len(table.csms.ledger.entries) == 1
        table.clean()

    play("ocpp1.6", scene)


@both
def test_refused_tags(version: str) -> None:
    async def scene(table: Bench) -> None:
        await table.online()
        table.evse.plug(HungryCar(), "stolen")
        await table.live(30)
        assert table.evse.transaction is None
        assert table.evse.current_a == 0.0
        table.evse.unplug()
        # Started offline, found out on arrival: the transaction ends.
        table.charger.go_offline()
        await table.live(5)
        table.evse.plug(HungryCar(), "stolen")
        await table.live(5)
        assert table.evse.current_a == 32.0
        table.charger.go_online()
        await table.until(lambda: table.evse.transaction is None)
        await table.online()
        assert [entry.reason for entry in table.csms.ledger.of("CP 001")] == ["DeAuthorized"]
        table.clean()

    play(version, scene, csms={"refused_tags": {"stolen"}})


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
def test_boot_is_repeated_until_it_is_accepted(version: str) -> None:
    async def scene(table: Bench) -> None:
        table.csms.registrar.boot_status = "Pending"
        await table.live(25)
        assert not table.charger.online
        assert {one.action for one in table.csms.journal} == {"BootNotification"}
        assert len(table.csms.journal) >= 2
        table.csms.registrar.boot_status = "Accepted"
        await table.live(15)
        assert table.charger.online
        table.csms.journal.clear()
        await table.live(31)
        assert len(table.heard("Heartbeat")) in (3, 4)
        table.clean()

    play(version, scene, csms={"heartbeat_s": 10})


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
def test_a_reply_in_error_is_retried_and_then_given_up(version: str) -> None:
    async def scene(table: Bench) -> None:
        await table.online()

        def broken(*_: object) -> dict[str, object]:
            raise ValueError("database is down")

        for answers in table.csms._answers.values():
            for action in ("StartTransaction", "TransactionEvent"):
                if action in answers:
                    answers[action] = broken
        table.evse.plug(HungryCar(), "tag-1")
        await table.live(200)
        assert table.charger.outbox.discarded >= 1
        stamps = [(event.get("seqNo"), event["timestamp"]) for event in table.heard("TransactionEvent")]
        stamps += [(None, event["timestamp"]) for event in table.heard("StartTransaction")]
        assert stamps[:3] == [stamps[0]] * 3, "the same message three times"
        table.clean()

    play(version, scene)


def test_a_busy_csms_is_asked_again() -> None:
    async def scene(table: Bench) -> None:
        await table.online()
        table.csms.one_call_both_ways = True
        table.evse.plug(HungryCar(), "tag-1")
        await table.until(lambda: bool(table.heard("Authorize")), dt_s=0.001)
        # A question of its own stays open for 3 s, and until then it bounces the charger's.
        async with asyncio.TaskGroup() as group:
            group.create_task(table.ask("GetConfiguration", {}))
            await table.live(2.5)
            assert table.evse.transaction_id is None
        await table.live(3)
        assert table.evse.transaction_id is not None
        assert table.charger.outbox.discarded == 0
        line = table.charger.link.line
        assert line is not None
        assert set(line.errors_received) == {"RpcFrameworkError"}
        assert len(table.csms.ledger.entries) == 1

    play("ocpp1.6", scene, behaviour=Behaviour(answers_late_s=3.0), network=MemoryNetwork(delay_s=0.05))


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
