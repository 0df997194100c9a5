"""A simulated charge point without its link, after lost replies, and with a CSMS that refuses, delays or errs."""

import asyncio
from datetime import datetime, timedelta

import pytest
from bench_site import START, Bench, HungryCar, both, play

from simulators.behaviour import Behaviour
from simulators.network import MemoryNetwork


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
