"""The profiles that a set-point becomes, judged by an independent charger that computes composite limits itself."""

import json
import math
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count, permutations

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from ocpp.messages import Call as OcppCall
from ocpp.messages import _validate_payload

from domain.commands import ApplySetpoint
from domain.events import SetpointAccepted, SetpointSent
from domain.ids import ChargerId, DecisionId, EvseId, FeederId
from domain.site import PHASES, Charger, Evse
from proxy.protocol.desk import ChargerDesk
from proxy.protocol.exchange import Call, Exchange, OwnCall, OwnOutcome, Side

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)
M = 60.0
SCHEMA = {"ocpp1.6": "1.6", "ocpp2.0.1": "2.0.1", "ocpp2.1": "2.1"}
VERSIONS = tuple(SCHEMA)


def charger(evses: int = 1, failsafe_a: float = 6.0, phases: int = 2) -> Charger:
    identity = ChargerId("CP")
    made = (
        Evse(EvseId(f"P{n}"), identity, n, FeederId("p"), (PHASES * 2)[n - 1 : n - 1 + phases], failsafe_a=failsafe_a)
        for n in range(1, evses + 1)
    )
    return Charger(identity, tuple(made))


def desk_of(a_charger: Charger, version: str, transactions: dict[int, str] | None = None, **more) -> ChargerDesk:
    numbers = count()
    return ChargerDesk(a_charger, version, lambda: f"t{next(numbers)}", transactions=transactions, **more)


def command(limit_a: float, at: datetime = T0, connector: int = 1, failsafe_a: float = 6.0, deadman_s: float = 300.0):
    return ApplySetpoint(
        ChargerId("CP"),
        connector,
        EvseId(f"P{connector}"),
        limit_a,
        failsafe_a,
        deadman_s,
        DecisionId(f"d-{limit_a}"),
        at,
        urgent=False,
    )


def tell_time(desk: ChargerDesk, at: datetime, charger_time: datetime) -> None:
    """A heartbeat is answered: the charger's clock becomes `charger_time`."""
    call = Call(Side.CHARGER, "h", "Heartbeat", b"{}", at)
    reply = json.dumps({"currentTime": charger_time.isoformat()}).encode()
    assert desk.on_exchange(Exchange(call, True, reply, at)) == []


def validate(call: OwnCall, version: str) -> None:
    """By the official schemas; one decimal is judged exactly, as the official package does for 1.6."""
    payload = json.loads(json.dumps(call.payload))
    _validate_payload(OcppCall("id", call.action, payload), SCHEMA[version])


@dataclass
class OracleCharger:
    """A charger by the book: keeps profiles, evaluates them by its own clock. Shares no code with the proxy."""

    version: str
    offset_s: float = 0.0
    profiles: dict[int, dict] = field(default_factory=dict)

    def copy(self) -> "OracleCharger":
        return replace(self, profiles=dict(self.profiles))

    def accept(self, call: OwnCall) -> None:
        payload = json.loads(json.dumps(call.payload))
        if self.version == "ocpp1.6":
            body = payload["csChargingProfiles"]
            new = {"id": body["chargingProfileId"], "at": payload["connectorId"], "schedule": body["chargingSchedule"]}
        else:
            body = payload["chargingProfile"]
            new = {"id": body["id"], "at": payload["evseId"], "schedule": body["chargingSchedule"][0]}
            same = [
                p
                for p in self.profiles.values()
                if (p["purpose"], p["level"], p["at"])
                == (body["chargingProfilePurpose"], body["stackLevel"], new["at"])
                and p["id"] != new["id"]
            ]
            assert not same, "K01.FR.06: same purpose and stack level under another id"
        new |= {
            "purpose": body["chargingProfilePurpose"],
            "level": body["stackLevel"],
            "kind": body["chargingProfileKind"],
            "tx": body.get("transactionId"),
        }
        assert "duration" not in new["schedule"]
        assert new["schedule"]["startSchedule"] >= "1970-01-01T00:00:00Z"
        assert new["schedule"]["chargingRateUnit"] == "A"
        self.profiles = {
            k: p
            for k, p in self.profiles.items()
            if (p["purpose"], p["level"], p["at"]) != (new["purpose"], new["level"], new["at"])
        }
        self.profiles[new["id"]] = new

    def _leads(self, purpose: str, connectors: tuple[int, ...], at: datetime, tx: object = None) -> float | None:
        best = None
        for p in self.profiles.values():
            if not p["purpose"].endswith(purpose) or p["at"] not in connectors or (tx is not None and p["tx"] != tx):
                continue
            assert p["kind"] == "Absolute"
            begin = datetime.fromisoformat(p["schedule"]["startSchedule"])
            elapsed = (at + timedelta(seconds=self.offset_s) - begin).total_seconds()
            limit = None
            for period in p["schedule"]["chargingSchedulePeriod"]:
                if period["startPeriod"] <= elapsed:
                    limit = period["limit"]
            if limit is not None and (best is None or p["level"] > best[0]):
                best = (p["level"], limit)
        return None if best is None else best[1]

    def allowed(self, connector: int, at: datetime, tx: object = None) -> float:
        """What the car of transaction `tx` (None: of a transaction that begins at `at`) may draw; inf: no limit."""
        cap = self._leads("MaxProfile", (0,), at)
        own = self._leads("TxProfile", (connector,), at, tx) if tx is not None else None
        if own is None:
            own = self._leads("TxDefaultProfile", (0, connector), at)
        return min(math.inf if cap is None else cap, math.inf if own is None else own)


def first(desk: ChargerDesk, now: datetime) -> list[OwnCall]:
    """The profiles that a new socket begins with; what a 2.x station is asked besides is left out."""
    return [call for call in desk.connected(now) if call.action == "SetChargingProfile"]


def deliver(desk: ChargerDesk, oracle: OracleCharger, calls: list[OwnCall], at: datetime) -> list:
    """Every call is sent and accepted, one after the other; the events."""
    events = []
    for call in calls:
        for kind, payload in (("sent", b""), ("result", b'{"status":"Accepted"}')):
            told, more = desk.on_outcome(OwnOutcome(call, kind, at, payload))
            events += told
            assert more == []
            if kind == "sent":
                oracle.accept(call)
    return events


def wire(limit_a: float) -> float:
    """One decimal, down, nothing between 0 and 6 A, at most 32 A."""
    tenths = math.floor(min(limit_a, 32.0) * 10 + 1e-5)
    return 0.0 if tenths < 60 else float(Decimal(tenths) / 10)


TX = {"ocpp1.6": "4711", "ocpp2.0.1": "b3f1c2d4-0000-4000-8000-000000000001", "ocpp2.1": "tx"}


def tx_id(version: str) -> object:
    return int(TX[version]) if version == "ocpp1.6" else TX[version]


LIMITS = st.sampled_from([0.0, 6.0, 6.1, 6.3, 8.05, 13.37, 16.0, 16.3, 31.99, 32.0]) | st.floats(0.0, 40.0)
STEPS = st.lists(st.tuples(LIMITS, st.integers(1, 3), st.floats(0.0, 500.0), st.booleans()), min_size=1, max_size=6)


@settings(max_examples=300, deadline=None)
@given(
    steps=STEPS,
    version=st.sampled_from(VERSIONS),
    evses=st.integers(1, 3),
    failsafe_a=st.sampled_from([0.0, 6.0, 8.0]),
    deadman_s=st.floats(30.0, 3600.0),
    offset_s=st.sampled_from([0.0, -7200.0, 3600.5, -30.0]),
    skew_s=st.floats(-58.0, 20.0),
)
def test_a_charger_by_the_book_holds_what_was_allocated(steps, version, evses, failsafe_a, deadman_s, offset_s, skew_s):
    """Limit now = allocated, after N + M = fall-back, never more than the larger, nothing between 0 and the minimum.

    Also between any two calls of a plan, in whatever order they arrive, no car is ever allowed more than the larger
    of what it was allowed before and what it is allocated now. `skew_s`: what we do not know of the charger's clock.
    """
    a_charger = charger(evses, failsafe_a)
    desk, oracle = desk_of(a_charger, version), OracleCharger(version, offset_s + skew_s)
    now = T0
    tell_time(desk, now, now + timedelta(seconds=offset_s))
    deliver(desk, oracle, first(desk, now), now)
    held = dict.fromkeys(range(1, evses + 1), (failsafe_a, now))
    running: dict[int, bool] = {}
    for limit_a, nth, wait_s, begins in steps:
        now += timedelta(seconds=wait_s)
        connector = 1 + nth % evses
        if begins and connector not in running:
            running[connector] = True
            start_transaction(desk, version, connector, now)
        tx = {c: f"{TX[version]}{c}" for c in running}
        tx = {c: int(t) if version == "ocpp1.6" else t for c, t in tx.items()}
        calls = desk.apply(command(limit_a, now, connector, failsafe_a, deadman_s))
        for call in calls:
            validate(call, version)
        told = wire(limit_a)
        before = oracle.allowed(connector, now, tx.get(connector))
        before_next = oracle.allowed(connector, now)
        for order in permutations(calls):
            trial = oracle.copy()
            for call in order:
                trial.accept(call)
                assert trial.allowed(connector, now, tx.get(connector)) <= max(before, told)
                assert trial.allowed(connector, now) <= max(before_next, told)
        events = deliver(desk, oracle, calls, now)
        assert [type(e) for e in events] == [SetpointSent, SetpointAccepted]
        assert {e.limit_a for e in events} == {told}
        held[connector] = (told, now)
        for n, (expected, since) in held.items():
            car = oracle.allowed(n, now, tx.get(n))
            age_s = (now - since).total_seconds()
            if evses == 1 or n == connector:
                assert car == expected
            elif age_s < deadman_s - max(skew_s, 0.0) - 1.0:
                # A neighbour's cap may have stepped to the fall-backs meanwhile: lower is safe.
                assert car <= max(expected, failsafe_a)
            later = now + timedelta(seconds=deadman_s + M)
            assert oracle.allowed(n, later, tx.get(n)) == failsafe_a
            assert oracle.allowed(n, later) == failsafe_a
        told_all = max(held[connector][0], failsafe_a)
        for ahead_s in (0.0, deadman_s / 3, deadman_s - 1, deadman_s, deadman_s + 30, deadman_s + M, 86400.0):
            car = oracle.allowed(connector, now + timedelta(seconds=ahead_s), tx.get(connector))
            assert car <= told_all
            assert car == 0.0 or car >= 6.0
            if ahead_s < deadman_s - max(skew_s, 0.0) - 1.0:
                assert car == told if evses == 1 else car <= told
                assert oracle.allowed(connector, now + timedelta(seconds=ahead_s)) <= told


def start_transaction(desk: ChargerDesk, version: str, connector: int, at: datetime) -> None:
    transaction = f"{TX[version]}{connector}"
    if version == "ocpp1.6":
        payload = {"connectorId": connector, "idTag": "T", "meterStart": 0, "timestamp": "nonsense"}
        reply = {"transactionId": int(transaction), "idTagInfo": {"status": "Accepted"}}
        action = "StartTransaction"
    else:
        payload = {"eventType": "Started", "transactionInfo": {"transactionId": transaction}, "evse": {"id": connector}}
        reply, action = {}, "TransactionEvent"
    call = Call(Side.CHARGER, "s", action, json.dumps(payload).encode(), at)
    desk.on_call(call)
    assert len(desk.on_exchange(Exchange(call, True, json.dumps(reply).encode(), at))) == 1


@pytest.mark.parametrize("version", VERSIONS)
def test_mode_a_is_one_station_cap_over_a_fallback(version):
    desk = desk_of(charger(), version)
    tell_time(desk, T0, T0)
    (fallback,) = first(desk, T0)
    (cap, again) = desk.apply(command(16.0))
    assert fallback.payload == again.payload
    key, ours = ("csChargingProfiles", "chargingProfileId") if version == "ocpp1.6" else ("chargingProfile", "id")
    where = "connectorId" if version == "ocpp1.6" else "evseId"
    low, top = fallback.payload[key], cap.payload[key]
    assert fallback.payload[where] == cap.payload[where] == 0
    assert low["chargingProfilePurpose"] == top["chargingProfilePurpose"]
    assert low["chargingProfilePurpose"] in ("ChargePointMaxProfile", "ChargingStationMaxProfile")
    assert (low["stackLevel"], low["chargingProfileKind"]) == (0, "Absolute")
    assert top["stackLevel"] > 0
    assert low[ours] != top[ours]
    schedule = top["chargingSchedule"] if version == "ocpp1.6" else top["chargingSchedule"][0]
    assert schedule["startSchedule"] == "2026-03-01T11:59:00Z"
    assert schedule["chargingSchedulePeriod"] == [
        {"startPeriod": 0, "limit": 16.0},
        {"startPeriod": 360, "limit": 6.0},
    ]
    old = low["chargingSchedule"] if version == "ocpp1.6" else low["chargingSchedule"][0]
    assert old["startSchedule"] == "1970-01-01T00:00:00Z"
    assert old["chargingSchedulePeriod"] == [{"startPeriod": 0, "limit": 6.0}]


def test_the_fallback_of_mode_a_holds_where_the_charger_lost_its_clock_and_never_down():
    desk, oracle = desk_of(charger(), "ocpp1.6"), OracleCharger("ocpp1.6")
    deliver(desk, oracle, first(desk, T0), T0)
    deliver(desk, oracle, desk.apply(command(16.0)), T0)
    assert oracle.allowed(1, T0) == 16.0
    oracle.offset_s = -(T0 - datetime(1970, 1, 2, tzinfo=UTC)).total_seconds()
    assert oracle.allowed(1, T0) == 6.0


def test_mode_b_binds_to_the_transaction_and_keeps_the_default_low():
    desk, oracle = desk_of(charger(2), "ocpp1.6", {1: "4711"}), OracleCharger("ocpp1.6")
    tell_time(desk, T0, T0)
    deliver(desk, oracle, first(desk, T0), T0)
    calls = desk.apply(command(16.0))
    assert [call.slot for call in calls] == ["tx:1", "default:1", "cap"]
    deliver(desk, oracle, calls, T0)
    assert (oracle.allowed(1, T0, 4711), oracle.allowed(1, T0), oracle.allowed(2, T0)) == (16.0, 6.0, 6.0)
    assert [call.slot for call in desk.apply(command(16.0, T0 + timedelta(seconds=1)))] == ["tx:1"]


def test_mode_b_without_a_transaction_holds_the_value_in_the_default():
    desk, oracle = desk_of(charger(2, 0.0), "ocpp2.0.1"), OracleCharger("ocpp2.0.1")
    tell_time(desk, T0, T0)
    deliver(desk, oracle, first(desk, T0), T0)
    assert oracle.allowed(1, T0) == 0.0
    deliver(desk, oracle, desk.apply(command(16.0, failsafe_a=0.0)), T0)
    assert (oracle.allowed(1, T0), oracle.allowed(2, T0)) == (16.0, 0.0)
    assert oracle.allowed(1, T0 + timedelta(seconds=360)) == 0.0


def test_the_group_cap_is_the_busiest_phase_and_not_below_a_connector():
    desk, oracle = desk_of(charger(3, 0.0, phases=1), "ocpp1.6"), OracleCharger("ocpp1.6")
    tell_time(desk, T0, T0)
    for connector, limit_a in ((1, 16.0), (2, 10.0), (3, 8.0)):
        deliver(desk, oracle, desk.apply(command(limit_a, T0, connector, 0.0)), T0)
    (cap,) = [p for p in oracle.profiles.values() if p["purpose"] == "ChargePointMaxProfile"]
    assert cap["schedule"]["chargingSchedulePeriod"][0]["limit"] == 16.0
    desk, oracle = desk_of(charger(3, 0.0), "ocpp1.6"), OracleCharger("ocpp1.6")
    tell_time(desk, T0, T0)
    for connector, limit_a in ((1, 16.1), (2, 10.1), (3, 8.1)):
        deliver(desk, oracle, desk.apply(command(limit_a, T0, connector, 0.0)), T0)
    (cap,) = [p for p in oracle.profiles.values() if p["purpose"] == "ChargePointMaxProfile"]
    assert cap["schedule"]["chargingSchedulePeriod"][0]["limit"] == 26.2


@given(st.floats(-1.0, 100.0) | st.sampled_from([math.nan, math.inf, -math.inf, 5.999999999, 6.0, 5.99]))
def test_limits_are_written_with_one_decimal_rounded_down(limit_a):
    (call, *_) = desk_of(charger(), "ocpp1.6").apply(command(limit_a))
    validate(call, "ocpp1.6")
    period = call.payload["csChargingProfiles"]["chargingSchedule"]["chargingSchedulePeriod"][0]
    told = period["limit"]
    assert told == 0.0 or 6.0 <= told <= 32.0
    assert Decimal(str(told)) == Decimal(str(told)).quantize(Decimal("0.1"))
    if math.isfinite(limit_a):
        assert told <= max(limit_a, 0.0) + 1e-5
        assert told == 0.0 or min(limit_a, 32.0) - told < 0.1
    else:
        assert told == 0.0


@given(st.datetimes(datetime(1970, 1, 1), datetime(1970, 1, 3)), st.floats(10.0, 1000.0))  # noqa: DTZ001 (made aware below)
def test_a_charger_that_believes_it_is_1970_still_steps_down(charger_time, deadman_s):
    charger_time = charger_time.replace(tzinfo=UTC)
    assume(charger_time < datetime(1970, 1, 2, tzinfo=UTC))
    desk = desk_of(charger(), "ocpp1.6")
    oracle = OracleCharger("ocpp1.6", (charger_time - T0).total_seconds())
    tell_time(desk, T0, charger_time)
    deliver(desk, oracle, first(desk, T0), T0)
    deliver(desk, oracle, desk.apply(command(16.0, deadman_s=deadman_s)), T0)
    assert oracle.allowed(1, T0) == 16.0
    assert oracle.allowed(1, T0 + timedelta(seconds=deadman_s + M)) == 6.0


def test_ids_are_one_per_slot_and_unique_over_the_station():
    desk, oracle = desk_of(charger(3), "ocpp1.6", {1: "1", 2: "2", 3: "3"}), OracleCharger("ocpp1.6")
    ids: dict[str, set[int]] = {}
    calls = first(desk, T0)
    deliver(desk, oracle, calls, T0)
    for n in (1, 2, 3, 1, 2, 3):
        more = desk.apply(command(7.0 + n, T0, n))
        deliver(desk, oracle, more, T0)
        calls += more
    for call in calls:
        ids.setdefault(call.slot, set()).add(call.payload["csChargingProfiles"]["chargingProfileId"])
    assert all(len(found) == 1 for found in ids.values())
    flat = [next(iter(found)) for found in ids.values()]
    assert len(set(flat)) == len(flat)
    assert all(9001 <= number < 9100 for number in flat)


def test_a_step_that_has_just_come_by_our_clock_is_not_taken_for_made():
    desk, oracle = desk_of(charger(2, 0.0), "ocpp1.6"), OracleCharger("ocpp1.6", -30.0)
    tell_time(desk, T0, T0)
    deliver(desk, oracle, first(desk, T0), T0)
    deliver(desk, oracle, desk.apply(command(6.0, T0, 2, 0.0, 60.0)), T0)
    start_transaction(desk, "ocpp1.6", 2, T0)
    later = T0 + timedelta(seconds=61)
    deliver(desk, oracle, desk.apply(command(0.0, later, 2, 0.0, 60.0)), later)
    assert oracle.allowed(2, later) == 0.0
