"""What is said in the CSMS's place is valid and true, and what it is told later is what the charger said."""

import json
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import jsonschema
import ocpp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.protocol.exchange import OwnOutcome
from proxy.protocol.frames import CallFrame, read
from proxy.protocol.held import Entry, Kind, Stored, TagInfo
from proxy.protocol.hold_policy import HOLD, MEANING, Held
from proxy.protocol.interception import Answered
from proxy.protocol.policy import POLICY
from proxy.protocol.provisional import TransactionIds, marked_offline
from proxy.protocol.replay import PROVISIONAL_FROM, Again, Replay, Send, SetAside, Told
from proxy.protocol.stand_in import StandIn, learnt

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
FOLDERS = {"ocpp1.6": "v16", "ocpp2.0.1": "v201", "ocpp2.1": "v21"}
OF_THE_CHARGER = [(version, action) for version, rules in HOLD.items() for action in rules]
TAGS = {"GOOD": TagInfo(NOW + timedelta(days=1), "PARENT"), "OLD": TagInfo(NOW - timedelta(days=1))}


@cache
def schema(version: str, action: str) -> dict[str, object]:
    file = Path(ocpp.__file__).parent / FOLDERS[version] / "schemas" / f"{action}Response.json"
    return json.loads(file.read_text("utf-8-sig"))


def call(action: str, payload: object, call_id: str = "1") -> CallFrame:
    frame = read(json.dumps([2, call_id, action, payload]).encode())
    assert isinstance(frame, CallFrame)
    return frame


def answers(stand_in: StandIn, version: str, action: str, payload: object) -> Answered:
    frame = call(action, payload)
    if stand_in.rule(action).held is not Held.STORE:
        return stand_in.answer(action, bytes(frame.payload), NOW)
    entry = stand_in.entry(frame, NOW, NOW, was_sent=False)
    transaction = PROVISIONAL_FROM if entry.kind is Kind.START else None
    return stand_in.stored(Stored(1, entry, transaction), NOW)


@pytest.mark.parametrize(("version", "action"), OF_THE_CHARGER)
@pytest.mark.parametrize("tag", ["GOOD", "OLD", "NEW", None])
def test_every_answer_is_valid_by_the_official_schemas(version, action, tag):
    payload: dict[str, object] = {}
    if tag is not None:
        payload = {"idTag": tag} if version == "ocpp1.6" else {"idToken": {"idToken": tag, "type": "Central"}}
    for accepted in (True, False):
        answer = answers(StandIn(version, TAGS, accepted=accepted), version, action, payload)
        assert answer.ok
        jsonschema.validate(json.loads(answer.payload), schema(version, action))


def test_every_action_that_a_charger_sends_has_a_rule_and_every_rule_its_words():
    """What is forwarded is a charger's or a CSMS's: a charger's has a result that its CSMS gives."""
    assert set(MEANING) == set(Held)
    for version, rules in HOLD.items():
        assert set(rules) <= set(POLICY[version])


@pytest.mark.parametrize(
    ("tag", "status"), [("GOOD", "Accepted"), ("OLD", "Expired"), ("NEW", "Invalid"), (7, "Invalid")]
)
def test_a_tag_is_what_the_csms_last_said(tag, status):
    stand_in = StandIn("ocpp1.6", TAGS, accepted=True)
    info = json.loads(answers(stand_in, "ocpp1.6", "Authorize", {"idTag": tag}).payload)["idTagInfo"]
    assert info["status"] == status
    assert info.get("parentIdTag") == ("PARENT" if tag == "GOOD" else None)


@pytest.mark.parametrize(
    ("payload", "reply", "found"),
    [
        ({"idTag": "A"}, {"idTagInfo": {"status": "Accepted", "parentIdTag": "P"}}, TagInfo(None, "P")),
        ({"idTag": "A"}, {"idTagInfo": {"status": "Accepted", "expiryDate": "2026-03-01T12:00:00Z"}}, TagInfo(NOW)),
        ({"idTag": "A"}, {"transactionId": 1, "idTagInfo": {"status": "Blocked"}}, None),
        ({"idToken": {"idToken": "A"}}, {"idTokenInfo": {"status": "Accepted"}}, TagInfo()),
    ],
)
def test_what_is_learnt_of_a_tag(payload, reply, found):
    lesson = learnt(json.dumps(payload).encode(), json.dumps(reply).encode())
    assert lesson is not None
    assert (lesson.tag, lesson.info) == ("A", found)


@pytest.mark.parametrize("reply", [b"{}", b'{"idTagInfo":7}', b'"Info', b'{"idTagInfo":{"status":"ConcurrentTx"}}'])
def test_nothing_is_learnt_of_nonsense(reply):
    assert learnt(b'{"idTag":"A"}', reply) is None


@given(st.binary(max_size=60) | st.text(max_size=60).map(str.encode), st.sampled_from(OF_THE_CHARGER))
def test_no_payload_at_all_makes_it_fail(payload, place):
    version, action = place
    stand_in = StandIn(version, TAGS, accepted=True)
    frame = CallFrame("1", action, payload)
    assert stand_in.answer(action, payload, NOW)
    entry = stand_in.entry(frame, NOW, NOW, was_sent=False)
    assert stand_in.stored(Stored(1, entry, PROVISIONAL_FROM), NOW).ok
    ids = TransactionIds([(PROVISIONAL_FROM, 7)])
    assert ids.to_csms(action, payload) is payload or b"7" in ids.to_csms(action, payload)
    marked_offline(payload)
    Replay("CP", ids, recognises_repeats=False).plan(Stored(1, entry, PROVISIONAL_FROM), NOW)


@given(st.lists(st.integers(1, 10**6), unique=True), st.integers())
def test_ids_come_back_as_they_went(reals, other):
    known = {PROVISIONAL_FROM + number: real for number, real in enumerate(reals)}
    ids = TransactionIds(known.items())
    for provisional, real in known.items():
        up = json.loads(ids.to_csms("StopTransaction", b'{"meterStop": 1.50, "transactionId": %d}' % provisional))
        assert up == {"meterStop": 1.5, "transactionId": real}
        profile = b'{"connectorId":1,"csChargingProfiles":{"transactionId":%d,"x":1.10}}' % real
        down = ids.to_charger("SetChargingProfile", profile)
        assert down == profile.replace(b'Id":%d,"x' % real, b'Id":%d,"x' % provisional)
        assert ids.to_csms("SetChargingProfile", profile) is profile
    if other not in known:
        unknown = b'{"transactionId":%d}' % other
        assert ids.to_csms("MeterValues", unknown) is unknown


@pytest.mark.parametrize("version", ["ocpp1.6", "ocpp2.0.1"])
def test_what_is_a_repeat(version):
    stand_in = StandIn(version, TAGS, accepted=True)

    def key(action: str, payload: object, call_id: str = "1") -> str:
        return stand_in.entry(call(action, payload, call_id), NOW, NOW, was_sent=False).key

    if version == "ocpp1.6":
        start = {"connectorId": 1, "idTag": "A", "meterStart": 0, "timestamp": "2026-03-01T12:00:00Z"}
        assert key("StartTransaction", start) == key("StartTransaction", {**start, "reservationId": 3}, "2")
        assert key("StartTransaction", start) != key("StartTransaction", {**start, "meterStart": 1})
        return
    event = {"eventType": "Updated", "seqNo": 1, "timestamp": "t", "transactionInfo": {"transactionId": "x"}}
    assert key("TransactionEvent", event) == key("TransactionEvent", {**event, "offline": True}, "2")
    assert key("TransactionEvent", event) != key("TransactionEvent", {**event, "seqNo": 2})
    assert key("TransactionEvent", event) != key(
        "TransactionEvent", {**event, "transactionInfo": {"transactionId": "y"}}
    )


def stored_start(sends: int, *, doubt: bool = False) -> Stored:
    payload = b'{"connectorId":1,"idTag":"A","timestamp":"t"}'
    return Stored(3, Entry(Kind.START, "StartTransaction", payload, "k", NOW, sends, doubt), PROVISIONAL_FROM + 3)


@pytest.mark.parametrize(
    ("sends", "doubt", "recognises", "sent", "doubted"),
    [
        (0, False, False, True, False),
        (0, True, False, True, True),
        (1, False, False, True, True),
        (2, False, False, False, True),
        (2, False, True, True, True),
    ],
)
def test_how_often_a_start_is_sent(sends, doubt, recognises, sent, doubted):
    plan = Replay("CP", TransactionIds(), recognises_repeats=recognises).plan(stored_start(sends, doubt=doubt), NOW)
    assert isinstance(plan, Send if sent else SetAside)
    assert (plan.doubt is not None) is doubted


def test_what_comes_of_a_replay():
    replay, stored = Replay("CP", TransactionIds(), recognises_repeats=False), stored_start(0)
    plan = replay.plan(stored, NOW)
    assert isinstance(plan, Send)

    def outcome(kind: str, payload: bytes = b"") -> object:
        return replay.outcome(stored, OwnOutcome(plan.call, kind, NOW, payload))

    assert outcome("result", b'{"transactionId": 7}') == Told(7)
    assert outcome("timeout") == Again(1.0)
    assert [outcome("error", b'["X"]') for _ in range(2)] == [Again(5.0, refused=True), Again(10.0, refused=True)]
    assert isinstance(outcome("error", b'["X"]'), SetAside)


def test_a_message_of_a_transaction_that_the_csms_does_not_know_stays_here():
    entry = Entry(Kind.IN_TRANSACTION, "StopTransaction", b'{"transactionId":%d}' % PROVISIONAL_FROM, "k", NOW)
    replay = Replay("CP", TransactionIds(), recognises_repeats=True)
    assert isinstance(replay.plan(Stored(1, entry), NOW, {PROVISIONAL_FROM}), SetAside)
    assert isinstance(replay.plan(Stored(1, entry), NOW), Send)  # a CSMS that gives out such numbers itself


def test_a_replayed_event_says_that_it_is_history_and_keeps_its_numbers():
    payload = b'{"eventType":"Ended","offline":false,"meterValue":[{"value":1.10}]}'
    assert marked_offline(payload) == b'{"eventType":"Ended","offline":true,"meterValue":[{"value":1.10}]}'
