"""Refusals: the ladder from the station cap down, what is proven, and when a set-point counts as refused."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

from domain.commands import ApplySetpoint
from domain.errors import UnknownIdError
from domain.events import ChargerBooted, SetpointAccepted, SetpointRefused, SetpointSent
from domain.ids import ChargerId, DecisionId, EvseId, FeederId
from domain.site import PHASES, Charger, Evse
from proxy.protocol.capability import Capability
from proxy.protocol.composite import Purpose
from proxy.protocol.desk import ChargerDesk
from proxy.protocol.exchange import Call, Exchange, OwnCall, OwnOutcome, Side

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)
CAP, DEFAULT, TX = "ChargePointMaxProfile", "TxDefaultProfile", "TxProfile"
ACCEPTED = ("result", b'{"status":"Accepted"}')
REJECTED = ("result", b'{"status":"Rejected"}')
NOT_SUPPORTED = ("result", b'{"status":"NotSupported"}')
SILENCE = ("timeout", b"")


def charger(evses: int = 1, budget: int | None = None) -> Charger:
    identity = ChargerId("CP")
    made = (Evse(EvseId(f"P{n}"), identity, n, FeederId("p"), PHASES[:2], failsafe_a=6.0) for n in range(1, evses + 1))
    return Charger(identity, tuple(made), budget)


def desk_of(a_charger: Charger, *, clock: bool = True, **more) -> ChargerDesk:
    numbers = count()
    desk = ChargerDesk(a_charger, "ocpp1.6", lambda: f"t{next(numbers)}", **more)
    if clock:
        beat = Call(Side.CHARGER, "h", "Heartbeat", b"{}", T0)
        desk.on_exchange(Exchange(beat, True, b'{"currentTime":"2026-03-01T12:00:00Z"}', T0))
    return desk


def command(limit_a: float, at: datetime = T0, connector: int = 1, transaction_id: str | None = None) -> ApplySetpoint:
    evse, decision = EvseId(f"P{connector}"), DecisionId(f"d{limit_a:g}")
    return ApplySetpoint(ChargerId("CP"), connector, evse, limit_a, 6.0, 300.0, decision, at, True, transaction_id)


def body(call: OwnCall) -> dict:
    return json.loads(json.dumps(call.payload))["csChargingProfiles"]


Answer = Callable[[dict], tuple[str, bytes]]


def play(desk: ChargerDesk, calls: list[OwnCall], answer: Answer, at: datetime = T0):
    """A charger that answers one call at a time; a waiting call of a slot is replaced, as the relay does."""
    queue, events, asked = list(calls), [], []
    while queue:
        call = queue.pop(0)
        asked.append((body(call)["chargingProfilePurpose"], body(call)["stackLevel"]))
        events += desk.on_outcome(OwnOutcome(call, "sent", at))[0]
        kind, payload = answer(body(call))
        told, more = desk.on_outcome(OwnOutcome(call, kind, at, payload))
        events += told
        for new in more:
            for old in [c for c in queue if c.slot == new.slot]:
                queue.remove(old)
                assert desk.on_outcome(OwnOutcome(old, "superseded", at)) == ([], [])
            queue.append(new)
        assert len(asked) < 40, "the ladder has no end"
    return events, asked


def refusing(purpose: str, refusal: tuple[str, bytes]) -> Answer:
    """A charger that refuses one purpose and accepts the others."""
    return lambda profile: refusal if profile["chargingProfilePurpose"] == purpose else ACCEPTED


def kinds(events) -> list[str]:
    return [type(event).__name__ for event in events]


def test_a_level_that_is_refused_is_lowered_and_remembered():
    desk = desk_of(charger())
    events, asked = play(desk, desk.apply(command(16.0)), lambda p: ACCEPTED if p["stackLevel"] <= 1 else REJECTED)
    assert [level for purpose, level in asked if level > 0] == [8, 3, 1]
    assert kinds(events) == ["SetpointSent", "SetpointAccepted"]
    assert (desk.capability.mode, desk.capability.level, desk.capability.proven) == ("cap", 1, {Purpose.CAP})
    _, asked = play(desk, desk.apply(command(10.0)), lambda _: ACCEPTED)
    assert asked == [(CAP, 1)]


def test_only_level_zero_shares_the_id_of_the_fallback():
    desk, ids = desk_of(charger()), set()

    def answer(profile):
        if profile["stackLevel"] > 0:
            return REJECTED
        ids.add(profile["chargingProfileId"])
        return ACCEPTED

    play(desk, desk.connected(T0), answer)
    events, _ = play(desk, desk.apply(command(16.0)), answer)
    assert kinds(events) == ["SetpointSent", "SetpointAccepted"]
    assert desk.capability.level == 0
    assert len(ids) == 1


def test_the_reported_level_is_tried_first_then_the_one_below():
    desk = desk_of(charger())
    keys = {"configurationKey": [{"key": "ChargeProfileMaxStackLevel", "readonly": True, "value": "5"}]}
    call = Call(Side.CSMS, "g", "GetConfiguration", b"{}", T0)
    told = desk.on_reply(call, True, json.dumps(keys).encode())
    assert json.loads(told.payload)["configurationKey"][0]["value"] == "4"
    _, asked = play(desk, desk.apply(command(16.0)), lambda p: ACCEPTED if p["stackLevel"] <= 4 else REJECTED)
    assert [level for _, level in asked if level > 0] == [5, 4]


@pytest.mark.parametrize("refusal", [REJECTED, NOT_SUPPORTED, ("error", b'["NotImplemented","",{}]')])
def test_a_charger_without_a_cap_is_held_by_profiles_of_the_transaction(refusal):
    desk = desk_of(charger(), transactions={1: "4711"})
    answer = refusing(CAP, refusal)
    events, asked = play(desk, desk.apply(command(16.0)), answer)
    assert kinds(events) == ["SetpointSent", "SetpointAccepted"]
    assert (TX, 8) in asked
    assert (DEFAULT, 8) in asked
    assert desk.capability.mode == "tx"
    # "not supported" says it at once; "Rejected" may be about the level. One more is the fall-back that waits.
    assert len([purpose for purpose, _ in asked if purpose == CAP]) == (2 if refusal != REJECTED else 5)


def test_a_fallback_cap_is_not_left_behind_to_hold_sessions_down():
    desk = desk_of(charger(), transactions={1: "4711"})
    play(desk, desk.connected(T0), lambda _: ACCEPTED)
    calls, cleared = desk.apply(command(16.0)), []
    while calls:
        call = calls.pop(0)
        desk.on_outcome(OwnOutcome(call, "sent", T0))
        if call.action == "ClearChargingProfile":
            cleared.append(call.payload)
        refused = "csChargingProfiles" in call.payload and body(call)["chargingProfilePurpose"] == CAP
        kind, payload = REJECTED if refused else ACCEPTED
        calls += desk.on_outcome(OwnOutcome(call, kind, T0, payload))[1]
    assert cleared == [{"id": 9002}]


def test_a_refused_fallback_tells_that_the_cap_is_not_supported_before_any_setpoint():
    desk = desk_of(charger())
    answer = refusing(CAP, NOT_SUPPORTED)
    events, asked = play(desk, desk.connected(T0), answer)
    assert (events, asked) == ([], [(CAP, 0), (DEFAULT, 0)])
    events, asked = play(desk, desk.apply(command(16.0)), answer)
    assert asked == [(DEFAULT, 8)]
    assert kinds(events) == ["SetpointSent", "SetpointAccepted"]


def test_field_case_cap_and_tx_refused_and_absolute_never_answered():
    """Held at the fall-back by a relative default, and said so: nothing above it may be left without a dead-man."""
    desk = desk_of(charger(), transactions={1: "4711"})

    def answer(profile):
        if profile["chargingProfilePurpose"] in (CAP, TX):
            return NOT_SUPPORTED
        return SILENCE if profile["chargingProfileKind"] == "Absolute" else ACCEPTED

    play(desk, desk.connected(T0), answer)
    outcomes = []
    for _ in range(4):
        events, _ = play(desk, desk.apply(command(16.0)), answer)
        outcomes.append(events[-1])
    assert all(isinstance(event, SetpointRefused) for event in outcomes)
    assert "fall-back" in outcomes[-1].why
    events, asked = play(desk, desk.apply(command(0.0)), answer)
    assert asked == [(DEFAULT, 0)]
    assert kinds(events) == ["SetpointSent", "SetpointAccepted"]


def test_the_relative_profile_never_exceeds_the_fallback():
    desk = desk_of(charger(), capability=Capability(mode="tx", timed=False, tx_profile=False, level=0))
    for limit_a, told in ((16.0, 6.0), (6.0, 6.0), (0.0, 0.0)):
        (call,) = desk.apply(command(limit_a))
        assert body(call)["chargingProfileKind"] == "Relative"
        assert body(call)["chargingSchedule"]["chargingSchedulePeriod"] == [{"startPeriod": 0, "limit": told}]


def test_when_everything_is_refused_the_setpoint_is_and_the_next_starts_anew():
    desk = desk_of(charger(), transactions={1: "4711"})
    for _ in range(2):
        events, asked = play(desk, desk.apply(command(16.0)), lambda _: REJECTED)
        assert kinds(events) == ["SetpointSent", "SetpointRefused"]
        assert "Rejected" in events[-1].why
        assert asked[0] == (CAP, 8)
        assert asked[-1] == (DEFAULT, 0)


@pytest.mark.parametrize(
    ("outcome", "why"),
    [
        (REJECTED, "Rejected"),
        (NOT_SUPPORTED, "NotSupported"),
        (SILENCE, "did not answer"),
        (("lost", b""), "lost"),
        (("error", b'["InternalError","x",{}]'), "InternalError"),
        (("result", b"nonsense"), "None"),
        (("result", b'{"status":17}'), "None"),
    ],
)
def test_a_proven_charger_that_refuses_keeps_its_rung(outcome, why):
    desk = desk_of(charger())
    play(desk, desk.apply(command(16.0)), lambda _: ACCEPTED)
    before = desk.capability
    events, asked = play(desk, desk.apply(command(0.0)), lambda _: outcome)
    assert kinds(events) == ["SetpointSent", "SetpointRefused"]
    assert why in events[-1].why
    assert (events[-1].evse, events[-1].limit_a, events[-1].decision) == ("P1", 0.0, "d0")
    assert (len(asked), desk.capability) == (1, before)


def test_a_lost_link_proves_nothing_about_the_charger():
    desk = desk_of(charger())
    events, _ = play(desk, desk.apply(command(16.0)), lambda _: ("lost", b""))
    assert kinds(events) == ["SetpointSent", "SetpointRefused"]
    assert desk.capability == Capability()


def test_a_setpoint_counts_only_when_every_call_of_it_was_accepted():
    desk = desk_of(charger(2), transactions={1: "4711"})
    play(desk, desk.connected(T0), lambda _: ACCEPTED)
    tx, default, cap = desk.apply(command(16.0))
    for call in (tx, default, cap):
        (events, more) = desk.on_outcome(OwnOutcome(call, "sent", T0, mono_s=1.5))
        assert more == []
        assert kinds(events) == (["SetpointSent"] if call is tx else [])
        (events, _) = desk.on_outcome(OwnOutcome(call, "result", T0, ACCEPTED[1]))
        assert kinds(events) == (["SetpointAccepted"] if call is cap else [])


def test_a_refused_default_refuses_the_setpoint_although_the_transaction_is_held():
    desk = desk_of(charger(2), transactions={1: "4711"})
    play(desk, desk.connected(T0), lambda _: ACCEPTED)
    play(desk, desk.apply(command(16.0)), lambda _: ACCEPTED)
    answer = refusing(DEFAULT, REJECTED)
    events, _ = play(desk, desk.apply(command(0.0)), answer)
    assert kinds(events) == ["SetpointSent", "SetpointRefused"]


def test_a_group_cap_is_only_a_second_line():
    desk = desk_of(charger(2), transactions={1: "4711"})
    answer = refusing(CAP, REJECTED)
    events, _ = play(desk, desk.apply(command(16.0)), answer)
    assert kinds(events) == ["SetpointSent", "SetpointAccepted"]
    assert not desk.capability.group_cap
    assert all(purpose != CAP for purpose, _ in play(desk, desk.apply(command(8.0)), answer)[1])


def test_a_tx_profile_that_is_never_taken_leaves_the_value_to_the_default():
    desk = desk_of(charger(2), transactions={1: "4711"})
    answer = refusing(TX, NOT_SUPPORTED)
    events, _ = play(desk, desk.apply(command(16.0)), answer)
    assert kinds(events) == ["SetpointSent", "SetpointAccepted"]
    assert not desk.capability.tx_profile
    (default, *_) = desk.apply(command(9.0))
    assert default.slot == "default:1"
    assert body(default)["chargingSchedule"]["chargingSchedulePeriod"][0]["limit"] == 9.0


def test_a_tx_profile_refused_for_one_transaction_is_not_held_against_the_next():
    desk = desk_of(charger(2), transactions={1: "4711", 2: "4712"})
    play(desk, desk.apply(command(16.0, connector=2)), lambda _: ACCEPTED)
    answer = refusing(TX, REJECTED)
    events, asked = play(desk, desk.apply(command(16.0)), answer)
    assert kinds(events) == ["SetpointSent", "SetpointAccepted"]
    assert (TX, 8) in asked
    assert desk.capability.tx_profile
    # One that holds an older limit of the very transaction is not passed over: the default would not lead.
    events, _ = play(desk, desk.apply(command(6.0, connector=2)), answer)
    assert kinds(events) == ["SetpointSent", "SetpointRefused"]


def test_transactions_that_no_profile_can_name():
    desk = desk_of(charger(2))
    for unnamed in ("-1", "0", "abc", "9" * 30):
        calls = desk.apply(command(16.0, transaction_id=unnamed))
        assert "tx:1" not in [call.slot for call in calls]
    assert desk.apply(command(16.0, transaction_id="17"))[0].slot == "tx:1"


def test_a_newer_setpoint_replaces_one_that_was_not_sent():
    desk = desk_of(charger())
    play(desk, desk.connected(T0), lambda _: ACCEPTED)
    (first,) = desk.apply(command(16.0))
    (second,) = desk.apply(command(8.0))
    assert first.slot == second.slot
    assert desk.on_outcome(OwnOutcome(first, "superseded", T0)) == ([], [])
    events, _ = play(desk, [second], lambda _: ACCEPTED)
    assert [(type(e), e.limit_a) for e in events] == [(SetpointSent, 8.0), (SetpointAccepted, 8.0)]


def test_one_in_flight_is_still_acknowledged_when_a_newer_waits():
    desk = desk_of(charger())
    play(desk, desk.connected(T0), lambda _: ACCEPTED)
    (first,) = desk.apply(command(16.0))
    desk.on_outcome(OwnOutcome(first, "sent", T0))
    (second,) = desk.apply(command(8.0))
    events, _ = desk.on_outcome(OwnOutcome(first, "result", T0, ACCEPTED[1]))
    assert [(type(e), e.limit_a) for e in events] == [(SetpointAccepted, 16.0)]
    events, _ = play(desk, [second], lambda _: ACCEPTED)
    assert [(type(e), e.limit_a) for e in events] == [(SetpointSent, 8.0), (SetpointAccepted, 8.0)]


def test_an_old_refusal_leads_to_the_newest_value_only():
    desk = desk_of(charger())
    first, *_ = desk.apply(command(16.0))
    desk.on_outcome(OwnOutcome(first, "sent", T0))
    desk.apply(command(8.0))
    events, more = desk.on_outcome(OwnOutcome(first, "result", T0, REJECTED[1]))
    assert events == []
    limits = [body(call)["chargingSchedule"]["chargingSchedulePeriod"][0]["limit"] for call in more]
    assert limits == [8.0, 6.0]


def test_a_refusal_of_an_older_rung_climbs_no_further():
    desk = desk_of(charger(2), transactions={1: "4711"})
    tx, _, default, *_ = desk.apply(command(16.0))
    desk.on_outcome(OwnOutcome(tx, "result", T0, REJECTED[1]))
    assert desk.capability.level == 3
    assert default.slot == "default-fallback:1"
    assert desk.on_outcome(OwnOutcome(default, "result", T0, REJECTED[1])) == ([], [])
    assert (desk.capability.level, desk.capability.fallback) == (3, True)


def test_outcomes_of_an_older_socket_mean_nothing():
    desk = desk_of(charger())
    calls = desk.apply(command(16.0))
    desk.connected(T0)
    assert desk.on_outcome(OwnOutcome(calls[0], "result", T0, REJECTED[1])) == ([], [])
    assert desk.capability == Capability()


def test_fallbacks_come_again_after_a_reconnect_but_not_on_a_budget():
    free, thrifty = desk_of(charger()), desk_of(charger(budget=25))
    for desk in (free, thrifty):
        assert len(play(desk, desk.connected(T0), lambda _: ACCEPTED)[1]) == 1
    assert len(free.connected(T0)) == 1
    assert thrifty.connected(T0) == []
    boot = Call(Side.CHARGER, "b", "BootNotification", b'{"chargePointVendor":"","chargePointModel":"m"}', T0)
    booted, *_ = thrifty.on_exchange(Exchange(boot, True, b'{"status":"Accepted"}', T0))
    assert isinstance(booted, ChargerBooted)
    assert [call.slot for call in thrifty.apply(command(16.0))] == ["cap", "cap-fallback"]


def test_a_new_firmware_is_tried_anew():
    desk = desk_of(charger(), capability=Capability(mode="tx", level=3, firmware="1"))
    boot = Call(Side.CHARGER, "b", "BootNotification", b'{"firmwareVersion":"1"}', T0)
    desk.on_exchange(Exchange(boot, True, b'{"status":"Accepted"}', T0))
    assert (desk.capability.mode, desk.capability.level) == ("tx", 3)
    boot = Call(Side.CHARGER, "b", "BootNotification", b'{"firmwareVersion":"2"}', T0)
    desk.on_exchange(Exchange(boot, True, b'{"status":"Accepted"}', T0))
    assert (desk.capability.mode, desk.capability.level, desk.capability.firmware) == ("cap", 8, "2")


def test_an_unknown_clock_without_a_fallback_holds_the_fallback_value_and_says_so():
    desk = desk_of(charger(), clock=False, capability=Capability(fallback=False, proven=frozenset({Purpose.CAP})))
    assert not desk.clock.known
    (call,) = desk.apply(command(16.0))
    schedule = body(call)["chargingSchedule"]
    assert schedule["startSchedule"] == "1970-01-01T00:00:00Z"
    assert schedule["chargingSchedulePeriod"] == [{"startPeriod": 0, "limit": 6.0}]
    events, _ = play(desk, [call], lambda _: ACCEPTED)
    assert kinds(events) == ["SetpointSent", "SetpointRefused"]
    assert "clock" in events[-1].why
    assert events[0].limit_a == 6.0


def test_a_fallback_that_is_refused_does_not_stop_a_charger_whose_clock_is_known():
    desk = desk_of(charger())
    answer = lambda p: REJECTED if p["stackLevel"] == 0 else ACCEPTED  # noqa: E731 (shorter than a name for it)
    events, _ = play(desk, desk.apply(command(16.0)), answer)
    assert kinds(events)[-1] == "SetpointAccepted"
    assert not desk.capability.fallback


@pytest.mark.parametrize(
    ("payload", "hit"),
    [
        ({}, True),
        ({"id": 9001}, True),
        ({"id": 9002}, False),
        ({"id": 7}, False),
        ({"connectorId": 0}, True),
        ({"connectorId": 1}, False),
        ({"chargingProfilePurpose": CAP, "stackLevel": 8}, True),
        ({"chargingProfilePurpose": DEFAULT}, False),
    ],
)
def test_a_csms_that_clears_our_cap_voids_the_setpoint(payload, hit):
    desk = desk_of(charger())
    play(desk, desk.connected(T0), lambda _: ACCEPTED)
    play(desk, desk.apply(command(16.0)), lambda _: ACCEPTED)
    call = Call(Side.CSMS, "c", "ClearChargingProfile", json.dumps(payload).encode(), T0)
    unknown = desk.on_exchange(Exchange(call, True, b'{"status":"Unknown"}', T0))
    events = desk.on_exchange(Exchange(call, True, b'{"status":"Accepted"}', T0))
    assert unknown == []
    assert [kind for kind in kinds(events) if kind != "OwnCall"] == (["SetpointRefused"] if hit else [])
    assert all(event.voided for event in events if isinstance(event, SetpointRefused))
    if "id" not in payload and hit and "stackLevel" not in payload:
        assert [c.slot for c in desk.apply(command(16.0))] == ["cap", "cap-fallback"]


@pytest.mark.parametrize(("purpose", "level", "goes"), [(CAP, 8, True), (CAP, 7, False), (DEFAULT, 9, False)])
def test_a_csms_profile_that_stands_above_ours_goes_from_the_charger_into_the_shadow(purpose, level, goes):
    """As happens where the ladder gave a level up after the CSMS had used it."""
    desk = desk_of(charger())
    play(desk, desk.connected(T0), lambda _: ACCEPTED)
    play(desk, desk.apply(command(16.0)), lambda _: ACCEPTED)
    profile = {
        "chargingProfileId": 5,
        "stackLevel": level,
        "chargingProfilePurpose": purpose,
        "chargingProfileKind": "Absolute",
        "chargingSchedule": {
            "chargingRateUnit": "A",
            "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 30.0}],
        },
    }
    payload = {"connectorId": 0 if purpose == CAP else 1, "csChargingProfiles": profile}
    call = Call(Side.CSMS, "c", "SetChargingProfile", json.dumps(payload).encode(), T0)
    wants = desk.on_exchange(Exchange(call, True, b'{"status":"Accepted"}', T0))
    cleared = [w.payload for w in wants if isinstance(w, OwnCall) and w.action == "ClearChargingProfile"]
    assert cleared == ([{"id": 5}] if goes else [])
    assert [kept.owned for kept in desk.charging.shadow.book] == [goes]


def test_a_command_for_another_charger_is_a_mistake_that_names_both():
    desk = desk_of(charger())
    with pytest.raises(UnknownIdError, match=r"CP.*P9"):
        desk.apply(command(16.0, connector=9))


def test_memory_is_bounded_whatever_never_answers():
    desk = desk_of(charger())
    for n in range(500):
        (call, *_) = desk.apply(command(6.0 + n % 20, T0 + timedelta(seconds=n)))
        desk.on_outcome(OwnOutcome(call, "sent", T0))
    assert len(desk.charging.profiles._pending) <= 32
