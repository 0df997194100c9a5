"""The relay between one charger and its CSMS: messages in, effects out, no I/O and no clock.

What one side sends leaves unchanged for the other, and:

- **Turns.** Each peer has one CALL in flight [OCPP-J 1.6 4.1.1; OCPP 2.0.1 part 4, 4.1.1], also a peer that pipelines:
  its further CALLs wait. In both directions our own CALLs take turns with the sender's: urgent ones of ours first, then
  the sender's, then our others.
- **Order.** A peer's CALLs, SENDs and unreadable frames leave in the order in which they came. What needs no line
  passes at once when nothing of its side waits, and behind what waits otherwise.
- **Replies** pass at once. They may overtake CALLs of their own side that wait: a peer may be unable to answer
  the CALL that those wait for before it has the reply. So does an unreadable frame that calls itself a reply.
- **Our own CALLs** never show: a reply, late, repeated or broken, with an id of ours is swallowed. Neither peer learns
  the ids of the other lane, and a peer's ids are its own, so nothing else can be swallowed by mistake.
- **Interception.** A CALL of an action that is intercepted is asked about when it is its turn (`Asked`, then
  `decide`), and the reply to it when it comes (`AskedReply`, then `pass_reply`). While a CALL waits for its verdict
  its sender's further frames wait behind it, and our own CALLs go on.
- **Nothing sticks.** A peer's CALL holds its line, or waits for its verdict, no longer than its time-out; the late
  reply is still forwarded.
- **Bounded.** Where more waits than the bounds allow, the frames that wait longest go without their turn, and that is
  counted: dropping or refusing them would break a pair that works without us. Only what is intercepted is refused.
"""

from collections.abc import Callable
from typing import Final

from proxy.protocol.effects import AskedReply, Count, Counted, Effect, Instant, ToCharger, ToCsms
from proxy.protocol.exchange import Call, OwnCall, OwnOutcome, Side
from proxy.protocol.frames import (
    CallFrame,
    ErrorFrame,
    ResultErrorFrame,
    ResultFrame,
    SendFrame,
    Unreadable,
    read,
)
from proxy.protocol.interception import Answered, Verdict
from proxy.protocol.lanes import Lane
from proxy.protocol.turns import OwnIds, RelaySettings

_REPLIES: Final = (ResultFrame, ErrorFrame)
Intercepts = Callable[[Side, str], bool]


class Relay:
    """One charger's socket's life. Make a new one for every such socket, with the `OwnIds` of the charger and those of
    its CSMS (`own_ids_up`).

    Every method returns the effects in the order in which they are to be carried out. `Call` means: this CALL or SEND
    was forwarded (or answered); `Exchange`: this reply was. `Asked` and `AskedReply` want `decide` and `pass_reply`,
    whose effects come before the remaining ones. Own CALLs that are still open when a side is gone come out as "lost".

    `intercepts` says which actions of which side are asked about.
    """

    def __init__(
        self,
        new_id: Callable[[], str],
        settings: RelaySettings | None = None,
        own_ids: OwnIds | None = None,
        own_ids_up: OwnIds | None = None,
        intercepts: Intercepts | None = None,
    ) -> None:
        settings = settings or RelaySettings()
        self._up = Lane(Side.CHARGER, new_id, settings, own_ids_up or OwnIds(), intercepts)
        self._down = Lane(Side.CSMS, new_id, settings, own_ids or OwnIds(), intercepts)
        self._over = False

    def from_charger(self, raw: bytes, now: Instant) -> list[Effect]:
        """A message of the charger."""
        frame = read(raw)
        if isinstance(frame, CallFrame):
            return self._up.call(raw, frame, now)
        if isinstance(frame, _REPLIES):
            return self._down.reply(raw, frame, now)
        if isinstance(frame, SendFrame):
            return self._up.arrive(raw, frame, now)
        if isinstance(frame, ResultErrorFrame):
            return [Counted(Count.SWALLOWED)] if self._down.is_ours(frame.call_id) else [ToCsms(raw)]
        return self._unreadable(raw, frame, self._up, self._down, now)

    def from_csms(self, raw: bytes, now: Instant) -> list[Effect]:
        """A message of the CSMS."""
        frame = read(raw)
        if isinstance(frame, _REPLIES):
            return self._up.reply(raw, frame, now)
        if isinstance(frame, CallFrame):
            return self._down.call(raw, frame, now)
        if isinstance(frame, SendFrame):
            return self._down.arrive(raw, frame, now)
        if isinstance(frame, ResultErrorFrame):
            return [Counted(Count.SWALLOWED)] if self._up.is_ours(frame.call_id) else [ToCharger(raw)]
        return self._unreadable(raw, frame, self._down, self._up, now)

    def quick_up(self, raw: bytes, now: Instant) -> Call | None:
        """The short way of what chargers say most: the `Call` where all that `from_charger` would want is to forward it
        as it is and to tell of it, which then counts as done. None, with nothing done, for all others.
        """
        frame = read(raw)
        return self._up.quick_call(frame, now) if type(frame) is CallFrame else None

    def quick_down(self, raw: bytes) -> tuple[Call, ResultFrame] | None:
        """As `quick_up`, for the reply of the CSMS to a CALL: what it answers, and the reply."""
        frame = read(raw)
        if type(frame) is not ResultFrame:
            return None
        call = self._up.quick_reply(frame)
        return None if call is None else (call, frame)

    def _unreadable(self, raw: bytes, frame: Unreadable, calls: Lane, replies: Lane, now: Instant) -> list[Effect]:
        counted = Counted(Count.UNKNOWN_TYPE if frame.well_formed else Count.MALFORMED)
        if frame.is_reply:
            return [*replies.broken_reply(raw, frame, now), counted]
        return [*calls.arrive(raw, frame, now), counted]

    def decide(self, side: Side, call_id: str, verdict: Verdict | None, now: Instant) -> list[Effect]:
        """What becomes of a CALL that was `Asked` about, at once or later; nothing where it is over by then."""
        return self._lane(side).decide(call_id, verdict, now)

    def pass_reply(self, asked: AskedReply, instead: Answered | None, now: Instant) -> list[Effect]:
        """Let an intercepted reply go, as it came or as `instead` says."""
        return self._lane(asked.call.origin).pass_reply(asked, instead, now)

    def inject(self, call: OwnCall, now: Instant) -> list[Effect]:
        """A CALL of our own: it goes when it is its turn."""
        if self._over:
            return [OwnOutcome(call, "lost", now.at)]
        return (self._up if call.towards is Side.CSMS else self._down).inject(call, now)

    def tick(self, now: Instant) -> list[Effect]:
        """Time has passed; to be called at `next_deadline_s`, harmless at any other instant."""
        effects: list[Effect] = []
        self._up.tick(now, effects)
        self._down.tick(now, effects)
        return effects

    def charger_gone(self, now: Instant) -> list[Effect]:
        """The charger's socket is gone: the pair is over [2.0.1 part 4, 6.3]. Frames that wait are dropped, counted:
        their CALLs are unanswered, so their sender repeats what must not be lost.
        """
        self._over = True
        dropped = self._up.line.clear() + self._down.line.clear()
        return [*(Counted(Count.DROPPED) for _ in range(dropped)), *self._down.end_own(now), *self._up.end_own(now)]

    def csms_gone(self, now: Instant) -> list[Effect]:
        """The CSMS's socket is gone: as `charger_gone`."""
        return self.charger_gone(now)

    def csms_away(self, now: Instant) -> list[Effect]:
        """The CSMS's socket is gone and the charger's stays: somebody else answers the charger from now on. What the
        CSMS asked and what we asked the CSMS is over; what the charger asked still wants its answer.
        """
        dropped = self._down.line.drop_waiting()
        return [*(Counted(Count.DROPPED) for _ in range(dropped)), *self._up.end_own(now)]

    @property
    def next_deadline_s(self) -> float | None:
        """When `tick` is due, on the clock of `Instant.s`; None while nothing waits for time to pass."""
        up, down = self._up, self._down
        if not (up.flight or down.flight or up.line.queue or down.line.queue or up.own or down.own):
            return None
        up_s, down_s = up.next_deadline_s, down.next_deadline_s
        if up_s is None or down_s is None:
            return down_s if up_s is None else up_s
        return min(up_s, down_s)

    def _lane(self, sender: Side) -> Lane:
        return self._up if sender is Side.CHARGER else self._down
