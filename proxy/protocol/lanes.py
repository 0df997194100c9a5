"""One direction of CALLs: a peer's, and our own between them."""

from collections.abc import Callable
from typing import Final

from proxy.protocol.effects import Asked, AskedReply, Count, Counted, Effect, Instant, ToCharger, ToCsms
from proxy.protocol.exchange import Call, Exchange, OutcomeKind, OwnCall, OwnOutcome, Side
from proxy.protocol.frames import (
    UNREADABLE_ID,
    CallFrame,
    ErrorFrame,
    Frame,
    ResultFrame,
    SendFrame,
    Unreadable,
    call_frame,
    error_frame,
    result_frame,
    with_payload,
)
from proxy.protocol.interception import Answered, Rewritten, Verdict, Waits
from proxy.protocol.turns import Asking, Line, OwnIds, OwnInFlight, OwnQueue, OwnWaiting, RelaySettings, Waiting

_BUSY: Final = b'"RpcFrameworkError"'
_BROKEN_REPLY: Final = b'["FormatViolation","the reply could not be read",{}]'
_TOO_MUCH_WAITS: Final = b'["GenericError","Too much waits here to look at this request; send it again later.",{}]'


class Lane:
    """What one peer asks the other, in turn, and what we ask the other ourselves. See `Relay` for the rules.

    `sender` is the peer whose CALLs these are. `line` is its; `own` are our CALLs that wait, `flight` is the one on the
    wire.
    """

    def __init__(
        self,
        sender: Side,
        new_id: Callable[[], str],
        settings: RelaySettings,
        own_ids: OwnIds,
        intercepts: Callable[[Side, str], bool] | None,
    ) -> None:
        upwards = sender is Side.CHARGER
        self.line = Line(settings.max_waiting_frames, settings.max_waiting_bytes)
        self._sender = sender
        self._forward: type[ToCsms] | type[ToCharger] = ToCsms if upwards else ToCharger
        self._back: type[ToCsms] | type[ToCharger] = ToCharger if upwards else ToCsms
        self._hold_s = settings.charger_call_s if upwards else settings.csms_call_s
        self._own_call_s = settings.own_call_up_s if upwards else settings.own_call_s
        self._retry_s, self._max_own = settings.retry_s, settings.max_own_waiting
        self._new_id, self._own_ids, self._intercepts = new_id, own_ids, intercepts
        self._ours = own_ids.known
        self._own = OwnQueue()
        self.own = self._own.by_slot
        self.flight: OwnInFlight | None = None
        self._unreadable_out = 0

    # The sender's CALLs, SENDs and unreadable frames: in turn.

    def call(self, raw: bytes, frame: CallFrame, now: Instant) -> list[Effect]:
        """A CALL of the sender."""
        call = self.quick_call(frame, now)
        return self.arrive(raw, frame, now) if call is None else [self._forward(raw), call]

    def quick_call(self, frame: CallFrame, now: Instant) -> Call | None:
        """The CALL, which holds its line from now on, where all there is to do is to forward it: most find their line
        free. None, with nothing done, for any other.
        """
        line = self.line
        if (
            line.holder is not None
            or line.queue
            or self.flight is not None
            or self.own
            or (self._intercepts is not None and self._intercepts(self._sender, frame.action))
        ):
            return None
        call = Call(self._sender, frame.call_id, frame.action, bytes(frame.payload), now.at)
        line.holder = call
        line.held_until_s = now.s + self._hold_s
        if line.answerable:
            line.forget(frame.call_id)
        return call

    def arrive(self, raw: bytes, frame: Frame, now: Instant) -> list[Effect]:
        """A CALL, SEND or unreadable frame of the sender."""
        effects: list[Effect] = []
        line, waiting = self.line, Waiting(raw, frame)
        if not line.queue and (type(frame) is not CallFrame or self._free(now, effects)):
            self._go(waiting, now, effects)
            return effects
        line.enqueue(waiting)
        while line.overfull:
            self._overflow(line.dequeue(), now, effects)
        self.next(now, effects)
        return effects

    def decide(self, call_id: str, verdict: Verdict | None, now: Instant) -> list[Effect]:
        """What becomes of the CALL that is asked about; nothing where it is another by now."""
        effects: list[Effect] = []
        line = self.line
        asked = line.asked
        if asked is None or asked.call.call_id != call_id:
            return effects
        if isinstance(verdict, Waits):
            asked.waits = True
        else:
            waiting = line.dequeue()
            if isinstance(verdict, Answered):
                self._answer(waiting.raw, asked.call, verdict, now, effects)
            else:
                raw = waiting.raw
                if isinstance(verdict, Rewritten):
                    raw = with_payload(raw, verdict.payload)
                    effects.append(Counted(Count.REWRITTEN))
                line.put_back(Waiting(raw, waiting.frame, asked.call))
        self.next(now, effects)
        return effects

    def next(self, now: Instant, effects: list[Effect]) -> None:
        """Let go what may go: urgent CALLs of ours, then the sender's frames, then our other CALLs."""
        line = self.line
        while True:
            while line.queue and not line.head_needs_line:
                self._pass(line.dequeue(), now, effects)
            if not (line.queue or self.own) or not self._free(now, effects):
                return
            if (own := self._own.take(now.s, urgent=True)) is not None:
                self._send_own(own, now, effects)
            elif line.queue and line.asked is None:
                self._go(line.dequeue(), now, effects)
            elif line.asked is not None and not line.asked.waits:
                return
            elif (own := self._own.take(now.s, urgent=False)) is not None:
                self._send_own(own, now, effects)
            else:
                return

    def _free(self, now: Instant, effects: list[Effect]) -> bool:
        """Whether a CALL may go; a holder whose time is over gives up its line."""
        line = self.line
        if self.flight is not None:
            return False
        if line.holder is None:
            return True
        if now.s < line.held_until_s:
            return False
        line.remember(line.holder)
        line.holder = None
        effects.append(Counted(Count.GAVE_UP))
        return True

    def _go(self, waiting: Waiting, now: Instant, effects: list[Effect]) -> None:
        """It is this frame's turn: pass it, or ask."""
        if waiting.decided is not None or not self._is_intercepted(waiting.frame):
            self._pass(waiting, now, effects)
            return
        frame = waiting.frame
        assert isinstance(frame, CallFrame)
        call = Call(self._sender, frame.call_id, frame.action, bytes(frame.payload), now.at)
        self.line.put_back(waiting)
        self.line.asked = Asking(call, now.s + self._hold_s)
        effects.append(Asked(call))

    def _is_intercepted(self, frame: Frame) -> bool:
        return (
            self._intercepts is not None
            and isinstance(frame, CallFrame)
            and self._intercepts(self._sender, frame.action)
        )

    def _pass(self, waiting: Waiting, now: Instant, effects: list[Effect], *, in_turn: bool = True) -> None:
        frame = waiting.frame
        effects.append(self._forward(waiting.raw))
        if isinstance(frame, CallFrame | SendFrame):
            call = waiting.decided or Call(self._sender, frame.call_id, frame.action, bytes(frame.payload), now.at)
            if isinstance(frame, SendFrame):
                pass
            elif in_turn:
                self.line.hold(call, now.s + self._hold_s)
            else:
                self.line.remember(call)
            if waiting.decided is not None:
                self.line.watched.add(call.call_id)
            effects.append(call)
        else:
            self._unreadable_out += 1

    def _overflow(self, waiting: Waiting, now: Instant, effects: list[Effect]) -> None:
        """Out of turn. What is intercepted must not slip through that way."""
        if waiting.decided is None and self._is_intercepted(waiting.frame):
            effects += [self._back(error_frame(waiting.raw, _TOO_MUCH_WAITS)), Counted(Count.REFUSED)]
        else:
            self._pass(waiting, now, effects, in_turn=False)
            effects.append(Counted(Count.OVERFLOW))

    def _answer(self, raw: bytes, call: Call, answer: Answered, now: Instant, effects: list[Effect]) -> None:
        reply = result_frame(raw, answer.payload) if answer.ok else error_frame(raw, answer.payload)
        exchange = Exchange(call, answer.ok, answer.payload, now.at, now.mono_s)
        effects += [self._back(reply), call, exchange, Counted(Count.ANSWERED)]

    # Replies to them: at once.

    def reply(self, raw: bytes, frame: ResultFrame | ErrorFrame, now: Instant) -> list[Effect]:
        """A reply of the other peer: to a CALL of the sender, or to one of ours."""
        call_id, flight = frame.call_id, self.flight
        if flight is not None and call_id == UNREADABLE_ID and type(frame) is ErrorFrame:
            # The peer could not read the id of something: of our CALL, unless the sender sent it something worse.
            if self._unreadable_out == 0:
                call_id = flight.call_id
            else:
                self._unreadable_out -= 1
        if call_id in self._ours:
            if flight is None or call_id != flight.call_id:
                return [Counted(Count.SWALLOWED)]
            return self._finish_own(flight, frame, now)
        return self._reply_to_sender(raw, frame, now)

    def quick_reply(self, frame: ResultFrame) -> Call | None:
        """The CALL that it answers, which holds its line no more, where all there is to do is to pass the reply on.
        None, with nothing done, for any other.
        """
        line = self.line
        call = line.holder
        if (
            call is None
            or call.call_id != frame.call_id
            or line.queue
            or self.flight is not None
            or self.own
            or line.watched
            or frame.call_id in self._ours
        ):
            return None
        line.holder = None
        return call

    def _reply_to_sender(self, raw: bytes, frame: ResultFrame | ErrorFrame, now: Instant) -> list[Effect]:
        line = self.line
        call = line.answered_by(frame.call_id)
        if call is None:
            return [self._back(raw), Counted(Count.UNMATCHED)]
        effects: list[Effect]
        if type(frame) is ResultFrame:
            ok, payload = True, bytes(frame.payload)
        else:
            assert isinstance(frame, ErrorFrame)
            ok, payload = False, frame.as_array
        if line.watched and frame.call_id in line.watched:
            line.watched.discard(frame.call_id)
            effects = [AskedReply(call, raw, ok, payload)]
        else:
            effects = [self._back(raw), Exchange(call, ok, payload, now.at, now.mono_s)]
        if line.holder is call:
            line.holder = None
            if line.queue or self.own:
                self.next(now, effects)
        return effects

    def pass_reply(self, asked: AskedReply, instead: Answered | None, now: Instant) -> list[Effect]:
        """Let an intercepted reply go, as it came or as `instead` says."""
        exchange = Exchange(asked.call, asked.ok, asked.payload, now.at, now.mono_s)
        if instead is None:
            return [self._back(asked.raw), exchange]
        raw = (result_frame if instead.ok else error_frame)(asked.raw, instead.payload)
        return [self._back(raw), exchange, Counted(Count.REWRITTEN)]

    def broken_reply(self, raw: bytes, frame: Unreadable, now: Instant) -> list[Effect]:
        """A reply of the other peer that cannot be read: what it answers is over. One to us stays inside."""
        call_id, flight = frame.call_id, self.flight
        effects: list[Effect]
        if call_id is not None and call_id in self._ours:
            effects = [Counted(Count.SWALLOWED)]
            if flight is not None and flight.call_id == call_id:
                self.flight = None
                effects.append(_outcome(flight.call, "error", now, _BROKEN_REPLY))
                self.next(now, effects)
            return effects
        effects = [self._back(raw)]
        call = None if call_id is None or frame.kind == 5 else self.line.answered_by(call_id)
        if call is not None:
            self.line.watched.discard(call.call_id)
        if call is not None and self.line.holder is call:
            self.line.holder = None
            self.next(now, effects)
        return effects

    def is_ours(self, call_id: str) -> bool:
        """Whether that is the id of a CALL of ours."""
        return call_id in self._ours

    # Our own CALLs.

    def inject(self, call: OwnCall, now: Instant) -> list[Effect]:
        """A CALL of our own: it goes when it is its turn."""
        if call.slot not in self.own and len(self.own) >= self._max_own:
            return [_outcome(call, "lost", now)]
        replaced = self._own.put(OwnWaiting(call))
        effects: list[Effect] = [] if replaced is None else [_outcome(replaced, "superseded", now)]
        self.next(now, effects)
        return effects

    def _send_own(self, waiting: OwnWaiting, now: Instant, effects: list[Effect]) -> None:
        call = waiting.call
        call_id = self._new_id()
        self._own_ids.add(call_id)
        self.flight = OwnInFlight(call, call_id, now.s + self._own_call_s, waiting.is_retry)
        effects.append(self._forward(call_frame(call_id, call.action, call.payload), ours=True))
        if not waiting.is_retry:
            effects.append(_outcome(call, "sent", now))

    def _finish_own(self, flight: OwnInFlight, frame: ResultFrame | ErrorFrame, now: Instant) -> list[Effect]:
        self.flight = None
        self._unreadable_out = 0
        effects: list[Effect] = [Counted(Count.SWALLOWED)]
        if isinstance(frame, ResultFrame):
            effects.append(_outcome(flight.call, "result", now, bytes(frame.payload)))
        elif bytes(frame.code) != _BUSY or flight.is_retry:
            effects.append(_outcome(flight.call, "error", now, frame.as_array))
        elif flight.call.slot in self.own:
            effects.append(_outcome(flight.call, "superseded", now))
        else:
            # Some peers count both directions as one and were busy with a CALL of their own [citrineos #178].
            self._own.put(OwnWaiting(flight.call, now.s + self._retry_s, is_retry=True))
            effects.append(Counted(Count.BOUNCED))
        self.next(now, effects)
        return effects

    # Time, and the end.

    def tick(self, now: Instant, effects: list[Effect]) -> None:
        """Time has passed."""
        flight, asked = self.flight, self.line.asked
        if flight is not None and now.s >= flight.deadline_s:
            self.flight = None
            effects += [_outcome(flight.call, "timeout", now), Counted(Count.TIMED_OUT)]
        if asked is not None and now.s >= asked.until_s:
            effects += [Counted(Count.UNDECIDED), *self.decide(asked.call.call_id, None, now)]
        self.next(now, effects)

    @property
    def next_deadline_s(self) -> float | None:
        """When `tick` is due; None while nothing waits for time to pass."""
        line, flight = self.line, self.flight
        if flight is None and not line.queue and not self.own:
            return None
        deadlines = []
        if line.asked is not None:
            deadlines.append(line.asked.until_s)
        if flight is not None:
            deadlines.append(flight.deadline_s)
            return min(deadlines)
        if line.queue and line.asked is None:
            deadlines.append(line.held_until_s)
        if self.own and (line.asked is None or line.asked.waits):
            due_s = self._own.next_due_s()
            assert due_s is not None
            deadlines.append(due_s if line.holder is None else max(due_s, line.held_until_s))
        return min(deadlines)

    def end_own(self, now: Instant) -> list[Effect]:
        """Whom we ask is gone: what became of our CALLs nobody will say."""
        lost = self._own.clear()
        if self.flight is not None:
            lost.insert(0, self.flight.call)
            self.flight = None
        return [_outcome(call, "lost", now) for call in lost]


def _outcome(call: OwnCall, kind: OutcomeKind, now: Instant, payload: bytes = b"") -> OwnOutcome:
    return OwnOutcome(call, kind, now.at, payload, now.mono_s if kind == "sent" else None)
