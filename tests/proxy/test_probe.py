"""What a charger says of itself: asked gently, read tolerantly, and what the ladder makes of it."""

import itertools
import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ocpp.messages import Call, _validate_payload

from domain.quirks import UNKNOWN, Quirks
from proxy.protocol.capability import Capability
from proxy.protocol.composite import Purpose
from proxy.protocol.exchange import OutcomeKind, OwnCall, OwnOutcome
from proxy.protocol.probe import KEYS_16, KEYS_201, Probe, read_answers, variable, words

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
VERSIONS = ["ocpp1.6", "ocpp2.0.1", "ocpp2.1"]
VALUES_16 = {
    "ChargeProfileMaxStackLevel": "7",
    "ChargingScheduleAllowedChargingRateUnit": "Current,Power",
    "ChargingScheduleMaxPeriods": "24",
    "MaxChargingProfilesInstalled": "10",
    "ConnectorSwitch3to1PhaseSupported": "false",
    "MeterValuesSampledData": "Energy.Active.Import.Register,Voltage",
    "MeterValueSampleInterval": "60",
}
TOLD = {
    "max_level": 7,
    "rate_units": ("A", "W"),
    "max_periods": 24,
    "max_profiles": 10,
    "switches_phases": False,
    "measurands": ("Energy.Active.Import.Register", "Voltage"),
    "sample_interval_s": 60,
}
VALUES_201 = dict(
    zip(KEYS_201, ["7", "A,W", "24", "10", "False", VALUES_16["MeterValuesSampledData"], "60"], strict=True)
)


def probe(version: str) -> Probe:
    tokens = itertools.count()
    return Probe(version, lambda: f"t{next(tokens)}")  # type: ignore[arg-type]


def outcome(call: OwnCall, kind: OutcomeKind, answer: object = None) -> OwnOutcome:
    return OwnOutcome(call, kind, NOW, json.dumps(answer).encode())


def asked(call: OwnCall) -> list[str]:
    if call.action == "GetConfiguration":
        return list(call.payload["key"])  # type: ignore[call-overload]
    found = []
    for item in call.payload["getVariableData"]:  # type: ignore[attr-defined]
        instance = item["variable"].get("instance")
        found.append(f"{item['component']['name']}.{item['variable']['name']}" + (f"[{instance}]" if instance else ""))
    return found


def answer(call: OwnCall, known: dict[str, str]) -> dict[str, Any]:
    """What a charger that knows these settings says."""
    if call.action == "GetConfiguration":
        told = [{"key": key, "readonly": True, "value": known[key]} for key in asked(call) if key in known]
        return {"configurationKey": told, "unknownKey": [key for key in asked(call) if key not in known]}
    results = []
    for key in asked(call):
        result = {**variable(key), "attributeStatus": "UnknownVariable"}
        if key in known:
            result |= {"attributeStatus": "Accepted", "attributeValue": known[key]}
        results.append(result)
    return {"getVariableResult": results}


def run(one: Probe, known: dict[str, str], most: int = 99, refuses_more_than: int = 99) -> list[OwnCall]:
    """Answer until it is done; a question for more than so many settings is an error."""
    calls, waiting = [], one.begin()
    while waiting:
        (call,) = waiting
        calls.append(call)
        assert one.on_outcome(outcome(call, "sent")) == []
        if len(asked(call)) > refuses_more_than:
            waiting = one.on_outcome(outcome(call, "error", ["OccurrenceConstraintViolation", "", {}]))
        else:
            waiting = one.on_outcome(outcome(call, "result", answer(call, known)))
        assert len(calls) < most
    assert one.done
    return calls


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(("refuses_more_than", "most_calls"), [(99, 2), (1, 9)])
def test_all_that_it_says_is_read_in_few_questions_or_one_by_one(
    version: str, refuses_more_than: int, most_calls: int
) -> None:
    one = probe(version)
    calls = run(one, VALUES_16 if version == "ocpp1.6" else VALUES_201, refuses_more_than=refuses_more_than)
    assert one.found == TOLD
    assert len(calls) <= most_calls
    for call in calls:
        assert not call.urgent
        _validate_payload(Call("x", call.action, call.payload), version.removeprefix("ocpp"))


def test_what_is_unknown_stays_unknown_and_nonsense_tells_nothing() -> None:
    one = probe("ocpp1.6")
    run(one, {"ChargeProfileMaxStackLevel": "1634030126", "ChargingScheduleAllowedChargingRateUnit": "Joule"})
    assert one.found == {}
    told = {"ChargingScheduleAllowedChargingRateUnit": " Power", "MaxChargingProfilesInstalled": "-1"}
    run(one, told)
    assert one.found == {"rate_units": ("W",)}


@pytest.mark.parametrize("kind", ["timeout", "error"])
def test_a_charger_that_answers_no_question_is_left_alone_after_two(kind: OutcomeKind) -> None:
    one = probe("ocpp1.6")
    (first,) = one.begin()
    (second,) = one.on_outcome(outcome(first, kind, ["InternalError", "", {}]))
    assert len(asked(second)) == 1
    assert one.on_outcome(outcome(second, kind, ["InternalError", "", {}])) == []
    assert one.done
    assert one.found == {}


def test_a_lost_link_ends_the_round_and_another_begins_anew() -> None:
    one = probe("ocpp2.0.1")
    (first,) = one.begin()
    assert one.on_outcome(outcome(first, "lost")) == []
    assert one.done
    assert run(one, VALUES_201)
    assert one.found == TOLD
    assert one.on_outcome(outcome(first, "result", answer(first, VALUES_201))) == [], "an old answer"


@given(st.text(max_size=300))
def test_words_are_few_plain_and_each_once(text: str) -> None:
    found = words(text)
    assert len(set(found)) == len(found) <= 100
    assert all(word and word.isprintable() and "," not in word and word == word.strip() for word in found)
    assert words(",".join(found)) == found


@given(
    st.dictionaries(
        st.sampled_from([*KEYS_16, "Else"]), st.one_of(st.none(), st.text(), st.integers(), st.lists(st.text()))
    )
)
def test_no_answer_ever_raises(told: dict[str, Any]) -> None:
    reply = {"configurationKey": [{"key": key, "value": value} for key, value in told.items()]}
    replace(UNKNOWN, **read_answers("ocpp1.6", json.dumps(reply).encode()))
    assert read_answers("ocpp1.6", b'{"configurationKey": 5}') == read_answers("ocpp2.1", b"not json") == {}


def test_the_ladder_begins_where_the_record_says() -> None:
    assert Capability.of(UNKNOWN) == Capability()
    assert Capability.of(Quirks(max_level=3)).level == 3
    known = Capability.of(Quirks(mode="tx", level=0, timed=True, proven=("default profile", "nonsense")))
    assert (known.mode, known.level, known.proven) == ("tx", 0, {Purpose.DEFAULT})
    assert Capability.of(Quirks(rate_units=("W",))).unit == "W"
    assert Capability.of(Quirks(rate_units=("A", "W"))).unit == "A"
    assert Capability.of(Quirks(rate_units=("A",), unit="W")).unit == "W", "a person's word"


def test_what_the_ladder_shows_comes_back_as_the_same_rung() -> None:
    climbed = Capability(level=1, mode="tx", tx_profile=False, proven=frozenset({Purpose.DEFAULT}), unit="W")
    again = Capability.of(replace(UNKNOWN, **climbed.shown()))
    assert again.same_rung(replace(climbed, max_level=None))
    assert again.proven == climbed.proven


def test_a_charger_that_says_nothing_of_units_is_tried_in_watts_last_and_one_that_says_amperes_never() -> None:
    last = Capability(mode="tx", timed=False, tx_profile=False, level=0)
    in_watts = last.refused(Purpose.DEFAULT, "rejected")
    assert in_watts is not None
    assert (in_watts.unit, in_watts.mode, in_watts.timed) == ("W", "cap", True)
    assert replace(last, unit="W").refused(Purpose.DEFAULT, "rejected") is None
    assert replace(last, unit_told=True).refused(Purpose.DEFAULT, "rejected") is None
    assert last.refused(Purpose.DEFAULT, "silent") is None
    assert replace(last, unit="W").restarted().unit == "A"
