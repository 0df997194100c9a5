"""1.6 messages -> events: the field's quirks as a table, the life of a transaction, and nonsense without end."""

import json
import os
from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.events import ChargerBooted, EvseMetered, EvseStatusChanged, SessionEnded, SessionStarted
from domain.ids import ChargerId, EvseId, FeederId
from domain.session import EvseState
from domain.site import PHASES, Charger, Evse
from proxy.protocol.desk import ChargerDesk
from proxy.protocol.exchange import Call, Exchange, OwnCall, OwnOutcome, Side

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)
QUIRK_AT = datetime(2025, 1, 15, 18, 9, tzinfo=UTC)
EXCERPT = Path(__file__).parent.parent / "data"
FIXTURES = Path(os.environ.get("HEADROOM_TEST_DATA", EXCERPT)) / "ocpp_fixtures" / "ocpp16_field_quirks.jsonl"
QUIRKS = {case["id"]: case for case in map(json.loads, FIXTURES.read_text("utf-8").splitlines())}


def desk_of(evses: int = 1, conductors: int = 3, **more) -> ChargerDesk:
    identity, numbers = ChargerId("CP"), count()
    made = tuple(Evse(EvseId(f"P{n}"), identity, n, FeederId("p"), PHASES[:conductors]) for n in range(1, evses + 1))
    return ChargerDesk(Charger(identity, made), "ocpp1.6", lambda: f"t{next(numbers)}", **more)


def call(action: str, payload: object, at: datetime = T0, origin: Side = Side.CHARGER) -> Call:
    raw = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    return Call(origin, "m1", action, raw, at)


def exchange(action: str, payload: object, reply: object, at: datetime = T0, ok: bool = True) -> Exchange:
    raw = reply if isinstance(reply, bytes) else json.dumps(reply).encode()
    return Exchange(call(action, payload, at), ok, raw, at + timedelta(seconds=0.2), 7.5)


def start(desk: ChargerDesk, transaction: object = 4711, status: str | None = "Accepted", connector: int = 1, **more):
    reply = {"transactionId": transaction} | ({} if status is None else {"idTagInfo": {"status": status}})
    payload = {"connectorId": connector, "idTag": "TAG", "meterStart": 1200, "timestamp": "2026-03-01T12:00:00Z"}
    assert desk.on_call(call("StartTransaction", payload)) == []
    return desk.on_exchange(exchange("StartTransaction", payload, reply, **more))


METERED = {
    "mv-phase-suffix-LxN-everywhere": {
        "current_a": 9.8,
        "line_a": (9.8, 9.8, 9.8),
        "power_w": 6750.0,
        "energy_wh": 2331810.0,
        "voltage_v": 229.5,
        "offered_a": 16.0,
    },
    "mv-no-transaction-clock-aligned-kwh": {
        "current_a": 0.0,
        "line_a": (0.0, 0.0, 0.0),
        "power_w": 0.0,
        "energy_wh": 733255.884,
        "voltage_v": 241.9,
    },
    "mv-empty-sampledvalue": None,
    "mv-leading-space-numbers": {"current_a": 16.0, "line_a": (16.0,), "power_w": 0.0, "energy_wh": 0.0, "soc": 25.0},
    "mv-minimal-value-only": {"current_a": None, "energy_wh": 8123.0},
}


@pytest.mark.parametrize("case_id", METERED)
def test_field_quirks_of_meter_values(case_id):
    desk, case = desk_of(), QUIRKS[case_id]
    frame = json.loads(case["wire"]) if case["wire"] else case["frame"]
    transaction = frame[3].get("transactionId")
    if transaction is not None:
        assert len(start(desk, transaction)) == 1
    at = datetime.fromisoformat(frame[3]["meterValue"][0]["timestamp"]) + timedelta(seconds=2)
    events = desk.on_call(call(frame[2], frame[3], at))
    expected = METERED[case_id]
    if expected is None:
        assert events == []
        return
    (event,) = events
    assert isinstance(event, EvseMetered)
    assert (event.charger, event.connector, event.at) == ("CP", 1, at)
    assert event.transaction_id == (None if transaction is None else str(transaction))
    assert (event.sample.received_at, event.sample.at) == (at, at - timedelta(seconds=2))
    for name, value in expected.items():
        assert getattr(event.sample, name) == (value if value is None else pytest.approx(value))
    assert desk.counts["dropped_values"] == 0


@pytest.mark.parametrize(
    ("case_id", "event"),
    [
        ("boot-empty-vendor", ChargerBooted(ChargerId("CP"), QUIRK_AT, "", "ACChargePoint", None, True)),
        (
            "boot-abb-terra",
            ChargerBooted(ChargerId("CP"), QUIRK_AT, "ABB", "CDT_TACW7::NET_WIFI", "TAC1Z9120000000000::V1.6.7", True),
        ),
        ("status-abb-null-string", EvseStatusChanged(ChargerId("CP"), 1, QUIRK_AT, EvseState.PREPARING)),
        ("status-bad-enum", EvseStatusChanged(ChargerId("CP"), 0, QUIRK_AT, EvseState.FAULTED)),
        ("security-event-before-status", None),
    ],
)
def test_field_quirks_of_boot_and_status(case_id, event):
    desk, case = desk_of(), QUIRKS[case_id]
    frame = json.loads(case["wire"]) if case["wire"] else case["frame"]
    asked = Call(Side.CHARGER, frame[1], frame[2], json.dumps(frame[3]).encode(), QUIRK_AT)
    reply = b'{"status":"Accepted","currentTime":"2025-01-15T18:09:00Z","interval":300}'
    wants = [*desk.on_call(asked), *desk.on_exchange(Exchange(asked, True, reply, QUIRK_AT))]
    events = [want for want in wants if not isinstance(want, OwnCall)]  # after a boot limits are written anew
    assert events == ([] if event is None else [event])


@pytest.mark.parametrize("case_id", ["profile-not-supported", "profile-rejected"])
def test_field_quirks_of_profile_answers_lead_down_the_ladder(case_id):
    desk = desk_of()
    payload = json.dumps(QUIRKS[case_id]["frame"][2]).encode()
    (fallback,) = desk.connected(T0)
    events, more = desk.on_outcome(OwnOutcome(fallback, "result", T0, payload))
    assert events == []
    assert [c.slot for c in more] == (["default-fallback:1"] if case_id == "profile-not-supported" else [])


def test_every_fixture_is_judged():
    judged = {*METERED, "boot-empty-vendor", "boot-abb-terra", "status-abb-null-string", "status-bad-enum"}
    judged |= {"security-event-before-status", "profile-not-supported", "profile-rejected"}
    assert judged == set(QUIRKS)


def test_a_session_is_born_of_the_completed_exchange():
    (event,) = start(desk_of())
    at = T0 + timedelta(seconds=0.2)
    assert event == SessionStarted(ChargerId("CP"), 1, at, "4711", "TAG", 1200.0, 7.5)


@pytest.mark.parametrize("status", ["Invalid", "Blocked", "Expired", "ConcurrentTx", "", 7])
def test_a_refused_tag_starts_no_session(status):
    assert start(desk_of(), status=status) == []


def test_a_refused_start_that_is_replaced_ends_no_session():
    desk = desk_of()
    assert start(desk, 1, "Invalid") == []
    assert [type(event) for event in start(desk, 2)] == [SessionStarted]


def test_a_reply_without_a_word_about_the_tag_starts_one():
    assert len(start(desk_of(), status=None)) == 1


@pytest.mark.parametrize("reply", [{}, {"transactionId": None}, {"transactionId": "x" * 200}, [], b"nonsense", b""])
def test_replies_that_no_session_can_be_made_of(reply):
    events = desk_of().on_exchange(exchange("StartTransaction", {"connectorId": 1}, reply))
    assert len(events) <= 1
    assert all(len(event.transaction_id) <= 64 for event in events)


def test_an_error_starts_no_session():
    asked = exchange("StartTransaction", {"connectorId": 1}, ["InternalError", "", {}], ok=False)
    assert desk_of().on_exchange(asked) == []


def test_a_repeated_start_with_the_same_id_is_one_session():
    desk = desk_of()
    assert len(start(desk)) == 1
    assert start(desk) == []


def test_a_start_over_a_running_transaction_ends_that_one_first():
    desk = desk_of()
    start(desk, 1)
    ended, started = start(desk, 2)
    assert isinstance(ended, SessionEnded)
    assert (ended.transaction_id, ended.connector) == ("1", 1)
    assert isinstance(started, SessionStarted)
    assert desk.running == {1: "2"}


def test_a_stop_knows_its_connector_from_the_start():
    desk = desk_of(2)
    start(desk, 5, connector=2)
    stop = {"transactionId": 5, "meterStop": "2200", "reason": "EVDisconnected", "timestamp": "x"}
    (event,) = desk.on_call(call("StopTransaction", stop))
    assert event == SessionEnded(ChargerId("CP"), 2, T0, "5", 2200.0, "EVDisconnected")
    assert desk.running == {}


def test_a_stop_of_an_unknown_transaction_does_not_guess_a_connector():
    (event,) = desk_of(2).on_call(call("StopTransaction", {"transactionId": 99}))
    assert (event.connector, event.meter_stop_wh) == (None, None)
    (event,) = desk_of(1).on_call(call("StopTransaction", {"transactionId": 99, "meterStop": -5}))
    assert (event.connector, event.meter_stop_wh) == (1, None)


METER = {"meterValue": [{"sampledValue": [{"value": "9.5", "measurand": "Current.Import"}]}]}


def test_a_transaction_that_ran_before_the_proxy_is_discovered_once():
    desk = desk_of()
    started, metered = desk.on_call(call("MeterValues", {"connectorId": 1, "transactionId": 77, **METER}))
    assert started == SessionStarted(ChargerId("CP"), 1, T0, "77")
    assert isinstance(metered, EvseMetered)
    assert len(desk.on_call(call("MeterValues", {"connectorId": 1, "transactionId": 77, **METER}))) == 1
    desk.on_call(call("StopTransaction", {"transactionId": 77}))
    late = desk.on_call(call("MeterValues", {"connectorId": 1, "transactionId": 77, **METER}))
    assert [type(event) for event in late] == [EvseMetered]


def test_a_transaction_known_from_before_is_not_told_again():
    desk = desk_of(transactions={1: "77"})
    (event,) = desk.on_call(call("MeterValues", {"connectorId": 1, "transactionId": 77, **METER}))
    assert isinstance(event, EvseMetered)


@pytest.mark.parametrize("transaction", [-1, 0, 78])
def test_strange_ids_begin_no_session_beside_one_that_runs(transaction):
    desk = desk_of(transactions={1: "77"})
    events = desk.on_call(call("MeterValues", {"connectorId": 1, "transactionId": transaction, **METER}))
    assert [type(event) for event in events] == [EvseMetered]


def test_connector_zero_is_the_only_evse_of_a_single_charger_and_nobody_else():
    assert desk_of(1).on_call(call("MeterValues", {"connectorId": 0, **METER}))[0].connector == 1
    assert desk_of(2).on_call(call("MeterValues", {"connectorId": 0, **METER})) == []
    assert desk_of(1).on_call(call("MeterValues", {"connectorId": 1634030126, **METER}))[0].connector == 1


def test_a_queue_that_is_emptied_after_an_outage_is_history():
    desk = desk_of()
    desk.on_exchange(exchange("Heartbeat", {}, {"currentTime": T0.isoformat()}))
    for minutes in (60, 40, 20):
        stamped = [{"timestamp": (T0 - timedelta(minutes=minutes)).isoformat(), **METER["meterValue"][0]}]
        assert desk.on_call(call("MeterValues", {"connectorId": 1, "meterValue": stamped})) == []
    assert desk.counts["historic"] == 3
    stamped = [{"timestamp": (T0 - timedelta(seconds=3)).isoformat(), **METER["meterValue"][0]}]
    assert len(desk.on_call(call("MeterValues", {"connectorId": 1, "meterValue": stamped}))) == 1


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("Available", EvseState.AVAILABLE),
        ("Preparing", EvseState.PREPARING),
        ("Charging", EvseState.CHARGING),
        ("SuspendedEV", EvseState.SUSPENDED_EV),
        ("SuspendedEVSE", EvseState.SUSPENDED_EVSE),
        ("suspendedEvse", EvseState.SUSPENDED_EVSE),
        ("Finishing", EvseState.FINISHING),
        ("Reserved", EvseState.RESERVED),
        ("Unavailable", EvseState.UNAVAILABLE),
        ("Faulted", EvseState.FAULTED),
        ("Dancing", EvseState.UNKNOWN),
    ],
)
def test_states(status, state):
    (event,) = desk_of().on_call(call("StatusNotification", {"connectorId": 1, "status": status}))
    assert event.state is state


@pytest.mark.parametrize("payload", [{}, {"connectorId": 1}, {"status": "Charging"}, {"connectorId": -1}, [], 3])
def test_a_status_that_says_nothing_is_counted(payload):
    desk = desk_of()
    assert desk.on_call(call("StatusNotification", payload)) == []
    assert desk.counts["unreadable"] == 1


def test_a_boot_that_was_refused_or_failed_is_told_so():
    boot = {"chargePointVendor": "V", "chargePointModel": "M"}
    for reply, ok in (({"status": "Pending"}, True), ({"status": "Rejected"}, True), (["InternalError"], False)):
        (event,) = desk_of().on_exchange(exchange("BootNotification", boot, reply, ok=ok))
        assert not event.accepted


def test_a_boot_that_was_answered_without_a_word_is_told_but_not_accepted():
    (event,) = desk_of().on_exchange(exchange("BootNotification", {}, {}))
    assert event == ChargerBooted(ChargerId("CP"), T0 + timedelta(seconds=0.2), "", "", None, False)


def test_messages_of_the_wrong_side_are_not_read():
    desk = desk_of()
    for action in ("StatusNotification", "MeterValues", "StopTransaction"):
        payload = {"connectorId": 1, "status": "Charging", "transactionId": 1, **METER}
        assert desk.on_call(call(action, payload, origin=Side.CSMS)) == []


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8)
    | st.sampled_from(["2026-03-01T12:00:00Z", "9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+14:00", " 0.0"])
    | st.sampled_from(
        ["Accepted", "Current.Import", "Absolute", "Relative", "Recurring", "A", "W", "Started", "1e999"]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
ACTIONS = ("MeterValues", "StatusNotification", "StopTransaction", "StartTransaction", "BootNotification", "Heartbeat")
FROM_CSMS = ("SetChargingProfile", "ClearChargingProfile", "RemoteStartTransaction", "GetConfiguration")
KEYS = st.sampled_from(
    [
        *("connectorId", "transactionId", "meterValue", "timestamp", "sampledValue", "value", "measurand", "unit"),
        *("status", "idTagInfo", "idTag", "meterStart", "meterStop", "reason", "currentTime", "configurationKey"),
        *("csChargingProfiles", "chargingProfile", "chargingSchedule", "chargingSchedulePeriod", "startPeriod"),
        *("limit", "stackLevel", "chargingProfileId", "chargingProfilePurpose", "chargingProfileKind", "key"),
        *("chargingRateUnit", "duration", "startSchedule", "validFrom", "validTo", "id", "phase", "location"),
    ]
)


def mangled(value: object, draw) -> object:
    """The same document with some leaves and branches replaced by nonsense."""
    if draw(st.integers(0, 5)) == 0:
        return draw(JSON)
    if isinstance(value, dict):
        return {key: mangled(item, draw) for key, item in value.items()}
    if isinstance(value, list):
        return [mangled(item, draw) for item in value]
    return value


PROFILE = {
    "connectorId": 1,
    "csChargingProfiles": {
        "chargingProfileId": 3,
        "stackLevel": 1,
        "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Recurring",
        "recurrencyKind": "Daily",
        "validFrom": "2026-01-01T00:00:00Z",
        "chargingSchedule": {
            "duration": 3600,
            "startSchedule": "2026-03-01T00:00:00Z",
            "chargingRateUnit": "W",
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 3300.0, "numberPhases": 1}],
        },
    },
}
REAL = {
    "MeterValues": QUIRKS["mv-phase-suffix-LxN-everywhere"]["frame"][3],
    "StatusNotification": QUIRKS["status-bad-enum"]["frame"][3],
    "StopTransaction": {"transactionId": 1, "meterStop": 1, "timestamp": "2026-03-01T12:00:00Z", "reason": "Local"},
    "StartTransaction": {"connectorId": 1, "idTag": "T", "meterStart": 1, "timestamp": "2026-03-01T12:00:00Z"},
    "BootNotification": QUIRKS["boot-abb-terra"]["frame"][3],
    "Heartbeat": {},
    "SetChargingProfile": PROFILE,
    "ClearChargingProfile": {"id": 1, "connectorId": 1, "chargingProfilePurpose": "TxProfile", "stackLevel": 0},
    "RemoteStartTransaction": {"idTag": "T", "chargingProfile": PROFILE["csChargingProfiles"]},
    "GetConfiguration": {"key": ["ChargeProfileMaxStackLevel"]},
}
REPLY = {
    "status": "Accepted",
    "currentTime": "2026-03-01T12:00:00Z",
    "transactionId": 3,
    "idTagInfo": {"status": "Accepted"},
    "configurationKey": [{"key": "ChargeProfileMaxStackLevel", "value": "9"}],
}


@settings(max_examples=400, deadline=None)
@given(st.lists(st.sampled_from(ACTIONS + FROM_CSMS), min_size=1, max_size=4), st.data())
def test_no_nonsense_ever_raises(actions, data):
    desk = desk_of(data.draw(st.integers(1, 2)))
    for n, action in enumerate(actions):
        payload = data.draw(st.dictionaries(KEYS, JSON, max_size=4)) if n % 2 else mangled(REAL[action], data.draw)
        side = Side.CSMS if action in FROM_CSMS else Side.CHARGER
        asked = call(action, payload, T0 + timedelta(seconds=n), side)
        reply = json.dumps(mangled(REPLY, data.draw)).encode()
        events = [*desk.on_call(asked), *desk.on_exchange(Exchange(asked, data.draw(st.booleans()), reply, asked.at))]
        assert all(type(event).__name__ for event in events)
    assert isinstance(desk.counts, Counter)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(ACTIONS + FROM_CSMS), st.binary(max_size=40), st.binary(max_size=40))
def test_no_bytes_ever_raise(action, payload, reply):
    desk = desk_of()
    for side in Side:
        asked = Call(side, "m", action, payload, T0)
        events = [*desk.on_call(asked), *desk.on_exchange(Exchange(asked, True, reply, T0))]
        # A charger that was answered has booted, whatever the two said; nothing else is said in so few bytes.
        assert [event for event in events if not (isinstance(event, ChargerBooted) and not event.accepted)] == []


@pytest.mark.parametrize(
    "raw", [b"[" * 100_000, b'{"a":' * 50_000, b"\xff\xfe", b'"\\ud800"', b"1e999", b"{" + b" " * 99]
)
def test_what_is_not_json_is_counted(raw):
    desk = desk_of()
    assert desk.on_call(call("MeterValues", raw)) == []
    assert desk.counts["unreadable"] == 1
