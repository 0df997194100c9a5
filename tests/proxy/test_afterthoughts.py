"""Every frame is relayed before anything is thought about, and thoughts keep their order."""

import asyncio
from typing import Any, cast

from proxy_world import LoopClock, Notebook, command

from domain.events import ChargerDisconnected, Event
from domain.ids import ChargerId
from proxy.afterthoughts import Afterthoughts
from proxy.closing import Ending
from proxy.legs import Leg
from proxy.link import Link
from proxy.protocol.exchange import Call, Exchange, OwnOutcome
from proxy.protocol.interception import PassesAll
from proxy.protocol.relay import Relay
from proxy.settings import Counters
from proxy.surroundings import Surroundings


async def test_work_is_done_in_order_in_the_next_turn():
    done: list[int] = []
    afterthoughts = Afterthoughts()
    for number in range(3):
        afterthoughts.add(lambda number=number: done.append(number))
    assert done == []
    await asyncio.sleep(0)
    assert done == [0, 1, 2]
    afterthoughts.add(lambda: done.append(3))
    afterthoughts.run()
    assert done == [0, 1, 2, 3]


async def test_work_that_fails_takes_no_other_with_it():
    done: list[str] = []
    failures: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context["exception"]))
    afterthoughts = Afterthoughts()
    afterthoughts.add(lambda: done.append("before"))
    afterthoughts.add([].pop)
    afterthoughts.add(lambda: done.append("after"))
    await asyncio.sleep(0)
    assert done == ["before"]
    await asyncio.sleep(0)
    assert done == ["before", "after"]
    assert [type(failure) for failure in failures] == [IndexError]


class Diary(PassesAll):
    """A link between two legs and a desk that all write into one list."""

    def __init__(self, afterthoughts: Afterthoughts) -> None:
        self.lines: list[str] = []
        self.to_charger, self.to_csms = self._leg("charger"), self._leg("CSMS")
        around = Surroundings(LoopClock(), lambda: 1.0, self._publish, Counters(), lambda _: None, afterthoughts)
        legs = (self.to_charger, self.to_csms)
        self.link = Link(ChargerId("CP001"), "ocpp1.6", legs, Relay(lambda: "own"), self, around)

    def _leg(self, name: str) -> Leg:
        lines = self.lines

        class Paper:
            heard_s = 0.0

            def bind(self, _owner: object) -> None:
                pass

            def send(self, raw: bytes) -> bool:
                lines.append(f"{name} < {raw.decode()[:8]}")
                return True

            send_now = send

            def flush_messages(self) -> None:
                pass

            def close(self, code: int, reason: str) -> None:
                pass

        return cast(Leg, Paper())

    def _publish(self, event: Event) -> None:
        self.lines.append(type(event).__name__)

    def connected(self, now: object) -> list[Any]:
        self.lines.append("desk: connected")
        return []

    def on_call(self, call: Call) -> list[Event]:
        self.lines.append(f"desk: call {call.call_id}")
        return []

    def on_exchange(self, exchange: Exchange) -> list[Event]:
        self.lines.append(f"desk: exchange {exchange.call.call_id}")
        return []

    def apply(self, wanted: Any) -> list[Any]:
        self.lines.append("desk: apply")
        return Notebook().apply(wanted)

    def on_outcome(self, outcome: OwnOutcome) -> tuple[list[Event], list[Any]]:
        self.lines.append(f"desk: {outcome.kind}")
        return [], []

    def charger_says(self, *messages: bytes) -> None:
        self.link.leg_said(self.to_charger, list(messages))

    def csms_says(self, *messages: bytes) -> None:
        self.link.leg_said(self.to_csms, list(messages))


async def test_all_is_relayed_before_anything_is_thought_about():
    afterthoughts = Afterthoughts()
    one, other = Diary(afterthoughts), Diary(afterthoughts)
    one.charger_says(b'[2,"a","Heartbeat",{}]')
    other.charger_says(b'[2,"b","Heartbeat",{}]')
    one.csms_says(b'[3,"a",{}]')
    assert one.lines == ['CSMS < [2,"a","', 'charger < [3,"a",{']
    assert other.lines == ['CSMS < [2,"b","']
    await asyncio.sleep(0)
    assert one.lines[2:] == ["desk: call a", "desk: exchange a"]
    assert other.lines[1:] == ["desk: call b"]


async def test_a_command_and_an_end_find_the_desk_told_of_all_that_passed():
    diary = Diary(Afterthoughts())
    diary.charger_says(b'[2,"a","Heartbeat",{}]')
    diary.link.apply(command())
    assert diary.lines[1:] == ["desk: call a", "desk: apply", 'charger < [2,"own"', "desk: sent"]
    diary.lines.clear()
    diary.csms_says(b'[3,"a",{}]')
    diary.link.leg_ended(diary.to_charger, Ending(1000, ""))
    assert diary.lines == ['charger < [3,"a",{', "desk: exchange a", "desk: lost", ChargerDisconnected.__name__]
    await asyncio.sleep(0)
    assert len(diary.lines) == 4


async def test_what_concerns_our_own_calls_waits_for_nothing():
    diary = Diary(Afterthoughts())
    diary.link.apply(command())
    diary.lines.clear()
    diary.charger_says(b'[2,"a","Heartbeat",{}]')
    diary.charger_says(b'[3,"own",{"status":"Accepted"}]')
    assert diary.lines == ['CSMS < [2,"a","', "desk: call a", "desk: result"]


async def test_a_newer_link_of_the_charger_begins_after_the_older_ones_thoughts():
    afterthoughts = Afterthoughts()
    older, newer = Diary(afterthoughts), Diary(afterthoughts)
    older.charger_says(b'[2,"a","Heartbeat",{}]')
    newer.link.start()
    assert older.lines[-1] == "desk: call a"
    assert newer.lines == ["ChargerConnected", "desk: connected"]
