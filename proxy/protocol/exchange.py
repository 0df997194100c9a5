"""What the relay tells the rest of the proxy: calls seen, exchanges completed, own calls answered."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal

import msgspec
from msgspec import Raw


class Side(StrEnum):
    """Who sent a frame."""

    CHARGER = "charger"
    CSMS = "csms"


class Call(msgspec.Struct, frozen=True, gc=False):
    """A CALL (or a 2.1 SEND) that was forwarded, or answered by us. `payload` is the raw JSON text of its payload,
    undecoded, as its sender wrote it, also where it went on rewritten.
    """

    origin: Side
    call_id: str
    action: str
    payload: bytes
    at: datetime


class Exchange(msgspec.Struct, frozen=True, gc=False):
    """A CALL and the reply that was forwarded for it, or given by us.

    `reply` is the raw JSON of the result's payload, or of the error's code, description and details as an array,
    as the peer wrote it, also where it went on changed.
    `relayed_mono_s` is when the reply was handed to the socket, on the shell's monotonic clock.
    """

    call: Call
    ok: bool
    reply: bytes
    at: datetime
    relayed_mono_s: float | None = None


@dataclass(frozen=True, slots=True)
class OwnCall:
    """A CALL that we inject. `slot` coalesces: a waiting call of the same slot (and direction) is replaced.

    `urgent` goes before the peer's waiting CALLs, otherwise after. `token` is ours to recognise the outcome.
    `towards` the charger, or in the charger's name towards the CSMS.
    """

    action: str
    payload: Mapping[str, object] | Raw
    slot: str
    token: str
    urgent: bool = False
    towards: Side = Side.CHARGER


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
