"""What the proxy changes or answers itself: the relay asks before it passes on an action that is intercepted.

Everything else is forwarded first and thought about later. Who intercepts is asked at the moment when the CALL would
go, in the order of the frames and after everything that came before it was thought about; a verdict of None lets it
pass as it is, byte for byte.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import msgspec

from proxy.protocol.exchange import Call, Exchange, OwnCall, OwnOutcome, Side


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
    """Goes nowhere yet: a `Release` with the same side and id says later what becomes of it. Its sender's further
    CALLs wait behind it; our own CALLs go on. It is let pass unchanged after the sender's own time-out.
    """


@dataclass(frozen=True, slots=True)
class Release:
    """What becomes of a CALL that waits; None lets it pass unchanged. One that waits no more is left alone.

    `durable`: only once every event that was told before it would survive a crash: it says that something is kept.
    """

    side: Side
    call_id: str
    verdict: Rewritten | Answered | None
    durable: bool = False


@dataclass(frozen=True, slots=True)
class WakeUp:
    """Call `Desk.tick` at this instant or soon after, once."""

    at: datetime


Verdict = Rewritten | Answered | Waits
Order = OwnCall | Release | WakeUp
"""What a desk wants done: inject a CALL, let go a CALL that waits, be woken."""


class Heard(msgspec.Struct, frozen=True, gc=False):
    """Which messages of the charger somebody wants to be told of: the actions of its CALLs and SENDs, and of its CALLs
    with their replies; None: all. What the CSMS asks is always told.
    """

    calls: frozenset[str] | None = None
    replies: frozenset[str] | None = None

    def takes(self, thought: Call | Exchange | OwnOutcome) -> bool:
        """Whether this is to be told."""
        if isinstance(thought, OwnOutcome):
            return True
        call, actions = (thought, self.calls) if isinstance(thought, Call) else (thought.call, self.replies)
        return actions is None or call.origin is Side.CSMS or call.action in actions


class Interceptor(Protocol):
    """Decides about CALLs of intercepted actions before they go, and about the replies to them. Pure and quick; what
    it raises is counted and lets the frame pass unchanged.
    """

    def intercepts(self, side: Side, action: str) -> bool:
        """Whether `on_intercepted` and `on_reply` are asked about CALLs of this action from this side. Asked for every
        CALL and reply that passes: a look into a set.
        """
        ...

    def on_intercepted(self, call: Call) -> tuple[Verdict | None, Sequence[Order]]:
        """A CALL is about to be forwarded. The orders are carried out before the verdict: an urgent CALL of ours goes
        before the one that is asked about.
        """
        ...

    def on_reply(self, call: Call, ok: bool, payload: bytes) -> Answered | None:
        """The reply to such a CALL is about to be forwarded: what to send instead, or None. `call` and `payload` are
        as their senders wrote them (`payload` as `Exchange.reply`). `Desk.on_exchange` follows, with the same.
        """
        ...


class PassesAll:
    """An `Interceptor` that wants nothing: the base of desks that only listen, to everything."""

    heard = Heard()

    def intercepts(self, side: Side, action: str) -> bool:  # noqa: ARG002 (the protocol's)
        """Nothing."""
        return False

    def on_intercepted(self, call: Call) -> tuple[Verdict | None, Sequence[Order]]:  # noqa: ARG002 (the protocol's)
        """Let it pass."""
        return None, ()

    def on_reply(self, call: Call, ok: bool, payload: bytes) -> Answered | None:  # noqa: ARG002 (the protocol's)
        """Let it pass."""
        return None

    def tick(self, now: datetime) -> Sequence[Order]:  # noqa: ARG002 (the `Desk` protocol's)
        """Nothing was asked for."""
        return ()
