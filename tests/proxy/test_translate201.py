"""2.0.1 and 2.1 messages -> events: what a transaction tells only once is remembered, history is not the present."""

import json
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.events import ChargerBooted, EvseMetered, EvseStatusChanged, SessionEnded, SessionStarted
from domain.ids import ChargerId, EvseId, FeederId
from domain.session import EvseState
from domain.site import PHASES, Charger, Evse
from proxy.protocol.desk import ChargerDesk
from proxy.protocol.exchange import Call, Exchange, OwnCall, Side

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)
TX = "b3f1c2d4-0000-4000-8000-000000000001"


def desk_of(evses: int = 2, version: str = "ocpp2.0.1", **more) -> ChargerDesk:
    identity, numbers = ChargerId("CS"), count()
    made = tuple(Evse(EvseId(f"P{n}"), identity, n, FeederId("p"), PHASES) for n in range(1, evses + 1))
    return ChargerDesk(Charger(identity, made), version, lambda: f"t{next(numbers)}", **more)


def call(action: str, payload: object, at: datetime = T0) -> Call:
    return Call(Side.CHARGER, "m1", action, json.dumps(payload).encode(), at)


def event(kind: str, *, tx: str = TX, info: dict | None = None, **more) -> dict:
    return {
        "eventType": kind,
        "timestamp": "2026-03-01T12:00:00Z",
        "triggerReason": "Authorized",
        "seqNo": 0,
        "transactionInfo": {"transactionId": tx, **(info or {})},
        **more,
    }


def tell(desk: ChargerDesk, payload: dict, reply: dict | None = None, ok: bool = True, at: datetime = T0) -> list:
    """The CALL, then its reply: all events."""
    asked = call("TransactionEvent", payload, at)
    return [
        *desk.on_call(asked),
        *desk.on_exchange(Exchange(asked, ok, json.dumps(reply or {}).encode(), at, 3.25)),
    ]


def meter(*values: tuple[str, float, str | None], at: str = "2026-03-01T12:00:00Z") -> list:
    return [{"timestamp": at, "sampledValue": [{"measurand": m, "value": v, "phase": p} for m, v, p in values]}]


ENERGY = "Energy.Active.Import.Register"
CURRENT = "Current.Import"


@pytest.mark.parametrize("version", ["ocpp2.0.1", "ocpp2.1"])
def test_the_life_of_a_transaction(version):
    desk = desk_of(version=version)
    began = event(
        "Started",
        info={"chargingState": "EVConnected"},
        evse={"id": 2, "connectorId": 1},
        idToken={"idToken": "TAG", "type": "ISO14443"},
        meterValue=meter((ENERGY, 1200.0, None)),
    )
    told = tell(desk, began, {"idTokenInfo": {"status": "Accepted"}})
    assert [type(e) for e in told] == [EvseStatusChanged, EvseMetered, SessionStarted]
    assert told[0].state is EvseState.PREPARING
    assert told[2] == SessionStarted(ChargerId("CS"), 2, T0, TX, "TAG", 1200.0, 3.25)
    # Neither EVSE nor token from here on: both are remembered.
    going = event("Updated", info={"chargingState": "Charging"}, meterValue=meter((CURRENT, 14.0, "L1")))
    state, metered = tell(desk, going)
    assert (state.connector, state.state) == (2, EvseState.CHARGING)
    assert (metered.connector, metered.transaction_id, metered.sample.current_a) == (2, TX, 14.0)
    assert [type(e) for e in tell(desk, going)] == [EvseMetered]
    over = event(
        "Ended",
        info={"chargingState": "EVConnected", "stoppedReason": "EVDisconnected"},
        meterValue=meter((ENERGY, 9000.0, None)),
    )
    ended, finishing = tell(desk, over)
    assert ended == SessionEnded(ChargerId("CS"), 2, T0, TX, 9000.0, "EVDisconnected")
    assert finishing.state is EvseState.FINISHING
    assert desk.running == {}


@pytest.mark.parametrize("status", ["Invalid", "Blocked", "Unknown", "NoCredit"])
def test_a_refused_token_starts_no_session_until_it_is_accepted(status):
    desk = desk_of()
    began = event("Started", evse={"id": 1}, idToken={"idToken": "TAG", "type": "Central"})
    assert tell(desk, began, {"idTokenInfo": {"status": status}}) == []
    assert tell(desk, event("Updated")) == []
    (started,) = tell(desk, event("Updated", idToken={"idToken": "OK"}), {"idTokenInfo": {"status": "Accepted"}})
    assert (started.connector, started.id_tag) == (1, "OK")


def test_a_refused_transaction_that_ends_ends_no_session():
    desk = desk_of()
    tell(desk, event("Started", evse={"id": 1}), {"idTokenInfo": {"status": "Invalid"}})
    assert tell(desk, event("Ended")) == []


def test_an_unanswered_or_failed_start_starts_no_session():
    desk = desk_of()
    began = event("Started", evse={"id": 1})
    assert desk.on_call(call("TransactionEvent", began)) == []
    assert tell(desk, began, ok=False) == []
    assert [type(e) for e in tell(desk, began)] == [SessionStarted]
    assert tell(desk, began) == []


def test_the_evse_may_become_known_later():
    desk = desk_of()
    assert tell(desk, event("Started", idToken={"idToken": "TAG"})) == []
    (started,) = tell(desk, event("Updated", evse={"id": 1}))
    assert (started.connector, started.id_tag) == (1, "TAG")
    (only,) = tell(desk_of(1), event("Started"))
    assert only.connector == 1


def test_offline_values_and_states_are_history_but_the_session_is_not():
    desk = desk_of()
    past = {"offline": True, "meterValue": meter((CURRENT, 14.0, None))}
    info = {"chargingState": "Charging"}
    assert [type(e) for e in tell(desk, event("Started", info=info, evse={"id": 1}, **past))] == [SessionStarted]
    assert tell(desk, event("Updated", info=info, **past)) == []
    assert [type(e) for e in tell(desk, event("Ended", info=info, **past))] == [SessionEnded]
    # History revives nothing that is not known.
    assert tell(desk, event("Updated", tx="other", info=info, evse={"id": 1}, **past)) == []


def test_a_transaction_that_ran_before_the_proxy_is_discovered_once_and_not_after_its_end():
    desk = desk_of()
    going = event("Updated", evse={"id": 2})
    assert [type(e) for e in tell(desk, going)] == [SessionStarted]
    assert tell(desk, going) == []
    tell(desk, event("Ended"))
    assert tell(desk, going) == []
    assert tell(desk_of(transactions={2: TX}), going) == []


def test_a_newer_transaction_at_an_evse_ends_the_older():
    desk = desk_of()
    tell(desk, event("Started", tx="old", evse={"id": 1}))
    ended, started = tell(desk, event("Started", tx="new", evse={"id": 1}))
    assert (ended.transaction_id, started.transaction_id) == ("old", "new")
    assert desk.running == {1: "new"}


def test_the_phases_that_are_used_divide_a_power():
    desk = desk_of(1)
    tell(desk, event("Started", numberOfPhasesUsed=1))
    (metered,) = tell(desk, event("Updated", meterValue=meter(("Power.Active.Import", 1200.0, None))))
    assert metered.sample.current_a == pytest.approx(1200.0 / (208.0 / 3**0.5))


def test_meter_values_belong_to_the_transaction_at_the_evse():
    desk = desk_of(transactions={2: TX})
    payload = {"evseId": 2, "meterValue": meter((CURRENT, 6.0, "L1"), (CURRENT, 7.0, "L2"))}
    (metered,) = desk.on_call(call("MeterValues", payload))
    assert (metered.connector, metered.transaction_id, metered.sample.line_a) == (2, TX, (6.0, 7.0))
    assert desk.on_call(call("MeterValues", {**payload, "evseId": 0})) == []
    assert desk.on_call(call("MeterValues", {**payload, "evseId": 9})) == []


def status(evse: int, state: str, connector: int = 1) -> Call:
    return call("StatusNotification", {"evseId": evse, "connectorId": connector, "connectorStatus": state})


@pytest.mark.parametrize(
    ("word", "state"),
    [
        ("Available", EvseState.AVAILABLE),
        ("Occupied", EvseState.PREPARING),
        ("Reserved", EvseState.RESERVED),
        ("Unavailable", EvseState.UNAVAILABLE),
        ("Faulted", EvseState.FAULTED),
        ("Dancing", EvseState.UNKNOWN),
    ],
)
def test_connector_states(word, state):
    (told,) = desk_of().on_call(status(1, word))
    assert (told.connector, told.state) == (1, state)


def test_occupied_says_less_than_a_charging_state():
    desk = desk_of()
    tell(desk, event("Started", info={"chargingState": "SuspendedEV"}, evse={"id": 1}))
    assert desk.on_call(status(1, "Occupied")) == []
    assert desk.on_call(status(1, "Available", connector=2)) == []
    tell(desk, event("Ended"))
    assert desk.on_call(status(1, "Occupied")) == []
    (told,) = desk.on_call(status(1, "Faulted"))
    assert told.state is EvseState.AVAILABLE  # its other plug is free
    (told,) = desk.on_call(status(1, "Faulted", connector=2))
    assert told.state is EvseState.FAULTED


def test_an_evse_with_a_free_and_an_occupied_plug_is_occupied():
    desk = desk_of()
    desk.on_call(status(1, "Occupied", connector=1))
    assert desk.on_call(status(1, "Available", connector=2)) == []
    (told,) = desk.on_call(status(1, "Available", connector=1))
    assert told.state is EvseState.AVAILABLE


def test_states_are_told_anew_on_a_new_socket():
    desk = desk_of()
    going = event("Started", info={"chargingState": "Charging"}, evse={"id": 1})
    tell(desk, going)
    assert tell(desk, going) == []
    desk.connected(T0)
    assert [type(e) for e in tell(desk, going)] == [EvseStatusChanged]


def test_idle_means_that_no_car_is_connected():
    desk = desk_of()
    tell(desk, event("Started", info={"chargingState": "Charging"}, evse={"id": 1}))
    _, state = tell(desk, event("Ended", info={"chargingState": "Idle"}))
    assert state.state is EvseState.AVAILABLE


def test_boot():
    desk = desk_of()
    station = {"vendorName": "V", "model": "M", "firmwareVersion": "1.2"}
    asked = call("BootNotification", {"reason": "PowerUp", "chargingStation": station})
    reply = {"status": "Accepted", "currentTime": "2026-03-01T12:00:30Z", "interval": 300}
    booted, *orders = desk.on_exchange(Exchange(asked, True, json.dumps(reply).encode(), T0))
    assert all(isinstance(order, OwnCall) for order in orders)  # limits anew, and what stands there
    assert booted == ChargerBooted(ChargerId("CS"), T0, "V", "M", "1.2", True)
    assert (desk.clock.known, desk.clock.offset_s) == (True, 30.0)


def test_the_stack_level_that_a_station_reports_is_read():
    desk = desk_of()
    result = {
        "attributeStatus": "Accepted",
        "component": {"name": "SmartChargingCtrlr"},
        "variable": {"name": "ProfileStackLevel"},
        "attributeValue": "20",
    }
    asked = Call(Side.CSMS, "g", "GetVariables", b"{}", T0)
    desk.on_reply(asked, True, json.dumps({"getVariableResult": [result]}).encode())
    assert (desk.capability.max_level, desk.capability.level) == (20, 20)


def test_a_flood_of_transactions_is_bounded():
    desk = desk_of()
    for n in range(1000):
        tell(desk, event("Started", tx=f"t{n}", evse={"id": 900 + n % 90}), at=T0 + timedelta(seconds=n))
    assert len(desk._transactions._running) <= 64


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(["Started", "Updated", "Ended", "Charging", "Occupied", "2026-03-01T12:00:00Z", "1e999"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


def mangled(value: object, draw) -> object:
    """The same document with some leaves and branches replaced by nonsense."""
    if draw(st.integers(0, 6)) == 0:
        return draw(JSON)
    if isinstance(value, dict):
        return {key: mangled(item, draw) for key, item in value.items()}
    return [mangled(item, draw) for item in value] if isinstance(value, list) else value


SCHEDULE = {
    "id": 1,
    "startSchedule": "2026-03-01T12:00:00Z",
    "duration": 60,
    "chargingRateUnit": "W",
    "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 7000.0, "numberPhases": 3}],
}
PROFILE = {
    "id": 4,
    "stackLevel": 2,
    "chargingProfilePurpose": "ChargingStationMaxProfile",
    "chargingProfileKind": "Absolute",
    "chargingSchedule": [SCHEDULE],
}
REAL = {
    "TransactionEvent": event(
        "Started",
        info={"chargingState": "Charging"},
        evse={"id": 1},
        idToken={"idToken": "T"},
        numberOfPhasesUsed=3,
        meterValue=meter((CURRENT, 14.0, "L1"), (ENERGY, 1.0, None)),
    ),
    "MeterValues": {"evseId": 1, "meterValue": meter((CURRENT, 14.0, "L1"))},
    "StatusNotification": {"evseId": 1, "connectorId": 1, "connectorStatus": "Occupied"},
    "BootNotification": {"reason": "PowerUp", "chargingStation": {"vendorName": "V", "model": "M"}},
    "Heartbeat": {},
    "SetChargingProfile": {"evseId": 0, "chargingProfile": PROFILE},
    "ClearChargingProfile": {"chargingProfileCriteria": {"evseId": 0, "stackLevel": 2}},
    "RequestStartTransaction": {"evseId": 1, "chargingProfile": PROFILE},
    "GetVariables": {},
}
FROM_CSMS = {"SetChargingProfile", "ClearChargingProfile", "RequestStartTransaction", "GetVariables"}
REPLY = {
    "status": "Accepted",
    "currentTime": "2026-03-01T12:00:00Z",
    "idTokenInfo": {"status": "Accepted"},
    "getVariableResult": [{"component": {"name": "SmartChargingCtrlr"}, "variable": {"name": "ProfileStackLevel"}}],
}


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from(sorted(REAL)), min_size=1, max_size=4), st.data())
def test_no_nonsense_ever_raises(actions, data):
    desk = desk_of(data.draw(st.integers(1, 2)))
    for n, action in enumerate(actions):
        side = Side.CSMS if action in FROM_CSMS else Side.CHARGER
        payload = json.dumps(mangled(REAL[action], data.draw)).encode()
        asked = Call(side, "m", action, payload, T0 + timedelta(seconds=n))
        reply = json.dumps(mangled(REPLY, data.draw)).encode()
        events = [*desk.on_call(asked), *desk.on_exchange(Exchange(asked, data.draw(st.booleans()), reply, asked.at))]
        assert len(events) <= 32
