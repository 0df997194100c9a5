"""What 2.1 adds where a station offers it: limits that end by themselves without a link, and dynamic profiles."""

import json

import pytest
from csms_payloads import T0, set_payload
from merge_world import Bench

from domain.events import SetpointAccepted
from proxy.protocol.exchange import Call, Side

CTRLR = {"name": "SmartChargingCtrlr"}


def bench_of(*features: str, version: str = "ocpp2.1", **more) -> Bench:
    """A station that tells of these features; it takes dynamic profiles as absolute ones."""
    bench = Bench(version, **more)
    bench.features = features
    accept, plain = bench.charger_answers, {}

    def answers(action: str, payload: dict) -> dict | None:
        if action == "UpdateDynamicSchedule":
            bench.frames.append((action, payload))
            made = plain[payload["chargingProfileId"]]
            made["chargingProfile"]["chargingSchedule"][0]["chargingSchedulePeriod"][0] |= payload["scheduleUpdate"]
            return {"status": bench.at_charger.set(made, bench.now)}
        if action != "SetChargingProfile":
            return accept(action, payload)
        bench.frames.append((action, json.loads(json.dumps(payload))))
        body = payload["chargingProfile"]
        if body["chargingProfileKind"] == "Dynamic":
            body["chargingProfileKind"] = "Absolute"
            body["chargingSchedule"][0]["startSchedule"] = "1970-01-01T00:00:00Z"
            plain[body["id"]] = payload
        return {"status": bench.at_charger.set(payload, bench.now)}

    bench.charger_answers = answers
    bench.connect()
    bench.connect()  # the fall-back stands where the features want it from the second connection on
    bench.start()
    return bench


def bodies(bench: Bench) -> list[dict]:
    return [payload["chargingProfile"] for action, payload in bench.frames if action == "SetChargingProfile"]


def test_a_limit_ends_by_itself_without_a_link_and_the_fallback_stands_right_under_it():
    bench = bench_of("MaxOfflineDuration")
    bench.ems(16.0)
    by_id = {body["id"]: body for body in bodies(bench)}
    ours, fallback = by_id[900001], by_id[900002]
    assert (ours["maxOfflineDuration"], ours["stackLevel"]) == (300, 8)
    assert ours["chargingSchedule"][0]["chargingSchedulePeriod"] == [{"startPeriod": 0, "limit": 16.0}]
    assert ("maxOfflineDuration" in fallback, fallback["stackLevel"]) == (False, 7)
    assert fallback["chargingSchedule"][0]["chargingSchedulePeriod"] == [{"startPeriod": 0, "limit": 6.0}]
    # Without a link nothing of the CSMS's stands between the two.
    assert bench.csms("SetChargingProfile", set_payload("ocpp2.1", "cap", [(0, 30.0)], level=7))["status"] == "Accepted"
    bench.at_charger.store.clear(lambda one: one.profile_id == ours["id"])
    assert bench.at_charger.limit_a(1, bench.now) == 6.0


def test_an_ems_that_falls_silent_while_the_link_stays_is_replaced_by_the_fallback():
    bench = bench_of("MaxOfflineDuration", "DynamicProfiles")
    bench.ems(16.0)
    bench.wait(299.0)
    assert bench.at_charger.limit_a(1, bench.now) == 16.0
    bench.wait(2.0)
    assert bench.at_charger.limit_a(1, bench.now) == 6.0
    bench.frames.clear()
    bench.wait(3600.0)
    assert bench.frames == []


def test_what_the_csms_is_told_leaves_room_for_both():
    bench = bench_of("MaxOfflineDuration")
    result = {"component": CTRLR, "variable": {"name": "ProfileStackLevel"}, "attributeStatus": "Accepted"}
    reply = json.dumps({"getVariableResult": [{**result, "attributeValue": "8"}]}).encode()
    told = bench.desk.on_reply(Call(Side.CSMS, "g", "GetVariables", b"{}", T0), True, reply)
    assert json.loads(told.payload)["getVariableResult"][0]["attributeValue"] == "6"


def test_a_dynamic_profile_is_written_once_and_updated_then():
    bench = bench_of("MaxOfflineDuration", "DynamicProfiles")
    bench.ems(16.0)
    bench.frames.clear()
    for limit in (10.0, 0.0, 20.0):
        bench.ems(limit)
        assert bench.at_charger.limit_a(1, bench.now) == limit
    assert [action for action, _ in bench.frames] == ["UpdateDynamicSchedule"] * 3
    accepted = [event.limit_a for event in bench.events if isinstance(event, SetpointAccepted)]
    assert accepted == [16.0, 10.0, 0.0, 20.0]


def test_a_csms_whose_limit_changes_with_time_makes_it_absolute_again():
    bench = bench_of("MaxOfflineDuration", "DynamicProfiles")
    bench.ems(16.0)
    bench.csms("SetChargingProfile", set_payload("ocpp2.1", "cap", [(0, 12.0), (600, 9.0)], level=2))
    assert bench.at_charger.limit_a(1, bench.now) == 12.0
    assert bodies(bench)[-1]["chargingProfileKind"] == "Absolute"
    for wait_s in (280.0, 280.0, 140.0):
        bench.wait(wait_s)
        bench.ems(16.0)
    assert bench.at_charger.limit_a(1, bench.now) == 9.0


@pytest.mark.parametrize("version", ["ocpp2.0.1", "ocpp1.6"])
def test_older_versions_keep_the_dead_man_step(version):
    bench = Bench(version)
    bench.desk.charging.features.max_offline = bench.desk.charging.features.dynamic = True
    bench.connect()
    bench.ems(16.0)
    assert "maxOfflineDuration" not in json.dumps(bench.frames)
    assert "Dynamic" not in json.dumps(bench.frames)


def test_a_station_that_refuses_what_it_offered_gets_absolute_profiles():
    bench = bench_of("MaxOfflineDuration", "DynamicProfiles")
    answers = bench.charger_answers

    def refuse(action: str, payload: dict) -> dict | None:
        if action == "UpdateDynamicSchedule":
            return {"status": "Rejected"}
        return answers(action, payload)

    bench.ems(16.0)
    bench.charger_answers = refuse
    bench.ems(10.0)
    assert bench.at_charger.limit_a(1, bench.now) == 10.0
    assert bodies(bench)[-1]["chargingProfileKind"] == "Absolute"
