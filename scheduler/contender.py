"""Who asks for a turn, and the scheduler's answer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from domain.ids import EvseId
from domain.rotation import RotationState

Fits = Callable[[tuple[EvseId, ...]], bool]
"""Whether these EVSEs could all draw their minimum at once, at every ancestor and phase. So could every subset."""

ANYWHERE = frozenset({"site"})


@dataclass(frozen=True, slots=True)
class Contender:
    """An EVSE whose car wants current.

    `since` is when it asked. `circuits` names the contended circuits on its path (a feeder's phase where the minima of
    all contenders do not fit together): two EVSEs with none in common never stand in each other's way. The default is
    one circuit for all. `pinned`: it cannot be commanded now; it keeps its place and takes no part. `departure_at`,
    `remaining_wh` and `max_w` are for EDF, LLF and turns by need, where known. EVSEs of one `kind` load every circuit
    alike: one can take another's seat.
    """

    evse: EvseId
    since: datetime
    circuits: frozenset[str] = ANYWHERE
    pinned: bool = False
    departure_at: datetime | None = None
    remaining_wh: float | None = None
    max_w: float | None = None
    delivered_wh: float = 0.0
    kind: str = ""


@dataclass(frozen=True, slots=True)
class Share:
    """What one kind of EVSE gets of a panel that all share fairly: `power_w`, and how many minima that feeds."""

    power_w: float
    seats: int


@dataclass(frozen=True, slots=True)
class WaitInfo:
    """What a waiting resident is told.

    `place` counts from 1 among those who wait for the same circuits. `next_turn_at` is when the turn comes if nothing
    changes (an estimate, never after `promised_by`); `promised_by` is the bound; both None where nothing is promised.
    """

    place: int
    next_turn_at: datetime | None = None
    promised_by: datetime | None = None


@dataclass(frozen=True, slots=True)
class Admission:
    """Who may charge now, in queue order, who waits, and the state to carry on. `wake_at`: when to ask again.

    `pace`: how fast those admitted must charge to get their part, in W, where it is known; empty: all alike.
    """

    admitted: tuple[EvseId, ...]
    waiting: Mapping[EvseId, WaitInfo] = field(default_factory=dict)
    state: RotationState = field(default_factory=RotationState)
    wake_at: datetime | None = None
    pace: Mapping[EvseId, float] = field(default_factory=dict)
