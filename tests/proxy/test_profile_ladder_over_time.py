"""What a charger's ladder of profiles remembers: newer set-points, reconnects, firmware, the CSMS's own doings."""

import json
from datetime import timedelta

import pytest
from ladder_world import (
    ACCEPTED,
    CAP,
    DEFAULT,
    REJECTED,
    T0,
    body,
    charger,
    command,
    desk_of,
    kinds,
    play,
)

from domain.errors import UnknownIdError
from domain.events import ChargerBooted, SetpointAccepted, SetpointRefused, SetpointSent
from proxy.protocol.capability import Capability
from proxy.protocol.composite import Purpose
from proxy.protocol.exchange import Call, Exchange, OwnCall, OwnOutcome, Side


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
