"""What is intercepted: asked about in its turn, answered, changed or held, and nobody else waits for it."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from proxy_world import EPOCH, LoopClock, Notebook, command, reply_to, soon, until, world

from proxy.protocol.effects import Asked, AskedReply, Count, Counted, Instant, ToCharger, ToCsms
from proxy.protocol.exchange import Call, Exchange, OwnCall, OwnOutcome, Side
from proxy.protocol.frames import Binary
from proxy.protocol.interception import Answered, Order, Release, Rewritten, Verdict, Waits, WakeUp
from proxy.protocol.relay import Relay
from proxy.protocol.turns import RelaySettings
from proxy.waking import Alarm

NOW = Instant(datetime(2026, 3, 1, tzinfo=UTC), 0.0)
SET = b'[2, 17 ,"Set",{"x": 1.50}]'


def at(s: float) -> Instant:
    return Instant(NOW.at + timedelta(seconds=s), s)


def intercepts_set(side: Side, action: str) -> bool:
    return action == "Set"


def asked_about(**settings: float) -> Relay:
    relay = Relay(lambda: "own", RelaySettings(**settings), intercepts=intercepts_set)
    (asked,) = relay.from_csms(SET, NOW)
    assert asked == Asked(Call(Side.CSMS, "17", "Set", b'{"x": 1.50}', NOW.at))
    return relay


def test_a_call_that_passes_is_unchanged_and_its_reply_is_asked_about():
    relay = asked_about()
    forwarded, call = relay.decide(Side.CSMS, "17", None, NOW)
    assert forwarded == ToCharger(SET)
    (asked,) = relay.from_charger(b'[3,17,{"status":"Accepted"}]', NOW)
    assert asked == AskedReply(call, b'[3,17,{"status":"Accepted"}]', True, b'{"status":"Accepted"}')
    passed, exchange = relay.pass_reply(asked, None, NOW)
    assert passed == ToCsms(b'[3,17,{"status":"Accepted"}]')
    assert exchange == Exchange(call, True, b'{"status":"Accepted"}', NOW.at)


def test_a_rewritten_call_keeps_its_id_as_it_was_written_and_the_desk_sees_the_original():
    relay = asked_about()
    counted, forwarded, call = relay.decide(Side.CSMS, "17", Rewritten(b'{"x":1}'), NOW)
    assert (counted, forwarded) == (Counted(Count.REWRITTEN), ToCharger(b'[2,17,"Set",{"x":1}]'))
    assert call.payload == b'{"x": 1.50}'
    (asked,) = relay.from_charger(b'[3,"17",{"status":"Rejected"}]', NOW)
    passed, exchange, _ = relay.pass_reply(asked, Answered(b'{"status":"Accepted"}'), NOW)
    assert passed == ToCsms(b'[3,"17",{"status":"Accepted"}]')
    assert exchange.reply == b'{"status":"Rejected"}'


@pytest.mark.parametrize(
    ("answer", "frame"),
    [
        (Answered(b'{"status":"Accepted"}'), b'[3,17,{"status":"Accepted"}]'),
        (Answered(b'["InternalError","no",{}]', ok=False), b'[4,17,"InternalError","no",{}]'),
    ],
)
def test_an_answered_call_goes_no_further_and_the_next_one_goes(answer, frame):
    relay = asked_about()
    assert relay.from_csms(b'[2,"18","Other",{}]', NOW) == []
    effects = relay.decide(Side.CSMS, "17", answer, NOW)
    assert effects[0] == ToCsms(frame)
    assert effects[2].ok is answer.ok
    assert effects[4] == ToCharger(b'[2,"18","Other",{}]')


def test_while_a_call_waits_ours_go_on_and_its_senders_others_wait():
    relay = asked_about()
    relay.decide(Side.CSMS, "17", Waits(), NOW)
    assert relay.from_csms(b'[2,"18","Other",{}]', NOW) == []
    assert relay.from_csms(b'[6,"19","Stream",{}]', NOW) == []
    ours = OwnCall("Limit", {}, "slot", "token")
    assert relay.inject(ours, NOW)[0] == ToCharger(b'[2,"own","Limit",{}]', ours=True)
    assert relay.decide(Side.CSMS, "17", None, NOW) == []  # let go, but ours is still in flight
    effects = relay.from_charger(b'[3,"own",{}]', at(1.0))
    assert effects[2] == ToCharger(SET)
    assert relay.decide(Side.CSMS, "17", Answered(b"{}"), NOW) == []  # too late: nothing happens


def test_an_urgent_call_of_ours_goes_before_the_one_that_is_asked_about():
    relay = asked_about()
    effects = relay.inject(OwnCall("Limit", {}, "slot", "token", urgent=True), NOW)
    assert effects[0] == ToCharger(b'[2,"own","Limit",{}]', ours=True)
    assert relay.inject(OwnCall("Later", {}, "other", "t2"), NOW) == []
    assert relay.decide(Side.CSMS, "17", None, NOW) == []
    assert relay.from_charger(b'[3,"own",{}]', NOW)[2] == ToCharger(SET)


def test_a_call_that_waits_too_long_passes():
    relay = asked_about(csms_call_s=60.0)
    relay.decide(Side.CSMS, "17", Waits(), NOW)
    assert relay.next_deadline_s == 60.0
    assert relay.tick(at(59.0)) == []
    assert relay.tick(at(60.0))[:2] == [Counted(Count.UNDECIDED), ToCharger(SET)]


def test_where_too_much_waits_nothing_slips_through():
    relay = asked_about(max_waiting_frames=1)
    effects = relay.from_csms(b'[2,"18","Set",{}]', NOW)
    assert effects[0].raw.startswith(b'[4,17,"GenericError","')
    assert effects[1:] == [Counted(Count.REFUSED), Asked(Call(Side.CSMS, "18", "Set", b"{}", NOW.at))]


def test_a_binary_message_is_answered_in_kind():
    relay = Relay(lambda: "own", intercepts=intercepts_set)
    relay.from_charger(Binary(b'[2,"1","Set",{}]'), NOW)
    reply = relay.decide(Side.CHARGER, "1", Answered(b"{}"), NOW)[0]
    assert reply == ToCharger(b'[3,"1",{}]')
    assert type(reply.raw) is Binary


def test_our_calls_to_the_csms_take_turns_and_stay_inside():
    relay = Relay(lambda: "own")
    relay.from_charger(b'[2,"1","Heartbeat",{}]', NOW)
    ours = OwnCall("NotifyChargingLimit", {"n": 1}, "slot", "token", towards=Side.CSMS)
    assert relay.inject(ours, NOW) == []
    effects = relay.from_csms(b'[3,"1",{}]', NOW)
    assert effects[2] == ToCsms(b'[2,"own","NotifyChargingLimit",{"n":1}]', ours=True)
    assert relay.from_charger(b'[2,"2","Heartbeat",{}]', NOW) == []
    counted, outcome, following, _ = relay.from_csms(b'[3,"own",{"a":1}]', NOW)
    assert counted == Counted(Count.SWALLOWED)
    assert (outcome.kind, outcome.payload) == ("result", b'{"a":1}')
    assert following == ToCsms(b'[2,"2","Heartbeat",{}]')


def test_a_csms_that_goes_leaves_the_chargers_call_to_be_answered_by_others():
    relay = Relay(lambda: "own")
    relay.from_charger(b'[2,"1","Heartbeat",{}]', NOW)
    relay.from_csms(b'[2,"c1","Other",{}]', NOW)
    relay.from_csms(b'[2,"c2","Other",{}]', NOW)
    relay.inject(OwnCall("Notify", {}, "slot", "token", towards=Side.CSMS), NOW)
    effects = relay.csms_away(NOW)
    assert effects[0] == Counted(Count.DROPPED)
    assert [effect.kind for effect in effects if isinstance(effect, OwnOutcome)] == ["lost"]
    assert relay.from_csms(b'[3,"1",{}]', NOW)[0] == ToCharger(b'[3,"1",{}]')
    assert relay.from_charger(b'[3,"c1",{}]', NOW)[0] == ToCsms(b'[3,"c1",{}]')


class Judge(Notebook):
    """A desk that intercepts `Set` and does what it was told to."""

    def __init__(self) -> None:
        super().__init__()
        self.verdict: Verdict | None = None
        self.orders: Sequence[Order] = ()
        self.after: Sequence[Order] = ()
        self.known_then: list[str] = []
        self.ticks: list[datetime] = []

    def intercepts(self, side: Side, action: str) -> bool:
        return action == "Set"

    def on_intercepted(self, call: Call) -> tuple[Verdict | None, Sequence[Order]]:
        self._fail()
        self.known_then = [seen.call_id for seen in self.calls] + [seen.call.call_id for seen in self.exchanges]
        return self.verdict, self.orders

    def on_outcome(self, outcome: OwnOutcome):
        super().on_outcome(outcome)
        return [], self.after if outcome.kind == "result" else ()

    def tick(self, now: datetime) -> Sequence[Order]:
        self.ticks.append(now)
        return self.after


async def test_the_desk_knows_all_that_came_before_and_answers_in_the_chargers_place(monkeypatch):
    monkeypatch.setattr("proxy_world.Notebook", Judge)
    async with world() as here, here.charger() as charger:
        desk = here.desks["CP001 ocpp1.6"]
        desk.verdict = Answered(b'{"status":"Accepted"}')
        await charger.send('[2,"1","Heartbeat",{}]')
        await reply_to(here.csms.newest, await here.csms.next())
        await here.csms.newest.send('[2,"c","Set",{}]')
        assert await here.csms.next() == '[3,"c",{"status":"Accepted"}]'
        assert await soon(charger.recv()) == '[3,"1",{}]'
        assert desk.known_then == ["1", "1"]
        assert here.proxy.counters.answered == 1


async def test_a_call_waits_until_our_own_was_accepted(monkeypatch):
    monkeypatch.setattr("proxy_world.Notebook", Judge)
    async with world() as here, here.charger() as charger:
        desk = here.desks["CP001 ocpp1.6"]
        desk.verdict, desk.orders = Waits(), [OwnCall("Limit", {}, "slot", "t")]
        desk.after = [Release(Side.CSMS, "c", Rewritten(b'{"merged":true}'))]
        await here.csms.newest.send('[2,"c","Set",{}]')
        ours = await soon(charger.recv())
        assert '"Limit"' in ours
        await reply_to(charger, ours)
        assert await soon(charger.recv()) == '[2,"c","Set",{"merged":true}]'


async def test_a_desk_that_fails_lets_the_call_pass(monkeypatch):
    monkeypatch.setattr("proxy_world.Notebook", Judge)
    async with world() as here, here.charger() as charger:
        here.desks["CP001 ocpp1.6"].fails = True
        await here.csms.newest.send('[2,"c","Set",{"x": 1.50}]')
        assert await soon(charger.recv()) == '[2,"c","Set",{"x": 1.50}]'
        assert here.proxy.counters.desk_errors >= 1


async def test_a_desk_is_woken_and_may_speak(monkeypatch):
    monkeypatch.setattr("proxy_world.Notebook", Judge)
    async with world() as here, here.charger() as charger:
        desk = here.desks["CP001 ocpp1.6"]
        now = LoopClock().now()
        desk.apply = lambda _: [WakeUp(now), WakeUp(now + timedelta(milliseconds=20)), WakeUp(now)]
        desk.after = [OwnCall("Limit", {}, "slot", "t")]
        here.proxy.apply(command())
        assert '"Limit"' in await soon(charger.recv())
        await until(lambda: len(desk.ticks) == 2)
        assert desk.ticks[1] >= now + timedelta(milliseconds=20)


async def test_an_alarm_that_is_cancelled_stays_silent():
    rung: list[int] = []
    alarm = Alarm(LoopClock(), lambda: rung.append(1))
    alarm.set(EPOCH)
    alarm.cancel()
    await asyncio.sleep(0.01)
    assert rung == []
