"""What becomes of the CSMS's requests about profiles, one by one; every answer is judged by what the charger holds."""

import json
from datetime import timedelta

import pytest
from csms_bench import NO_CAP, VERSIONS, ask, at_charger, bench_of, told, wanted
from csms_payloads import T0, set_payload
from merge_world import Bench

from domain.events import CsmsCommandWithheld, CsmsLimitChanged, CsmsProfilesChanged
from proxy.protocol.exchange import Call, Exchange, Side
from proxy.protocol.interception import Answered, Rewritten, Waits

# Set.


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("level", "stays"), [(1, True), (7, True), (8, False), (99, False), (0, False)])
def test_a_cap_that_would_stand_above_ours_or_in_its_place_is_kept_here_and_holds(version, level, stays):
    bench = bench_of(version)
    bench.start()
    assert (
        bench.csms("SetChargingProfile", set_payload(version, "cap", [(0, 9.0)], level=level))["status"] == "Accepted"
    )
    assert (at_charger(bench) == {1}) is stays
    assert bench.at_charger.limit_a(1, bench.now) == 9.0
    assert [event.limit_a for event in told(bench, CsmsLimitChanged)] == [9.0]
    last = told(bench, CsmsProfilesChanged)[-1]
    assert [row["owned"] for row in last.profiles] == [not stays]


def test_an_id_of_ours_is_kept_here_and_ours_stays():
    bench = bench_of()
    bench.start()
    payload = set_payload("ocpp1.6", "default", [(0, 8.0)], connector=1, number=9001)
    assert bench.csms("SetChargingProfile", payload)["status"] == "Accepted"
    assert {one.profile_id for one in bench.at_charger.store} == {9001, 9002}
    assert bench.at_charger.limit_a(1, bench.now) == 8.0


def test_what_is_kept_here_is_rejected_when_the_charger_takes_nothing_of_ours():
    bench = bench_of()
    bench.start()
    held = bench.at_charger.limit_a(1, bench.now)
    bench.at_charger.set = lambda payload, at: "Rejected"
    assert bench.csms("SetChargingProfile", set_payload("ocpp1.6", "cap", [(0, 9.0)], level=20)) == {
        "status": "Rejected"
    }
    assert bench.desk.charging.shadow.book == ()
    assert bench.at_charger.limit_a(1, bench.now) == held


def test_a_charger_that_never_answers_does_not_keep_the_csms_waiting():
    bench = bench_of()
    bench.settle = lambda: None
    assert bench.csms("SetChargingProfile", set_payload("ocpp1.6", "cap", [(0, 9.0)])) == {"status": "Rejected"}
    assert bench.now - T0 <= timedelta(seconds=30)
    assert bench.desk.charging.shadow.trial is None


def test_a_new_socket_ends_what_waited():
    bench = bench_of()
    call = Call(
        Side.CSMS, "c", "SetChargingProfile", json.dumps(set_payload("ocpp1.6", "cap", [(0, 9.0)])).encode(), T0
    )
    assert isinstance(bench.desk.on_intercepted(call)[0], Waits)
    bench.connect()
    assert bench.desk.charging.shadow.trial is None
    bench.wait(60.0)
    assert bench.answers == {}


@pytest.mark.parametrize("version", VERSIONS)
def test_a_rise_passes_at_once_and_a_lowering_after_ours(version):
    bench = bench_of(version)
    bench.start()
    bench.csms("SetChargingProfile", set_payload(version, "cap", [(0, 9.0)], level=2))
    for limit, first in ((12.0, "theirs"), (7.0, "ours")):
        bench.frames.clear()
        bench.csms("SetChargingProfile", set_payload(version, "cap", [(0, limit)], level=2))
        number = wanted(bench, bench.frames[0][1]).get("chargingProfileId", wanted(bench, bench.frames[0][1]).get("id"))
        assert (number == 1) == (first == "theirs")
        assert bench.at_charger.limit_a(1, bench.now) == limit


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("evses", [1, 2])
def test_a_rise_that_the_charger_rejects_was_never_ours_to_allow(version, evses):
    bench = bench_of(version, evses=evses, quirks=NO_CAP)
    bench.start()
    old, new = (
        set_payload(version, "default", [(0, limit)], connector=1, number=7, level=level)
        for limit, level in ((8.0, 3), (12.0, 4))
    )
    assert bench.csms("SetChargingProfile", old)["status"] == "Accepted"
    assert bench.at_charger.limit_a(1, bench.now) == 8.0
    takes, seen = bench.at_charger.set, []
    bench.at_charger.set = lambda payload, at: (
        "Rejected" if wanted(bench, payload) == wanted(bench, new) else takes(payload, at)
    )
    bench.check = lambda: seen.append(bench.at_charger.limit_a(1, bench.now))
    assert bench.csms("SetChargingProfile", new)["status"] == "Rejected"
    assert seen
    assert max(seen) == 8.0, "both the old and the new are respected until it is known which is in force"


def test_a_transaction_limit_waits_for_ours_where_it_would_replace_the_low_default():
    bench = bench_of(evses=2)
    tx = bench.start(1)
    payload = set_payload("ocpp1.6", "tx", [(0, 30.0)], connector=1, tx=tx)
    bench.check = lambda: max_at(bench, 16.0)
    assert bench.csms("SetChargingProfile", payload)["status"] == "Accepted"
    assert [action for action, _ in bench.frames][-1] == "SetChargingProfile"
    assert bench.at_charger.limit_a(1, bench.now) == 16.0


def max_at(bench: Bench, amps: float) -> None:
    for connector in bench.at_charger.charges:
        assert bench.at_charger.limit_a(connector, bench.now) <= amps


def test_a_transaction_that_does_not_run_is_none():
    bench = bench_of(evses=2)
    bench.start(1)
    for connector, tx in ((1, 4711), (2, 1)):
        payload = set_payload("ocpp1.6", "tx", [(0, 30.0)], connector=connector, tx=tx)
        assert bench.csms("SetChargingProfile", payload) == {"status": "Rejected"}
    assert [event.action for event in told(bench, CsmsCommandWithheld)] == ["SetChargingProfile"] * 2


@pytest.mark.parametrize(
    ("purpose", "evses", "status"),
    [("LocalGeneration", 1, "Rejected"), ("PriorityCharging", 1, "Accepted"), ("PriorityCharging", 2, "Rejected")],
)
def test_what_would_overrule_ours_is_rejected_with_a_reason(purpose, evses, status):
    bench = bench_of("ocpp2.1", evses=evses)
    payload = set_payload("ocpp2.1", purpose, [(0, 32.0)], connector=0)
    bench.at_charger.set = lambda payload, at: "Accepted"
    bench.theirs.set = lambda payload, at: "Accepted"
    reply = bench.csms("SetChargingProfile", payload)
    assert reply["status"] == status
    assert ("statusInfo" in reply) is (status == "Rejected")
    assert len(told(bench, CsmsCommandWithheld)) == (status == "Rejected")


def test_fewer_phases_of_the_csms_stay_fewer():
    bench = bench_of("ocpp2.0.1", phases=3)
    bench.start()
    bench.csms("SetChargingProfile", set_payload("ocpp2.0.1", "cap", [(0, 20.0)], phases=1))
    (ours,) = [one for one in bench.at_charger.store if one.profile_id == 900001]
    assert next((period.limit, period.number_phases) for period in ours.periods) == (16.0, 1)
    bench.csms("ClearChargingProfile", {"chargingProfileId": 1})
    (ours,) = [one for one in bench.at_charger.store if one.profile_id == 900001]
    assert ours.periods[0].number_phases is None


def test_no_room_is_left_for_a_csms_that_would_take_ours():
    bench = bench_of()
    keys = [{"key": "MaxChargingProfilesInstalled", "readonly": True, "value": "8"}]
    heard = ask(bench, "GetConfiguration", {}, {"configurationKey": keys})
    room = int(heard["configurationKey"][0]["value"])
    for number in range(room):
        made = set_payload("ocpp1.6", "default", [(0, 20.0)], connector=1, number=number, level=number)
        assert bench.csms("SetChargingProfile", made)["status"] == "Accepted"
    made = set_payload("ocpp1.6", "default", [(0, 20.0)], connector=1, number=50, level=7)
    assert bench.csms("SetChargingProfile", made)["status"] == "Rejected"
    bench.csms("SetChargingProfile", set_payload("ocpp1.6", "cap", [(0, 20.0)], number=51))
    assert at_charger(bench) == set(range(room))
    assert len(bench.at_charger.store) + 1 <= 8


# Clear.


@pytest.mark.parametrize("version", VERSIONS)
def test_everything_of_the_csms_goes_and_nothing_of_ours(version):
    bench = bench_of(version)
    tx = bench.start()
    bench.csms("SetChargingProfile", set_payload(version, "cap", [(0, 20.0)], level=3, number=1))
    bench.csms("SetChargingProfile", set_payload(version, "cap", [(0, 9.0)], level=30, number=2))
    bench.csms("SetChargingProfile", set_payload(version, "tx", [(0, 20.0)], connector=1, number=3, tx=tx))
    # Set before the proxy came: nobody here knows of it.
    bench.at_charger.set(set_payload(version, "default", [(0, 19.0)], connector=1, number=4), T0)
    bench.theirs.set(set_payload(version, "default", [(0, 19.0)], connector=1, number=4), T0)
    for purpose in (None,) if version == "ocpp1.6" else ("ChargingStationMaxProfile", "TxProfile", "TxDefaultProfile"):
        criteria = {"chargingProfilePurpose": purpose}
        payload = {} if purpose is None else {"chargingProfileCriteria": criteria}
        bench.check = lambda: max_at(bench, 16.0)
        assert bench.csms("ClearChargingProfile", payload)["status"] == "Accepted"
        assert bench.csms("ClearChargingProfile", payload)["status"] == "Unknown"
    assert at_charger(bench) == set()
    assert {one.profile_id % 100 for one in bench.at_charger.store} == {1, 2}
    assert bench.at_charger.limit_a(1, bench.now) == 16.0


def test_ours_are_unknown_by_id_and_never_reach_the_charger():
    bench = bench_of()
    bench.frames.clear()
    assert bench.csms("ClearChargingProfile", {"id": 9001}) == {"status": "Unknown"}
    assert bench.frames == []


def test_clearing_the_higher_of_two_lowers_first():
    bench = bench_of()
    bench.start()
    bench.csms("SetChargingProfile", set_payload("ocpp1.6", "cap", [(0, 8.0)], level=1, number=1))
    bench.csms("SetChargingProfile", set_payload("ocpp1.6", "cap", [(0, 14.0)], level=2, number=2))
    assert bench.at_charger.limit_a(1, bench.now) == 14.0
    bench.frames.clear()
    assert bench.csms("ClearChargingProfile", {"id": 2})["status"] == "Accepted"
    assert [action for action, _ in bench.frames] == ["SetChargingProfile", "ClearChargingProfile"]
    assert bench.at_charger.limit_a(1, bench.now) == 8.0


# Remote start.


@pytest.mark.parametrize(
    ("version", "action"), [("ocpp1.6", "RemoteStartTransaction"), ("ocpp2.0.1", "RequestStartTransaction")]
)
def test_a_remote_start_with_a_profile_never_lifts_the_limit_of_several_evses(version, action):
    bench = bench_of(version, evses=2, limit_a=6.0)
    made = set_payload(version, "tx", [(0, 30.0)], connector=1, kind="Relative")
    body = wanted(bench, made)
    payload = (
        {"idTag": "T", "connectorId": 1}
        if version == "ocpp1.6"
        else {"idToken": {"idToken": "T", "type": "Local"}, "remoteStartId": 1, "evseId": 1}
    )
    bench.frames.clear()
    assert bench.csms(action, {**payload, "chargingProfile": body})["status"] == "Accepted"
    (start,) = (sent for name, sent in bench.frames if name == action)
    assert "chargingProfile" not in start
    bench.start(1)
    assert bench.at_charger.limit_a(1, bench.now) <= 6.0
    bench.ems(20.0)
    assert bench.at_charger.limit_a(1, bench.now) == 20.0
    bench.ems(32.0)
    assert bench.at_charger.limit_a(1, bench.now) == 30.0
    bench.end(1)
    assert bench.desk.charging.shadow.book == ()


def test_a_remote_start_with_a_low_profile_waits_until_the_default_respects_it():
    bench = bench_of(evses=2, limit_a=16.0)
    body = wanted(bench, set_payload("ocpp1.6", "tx", [(0, 7.0)], connector=1, kind="Relative"))
    payload = {"idTag": "T", "chargingProfile": body}
    bench.frames.clear()
    assert bench.csms("RemoteStartTransaction", payload)["status"] == "Accepted"
    assert bench.frames[-1][0] == "RemoteStartTransaction"
    assert len(bench.frames) > 1
    bench.start(2)
    assert bench.at_charger.limit_a(2, bench.now) == 7.0


def test_a_remote_start_whose_limit_cannot_be_reserved_is_rejected():
    bench = bench_of(evses=2, limit_a=16.0)
    bench.at_charger.set = lambda payload, at: "Rejected"
    body = wanted(bench, set_payload("ocpp1.6", "tx", [(0, 7.0)], connector=1, kind="Relative"))
    assert bench.csms("RemoteStartTransaction", {"idTag": "T", "chargingProfile": body}) == {"status": "Rejected"}
    body = {"chargingProfileId": "nonsense"}
    assert bench.csms("RemoteStartTransaction", {"idTag": "T", "chargingProfile": body}) == {"status": "Rejected"}


def test_a_profile_of_a_start_that_nothing_came_of_is_forgotten():
    bench = bench_of(evses=2, limit_a=16.0)
    body = wanted(bench, set_payload("ocpp1.6", "tx", [(0, 7.0)], connector=1, kind="Relative"))
    bench.csms("RemoteStartTransaction", {"idTag": "T", "connectorId": 1, "chargingProfile": body})
    assert len(bench.desk.charging.shadow.book) == 1
    bench.wait(1000.0)
    assert bench.desk.charging.shadow.book == ()


# 2.1.


def test_a_dynamic_profile_of_the_csms_is_updated_in_order():
    bench = bench_of("ocpp2.1")
    made = set_payload("ocpp2.1", "cap", [(0, 12.0)], start=None)
    made["chargingProfile"]["chargingProfileKind"] = "Dynamic"
    made["chargingProfile"]["stackLevel"] = 40
    bench.theirs.set = lambda payload, at: "Accepted"
    bench.start()
    assert bench.csms("SetChargingProfile", made)["status"] == "Accepted"
    for limit in (9.0, 14.0):
        update = {"chargingProfileId": 1, "scheduleUpdate": {"limit": limit}}
        assert bench.csms("UpdateDynamicSchedule", update)["status"] == "Accepted"
        assert bench.at_charger.limit_a(1, bench.now) == limit
    ours = {"chargingProfileId": 900001, "scheduleUpdate": {"limit": 32.0}}
    assert bench.csms("UpdateDynamicSchedule", ours)["status"] == "Rejected"


@pytest.mark.parametrize(("evses", "answered"), [(1, False), (2, True)])
def test_priority_charging_needs_a_cap(evses, answered):
    bench = bench_of("ocpp2.1", evses=evses)
    call = Call(Side.CSMS, "p", "UsePriorityCharging", b'{"transactionId":"t","activate":true}', T0)
    verdict, _ = bench.desk.on_intercepted(call)
    assert isinstance(verdict, Answered) is answered
    heard = Call(Side.CHARGER, "n", "NotifyPriorityCharging", b'{"transactionId":"t","activated":true}', T0)
    bench._carry_out(bench.desk.on_exchange(Exchange(call, True, b'{"status":"Rejected"}', T0)))
    bench._carry_out(bench.desk.on_call(heard))
    assert [event.by_charger for event in told(bench, CsmsCommandWithheld)] == ([False, True] if answered else [])


# Smart charging switched off.


def test_smart_charging_is_not_switched_off():
    bench = bench_of("ocpp2.0.1")
    data = [
        {"component": {"name": "SmartChargingCtrlr"}, "variable": {"name": "Enabled"}, "attributeValue": "false"},
        {"component": {"name": "TxCtrlr"}, "variable": {"name": "EVConnectionTimeOut"}, "attributeValue": "30"},
    ]
    call = Call(Side.CSMS, "s", "SetVariables", json.dumps({"setVariableData": data}).encode(), T0)
    verdict, _ = bench.desk.on_intercepted(call)
    assert isinstance(verdict, Rewritten)
    assert json.loads(verdict.payload) == {"setVariableData": data[1:]}
    bench._carry_out(bench.desk.on_call(call))
    assert [event.action for event in told(bench, CsmsCommandWithheld)] == ["SetVariables"]
    old = bench_of("ocpp1.6")
    change = Call(Side.CSMS, "s", "ChangeConfiguration", b'{"key":"SmartChargingEnabled","value":"false"}', T0)
    assert isinstance(old.desk.on_intercepted(change)[0], Answered)
