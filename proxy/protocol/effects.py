"""What goes into the relay beside messages, and what comes out of it."""

from datetime import datetime
from enum import StrEnum

import msgspec

from proxy.protocol.exchange import Call, Exchange, OwnOutcome


class Instant(msgspec.Struct, frozen=True, gc=False):
    """Now, on the three clocks that differ: `at` for stamps, `s` (the loop's) for time-outs, `mono_s` for latencies."""

    at: datetime
    s: float
    mono_s: float | None = None


class Count(StrEnum):
    """What is worth counting; the names of the server's counters."""

    MALFORMED = "malformed"
    UNKNOWN_TYPE = "unknown_type"
    UNMATCHED = "unmatched"
    SWALLOWED = "swallowed"
    TIMED_OUT = "timed_out"
    GAVE_UP = "gave_up"
    BOUNCED = "bounced"
    OVERFLOW = "overflow"
    DROPPED = "dropped"
    ANSWERED = "answered"
    REWRITTEN = "rewritten"
    UNDECIDED = "undecided"
    REFUSED = "refused"


class ToCharger(msgspec.Struct, frozen=True, gc=False):
    """Write these bytes to the charger as one message; `ours` where it is a CALL of our own."""

    raw: bytes
    ours: bool = False


class ToCsms(msgspec.Struct, frozen=True, gc=False):
    """Write these bytes to the CSMS as one message; `ours` as for `ToCharger`."""

    raw: bytes
    ours: bool = False


class Asked(msgspec.Struct, frozen=True, gc=False):
    """It is the turn of a CALL of an intercepted action: `Relay.decide` has to say what becomes of it."""

    call: Call


class AskedReply(msgspec.Struct, frozen=True, gc=False):
    """The reply to a CALL of an intercepted action has come: `Relay.pass_reply` lets it go, perhaps changed."""

    call: Call
    raw: bytes
    ok: bool
    payload: bytes


class Counted(msgspec.Struct, frozen=True, gc=False):
    """Something worth counting happened."""

    kind: Count


Effect = ToCharger | ToCsms | Call | Exchange | OwnOutcome | Counted | Asked | AskedReply
