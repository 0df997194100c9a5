"""The CSMS's own limits, as they pass: told when they change, gone when they are cleared or their transaction ends."""

import json
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from domain.events import CsmsLimitChanged
from domain.ids import ChargerId, EvseId, FeederId
from domain.site import PHASES, Charger, Evse
from proxy.protocol.desk import ChargerDesk
from proxy.protocol.exchange import Call, Exchange, Side

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)


def desk_of(evses: int = 1, version: str = "ocpp1.6") -> ChargerDesk:
    identity, numbers = ChargerId("CP"), count()
    made = tuple(Evse(EvseId(f"P{n}"), identity, n, FeederId("p"), PHASES[:2]) for n in range(1, evses + 1))
    return ChargerDesk(Charger(identity, made), version, lambda: f"t{next(numbers)}", transactions={1: "7"})


def profile(purpose: str, limit: float, level: int = 0, number: int = 1, **more) -> dict:
    schedule = {"chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": limit}]}
    return {
        "chargingProfileId": number,
        "stackLevel": level,
        "chargingProfilePurpose": purpose,
        "chargingProfileKind": "Absolute",
        "chargingSchedule": schedule | more.pop("schedule", {}),
        **more,
    }


def ask(desk: ChargerDesk, action: str, payload: dict, status: str = "Accepted", at: datetime = T0) -> list:
    call = Call(Side.CSMS, "c", action, json.dumps(payload).encode(), at)
    events = desk.on_exchange(Exchange(call, True, json.dumps({"status": status}).encode(), at))
    return [(e.connector, e.limit_a) for e in events if isinstance(e, CsmsLimitChanged)]


def put(desk: ChargerDesk, connector: int, body: dict, status: str = "Accepted") -> list:
    return ask(desk, "SetChargingProfile", {"connectorId": connector, "csChargingProfiles": body}, status)


def test_a_cap_and_a_transaction_limit_take_the_lower():
    desk = desk_of()
    assert put(desk, 0, profile("ChargePointMaxProfile", 25.0)) == [(1, 25.0)]
    assert put(desk, 1, profile("TxDefaultProfile", 10.0, number=2)) == [(1, 10.0)]
    assert put(desk, 1, profile("TxProfile", 16.0, number=3, transactionId=7)) == [(1, 16.0)]
    assert put(desk, 1, profile("TxProfile", 16.0, number=3, transactionId=7)) == []
    stop = Call(Side.CHARGER, "s", "StopTransaction", b'{"transactionId":7}', T0)
    limits = [e.limit_a for e in desk.on_call(stop) if isinstance(e, CsmsLimitChanged)]
    assert limits == [10.0]
    assert ask(desk, "ClearChargingProfile", {"id": 2}) == [(1, 25.0)]
    assert ask(desk, "ClearChargingProfile", {}) == [(1, None)]
    assert ask(desk, "ClearChargingProfile", {}) == []


@pytest.mark.parametrize("status", ["Rejected", "NotSupported", "", "accepted"])
def test_what_the_charger_did_not_accept_is_no_limit(status):
    assert put(desk_of(), 0, profile("ChargePointMaxProfile", 25.0), status) == []


def test_same_purpose_level_and_connector_replaces_under_another_id():
    desk = desk_of()
    put(desk, 0, profile("ChargePointMaxProfile", 25.0, number=1))
    assert put(desk, 0, profile("ChargePointMaxProfile", 30.0, number=2)) == [(1, 30.0)]


def test_watts_over_two_legs():
    body = profile("ChargePointMaxProfile", 3328.0, schedule={"chargingRateUnit": "W"})
    assert put(desk_of(), 0, body) == [(1, pytest.approx(16.0))]


def test_several_evses_hear_of_the_cap_each_and_for_the_whole():
    assert put(desk_of(2), 0, profile("ChargePointMaxProfile", 25.0)) == [(1, 25.0), (2, 25.0), (0, 25.0)]
    assert put(desk_of(2), 2, profile("TxDefaultProfile", 9.0)) == [(2, 9.0)]


def test_a_limit_that_time_ends_is_told_with_the_next_message():
    desk = desk_of()
    body = profile("TxDefaultProfile", 9.0, schedule={"duration": 60, "startSchedule": "2026-03-01T12:00:00Z"})
    assert put(desk, 1, body) == [(1, 9.0)]
    later = T0 + timedelta(seconds=61)
    status = Call(Side.CHARGER, "s", "StatusNotification", b'{"connectorId":1,"status":"Charging"}', later)
    assert CsmsLimitChanged(ChargerId("CP"), 1, later, None) in desk.on_call(status)


def test_a_profile_that_comes_with_a_remote_start_belongs_to_the_transaction_that_follows():
    desk = desk_of()
    desk.on_call(Call(Side.CHARGER, "s", "StopTransaction", b'{"transactionId":7}', T0))
    body = profile("TxProfile", 12.0)
    assert ask(desk, "RemoteStartTransaction", {"idTag": "T", "chargingProfile": body}) == []
    start = Call(Side.CHARGER, "s", "StartTransaction", b'{"connectorId":1,"idTag":"T"}', T0)
    events = desk.on_exchange(Exchange(start, True, b'{"transactionId":8,"idTagInfo":{"status":"Accepted"}}', T0))
    assert [e.limit_a for e in events if isinstance(e, CsmsLimitChanged)] == [12.0]
    events = desk.on_call(Call(Side.CHARGER, "s", "StopTransaction", b'{"transactionId":8}', T0))
    assert [e.limit_a for e in events if isinstance(e, CsmsLimitChanged)] == [None]


def test_version_2_words():
    desk = desk_of(version="ocpp2.0.1")
    schedule = {"id": 1, "chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 20.0}]}
    body = {
        "id": 5,
        "stackLevel": 1,
        "chargingProfilePurpose": "ChargingStationMaxProfile",
        "chargingProfileKind": "Absolute",
        "chargingSchedule": [schedule],
    }
    assert ask(desk, "SetChargingProfile", {"evseId": 0, "chargingProfile": body}) == [(1, 20.0)]
    other = {"chargingProfileCriteria": {"chargingProfilePurpose": "TxDefaultProfile"}}
    assert ask(desk, "ClearChargingProfile", other) == []
    assert ask(desk, "ClearChargingProfile", {"chargingProfileCriteria": {"evseId": 0, "stackLevel": 1}}) == [(1, None)]


def test_profiles_are_bounded():
    desk = desk_of()
    for number in range(1000):
        put(desk, 0, profile("ChargePointMaxProfile", 25.0, level=number, number=number))
    assert len(desk.charging.shadow.book) <= 256
