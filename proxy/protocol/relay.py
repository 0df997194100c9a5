"""The relay between one charger and its CSMS: messages in, effects out, no I/O and no clock.

What one side sends leaves unchanged for the other, and:

- **Turns.** Each peer has one CALL in flight [OCPP-J 1.6 4.1.1; OCPP 2.0.1 part 4, 4.1.1], also a peer that pipelines:
  its further CALLs wait. Towards the charger our own CALLs take turns with the CSMS's: urgent ones of ours first, then
  the CSMS's, then our others.
- **Order.** A peer's CALLs, SENDs and unreadable frames leave in the order in which they came. What needs no line
  passes at once when nothing of its side waits, and behind what waits otherwise.
- **Replies** pass at once. They may overtake CALLs of their own side that wait: a peer may be unable to answer
  the CALL that those wait for before it has the reply. So does an unreadable frame that calls itself a reply.
- **Our own CALLs** never show: a reply, late, repeated or broken, with an id of ours is swallowed. The CSMS never
  learns our ids, and a charger's ids are its own, so nothing else can be swallowed by mistake.
- **Nothing sticks.** A peer's CALL holds its line no longer than its time-out; the late reply is still forwarded.
- **Bounded.** Where more waits than the bounds allow, the frames that wait longest go without their turn, and that is
  counted: dropping or refusing them would break a pair that works without us.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from proxy.protocol.effects import Count, Counted, Effect, Instant, ToCharger, ToCsms
from proxy.protocol.exchange import Call, Exchange, OutcomeKind, OwnCall, OwnOutcome, Side
from proxy.protocol.frames import (
    UNREADABLE_ID,
    CallFrame,
    ErrorFrame,
    Frame,
    ResultErrorFrame,
    ResultFrame,
    SendFrame,
    Unreadable,
    call_frame,
    read,
)
from proxy.protocol.turns import Line, OwnIds, OwnInFlight, OwnQueue, OwnWaiting

_BUSY: Final = b'"RpcFrameworkError"'
_BROKEN_REPLY: Final = b'["FormatViolation","the reply could not be read",{}]'


@dataclass(frozen=True, slots=True)
class RelaySettings:
    """Time-outs and bounds of one relay.

    `charger_call_s` and `csms_call_s`: how long an unanswered CALL of that peer holds its line. 30 s is OCPP's own
    suggestion for a sender's time-out [2.0.1 part 2, 3.2]: a charger that obeys it has given up by then. CSMSs wait
    longer for slow chargers.
    """

    own_call_s: float = 10.0
    charger_call_s: float = 30.0
    csms_call_s: float = 60.0
    retry_s: float = 1.0
    max_waiting_frames: int = 1024
    max_waiting_bytes: int = 4 * 2**20
    max_own_waiting: int = 64


class Relay:
    """One socket pair's life. Make a new one for every pair, with the `OwnIds` of the charger.

    Every method returns the effects in the order in which they are to be carried out. `Call` means: this CALL or SEND
    was forwarded; `Exchange`: this reply was. Own CALLs that are still open when a side is gone come out as "lost".
    """

    def __init__(
        self, new_id: Callable[[], str], settings: RelaySettings | None = None, own_ids: OwnIds | None = None
    ) -> None:
        self._new_id = new_id
        self._settings = settings or RelaySettings()
        self._own_ids = own_ids if own_ids is not None else OwnIds()
        bounds = (self._settings.max_waiting_frames, self._settings.max_waiting_bytes)
        self._up = Line(*bounds)
        self._down = Line(*bounds)
        self._own = OwnQueue()
        self._flight: OwnInFlight | None = None
        self._unreadable_below = 0
        self._over = False

    # What comes in.

    def from_charger(self, raw: bytes, now: Instant) -> list[Effect]:
        """A message of the charger."""
        frame = read(raw)
        if isinstance(frame, CallFrame) and self._up.holder is None and not self._up.queue:
            # Most messages are this: a CALL that finds its line free.
            call = Call(Side.CHARGER, frame.call_id, frame.action, bytes(frame.payload), now.at)
            self._up.hold(call, now.s + self._settings.charger_call_s)
            return [ToCsms(raw), call]
        if isinstance(frame, CallFrame | SendFrame):
            return self._arrive(Side.CHARGER, raw, frame, now)
        if isinstance(frame, ResultFrame | ErrorFrame):
            return self._reply_of_charger(raw, frame, now)
        return self._odd_from_charger(raw, frame, now)

    def from_csms(self, raw: bytes, now: Instant) -> list[Effect]:
        """A message of the CSMS."""
        frame = read(raw)
        if isinstance(frame, ResultFrame | ErrorFrame):
            return self._reply(self._up, ToCharger(raw), frame, now)
        if isinstance(frame, CallFrame | SendFrame):
            return self._arrive(Side.CSMS, raw, frame, now)
        if isinstance(frame, ResultErrorFrame):
            return [ToCharger(raw)]
        assert isinstance(frame, Unreadable)
        counted = Counted(Count.UNKNOWN_TYPE if frame.well_formed else Count.MALFORMED)
        if frame.is_reply:
            return [ToCharger(raw), counted, *self._release(self._up, frame, now)]
        return [*self._arrive(Side.CSMS, raw, frame, now), counted]

    def inject(self, call: OwnCall, now: Instant) -> list[Effect]:
        """A CALL of our own for the charger: it goes when it is its turn."""
        if self._over or (
            call.slot not in self._own.by_slot and len(self._own.by_slot) >= self._settings.max_own_waiting
        ):
            return [self._outcome(call, "lost", now)]
        replaced = self._own.put(OwnWaiting(call))
        effects: list[Effect] = [] if replaced is None else [self._outcome(replaced, "superseded", now)]
        self._next_to_charger(now, effects)
        return effects

    def tick(self, now: Instant) -> list[Effect]:
        """Time has passed; to be called at `next_deadline_s`, harmless at any other instant."""
        effects: list[Effect] = []
        flight = self._flight
        if flight is not None and now.s >= flight.deadline_s:
            self._flight = None
            effects += [self._outcome(flight.call, "timeout", now), Counted(Count.TIMED_OUT)]
        self._next_to_csms(now, effects)
        self._next_to_charger(now, effects)
        return effects

    def charger_gone(self, now: Instant) -> list[Effect]:
        """The charger's socket is gone: the pair is over [2.0.1 part 4, 6.3]. Frames that wait are dropped, counted:
        their CALLs are unanswered, so their sender repeats what must not be lost.
        """
        self._over = True
        dropped = self._up.clear() + self._down.clear()
        lost = self._own.clear()
        if self._flight is not None:
            lost.insert(0, self._flight.call)
            self._flight = None
        return [
            *(Counted(Count.DROPPED) for _ in range(dropped)),
            *(self._outcome(call, "lost", now) for call in lost),
        ]

    def csms_gone(self, now: Instant) -> list[Effect]:
        """The CSMS's socket is gone: as `charger_gone`."""
        return self.charger_gone(now)

    @property
    def next_deadline_s(self) -> float | None:
        """When `tick` is due, on the clock of `Instant.s`; None while nothing waits for time to pass."""
        if self._flight is None and not (self._up.queue or self._down.queue or self._own.by_slot):
            return None
        deadlines = []
        if self._flight is not None:
            deadlines.append(self._flight.deadline_s)
        if self._up.queue:
            deadlines.append(self._up.held_until_s)
        if self._down.queue and self._flight is None:
            deadlines.append(self._down.held_until_s)
        if self._own.by_slot and self._flight is None:
            due_s = self._own.next_due_s()
            assert due_s is not None
            held_s = 0.0 if self._down.holder is None else self._down.held_until_s
            deadlines.append(max(due_s, held_s))
        return min(deadlines)

    def _odd_from_charger(self, raw: bytes, frame: ResultErrorFrame | Unreadable, now: Instant) -> list[Effect]:
        if isinstance(frame, ResultErrorFrame):
            return [Counted(Count.SWALLOWED)] if frame.call_id in self._own_ids else [ToCsms(raw)]
        counted = Counted(Count.UNKNOWN_TYPE if frame.well_formed else Count.MALFORMED)
        if not frame.is_reply:
            return [*self._arrive(Side.CHARGER, raw, frame, now), counted]
        if frame.call_id is not None and frame.call_id in self._own_ids:
            return [*self._broken_own_reply(frame.call_id, now), counted]
        return [ToCsms(raw), counted, *self._release(self._down, frame, now)]

    # CALLs, SENDs and unreadable frames: in turn.

    def _arrive(self, side: Side, raw: bytes, frame: Frame, now: Instant) -> list[Effect]:
        effects: list[Effect] = []
        line = self._up if side is Side.CHARGER else self._down
        if not line.queue and (type(frame) is not CallFrame or self._free(side, now, effects)):
            self._forward(side, raw, frame, now, effects)
            return effects
        line.enqueue(raw, frame)
        while line.overfull:
            self._forward(side, *_parts(line), now, effects, in_turn=False)
            effects.append(Counted(Count.OVERFLOW))
        self._next(side, now, effects)
        return effects

    def _free(self, side: Side, now: Instant, effects: list[Effect]) -> bool:
        """Whether a CALL of that side may go; a holder whose time is over gives up its line."""
        if side is Side.CSMS and self._flight is not None:
            return False
        line = self._up if side is Side.CHARGER else self._down
        if line.holder is None:
            return True
        if now.s < line.held_until_s:
            return False
        line.holder = None
        effects.append(Counted(Count.GAVE_UP))
        return True

    def _forward(
        self, side: Side, raw: bytes, frame: Frame, now: Instant, effects: list[Effect], *, in_turn: bool = True
    ) -> None:
        up = side is Side.CHARGER
        effects.append(ToCsms(raw) if up else ToCharger(raw))
        if isinstance(frame, CallFrame):
            line = self._up if up else self._down
            call = Call(side, frame.call_id, frame.action, bytes(frame.payload), now.at)
            if in_turn:
                line.hold(call, now.s + (self._settings.charger_call_s if up else self._settings.csms_call_s))
            else:
                line.remember(call)
            effects.append(call)
        elif isinstance(frame, SendFrame):
            effects.append(Call(side, frame.call_id, frame.action, bytes(frame.payload), now.at))
        elif not up:
            self._unreadable_below += 1

    def _next(self, side: Side, now: Instant, effects: list[Effect]) -> None:
        if side is Side.CHARGER:
            self._next_to_csms(now, effects)
        else:
            self._next_to_charger(now, effects)

    def _next_to_csms(self, now: Instant, effects: list[Effect]) -> None:
        """Let go what may go upwards."""
        line = self._up
        while line.queue and (not line.head_needs_line or self._free(Side.CHARGER, now, effects)):
            self._forward(Side.CHARGER, *_parts(line), now, effects)

    def _next_to_charger(self, now: Instant, effects: list[Effect]) -> None:
        """Let go what may go downwards: urgent CALLs of ours, then the CSMS's frames, then our other CALLs."""
        line = self._down
        while True:
            while line.queue and not line.head_needs_line:
                self._forward(Side.CSMS, *_parts(line), now, effects)
            if not (line.queue or self._own.by_slot) or not self._free(Side.CSMS, now, effects):
                return
            if (own := self._own.take(now.s, urgent=True)) is not None:
                self._send_own(own, now, effects)
            elif line.queue:
                self._forward(Side.CSMS, *_parts(line), now, effects)
            elif (own := self._own.take(now.s, urgent=False)) is not None:
                self._send_own(own, now, effects)
            else:
                return

    # Replies: at once.

    def _reply(
        self, line: Line, forward: ToCharger | ToCsms, frame: ResultFrame | ErrorFrame, now: Instant
    ) -> list[Effect]:
        """Forward a reply; `line` is that of the CALL which it answers."""
        call = line.answerable.pop(frame.call_id, None)
        if call is None:
            return [forward, Counted(Count.UNMATCHED)]
        if type(frame) is ResultFrame:
            exchange = Exchange(call, True, bytes(frame.payload), now.at, now.mono_s)
        else:
            assert isinstance(frame, ErrorFrame)
            exchange = Exchange(call, False, frame.as_array, now.at, now.mono_s)
        effects: list[Effect] = [forward, exchange]
        if line.holder is call:
            line.holder = None
            if line.queue or self._own.by_slot:
                self._next(call.origin, now, effects)
        return effects

    def _release(self, line: Line, frame: Unreadable, now: Instant) -> list[Effect]:
        """A reply passed that could not be read: the CALL that it answers is over."""
        effects: list[Effect] = []
        if frame.call_id is None or frame.kind == 5:
            return effects
        call = line.answerable.pop(frame.call_id, None)
        if call is not None and line.holder is call:
            line.holder = None
            self._next(call.origin, now, effects)
        return effects

    def _reply_of_charger(self, raw: bytes, frame: ResultFrame | ErrorFrame, now: Instant) -> list[Effect]:
        call_id = frame.call_id
        if self._flight is not None and call_id == UNREADABLE_ID and type(frame) is ErrorFrame:
            # The charger could not read the id of something: of our CALL, unless the CSMS sent it something worse.
            if self._unreadable_below == 0:
                call_id = self._flight.call_id
            else:
                self._unreadable_below -= 1
        if call_id not in self._own_ids and (self._flight is None or call_id != self._flight.call_id):
            return self._reply(self._down, ToCsms(raw), frame, now)
        if self._flight is None or call_id != self._flight.call_id:
            return [Counted(Count.SWALLOWED)]
        return self._finish_own(self._flight, frame, now)

    # Our own CALLs.

    def _send_own(self, waiting: OwnWaiting, now: Instant, effects: list[Effect]) -> None:
        call = waiting.call
        call_id = self._new_id()
        self._own_ids.add(call_id)
        self._flight = OwnInFlight(call, call_id, now.s + self._settings.own_call_s, waiting.is_retry)
        effects.append(ToCharger(call_frame(call_id, call.action, call.payload), ours=True))
        if not waiting.is_retry:
            effects.append(self._outcome(call, "sent", now))

    def _finish_own(self, flight: OwnInFlight, frame: ResultFrame | ErrorFrame, now: Instant) -> list[Effect]:
        self._flight = None
        self._unreadable_below = 0
        effects: list[Effect] = [Counted(Count.SWALLOWED)]
        if isinstance(frame, ResultFrame):
            effects.append(self._outcome(flight.call, "result", now, bytes(frame.payload)))
        elif bytes(frame.code) != _BUSY or flight.is_retry or self._over:
            effects.append(self._outcome(flight.call, "error", now, frame.as_array))
        elif flight.call.slot in self._own.by_slot:
            effects.append(self._outcome(flight.call, "superseded", now))
        else:
            # Some peers count both directions as one and were busy with a CALL of their own [citrineos #178].
            self._own.put(OwnWaiting(flight.call, now.s + self._settings.retry_s, is_retry=True))
            effects.append(Counted(Count.BOUNCED))
        self._next_to_charger(now, effects)
        return effects

    def _broken_own_reply(self, call_id: str, now: Instant) -> list[Effect]:
        effects: list[Effect] = [Counted(Count.SWALLOWED)]
        flight = self._flight
        if flight is not None and flight.call_id == call_id:
            self._flight = None
            effects.append(self._outcome(flight.call, "error", now, _BROKEN_REPLY))
            self._next_to_charger(now, effects)
        return effects

    @staticmethod
    def _outcome(call: OwnCall, kind: OutcomeKind, now: Instant, payload: bytes = b"") -> OwnOutcome:
        return OwnOutcome(call, kind, now.at, payload, now.mono_s if kind == "sent" else None)


def _parts(line: Line) -> tuple[bytes, Frame]:
    waiting = line.dequeue()
    return waiting.raw, waiting.frame
