"""Decisions: a set-point per EVSE, each with its reason."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from domain.ids import DecisionId, EvseId, FeederId
from domain.rotation import RotationState
from domain.site import Phase, PhaseAmps


class ReasonKind(StrEnum):
    """Why an EVSE has this limit. The texts for people are made from it in one place (`ems.explanation`)."""

    GRANTED = "granted"
    FEEDER_FULL = "feeder_full"
    GROUP_FULL = "group_full"
    WAITING = "waiting"
    NO_SESSION = "no_session"
    CAR_FULL = "car_full"
    CSMS_LIMIT = "csms_limit"
    CAR_LIMIT = "car_limit"
    SETTLING = "settling"
    HOLDING = "holding"
    STALE_METER = "stale_meter"
    BASE_OVERLOAD = "base_overload"
    UNTRUSTED = "untrusted"
    NO_LINK = "no_link"
    WIRING_TEST = "wiring_test"
    FALLBACK = "fallback"


class Rung(StrEnum):
    """Which rung of the ladder answered."""

    STRATEGY = "strategy"
    WATER_FILLING = "water_filling"
    FALLBACK = "fallback"


@dataclass(frozen=True, slots=True)
class Reason:
    """Why: the binding panel and phase, what one more ampere there would give, the place in the rotation.

    `shadow_price` is in A of total set-point per A of capacity at (`feeder`, `phase`). `data_age_s` is the age of the
    oldest meter reading on the EVSE's path, None where its path has no meter. `text` is one sentence for a resident.
    """

    kind: ReasonKind
    feeder: FeederId | None = None
    phase: Phase | None = None
    shadow_price: float | None = None
    place: int | None = None
    next_turn_at: datetime | None = None
    data_age_s: float | None = None
    text: str = ""


@dataclass(frozen=True, slots=True)
class Setpoint:
    """`limit_a` may be sent now; `target_a` is where the strategy wants to go once reductions have settled."""

    evse: EvseId
    limit_a: float
    target_a: float
    reason: Reason


class AlarmKind(StrEnum):
    """What an operator must know; each has an entry in docs/runbook.md."""

    BASE_OVERLOAD = "base_overload"
    DESIGN_LOAD_EXCEEDED = "design_load_exceeded"
    STALE_METER = "stale_meter"
    UNTRUSTED_EVSE = "untrusted_evse"
    GUARD_LOWERED = "guard_lowered"
    REDUCTION_UNACKNOWLEDGED = "reduction_unacknowledged"
    LADDER_FELL = "ladder_fell"
    CHARGER_REFUSED_LIMIT = "charger_refused_limit"
    FAILSAFE_UNPROVEN = "failsafe_unproven"
    PHASE_MAPPING = "phase_mapping"
    STAYS_PAUSED = "stays_paused"
    CSMS_COMMAND_WITHHELD = "csms_command_withheld"
    CSMS_UNREACHABLE = "csms_unreachable"
    START_IN_DOUBT = "start_in_doubt"


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something that a person must look at; `subject` is the id of the feeder, meter, EVSE or charger."""

    kind: AlarmKind
    subject: str
    text: str


@dataclass(frozen=True, slots=True)
class Latitude:
    """How far base loads may move before a limit has to fall, or somebody can be given more.

    `room_a`: per line, by how much the load that limits are held by may grow, A, until one of them has to fall
    (negative where they do not fit now). `wanting`: feeders below which somebody would take more than was given.
    """

    room_a: Mapping[FeederId, PhaseAmps]
    wanting: frozenset[FeederId]


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided at one instant, for every EVSE of the site, in site order."""

    id: DecisionId
    at: datetime
    trigger: str
    setpoints: tuple[Setpoint, ...]
    rung: Rung
    rung_why: str
    strategy: str
    rotation: RotationState
    alarms: tuple[Alarm, ...] = field(default=())
    wake_at: datetime | None = None
    """When to decide again although nothing happens: the next scheduler turn, settle time or retry."""
    latitude: Latitude | None = None
    """None where nobody worked it out: then every move of a base load may matter."""
