"""Refusals: the ladder from the station cap down, what is proven, and when a set-point counts as refused."""

import json

import pytest
from ladder_world import (
    ACCEPTED,
    CAP,
    DEFAULT,
    NOT_SUPPORTED,
    REJECTED,
    SILENCE,
    T0,
    TX,
    body,
    charger,
    command,
    desk_of,
    kinds,
    play,
    refusing,
)

from domain.events import SetpointRefused
from proxy.protocol.capability import Capability
from proxy.protocol.composite import Purpose
from proxy.protocol.exchange import Call, OwnOutcome, Side


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
