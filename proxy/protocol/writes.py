"""What is kept of our own profile writes until the charger has answered them, and how it refuses (pure)."""

from dataclasses import dataclass, field

from domain.commands import ApplySetpoint
from domain.events import Event
from proxy.protocol.capability import Capability, Why
from proxy.protocol.composite import ChargingProfile
from proxy.protocol.dialects import read_status
from proxy.protocol.exchange import OwnCall, OwnOutcome
from proxy.protocol.plan import Plan
from proxy.protocol.schedules import Slot

_DEFINITE = ("NotSupported", "NotImplemented")


@dataclass(slots=True)
class Pending:
    """A set-point that is not yet acknowledged: which version of which slot must be accepted for it."""

    command: ApplySetpoint
    plan: Plan
    needs: dict[str, int]
    sent: bool = False


@dataclass(frozen=True, slots=True)
class Write:
    """One SetChargingProfile that is not answered. `revision`: which shadow of the CSMS's it respects."""

    slot: Slot
    version: int
    profile: ChargingProfile
    rung: Capability
    revision: int


@dataclass(slots=True)
class Step:
    """What one outcome leads to."""

    events: list[Event] = field(default_factory=list)
    calls: list[OwnCall] = field(default_factory=list)


def refusal_of(outcome: OwnOutcome) -> tuple[Why | None, str] | None:
    """None if the charger accepted; else how it refused (None: nothing that it can be blamed for), in plain words."""
    if outcome.kind == "lost":
        return None, "the link to the charger was lost before it answered"
    if outcome.kind == "timeout":
        return "silent", "the charger did not answer"
    status = read_status(outcome.payload) if outcome.kind == "result" else None
    if status == "Accepted":
        return None
    if outcome.kind == "error":
        code = outcome.payload.decode("utf-8", "replace")[:120]
        definite = any(word in code for word in _DEFINITE)
        return ("not supported" if definite else "rejected"), f"the charger answered with an error: {code}"
    why: Why = "not supported" if status in _DEFINITE else "rejected"
    return why, f"the charger answered {status!r}, not Accepted"
