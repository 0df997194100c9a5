"""The state of the turn-taking scheduler: carried from one decision to the next, and durable."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from domain.ids import EvseId


@dataclass(frozen=True, slots=True)
class Turn:
    """An EVSE's place in the rotation. `used_s` is time already used of the present slice: it survives a re-plug."""

    joined_at: datetime
    admitted_since: datetime | None = None
    waiting_since: datetime | None = None
    used_s: float = 0.0
    served_s: float = 0.0


@dataclass(frozen=True, slots=True)
class RotationState:
    """The queue, front first, and each member's turn. Empty when nobody asks."""

    order: tuple[EvseId, ...] = ()
    turns: Mapping[EvseId, Turn] = field(default_factory=dict)
    updated_at: datetime | None = None
