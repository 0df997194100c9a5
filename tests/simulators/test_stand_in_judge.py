"""The judge of a relay that stands in for its CSMS: what it promised is told, and nothing else passes."""

from typing import Any

import pytest

from simulators.frame_judge import FrameJudge, Side

CP = "CP 001"


def start(number: int, stamp: str = "2026-03-02T18:00:00Z") -> str:
    return f'[2,"id-{number}","StartTransaction",{{"connectorId":1,"idTag":"T","timestamp":"{stamp}","meterStart":0}}]'


def meter(number: int, transaction: int, value: str, context: str = "Sample.Periodic") -> str:
    values = f'[{{"timestamp":"t{number}","sampledValue":[{{"value":"{value}","context":"{context}"}}]}}]'
    return f'[2,"id-{number}","MeterValues",{{"connectorId":1,"transactionId":{transaction},"meterValue":{values}}}]'


def result(number: int, payload: str = "{}") -> str:
    return f'[3,"id-{number}",{payload}]'


def replayed(text: str, number: int) -> str:
    """The same message as a CALL of the relay's own."""
    return f'[2,"own-{number}"' + text[text.index(',"', 4) :]


class Wires:
    """Writes the judge's book by hand."""

    def __init__(self, **settings: Any) -> None:
        self.judge = FrameJudge(**{"holds": True, **settings})

    def sent(self, side: Side, *texts: str) -> None:
        for text in texts:
            self.judge.sent(CP, side, text)

    def got(self, side: Side, *texts: str) -> None:
        for text in texts:
            self.judge.received(CP, side, text)

    def outage(self, *calls: str) -> None:
        """The charger says these and the relay answers."""
        for text in calls:
            self.sent("charger", text)
            number = int(text[7 : text.index('"', 7)])
            self.got("charger", result(number, '{"transactionId":7}' if "Start" in text else "{}"))


CALLS = (start(1), meter(2, 7, "10"), meter(3, 7, "20"))


def test_what_was_answered_is_told_once_in_order_and_with_the_csms_s_own_numbers() -> None:
    wires = Wires()
    wires.outage(*CALLS)
    assert len(wires.judge.untold()) == 3
    for number, text in enumerate((CALLS[0], meter(2, 41, "10"), meter(3, 41, "20"))):
        wires.got("csms", replayed(text, number))
        wires.sent("csms", f'[3,"own-{number}",{{"transactionId":41}}]')
    # The charger goes on with the number that it was given, and the relay translates it.
    wires.sent("charger", meter(4, 7, "30"))
    wires.got("csms", meter(4, 41, "30"))
    wires.sent("csms", result(4))
    wires.got("charger", result(4))
    assert (wires.judge.complaints, wires.judge.untold()) == ([], [])
    assert wires.judge.stood_in() == 3


@pytest.mark.parametrize(
    ("told", "finding"),
    [
        ((CALLS[0], CALLS[2]), "before an older one"),
        ((CALLS[0], CALLS[1].replace('"10"', '"11"')), "never sent so"),
        (('[2,"id-9","FirmwareStatusNotification",{}]',), "never sent so"),
        (('[2,"id-9","Heartbeat",{}]',), "never sent"),
    ],
)
def test_a_replay_that_is_no_replay(told: tuple[str, ...], finding: str) -> None:
    wires = Wires()
    wires.outage(*CALLS)
    for number, text in enumerate(told):
        wires.got("csms", replayed(text, number))
    assert finding in wires.judge.complaints[0]
    assert wires.judge.altered() == 1


def test_what_must_not_be_lost_is_not_refused_and_no_answer_comes_while_the_csms_is_there() -> None:
    refused = Wires()
    refused.sent("charger", CALLS[0])
    refused.got("charger", '[4,"id-1","GenericError","",{}]')
    assert "must not be lost" in refused.judge.complaints[0]
    there = Wires()
    there.judge.may_stand_in = lambda _: False
    there.outage(CALLS[0])
    assert "although it was there" in there.judge.complaints[0]
    behind_kept_ones = Wires()
    behind_kept_ones.outage(CALLS[0])
    behind_kept_ones.judge.may_stand_in = lambda _: False
    behind_kept_ones.outage(*CALLS[1:])
    assert behind_kept_ones.judge.complaints == [], "what comes after a kept message is told after it"
    at_a_site_that_closes = Wires(holds=False)
    at_a_site_that_closes.outage(CALLS[0])
    assert "not sent so" in at_a_site_that_closes.judge.complaints[0]


@pytest.mark.parametrize(("accepted_before", "complaints"), [(True, 0), (False, 1)])
def test_a_tag_is_accepted_only_if_the_csms_did(accepted_before: bool, complaints: int) -> None:
    wires = Wires()
    if accepted_before:
        wires.sent("charger", '[2,"id-1","Authorize",{"idTag":"T"}]')
        wires.got("csms", '[2,"id-1","Authorize",{"idTag":"T"}]')
        wires.sent("csms", result(1, '{"idTagInfo":{"status":"Accepted"}}'))
        wires.got("charger", result(1, '{"idTagInfo":{"status":"Accepted"}}'))
    wires.sent("charger", '[2,"id-2","Authorize",{"idTag":"T"}]')
    wires.got("charger", result(2, '{"idTagInfo":{"status":"Accepted"}}'))
    assert len(wires.judge.complaints) == complaints


def test_a_late_reply_stays_with_the_relay_and_a_second_answer_is_found() -> None:
    wires = Wires()
    wires.sent("charger", CALLS[1])
    wires.got("csms", CALLS[1])
    wires.got("charger", result(2))
    wires.sent("csms", result(2, '{"late":true}'))
    assert wires.judge.complaints == []
    assert wires.judge.untold() == []
    wires.got("charger", result(2, '{"late":true}'))
    assert wires.judge.altered() == 1


TRIGGER = '[2,"ours","TriggerMessage",{"requestedMessage":"MeterValues","connectorId":1}]'


@pytest.mark.parametrize(
    ("injected", "samples", "altered"),
    [
        (TRIGGER, [meter(1, 5, "1", "Trigger")], 0),
        (TRIGGER, [meter(1, 5, "1", "Trigger"), meter(2, 5, "1", "Trigger")], 1),
        (TRIGGER, [meter(1, 5, "1")], 1),
        ("", [meter(1, 5, "1", "Trigger")], 1),
        ('[2,"ours","ChangeConfiguration",{"key":"MeterValueSampleInterval","value":"30"}]', [meter(1, 5, "1")], 0),
        ('[2,"ours","ChangeConfiguration",{"key":"MeterValuesSampledData","value":"SoC"}]', [meter(1, 5, "1")], 1),
    ],
)
def test_samples_stay_with_the_relay_only_where_it_asked_for_them(
    injected: str, samples: list[str], altered: int
) -> None:
    wires = Wires(holds=False, intercepted=["ChangeConfiguration"])
    if injected:
        wires.got("charger", injected)
    for number, text in enumerate(samples, 1):
        wires.sent("charger", text)
        wires.got("charger", result(number))
    assert wires.judge.altered() == altered


SAMPLE = meter(1, 0, "10", "Trigger")


def asked_for() -> Wires:
    """The relay asked for a sample, and the charger has sent it."""
    wires = Wires()
    wires.got("charger", TRIGGER)
    wires.sent("charger", SAMPLE)
    return wires


def test_a_sample_that_the_relay_asked_for_may_be_told_later_or_never_but_only_as_it_was() -> None:
    kept = asked_for()
    kept.got("charger", result(1))
    assert (kept.judge.complaints, kept.judge.untold()) == ([], [])
    kept.got("csms", replayed(SAMPLE, 1))
    assert kept.judge.complaints == []
    kept.got("csms", replayed(SAMPLE.replace('"10"', '"11"'), 2))
    assert "never sent so" in kept.judge.complaints[0]
    never_sent = Wires()
    never_sent.got("charger", TRIGGER)
    never_sent.got("csms", replayed(SAMPLE, 1))
    assert "never sent so" in never_sent.judge.complaints[0]


def test_a_sample_that_the_relay_asked_for_and_passed_on_is_the_csms_s_to_answer() -> None:
    silent = asked_for()
    silent.got("csms", SAMPLE)
    silent.got("charger", result(1))
    silent.sent("csms", result(1, '{"late":true}'), '[2,"next","ClearCache",{}]')
    silent.got("charger", '[2,"next","ClearCache",{}]')
    assert silent.judge.complaints == [], "a late reply stays with the relay"
    there = asked_for()
    there.judge.may_stand_in = lambda _: False
    there.got("csms", SAMPLE)
    there.got("charger", result(1))
    assert "although it was there" in there.judge.complaints[0]


HEARTBEAT = '[2,"id-1","Heartbeat",{}]'


@pytest.mark.parametrize(
    ("arrived", "may_stand_in", "complaints"),
    [
        ([HEARTBEAT], True, 0),
        ([HEARTBEAT, HEARTBEAT], True, 1),
        ([HEARTBEAT.replace("{}", '{"x":1}')], True, 1),
        ([HEARTBEAT], False, 1),
    ],
)
def test_what_was_answered_in_the_csms_s_place_may_still_come_once_over_a_link_that_was_frozen(
    arrived: list[str], may_stand_in: bool, complaints: int
) -> None:
    wires = Wires()
    wires.sent("charger", HEARTBEAT)
    wires.got("charger", result(1, '{"currentTime":"t"}'))
    wires.judge.may_stand_in = lambda _: may_stand_in
    wires.got("csms", *arrived)
    wires.sent("csms", result(1, '{"currentTime":"late"}'))
    assert len(wires.judge.complaints) == complaints
