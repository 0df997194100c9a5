"""The judge lets every faithful relay pass and catches every kind of unfaithfulness."""

from collections import deque
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.frame_judge import FrameJudge, Side

CP = "CP 001"


def call(number: int, action: str = "Heartbeat") -> str:
    return f'[2,"id-{number}","{action}",{{}}]'


def result(number: int, payload: str = "{}") -> str:
    return f'[3,"id-{number}",{payload}]'


class Wires:
    """Writes the judge's book by hand."""

    def __init__(self, **settings: Any) -> None:
        self.judge = FrameJudge(**settings)

    def sent(self, side: Side, *texts: str) -> None:
        for text in texts:
            self.judge.sent(CP, side, text)

    def got(self, side: Side, *texts: str) -> None:
        for text in texts:
            self.judge.received(CP, side, text)

    def passed(self, sender: Side, *texts: str) -> None:
        self.sent(sender, *texts)
        self.got("csms" if sender == "charger" else "charger", *texts)

    @property
    def verdict(self) -> tuple[int, int]:
        return self.judge.altered(), self.judge.leaked()


def test_a_faithful_relay_with_injected_calls_is_clean() -> None:
    wires = Wires()
    wires.passed("charger", call(1))
    wires.passed("csms", result(1), call(2, "SetChargingProfile"))
    wires.got("charger", '[2,"ours","SetChargingProfile",{}]')
    wires.passed("charger", result(2))
    wires.sent("charger", '[3,"ours",{"status":"Accepted"}]')
    wires.passed("charger", call(3), "not a frame at all [,")
    assert wires.verdict == (0, 0)
    assert wires.judge.relayed() == 6
    assert wires.judge.injected() == 1
    assert wires.judge.complaints == []


def test_a_changed_frame_counts_once() -> None:
    wires = Wires()
    wires.sent("charger", call(1), call(2))
    wires.got("csms", '[2, "id-1", "Heartbeat", {}]', call(2))
    assert wires.verdict == (1, 0)
    assert "not sent so" in wires.judge.complaints[0]


def test_a_changed_call_of_the_csms_is_not_taken_for_an_injected_one() -> None:
    wires = Wires()
    wires.sent("csms", '[2,"id-1","SetChargingProfile",{"a":1}]')
    wires.got("charger", '[2,"id-1","SetChargingProfile",{"a":2}]')
    assert wires.verdict == (1, 0)
    assert wires.judge.injected() == 0


def test_dropped_between_others_repeated_reordered_and_invented_frames() -> None:
    dropped = Wires()
    dropped.sent("charger", call(1), call(2))
    dropped.got("csms", call(2))
    assert dropped.verdict == (1, 0)
    twice = Wires()
    twice.passed("charger", call(1))
    twice.got("csms", call(1))
    assert twice.verdict == (1, 0)
    twice_down = Wires()
    twice_down.passed("csms", call(1))
    twice_down.got("charger", call(1))
    assert twice_down.verdict == (1, 0)
    swapped = Wires()
    swapped.sent("csms", call(1), call(2))
    swapped.got("charger", call(2), call(1))
    assert swapped.verdict == (1, 0)
    invented = Wires()
    invented.got("csms", call(1))
    assert invented.verdict == (1, 0)
    answered = Wires()
    answered.sent("charger", call(1))
    answered.got("charger", result(1, '{"made":"up"}'))
    assert answered.verdict == (1, 0)


def test_a_leaked_reply() -> None:
    wires = Wires()
    wires.got("charger", '[2,"ours","GetConfiguration",{}]')
    wires.passed("charger", '[3,"ours",{}]')
    assert wires.verdict == (0, 1)
    assert "never sent" in wires.judge.complaints[0]


def test_what_a_broken_link_swallowed_is_excused_but_only_the_tail() -> None:
    wires = Wires()
    wires.sent("charger", call(1), call(2), call(3))
    wires.got("csms", call(2))
    wires.judge.link_changed(CP)
    wires.judge.link_changed(CP)
    wires.passed("charger", call(4))
    assert wires.verdict == (1, 0), "the first was lost in the middle, the third with the link"
    # A relay that held the third and tells it later is no liar.
    wires.got("csms", call(3))
    assert wires.verdict == (1, 0)


def test_frames_in_flight_are_not_judged() -> None:
    wires = Wires()
    wires.sent("charger", call(1))
    wires.sent("csms", call(2))
    assert wires.verdict == (0, 0)


def test_what_the_relay_intercepts_by_design_is_not_judged() -> None:
    wires = Wires(intercepted=["GetConfiguration"])
    wires.sent("csms", call(1, "GetConfiguration"))
    wires.got("csms", result(1, '{"from":"the relay"}'))
    wires.sent("csms", call(2, "GetConfiguration"))
    wires.got("charger", '[2,"id-2","GetConfiguration",{"changed":1}]')
    wires.sent("charger", result(2))
    wires.got("csms", result(2, '{"changed":2}'))
    wires.passed("charger", call(3))
    assert wires.verdict == (0, 0)


def test_chargers_are_told_apart() -> None:
    judge = FrameJudge()
    judge.sent("one", "charger", call(1))
    judge.received("two", "csms", call(1))
    assert judge.altered() == 1


steps = st.lists(st.sampled_from(["say", "say", "carry", "carry", "carry", "inject", "break"]), max_size=60)


@settings(max_examples=200, deadline=None)
@given(plan=steps, spoil=st.integers(0, 40), how=st.sampled_from(["none", "change", "drop", "swap", "leak"]))
def test_any_traffic_is_clean_until_it_is_spoiled(plan: list[str], spoil: int, how: str) -> None:
    """A toy relay with queues both ways, losses and injected CALLs; one act of unfaithfulness at most."""
    judge = FrameJudge()
    up: deque[tuple[str, bool]] = deque()
    down: deque[tuple[str, bool]] = deque()
    spoiled = carried = 0
    for number, step in enumerate(plan):
        if step == "say":
            sender: Side = "charger" if number % 2 else "csms"
            text = call(number) if number % 3 else result(number)
            judge.sent(CP, sender, text)
            (up if sender == "charger" else down).append((text, False))
        elif step == "inject":
            down.append((f'[2,"ours-{number}","SetChargingProfile",{{}}]', True))
        elif step == "break":
            up.clear()
            down.clear()
            judge.link_changed(CP)
        else:
            side: Side = "charger" if number % 2 else "csms"
            queue = down if side == "charger" else up
            if not queue:
                continue
            text, ours = queue.popleft()
            carried += 1
            if carried == spoil and not ours and not spoiled:
                if how == "change":
                    text, spoiled = text.replace("{}", "{ }"), 1
                elif how == "swap" and queue and not queue[0][1]:
                    queue.appendleft((text, ours))
                    text, spoiled = queue[1][0], 1
                    del queue[1]
                elif how == "drop" and queue and not queue[0][1]:
                    text, spoiled = queue.popleft()[0], 1
            judge.received(CP, side, text)
            if side == "charger" and ours:
                answer = text.replace("[2,", "[3,").replace(',"SetChargingProfile"', "")
                judge.sent(CP, "charger", answer)
                if how == "leak" and not spoiled:
                    judge.received(CP, "csms", answer)
                    assert judge.leaked() == 1
                    spoiled = 1
    found = judge.altered() + judge.leaked()
    assert found == spoiled, judge.complaints
