"""What the proxy changes or answers itself: the relay asks before it passes on an action that is intercepted.

Everything else is forwarded first and thought about later. Who intercepts is asked at the moment when the frame would
go, in the order of the frames; a verdict of None lets the frame pass as it is, byte for byte.
"""

from dataclasses import dataclass
from typing import Protocol

from proxy.protocol.exchange import Call, Side


@dataclass(frozen=True, slots=True)
class Rewritten:
    """Goes on with its id and action, with this payload (raw JSON)."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Answered:
    """Goes no further: its sender gets this reply. `payload` is the raw JSON of the result, or with `ok` False of
    [code, description, details].
    """

    payload: bytes
    ok: bool = True


@dataclass(frozen=True, slots=True)
class Waits:
    """Goes nowhere yet: a `Release` with the same side and id says later what becomes of it. Its sender's line stays
    taken meanwhile; our own CALLs to the other side go on. It is let pass after the sender's own time-out.
    """


@dataclass(frozen=True, slots=True)
class Release:
    """What becomes of a CALL that waits; None lets it pass unchanged."""

    side: Side
    call_id: str
    verdict: "Rewritten | Answered | None"


Verdict = Rewritten | Answered | Waits


class Interceptor(Protocol):
    """Decides about frames of intercepted actions before they go. Pure and quick; what it raises lets the frame pass."""

    def intercepts(self, side: Side, action: str) -> bool:
        """Whether `on_call` and `on_reply` want CALLs of this action from this side, and the replies to them."""
        ...

    def on_call(self, call: Call) -> Verdict | None:
        """A CALL (or SEND) is about to be forwarded."""
        ...

    def on_reply(self, call: Call, ok: bool, payload: bytes) -> bytes | None:
        """The reply to a CALL of an intercepted action is about to be forwarded: the payload to send instead."""
        ...
