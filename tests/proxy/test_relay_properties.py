"""Arbitrary interleavings: two peers that obey no rule at all, our own CALLs between them, losses and time."""

import itertools
from datetime import UTC, datetime, timedelta

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st

from proxy.protocol.effects import Asked, AskedReply, Count, Counted, Effect, Instant, ToCharger, ToCsms
from proxy.protocol.exchange import Call, Exchange, OwnCall, OwnOutcome, Side
from proxy.protocol.frames import with_payload
from proxy.protocol.interception import Answered, Rewritten, Waits
from proxy.protocol.relay import Relay
from proxy.protocol.turns import OwnIds, RelaySettings

EPOCH = datetime(2026, 3, 1, tzinfo=UTC)
SETTINGS = RelaySettings()
HOLD_S = {
    Side.CHARGER: SETTINGS.charger_call_s,
    Side.CSMS: SETTINGS.csms_call_s,
    "own": SETTINGS.own_call_s,
    "own up": SETTINGS.own_call_up_s,
}
VERDICTS = [None, Rewritten(b'{"rewritten":1}'), Answered(b'{"by":"us"}'), Answered(b'["No","by us",{}]', ok=False)]
FINAL = {"result", "error", "timeout", "lost", "superseded"}


class World:
    """Both peers and the shell, with an account of everything that was sent and arrived."""

    def __init__(self) -> None:
        self.serial = itertools.count(1)
        self.now_s = 1000.0
        self.own_ids = (OwnIds(), OwnIds())
        self.ids_of_ours: set[bytes] = set()
        self.outcomes: dict[str, list[str]] = {}
        self.upward: set[str] = set()
        self.verdict = 0
        self.unanswered: dict[Side, list[tuple[bytes, Side | str, float]]] = {Side.CHARGER: [], Side.CSMS: []}
        self.connect()

    def connect(self) -> None:
        self.relay = Relay(self.new_id, SETTINGS, *self.own_ids, lambda _, action: action.startswith("Asked"))
        self.waiting: dict[Side, tuple[str, bytes] | None] = {Side.CHARGER: None, Side.CSMS: None}
        self.answers_of_ours: dict[Side, list[bytes]] = {Side.CHARGER: [], Side.CSMS: []}  # by who had asked
        self.sent: dict[Side, list[tuple[bytes, str]]] = {Side.CHARGER: [], Side.CSMS: []}
        self.arrived: dict[Side, list[bytes]] = {Side.CHARGER: [], Side.CSMS: []}  # by the side that sent it
        for side, entries in self.unanswered.items():  # what an older socket asked may be answered on this one
            self.unanswered[side] = [(call_id, origin, 0.0) for call_id, origin, _ in entries]
        self.swallowable: set[bytes] = set()

    def new_id(self) -> str:
        call_id = f"own-{next(self.serial)}"
        self.ids_of_ours.add(call_id.encode())
        return call_id

    @property
    def now(self) -> Instant:
        return Instant(EPOCH + timedelta(seconds=self.now_s), self.now_s, self.now_s)

    # What peers do.

    def send(self, side: Side, raw: bytes, kind: str) -> None:
        self.sent[side].append((raw, kind))
        before = len(self.arrived[side])
        due_s = self.relay.next_deadline_s
        effects = self.quickly(side, raw)
        if effects is None:
            effects = (self.relay.from_charger if side is Side.CHARGER else self.relay.from_csms)(raw, self.now)
        else:
            assert self.relay.next_deadline_s == due_s, "nobody sets a timer on the short way"
        self.carry_out(effects)
        if kind == "reply":  # replies pass at once, ours stay
            inside = raw in self.swallowable
            assert (raw in self.arrived[side][before:]) is not inside

    def quickly(self, side: Side, raw: bytes) -> list[Effect] | None:
        """The short way, as a link takes it, where there is one."""
        now = self.now
        if side is Side.CHARGER:
            call = self.relay.quick_up(raw, now)
            return None if call is None else [ToCsms(raw), call]
        answered = self.relay.quick_down(raw)
        if answered is None:
            return None
        call, frame = answered
        assert not call.action.startswith("Asked"), "the reply to it is asked about as well"
        return [ToCharger(raw), Exchange(call, True, bytes(frame.payload), now.at, now.mono_s)]

    def call(self, side: Side, reuse: bool) -> None:
        name = b"same" if reuse else b"%d" % next(self.serial)
        self.send(side, b'[2,"%b-%b","Vendor%d",{"a": 1.50}]' % (side.encode(), name, next(self.serial)), "ordered")

    def call_asked(self, side: Side, verdict: int) -> None:
        """A CALL of an intercepted action; the verdict of the last one is that of all that are asked about."""
        self.verdict = verdict
        name = b"%b-%d" % (side.encode(), next(self.serial))
        self.send(side, b'[2,"%b","Asked%d",{"a": 1.50}]' % (name, next(self.serial)), "ordered")

    def release(self, side: Side, verdict: int) -> None:
        if self.waiting[side] is not None:
            self.decide(side, *self.waiting[side], verdict)

    def decide(self, side: Side, call_id: str, raw: bytes, verdict: int) -> None:
        """Give a verdict, and expect what it says instead of what was sent."""
        chosen = VERDICTS[verdict] if verdict < len(VERDICTS) else Waits()
        sent = self.sent[side]
        place = sent.index((raw, "ordered"))
        if isinstance(chosen, Waits):
            self.waiting[side] = (call_id, raw)
        else:
            self.waiting[side] = None
        if isinstance(chosen, Answered):
            del sent[place]
        elif isinstance(chosen, Rewritten):
            sent[place] = (with_payload(raw, chosen.payload), "ordered")
        answers = len(self.answers_of_ours[side])
        self.carry_out(self.relay.decide(side, call_id, chosen, self.now))
        assert len(self.answers_of_ours[side]) - answers >= isinstance(chosen, Answered)

    def send_unanswered(self, side: Side) -> None:
        self.send(side, b'[6,"s-%d","NotifyPeriodicEventStream",{}]' % next(self.serial), "ordered")

    def babble(self, side: Side, form: int) -> None:
        serial = next(self.serial)
        raw = (b"\xff\x00 %d", b'[2,"x%d","A",{"a":,}]', b'[9,"%d"]', b"[[[%d", b'{"n": %d}')[form] % serial
        self.send(side, raw, "ordered")

    def answer(self, side: Side, which: int, form: int) -> None:
        """`side` answers a CALL that it has received, well or badly."""
        open_calls = self.unanswered[side]
        if not open_calls:
            return
        call_id, origin, _ = open_calls[which % len(open_calls)]
        serial = next(self.serial)
        raw = (
            b'[3,"%b",{"n":%d}]' % (call_id, serial),
            b'[4,"%b","InternalError","",{"n":%d}]' % (call_id, serial),
            b'[3,"%b",{"n":%d,,}]' % (call_id, serial),
            b'[4,"%b","RpcFrameworkError","",{"n":%d}]' % (call_id, serial),
        )[form]
        self.reply(side, raw, ours=origin in ("own", "own up"))

    def is_answered(self, side: Side, raw: bytes) -> None:
        self.unanswered[side] = [entry for entry in self.unanswered[side] if b'"%b"' % entry[0] not in raw]

    def repeat_answer(self, side: Side, which: int) -> None:
        """A reply comes twice, or to something nobody asked."""
        old = [raw for raw, kind in self.sent[side] if kind == "reply"]
        raw = old[which % len(old)] + b" " * next(self.serial) if old else b'[3,"nobody-%d",{}]' % next(self.serial)
        self.reply(side, raw, ours=any(b'"%b"' % own in raw for own in self.ids_of_ours))

    def reply(self, side: Side, raw: bytes, *, ours: bool) -> None:
        if ours:
            self.swallowable.add(raw)
        self.is_answered(side, raw)  # also by a repeated reply, where the id was used again
        self.send(side, raw, "reply")

    def inject(self, slot: int, urgent: bool, towards: Side = Side.CHARGER) -> None:
        token = f"t{next(self.serial)}"
        self.outcomes[token] = []
        if towards is Side.CSMS:
            self.upward.add(token)
        call = OwnCall("SetChargingProfile", {"n": 1}, f"slot{slot}", token, urgent, towards)
        self.carry_out(self.relay.inject(call, self.now))

    # The shell.

    def pass_time(self, seconds: float) -> None:
        until_s = self.now_s + seconds
        while (due_s := self.relay.next_deadline_s) is not None and due_s <= until_s:
            self.now_s = max(self.now_s, due_s)
            self.carry_out(self.relay.tick(self.now))
            next_s = self.relay.next_deadline_s
            assert next_s is None or next_s > self.now_s  # a tick always gets somewhere
        self.now_s = until_s

    def lose(self, side: Side) -> None:
        gone = self.relay.charger_gone if side is Side.CHARGER else self.relay.csms_gone
        effects = gone(self.now)
        assert not any(isinstance(effect, ToCharger | ToCsms) for effect in effects)
        self.carry_out(effects)
        assert all(outcomes and outcomes[-1] in FINAL for outcomes in self.outcomes.values())
        self.check_order()
        self.connect()

    def carry_out(self, effects: list[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, ToCsms):
                self.arrive(Side.CHARGER, effect.raw)
            elif isinstance(effect, ToCharger):
                self.arrive(Side.CSMS, effect.raw)
            elif isinstance(effect, OwnOutcome):
                told = self.outcomes[effect.call.token]
                assert not set(told) & FINAL
                assert effect.kind in FINAL or not told
                told.append(effect.kind)
            elif isinstance(effect, Asked):
                call = effect.call
                (raw,) = (raw for raw, _ in self.sent[call.origin] if b'"%b"' % call.action.encode() in raw)
                self.decide(call.origin, call.call_id, raw, self.verdict)
            elif isinstance(effect, AskedReply):
                assert effect.call.action.startswith("Asked")
                self.carry_out(self.relay.pass_reply(effect, None, self.now))
            elif isinstance(effect, Exchange):
                assert effect.call.origin in (Side.CHARGER, Side.CSMS)
            else:
                assert isinstance(effect, Call | Counted)

    def arrive(self, sender: Side, raw: bytes) -> None:
        receiver = Side.CSMS if sender is Side.CHARGER else Side.CHARGER
        ours = any(raw.startswith(b'[2,"%b"' % own) for own in self.ids_of_ours)
        if b"by us" in raw or b'"by":"us"' in raw:
            self.answers_of_ours[receiver].append(raw)
            return
        if self.waiting[sender] is not None and self.waiting[sender][1] == raw:
            self.waiting[sender] = None  # let pass when its time was over
        if not ours:
            assert not any(b'"%b"' % own in raw for own in self.ids_of_ours), "a reply to us has leaked"
            self.arrived[sender].append(raw)
        try:
            frame = msgspec.json.decode(raw)
        except (msgspec.DecodeError, ValueError):
            return
        if isinstance(frame, list) and frame[0] == 2:
            origin = sender if not ours else "own" if receiver is Side.CHARGER else "own up"
            fresh = [entry for entry in self.unanswered[receiver] if self.now_s < entry[2]]
            assert not fresh, "two CALLs in flight"
            self.unanswered[receiver].append((frame[1].encode(), origin, self.now_s + HOLD_S[origin]))

    # What must hold.

    def check_order(self) -> None:
        for side in Side:
            sent = [raw for raw, kind in self.sent[side] if kind == "ordered"]
            replies = [raw for raw, kind in self.sent[side] if kind == "reply" and raw not in self.swallowable]
            arrived = self.arrived[side]
            assert [raw for raw in arrived if raw in set(replies)] == replies
            ordered = [raw for raw in arrived if raw not in set(replies)]
            assert ordered == sent[: len(ordered)]

    def check_no_line_idles(self) -> None:
        """Where nothing is in flight nothing waits."""
        for side, receiver in ((Side.CHARGER, Side.CSMS), (Side.CSMS, Side.CHARGER)):
            if any(self.now_s < until_s for _, _, until_s in self.unanswered[receiver]):
                continue
            if self.waiting[side] is None:
                assert {raw for raw, kind in self.sent[side] if kind == "ordered"} <= set(self.arrived[side])
            ours = [self.outcomes[token] for token in self.outcomes if (token in self.upward) is (side is Side.CHARGER)]
            assert [] not in ours  # they go on also while a CALL of the peer waits for its verdict

    def come_to_rest(self) -> None:
        """Nobody answers any more: time alone frees every line."""
        patience_s = sum(HOLD_S.values()) * (2 + sum(map(len, self.sent.values())) + len(self.outcomes))
        self.pass_time(patience_s)
        self.check_order()
        for side in Side:
            waiting = [raw for raw, kind in self.sent[side] if kind == "ordered"]
            assert len(self.arrived[side]) >= len(waiting)
            assert set(waiting) <= set(self.arrived[side])
        assert self.relay.next_deadline_s is None
        assert all(outcomes[-1] in FINAL for outcomes in self.outcomes.values())


SIDES = st.sampled_from(Side)
STEPS = st.one_of(
    st.tuples(st.just("call"), SIDES, st.booleans()),
    st.tuples(st.just("send_unanswered"), SIDES),
    st.tuples(st.just("babble"), SIDES, st.integers(0, 4)),
    st.tuples(st.just("answer"), SIDES, st.integers(0, 5), st.integers(0, 3)),
    st.tuples(st.just("answer"), SIDES, st.just(0), st.just(0)),
    st.tuples(st.just("repeat_answer"), SIDES, st.integers(0, 5)),
    st.tuples(st.just("inject"), st.integers(0, 2), st.booleans(), SIDES),
    st.tuples(st.just("call_asked"), SIDES, st.integers(0, 4)),
    st.tuples(st.just("release"), SIDES, st.integers(0, 3)),
    st.tuples(st.just("pass_time"), st.sampled_from([0.1, 0.9, 2.0, 9.0, 11.0, 31.0, 61.0])),
    st.tuples(st.just("lose"), SIDES),
)


CSMS, CHARGER = Side.CSMS, Side.CHARGER
LATE_REPLY = [("call", CHARGER, False), ("pass_time", 31.0), ("call", CHARGER, False), ("answer", CSMS, 0, 0)]
BOUNCED = [("inject", 0, True), ("answer", CHARGER, 0, 3), ("pass_time", 2.0)]
HELD = [("call_asked", CSMS, 4), ("call", CSMS, False), ("inject", 0, False, CHARGER)]
OLD_SOCKET = [("inject", 0, True), ("lose", CSMS), ("answer", CHARGER, 0, 0)]


@settings(max_examples=400, deadline=None)
@example(steps=[*LATE_REPLY, ("call", CHARGER, False)])
@example(steps=[*BOUNCED, ("answer", CHARGER, 0, 3), ("call", CSMS, False)])
@example(steps=[*BOUNCED, ("inject", 0, False), ("answer", CHARGER, 0, 0)])
@example(steps=OLD_SOCKET)
@example(steps=[*HELD, ("release", CSMS, 1), ("answer", CHARGER, 0, 0)])
@example(steps=[*HELD, ("answer", CHARGER, 0, 0), ("pass_time", 61.0)])
@example(steps=[("call_asked", CHARGER, 2), ("call", CHARGER, False), ("inject", 0, True, CSMS)])
@given(steps=st.lists(STEPS, max_size=60))
def test_what_is_sent_arrives_in_turn_and_nothing_of_ours_shows(steps):
    world = World()
    for step, *arguments in steps:
        getattr(world, step)(*arguments)
        world.check_no_line_idles()
    world.come_to_rest()


@settings(max_examples=100, deadline=None)
@given(data=st.lists(st.binary(max_size=40), max_size=20), from_charger=st.booleans())
def test_any_bytes_at_all_pass_unchanged(data, from_charger):
    relay = Relay(lambda: "own", RelaySettings())
    now = Instant(EPOCH, 0.0)
    out = []
    for raw in data:
        for effect in relay.from_charger(raw, now) if from_charger else relay.from_csms(raw, now):
            if isinstance(effect, ToCsms | ToCharger):
                out.append(effect.raw)
                assert isinstance(effect, ToCsms) is from_charger
    assert out == data


@settings(max_examples=100, deadline=None)
@given(frames=st.lists(st.sampled_from([b'[2,"a","B",{}]', b'[2,"c","D",{"x":1}]', b"{"]), max_size=30))
def test_overflow_keeps_everything_in_order(frames):
    bounds = RelaySettings(max_waiting_frames=3, max_waiting_bytes=60)
    relay = Relay(lambda: "own", bounds)
    numbered = [raw + b" " * number for number, raw in enumerate(frames)]
    out: list[bytes] = []
    overflows = 0
    for raw in numbered:
        effects = relay.from_charger(raw, Instant(EPOCH, 0.0))
        out += [effect.raw for effect in effects if isinstance(effect, ToCsms)]
        overflows += sum(effect == Counted(Count.OVERFLOW) for effect in effects)
        waiting = numbered[len(out) : numbered.index(raw) + 1]
        assert len(waiting) <= 3
        assert sum(map(len, waiting)) <= 60
    assert out == numbered[: len(out)]
    relay.charger_gone(Instant(EPOCH, 0.0))
