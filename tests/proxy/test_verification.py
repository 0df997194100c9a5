"""A charger's own composite schedule: evidence where it is worth something, ignored where it is not."""

import itertools
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ocpp.messages import Call, _validate_payload

from domain.events import SetpointAccepted, SetpointConfirmed, SetpointIgnored
from domain.ids import ChargerId, DecisionId, EvseId, FeederId
from domain.site import PHASES, Charger, Evse
from proxy.protocol.exchange import OutcomeKind, OwnCall, OwnOutcome
from proxy.protocol.verification import MISSES, SLOW_S, STRIKES, Verification

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
EVSES = tuple(Evse(EvseId(f"E{n}"), ChargerId("CP1"), n, FeederId("main"), PHASES[:2]) for n in (1, 2))
CHARGER = Charger(ChargerId("CP1"), EVSES)


def verification(version: str = "ocpp1.6", **options: Any) -> Verification:
    tokens = itertools.count()
    return Verification(CHARGER, version, lambda: f"t{next(tokens)}", **options)  # type: ignore[arg-type]


def told(limit_a: float, at_s: float = 0.0, evse: int = 1) -> SetpointAccepted:
    return SetpointAccepted(EvseId(f"E{evse}"), NOW + timedelta(seconds=at_s), limit_a, DecisionId("d"))


def reply(limit: float, unit: str = "A", version: str = "ocpp1.6") -> dict[str, Any]:
    schedule = {"chargingRateUnit": unit, "chargingSchedulePeriod": [{"startPeriod": 0, "limit": limit}]}
    return {"status": "Accepted", "chargingSchedule" if version == "ocpp1.6" else "schedule": schedule}


def outcome(call: OwnCall, answer: Any, kind: OutcomeKind = "result", at_s: float = 1.0) -> OwnOutcome:
    return OwnOutcome(call, kind, NOW + timedelta(seconds=at_s), json.dumps(answer).encode())


def ask(one: Verification, limit_a: float, shown: Any, kind: OutcomeKind = "result", at_s: float = 0.0) -> list[Any]:
    """Tell a limit, answer the question with a limit or a whole reply; what is made of it."""
    (call,) = one.accepted(told(limit_a, at_s))
    return one.on_outcome(outcome(call, reply(shown) if isinstance(shown, float) else shown, kind, at_s + 1))


def honest() -> Verification:
    one = verification()
    ask(one, 10.0, 10.0)
    ask(one, 6.0, 6.0)
    assert one.verdict == "honest"
    return one


@pytest.mark.parametrize("version", ["ocpp1.6", "ocpp2.0.1", "ocpp2.1"])
def test_it_asks_after_each_new_limit_without_haste_and_by_the_book(version: str) -> None:
    one = verification(version)
    (call,) = one.accepted(told(10.0, evse=2))
    assert not call.urgent
    assert call.slot == "schedule:2", "one question per EVSE waits at a time"
    _validate_payload(Call("x", call.action, call.payload), version.removeprefix("ocpp"))
    assert one.on_outcome(outcome(call, reply(10.0, version=version))) == [
        SetpointConfirmed(EvseId("E2"), NOW + timedelta(seconds=1), 10.0, DecisionId("d"), "schedule", 10.0)
    ]
    assert one.accepted(told(10.0, evse=2)) == [], "a renewal of what was shown"
    assert len(one.accepted(told(12.0, evse=2))) == 1


def test_two_limits_that_it_follows_make_it_honest_and_one_repeated_does_not() -> None:
    one = verification()
    ask(one, 10.0, 10.0)
    assert one.verdict is None
    ask(one, 12.0, 12.3)
    assert one.verdict == "honest"


def test_a_schedule_that_stays_where_it_is_makes_nobody_honest() -> None:
    one = verification()
    for limit_a in (10.0, 10.4, 9.6):
        ask(one, limit_a, 10.0)
    assert one.verdict is None
    assert ask(one, 6.0, 10.0) == []


def test_less_than_it_was_told_is_a_limit_of_the_csms_and_holds() -> None:
    (event,) = ask(honest(), 16.0, 8.0)
    assert isinstance(event, SetpointConfirmed)
    assert (event.limit_a, event.shown_a) == (16.0, 8.0)


def test_an_honest_charger_that_shows_more_is_asked_again_and_then_believed() -> None:
    one = honest()
    assert ask(one, 8.0, 32.0) == [], "it may be slow"
    assert one.due_at == NOW + timedelta(seconds=1 + SLOW_S)
    assert one.pass_time(NOW + timedelta(seconds=SLOW_S)) == []
    (again,) = one.pass_time(NOW + timedelta(seconds=1 + SLOW_S))
    (event,) = one.on_outcome(outcome(again, reply(32.0), at_s=40))
    assert event == SetpointIgnored(EvseId("E1"), NOW + timedelta(seconds=40), 8.0, DecisionId("d"), 32.0, "schedule")
    assert one.due_at is None


def test_a_slow_charger_that_catches_up_is_no_liar_and_a_newer_limit_ends_the_wait() -> None:
    one = honest()
    ask(one, 8.0, 6.0 + 4.0)
    (again,) = one.pass_time(NOW + timedelta(seconds=SLOW_S + 1))
    (event,) = one.on_outcome(outcome(again, reply(8.0), at_s=40))
    assert isinstance(event, SetpointConfirmed)
    ask(one, 16.0, 32.0, at_s=50)
    (newer,) = one.accepted(told(12.0, 60))
    assert one.pass_time(NOW + timedelta(seconds=200)) == []
    assert one.on_outcome(outcome(newer, reply(12.0), at_s=61))


@pytest.mark.parametrize(
    ("answer", "kind", "verdict"),
    [
        ({"status": "Accepted"}, "result", "bare"),
        ({"status": "Accepted", "chargingSchedule": {"duration": 60, "chargingRateUnit": "A"}}, "result", "empty"),
        (
            {"status": "Accepted", "chargingSchedule": {"chargingRateUnit": "A", "chargingSchedulePeriod": []}},
            "result",
            "empty",
        ),
        ({"status": "Rejected"}, "result", "rejected"),
        (["NotImplemented", "", {}], "error", "rejected"),
        (None, "timeout", "silent"),
    ],
)
def test_useless_answers_end_the_questions(answer: Any, kind: OutcomeKind, verdict: str) -> None:
    one = verification()
    for number in range(STRIKES):
        assert ask(one, 6.0 + number, answer, kind) == []
    assert one.verdict == verdict
    assert one.accepted(told(20.0)) == []
    one.renewed()
    assert len(one.accepted(told(20.0))) == 1, "another firmware is asked again"


@pytest.mark.parametrize(("shown", "verdict"), [([32.0] * MISSES, "constant"), ([20.0, 21.0, 22.0, 23.0], "wrong")])
def test_answers_that_never_fit_accuse_nobody_and_end(shown: list[float], verdict: str) -> None:
    one = verification()
    for number, limit in enumerate(shown):
        at_s = 100.0 * number
        assert ask(one, 6.0 + number, limit, at_s=at_s) == []
        (again,) = one.pass_time(NOW + timedelta(seconds=at_s + SLOW_S + 1))
        assert one.on_outcome(outcome(again, reply(limit), at_s=at_s + 40)) == []
    assert one.verdict == verdict
    assert one.accepted(told(20.0)) == []


def test_a_limit_in_watts_is_read_over_the_conductors_that_are_wired() -> None:
    one = verification(unit="W", line_to_line_v=208.0)
    (call,) = one.accepted(told(10.0))
    assert call.payload["chargingRateUnit"] == "W"
    (event,) = one.on_outcome(outcome(call, reply(2080.0, "W")))
    assert isinstance(event, SetpointConfirmed)


def test_answers_of_an_older_socket_or_to_an_older_limit_mean_nothing() -> None:
    one = verification()
    (old,) = one.accepted(told(10.0))
    one.connected()
    assert one.on_outcome(outcome(old, reply(10.0))) == []
    (first,) = one.accepted(told(11.0))
    (second,) = one.accepted(told(12.0))
    assert one.on_outcome(outcome(first, reply(32.0))) == []
    assert one.on_outcome(outcome(second, reply(12.0)))


@given(
    st.lists(
        st.tuples(
            st.floats(0, 32),
            st.one_of(st.floats(0, 100), st.sampled_from([None, 5, {}, {"status": "Accepted"}, [], "x"])),
            st.sampled_from(["result", "error", "timeout", "lost", "superseded"]),
        ),
        max_size=20,
    )
)
def test_no_answer_raises_and_nobody_is_accused_before_he_was_honest(
    steps: list[tuple[float, Any, OutcomeKind]],
) -> None:
    one, shown = verification(), set()
    for number, (limit_a, answer, kind) in enumerate(steps):
        at_s = 100.0 * number
        calls = [*one.accepted(told(limit_a, at_s)), *one.pass_time(NOW + timedelta(seconds=at_s + 60))]
        for call in calls:
            for event in one.on_outcome(outcome(call, reply(answer) if isinstance(answer, float) else answer, kind)):
                if isinstance(event, SetpointIgnored):
                    assert len(shown) >= STRIKES
            if isinstance(answer, float) and kind == "result" and abs(answer - limit_a) <= 0.5:
                shown.add(limit_a)
