"""What the CSMS is told of a charger that it shares with us, what it keeps over time, boots and restarts."""

import json
from datetime import timedelta

import pytest
from csms_bench import NO_CAP, VERSIONS, ask, at_charger, bench_of, told
from csms_payloads import T0, set_payload
from merge_world import Bench

from domain.events import CsmsLimitChanged, CsmsProfilesChanged
from proxy.protocol.exchange import Call, Side
from simulators.behaviour import Behaviour

# What the CSMS is told of the charger.


def test_the_level_and_the_places_that_are_ours_are_not_told_in_16():
    bench = bench_of()
    reply = {
        "configurationKey": [
            {"key": "ChargeProfileMaxStackLevel", "readonly": True, "value": "8"},
            {"key": "MaxChargingProfilesInstalled", "readonly": True, "value": "20"},
            {"key": "HeartbeatInterval", "readonly": False, "value": "300"},
        ],
        "unknownKey": [],
    }
    heard = ask(bench, "GetConfiguration", {}, reply)
    assert [key["value"] for key in heard["configurationKey"]] == ["7", "17", "300"]
    assert ask(bench, "GetConfiguration", {}, {"unknownKey": ["x"]}) == {"unknownKey": ["x"]}


@pytest.mark.parametrize("version", VERSIONS[1:])
def test_nor_in_2(version):
    bench = bench_of(version)

    def variable(name: str, instance: str | None = None) -> dict:
        named = {"name": name} if instance is None else {"name": name, "instance": instance}
        return {"component": {"name": "SmartChargingCtrlr"}, "variable": named}

    level = {**variable("ProfileStackLevel"), "attributeStatus": "Accepted", "attributeValue": "8"}
    count = {**variable("Entries", "ChargingProfiles"), "attributeStatus": "Accepted", "attributeValue": "5"}
    asked = {"getVariableData": [variable("ProfileStackLevel"), variable("Entries", "ChargingProfiles")]}
    heard = ask(bench, "GetVariables", asked, {"getVariableResult": [level, count]})
    assert [one["attributeValue"] for one in heard["getVariableResult"]] == ["7", "3"]
    item = {
        **variable("Entries", "ChargingProfiles"),
        "variableAttribute": [{"type": "Actual", "value": "5"}],
        "variableCharacteristics": {"dataType": "integer", "maxLimit": 20.0, "supportsMonitoring": False},
    }
    report = {"requestId": 1, "generatedAt": "2026-03-01T12:00:00Z", "seqNo": 0, "tbc": False, "reportData": [item]}
    call = Call(Side.CHARGER, "n", "NotifyReport", json.dumps(report).encode(), T0)
    verdict, _ = bench.desk.on_intercepted(call)
    told_ = json.loads(verdict.payload)["reportData"][0]
    bench.validate("NotifyReport", json.loads(verdict.payload))
    assert told_["variableAttribute"][0]["value"] == "3"
    assert told_["variableCharacteristics"]["maxLimit"] == 17.0
    other = {**report, "reportData": [{**item, **variable("RateUnit")}]}
    assert bench.desk.on_intercepted(Call(Side.CHARGER, "n", "NotifyReport", json.dumps(other).encode(), T0))[0] is None


@pytest.mark.parametrize("version", VERSIONS[1:])
def test_a_report_of_profiles_has_all_of_the_csms_and_none_of_ours(version):
    bench = bench_of(version)
    assert ask(bench, "GetChargingProfiles", {"requestId": 1, "chargingProfile": {}}, {"status": "Accepted"}) == {
        "status": "NoProfiles"
    }
    bench.csms("SetChargingProfile", set_payload(version, "default", [(0, 20.0)], connector=1, number=1))
    bench.csms("SetChargingProfile", set_payload(version, "cap", [(0, 20.0)], level=30, number=2))
    for criteria, ids in (
        ({}, {1, 2}),
        ({"stackLevel": 30}, {2}),
        ({"chargingProfileId": [1]}, {1}),
        ({"stackLevel": 5}, set()),
    ):
        bench.up.clear()
        reply = bench.csms("GetChargingProfiles", {"requestId": 7, "chargingProfile": criteria})
        assert reply["status"] == ("Accepted" if ids else "NoProfiles")
        reports = [call.payload for call in bench.up]
        assert {body["id"] for report in reports for body in report["chargingProfile"]} == ids
        assert [report["tbc"] for report in reports] == [True] * (len(reports) - 1) + [False] * bool(reports)


@pytest.mark.parametrize("version", VERSIONS[1:])
def test_what_stood_at_the_charger_before_is_learnt_and_respected(version):
    bench = Bench(version, quirks=Behaviour(max_stack_level=10))
    bench.at_charger.set(set_payload(version, "cap", [(0, 9.0)], level=3, number=77), T0)
    bench.at_charger.set(set_payload(version, "cap", [(0, 8.0)], level=9, number=78, duration=600), T0)
    bench.connect()
    bench.ems(16.0)
    bench.ems(16.0)
    bench.start()
    assert bench.desk.charging.shadow.complete
    assert bench.at_charger.limit_a(1, bench.now) == 8.0
    assert at_charger(bench) == {77}


# GetCompositeSchedule.


@pytest.mark.parametrize("unit", ["A", "W"])
@pytest.mark.parametrize("version", VERSIONS)
def test_the_composite_schedule_shows_what_is_expected_and_no_dead_man_step(version, unit):
    bench = bench_of(version, limit_a=16.0)
    bench.start()
    bench.csms("SetChargingProfile", set_payload(version, "cap", [(0, 40.0), (1800, 10.0)], level=2))
    scale = 208.0 if unit == "W" else 1.0
    periods = [{"startPeriod": 0, "limit": 16.0 * scale}, {"startPeriod": 300, "limit": 6.0 * scale}]
    if version == "ocpp1.6":
        schedule = {
            "duration": 3600,
            "startSchedule": "2026-03-01T12:00:00Z",
            "chargingRateUnit": unit,
            "chargingSchedulePeriod": periods,
        }
        reply = {
            "status": "Accepted",
            "connectorId": 1,
            "scheduleStart": "2026-03-01T12:00:00Z",
            "chargingSchedule": schedule,
        }
        heard = ask(bench, "GetCompositeSchedule", {"connectorId": 1, "duration": 3600}, reply)["chargingSchedule"]
        assert "startSchedule" not in heard
    else:
        schedule = {
            "evseId": 1,
            "duration": 3600,
            "scheduleStart": "2026-03-01T12:00:00Z",
            "chargingRateUnit": unit,
            "chargingSchedulePeriod": periods,
        }
        reply = {"status": "Accepted", "schedule": schedule}
        heard = ask(bench, "GetCompositeSchedule", {"evseId": 1, "duration": 3600}, reply)["schedule"]
    assert [(p["startPeriod"], p["limit"]) for p in heard["chargingSchedulePeriod"]] == [
        (0, 16.0 * scale),
        (1800, 10.0 * scale),
    ]


@pytest.mark.parametrize("reply", [{"status": "Rejected"}, {"status": "Accepted"}])
def test_a_composite_schedule_that_is_none_passes(reply):
    assert ask(bench_of(), "GetCompositeSchedule", {"connectorId": 1, "duration": 600}, reply) == reply


# Telling the CSMS of ours.


@pytest.mark.parametrize("version", VERSIONS)
def test_the_csms_hears_of_our_limits_where_the_site_wants_it(version):
    bench = Bench(version, notify_limits=True)
    bench.connect()
    for limit, wait_s in ((16.0, 1.0), (16.5, 1.0), (20.0, 1.0), (8.0, 61.0), (20.0, 61.0), (32.0, 1.0)):
        bench.ems(limit)
        bench.wait(wait_s)
    heard = [
        (call.action, call.payload.get("chargingSchedule", [{"chargingSchedulePeriod": [{"limit": None}]}])[0])
        for call in bench.up
    ]
    told_ = [(action, schedule["chargingSchedulePeriod"][0]["limit"]) for action, schedule in heard]
    notices = [("NotifyChargingLimit", limit) for limit in (16.0, 8.0, 20.0)]
    assert told_ == ([] if version == "ocpp1.6" else [*notices, ("ClearedChargingLimit", None)])


# Time and restarts.


def test_a_limit_of_the_csms_that_time_changes_is_told_when_it_changes():
    bench = bench_of()
    bench.csms("SetChargingProfile", set_payload("ocpp1.6", "cap", [(0, 20.0), (120, 9.0)], duration=300))
    bench.events.clear()
    bench.wait(1000.0)
    assert [(event.limit_a, event.at) for event in told(bench, CsmsLimitChanged)] == [
        (9.0, T0 + timedelta(seconds=120)),
        (None, T0 + timedelta(seconds=300)),
    ]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_restart_brings_the_shadow_back(version):
    bench = bench_of(version)
    bench.start()
    bench.csms("SetChargingProfile", set_payload(version, "cap", [(0, 9.0)], level=30, number=1))
    bench.csms("SetChargingProfile", set_payload(version, "cap", [(0, 20.0)], level=3, number=2))
    rows = json.loads(json.dumps(told(bench, CsmsProfilesChanged)[-1].profiles))
    again = Bench(version, stored=tuple(rows))
    again.at_charger, again.theirs = bench.at_charger, bench.theirs
    again.connect()
    again.ems(16.0)
    assert again.at_charger.limit_a(1, again.now) == 9.0
    assert again.desk.charging.shadow.book == bench.desk.charging.shadow.book


def test_a_charger_without_a_cap_holds_a_cap_of_the_csms_no_more_than_it_would_alone():
    bench = bench_of(quirks=NO_CAP)
    assert bench.csms("SetChargingProfile", set_payload("ocpp1.6", "cap", [(0, 9.0)]))["status"] == "Rejected"


@pytest.mark.parametrize("version", VERSIONS)
def test_a_charger_that_forgets_its_profiles_over_a_boot_is_held_all_the_same(version):
    bench = bench_of(version, quirks=Behaviour(forgets_profiles_on_boot=True))
    bench.start()
    bench.csms("SetChargingProfile", set_payload(version, "cap", [(0, 9.0)], level=30, number=1))
    bench.csms("SetChargingProfile", set_payload(version, "cap", [(0, 8.0)], level=3, number=2))
    bench.csms("SetChargingProfile", set_payload(version, "cap", [(0, 7.0)], level=31, number=3))
    bench.at_charger.store.boot()
    bench.theirs.store.clear(lambda one: one.profile_id == 2)
    station = {"chargePointVendor": "V", "chargePointModel": "M"}
    if version != "ocpp1.6":
        station = {"chargingStation": {"vendorName": "V", "model": "M"}, "reason": "PowerUp"}
    bench._said("BootNotification", station, {"status": "Accepted", "currentTime": "2026-03-01T12:00:00Z"})
    bench.settle()
    assert bench.at_charger.limit_a(1, bench.now) == 7.0
    bench.csms("ClearChargingProfile", {"id" if version == "ocpp1.6" else "chargingProfileId": 3})
    assert bench.at_charger.limit_a(1, bench.now) == 9.0


def test_a_profile_that_the_charger_does_not_let_go_is_cleared_again_later():
    bench = bench_of()
    bench.start()
    bench.csms("SetChargingProfile", set_payload("ocpp1.6", "cap", [(0, 20.0)], level=2, number=1))
    clear, bench.at_charger.clear = bench.at_charger.clear, lambda payload: "NotImplemented"
    bench.csms("SetChargingProfile", set_payload("ocpp1.6", "cap", [(0, 12.0)], level=30, number=1))
    assert at_charger(bench) == {1}
    bench.frames.clear()
    bench.wait(50.0)
    assert bench.frames == []
    bench.at_charger.clear = clear
    bench.wait(20.0)
    assert at_charger(bench) == set()
    bench.frames.clear()
    bench.wait(200.0)
    assert "ClearChargingProfile" not in [action for action, _ in bench.frames]


def test_a_transaction_whose_end_nobody_heard_leaves_no_profile_behind():
    bench = bench_of(evses=2)
    tx = bench.start(1)
    bench.csms("SetChargingProfile", set_payload("ocpp1.6", "tx", [(0, 9.0)], connector=1, tx=tx, level=30))
    rows = tuple(json.loads(json.dumps(told(bench, CsmsProfilesChanged)[-1].profiles)))
    again = Bench(evses=2, stored=rows)
    again.connect()
    assert [kept.profile.transaction_id for kept in again.desk.charging.shadow.book] == [str(tx)]
    again._ids = iter(range(500, 600))
    again.start(1)
    assert again.desk.charging.shadow.book == ()
