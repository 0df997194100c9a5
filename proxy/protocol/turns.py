"""Whose turn it is on a line: one CALL in flight per direction, and what waits for it."""

from collections import deque
from dataclasses import dataclass
from typing import Final

import msgspec

from proxy.protocol.exchange import Call, OwnCall
from proxy.protocol.frames import CallFrame, Frame

_ANSWERABLE: Final = 64
"""How many forwarded and unanswered CALLs of one sender are remembered, for replies that come after their time."""
_OWN_IDS: Final = 512


@dataclass(frozen=True, slots=True)
class RelaySettings:
    """Time-outs and bounds of one relay.

    `charger_call_s` and `csms_call_s`: how long an unanswered CALL of that peer holds its line. 30 s is OCPP's own
    suggestion for a sender's time-out [2.0.1 part 2, 3.2]: a charger that obeys it has given up by then. CSMSs wait
    longer for slow chargers. `own_call_s` and `own_call_up_s`: how long ours wait for a charger and for a CSMS.
    `max_waiting_...`: what may wait for its turn, where a charger goes on talking to a CSMS that reads no more.
    """

    own_call_s: float = 10.0
    own_call_up_s: float = 30.0
    charger_call_s: float = 30.0
    csms_call_s: float = 60.0
    retry_s: float = 1.0
    max_waiting_frames: int = 512
    max_waiting_bytes: int = 2**19
    max_own_waiting: int = 64


class OwnIds:
    """The ids of the newest CALLs that we sent to one peer, across its reconnects.

    A reply with such an id is ours whenever it comes: it never reaches the other side [OCPP 2.0.1 part 4, 6.4].
    Bounded by count: with one CALL in flight and a time-out of 10 s, the id of a CALL that went unanswered is kept for
    85 minutes at least. `known` is for reading.
    """

    __slots__ = ("known",)

    def __init__(self) -> None:
        self.known: dict[str, None] = {}

    def add(self, call_id: str) -> None:
        """Remember an id; the oldest goes when there are too many."""
        self.known[call_id] = None
        if len(self.known) > _OWN_IDS:
            del self.known[next(iter(self.known))]


class Waiting(msgspec.Struct, frozen=True, gc=False):
    """A frame of a peer that waits, with its envelope. `decided` is a CALL as its sender wrote it that was intercepted
    and may go now, as `raw` says.
    """

    raw: bytes
    frame: Frame
    decided: Call | None = None


class Asking(msgspec.Struct, gc=False):
    """A CALL at the head of its queue that is asked about; `waits` once the answer is to wait."""

    call: Call
    until_s: float
    waits: bool = False


class Line:
    """One peer's frames on their way to the other.

    `holder` is the peer's CALL that is in flight, until its reply or `held_until_s`; `answerable` are CALLs that hold
    it no more and may still be answered. A CALL waits for the line; what needs no line (a SEND, a frame that cannot be
    read) waits only behind CALLs that wait already, so that a peer's frames never change places. Replies are not on the
    line at all. While `asked` is set it is about the head; `watched` are the ids of intercepted CALLs among the holder
    and `answerable`.
    """

    __slots__ = (
        "_bytes",
        "_max_bytes",
        "_max_frames",
        "answerable",
        "asked",
        "held_until_s",
        "holder",
        "queue",
        "watched",
    )

    def __init__(self, max_frames: int, max_bytes: int) -> None:
        self.holder: Call | None = None
        self.held_until_s = 0.0
        self.asked: Asking | None = None
        self.queue: deque[Waiting] = deque()
        self.answerable: dict[str, Call] = {}
        self.watched: set[str] = set()
        self._bytes = 0
        self._max_frames = max_frames
        self._max_bytes = max_bytes

    def enqueue(self, waiting: Waiting) -> None:
        """Let a frame wait."""
        self.queue.append(waiting)
        self._bytes += len(waiting.raw)

    def put_back(self, waiting: Waiting) -> None:
        """Let a frame wait before all others."""
        self.queue.appendleft(waiting)
        self._bytes += len(waiting.raw)

    def dequeue(self) -> Waiting:
        """Take the frame that waits longest; IndexError if none does. What was asked about it is void."""
        waiting = self.queue.popleft()
        self._bytes -= len(waiting.raw)
        self.asked = None
        return waiting

    @property
    def overfull(self) -> bool:
        """Whether more waits than is allowed."""
        return len(self.queue) > self._max_frames or self._bytes > self._max_bytes

    @property
    def head_needs_line(self) -> bool:
        """Whether the frame that waits longest is a CALL. Only to be asked while something waits."""
        return type(self.queue[0].frame) is CallFrame

    def hold(self, call: Call, until_s: float) -> None:
        """Give the line to a CALL that is forwarded now."""
        self.holder = call
        self.held_until_s = until_s
        self.forget(call.call_id)

    def answered_by(self, call_id: str) -> Call | None:
        """The forwarded CALL that a reply with this id answers, and that is forgotten now; None where there is none."""
        holder = self.holder
        return holder if holder is not None and holder.call_id == call_id else self.answerable.pop(call_id, None)

    def forget(self, call_id: str) -> None:
        """A newer CALL of the sender has this id."""
        self.answerable.pop(call_id, None)

    def remember(self, call: Call) -> None:
        """Keep a CALL that holds no line until its reply; the oldest goes when there are too many."""
        answerable = self.answerable
        answerable[call.call_id] = call
        if len(answerable) > _ANSWERABLE:
            oldest = next(iter(answerable))
            del answerable[oldest]
            self.watched.discard(oldest)

    def drop_waiting(self) -> int:
        """Forget what waits; returns how many frames that were."""
        dropped = len(self.queue)
        self.queue.clear()
        self.asked = None
        self._bytes = 0
        return dropped

    def clear(self) -> int:
        """Forget everything; returns how many frames waited."""
        self.holder = None
        self.answerable.clear()
        self.watched.clear()
        return self.drop_waiting()


class OwnInFlight(msgspec.Struct, frozen=True, gc=False):
    """Our own CALL on the wire."""

    call: OwnCall
    call_id: str
    deadline_s: float
    is_retry: bool = False


class OwnWaiting(msgspec.Struct, frozen=True, gc=False):
    """Our own CALL before it is on the wire. One that a peer bounced waits until `not_before_s`."""

    call: OwnCall
    not_before_s: float = 0.0
    is_retry: bool = False


class OwnQueue:
    """Our own CALLs that wait for the line to a peer: one per slot, urgent ones first, else in order."""

    __slots__ = ("by_slot",)

    def __init__(self) -> None:
        self.by_slot: dict[str, OwnWaiting] = {}

    def put(self, waiting: OwnWaiting) -> OwnCall | None:
        """Add a CALL; returns the one of its slot that it replaces, whose place it takes."""
        slot = waiting.call.slot
        replaced = self.by_slot.get(slot)
        self.by_slot[slot] = waiting
        return None if replaced is None else replaced.call

    def take(self, now_s: float, *, urgent: bool) -> OwnWaiting | None:
        """The next CALL of that urgency whose time has come, removed; None if there is none."""
        for slot, waiting in self.by_slot.items():
            if waiting.call.urgent == urgent and waiting.not_before_s <= now_s:
                del self.by_slot[slot]
                return waiting
        return None

    def next_due_s(self) -> float | None:
        """The earliest instant at which one of them may go; None if none waits."""
        return min((waiting.not_before_s for waiting in self.by_slot.values()), default=None)

    def clear(self) -> list[OwnCall]:
        """Take all of them."""
        calls = [waiting.call for waiting in self.by_slot.values()]
        self.by_slot.clear()
        return calls
