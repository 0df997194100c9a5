"""What the relay tells the rest of the proxy: calls seen, exchanges completed, own calls answered."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal, Protocol

import msgspec

from domain.commands import ApplySetpoint
from domain.events import Event


class Side(StrEnum):
    """Who sent a frame."""

    CHARGER = "charger"
    CSMS = "csms"


class Call(msgspec.Struct, frozen=True, gc=False):
    """A CALL (or a 2.1 SEND) that was forwarded. `payload` is the raw JSON text of its payload, undecoded."""

    origin: Side
    call_id: str
    action: str
    payload: bytes
    at: datetime


class Exchange(msgspec.Struct, frozen=True, gc=False):
    """A CALL and the reply that was forwarded for it.

    `reply` is the raw JSON of the result's payload, or of the error's code, description and details as an array.
    `relayed_mono_s` is when the reply was handed to the socket, on the shell's monotonic clock.
    """

    call: Call
    ok: bool
    reply: bytes
    at: datetime
    relayed_mono_s: float | None = None


@dataclass(frozen=True, slots=True)
class OwnCall:
    """A CALL that we inject towards the charger. `slot` coalesces: a waiting call of the same slot is replaced.

    `urgent` goes before the CSMS's waiting CALLs, otherwise after. `token` is ours to recognise the outcome.
    """

    action: str
    payload: Mapping[str, object]
    slot: str
    token: str
    urgent: bool = False


OutcomeKind = Literal["sent", "result", "error", "timeout", "lost", "superseded"]


@dataclass(frozen=True, slots=True)
class OwnOutcome:
    """What became of an injected CALL: first "sent", then one of the others; "superseded" and "lost" may come alone.

    `payload` is the raw JSON result ("result") or [code, description, details] ("error").
    """

    call: OwnCall
    kind: OutcomeKind
    at: datetime
    payload: bytes = b""
    mono_s: float | None = None


class Desk(Protocol):
    """What thinks about one charger, across its reconnects: told of everything after it was relayed.

    Pure and synchronous. Whatever it raises is counted by the link and never touches a relayed frame; the events and
    calls of that one step are then lost.
    """

    def connected(self, now: datetime) -> list[OwnCall]:
        """A new socket is relayed: what to inject first. What was in flight on an older socket is lost."""
        ...

    def on_call(self, call: Call) -> list[Event]:
        """A CALL or SEND was forwarded, in either direction."""
        ...

    def on_exchange(self, exchange: Exchange) -> list[Event]:
        """A CALL's reply was forwarded."""
        ...

    def apply(self, command: ApplySetpoint) -> list[OwnCall]:
        """Turn a wanted limit into what to inject."""
        ...

    def on_outcome(self, outcome: OwnOutcome) -> tuple[list[Event], list[OwnCall]]:
        """An injected CALL was sent, answered or given up: what that means, and what to inject next."""
        ...
