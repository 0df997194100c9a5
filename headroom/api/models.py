"""The documents of the REST API. kW and kWh only here; everything inside is SI."""

from datetime import datetime
from typing import Any, Generic, Literal, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from domain.site import Phase, Strategy
from ems.phase_mapping import Verdict

Item = TypeVar("Item")
SchedulerKind = Literal["round_robin", "fcfs", "regular", "edf", "llf", "none"]


class Health(BaseModel):
    """The process answers."""

    status: str


class Readiness(BaseModel):
    """Whether the service does its work, and what keeps it from it."""

    status: str = Field(description="ready or waiting", examples=["ready"])
    missing: list[str] = Field(examples=[[]])


class Reading(BaseModel):
    """One reading of a building meter, EV charging included."""

    model_config = ConfigDict(
        json_schema_extra={"example": {"at": "2026-03-01T17:00:00Z", "current_a": {"A": 81.2, "B": 77.0, "C": 90.4}}}
    )
    at: AwareDatetime
    current_a: dict[Phase, float] = Field(min_length=1, description="A per phase, RMS, 0 to 100000")


class Taken(BaseModel):
    """How many readings were taken up."""

    accepted: int


class MeterDocument(BaseModel):
    """A meter with its newest reading."""

    id: str
    feeder: str | None
    stale_after_s: float
    reading: Reading | None
    age_s: float | None
    stale: bool = Field(description="too old, or never heard: the feeder counts as full")


class PhaseLoad(BaseModel):
    """One phase of a feeder, in A."""

    rating_a: float
    usable_a: float
    base_load_a: float
    planned_base_a: float = Field(description="what decisions leave for the building: its load, and what may come")
    ev_a: float = Field(description="what the EVSEs below are counted at")
    ev_measured_a: float = Field(
        description="of it, what is measured; the rest is allowed, or counts until it is known"
    )
    headroom_a: float = Field(description="usable - base load - EVSEs; negative where the panel is over its limit")


class FeederDocument(BaseModel):
    """A panel with its phases."""

    id: str
    parent: str | None
    meter: str | None
    source: str = Field(description="where the base load comes from: dedicated, measured, forecast, failsafe")
    reading_at: datetime | None
    phases: dict[Phase, PhaseLoad]


class SiteSummary(BaseModel):
    """A site in a list."""

    id: str
    timezone: str
    chargers: int
    evses: int
    strategy: str
    scheduler: str


class CapacityDocument(BaseModel):
    """The largest power of all EVSEs together beside the design load, by how currents are added; and what turns add."""

    arithmetic_kw: float = Field(description="as magnitudes")
    phasor_kw: float = Field(description="as phasors, as `electrical: {model: phasor}` does")
    phasor_gain_frac: float
    evses: int = Field(description="who are served by turns")
    at_once: int = Field(description="for how many there is room at their minimum current at the same time")
    rotation_gain_frac: float = Field(description="evses / at_once - 1; 0 where none fits")


class SiteDocument(SiteSummary):
    """A site with its panel tree."""

    feeders: list[FeederDocument]
    capacity: CapacityDocument
    accept_unproven_failsafe: bool


class ChargerDocument(BaseModel):
    """What a charger has told of itself."""

    id: str
    vendor: str | None
    model: str | None
    firmware: str | None
    version: str | None
    linked: bool
    link_changed_at: datetime | None
    last_seen_at: datetime | None = Field(description="when it last told of itself, an EVSE or a car; not heartbeats")
    evses: list[str]


class SessionDocument(BaseModel):
    """A car's stay."""

    id: str
    evse: str
    transaction_id: str
    started_at: datetime
    ended_at: datetime | None
    energy_kwh: float
    departure_at: datetime | None = None
    energy_wanted_kwh: float | None = None
    priority: float | None = None


class SessionWishes(BaseModel):
    """What is to change; what is left out stays, null takes a wish back."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"example": {"departure_at": "2026-03-02T07:30:00Z", "energy_wanted_kwh": 24.0}},
    )
    departure_at: AwareDatetime | None = Field(None, description="when the car is to leave; later than now")
    energy_wanted_kwh: float | None = Field(None, gt=0, le=1000)
    priority: float | None = Field(None, ge=1, le=1.5, description="weight among cars; for staff only")


class WiringDocument(BaseModel):
    """What the wiring test found last, since the service started."""

    model_config = ConfigDict(from_attributes=True)
    at: datetime
    feeder: str = Field(description="whose meter was read")
    verdict: Verdict
    found: list[Phase] | None = Field(description="phases that follow the EVSE; empty: none does; null: not told")
    confidence: float
    steps: int
    text: str


class EvseDocument(BaseModel):
    """One EVSE as it is now, and why."""

    id: str
    charger: str
    connector: int
    feeder: str
    phases: list[Phase]
    version: str | None
    state: str
    linked: bool
    session: SessionDocument | None
    setpoint_a: float | None
    target_a: float | None
    in_force_a: float = Field(description="the newest limit sent")
    counted_a: float = Field(description="what the panel counts it at until the limit has settled")
    confirmed: bool = Field(description="the newest limit is seen to be obeyed")
    trusted: bool = Field(description="false: it drew more than it had accepted, and counts at its full rating")
    measured_a: float | None
    measured_at: datetime | None
    schedule_a: float | None = Field(description="what its charger's own composite schedule allowed last")
    schedule_at: datetime | None
    ignored_a: float | None = Field(description="the last limit that it accepted and did not hold")
    ignored_at: datetime | None
    stays_paused_since: datetime | None = Field(description="a wake-up after 0 A was in vain")
    wiring: WiringDocument | None = Field(description="null: not tested yet; see `control: {phase_detection: true}`")
    reason: str | None
    reason_kind: str | None
    reason_feeder: str | None = Field(description="the panel that binds")
    reason_phase: Phase | None = Field(description="its phase that binds")
    place: int | None = Field(description="in the queue for a turn; 1 is next")
    next_turn_at: datetime | None


class SampleDocument(BaseModel):
    """What an EVSE drew at one instant, as its charger reported it."""

    model_config = ConfigDict(from_attributes=True)
    at: datetime
    received_at: datetime
    current_a: float | None
    voltage_v: float | None
    power_w: float | None
    energy_wh: float | None
    offered_a: float | None
    soc: float | None


class SetpointEventDocument(BaseModel):
    """One step in the life of a limit."""

    model_config = ConfigDict(from_attributes=True)
    at: datetime
    step: str = Field(description="sent, accepted, refused or confirmed")
    limit_a: float
    decision: str | None
    why: str | None


class SetpointDocument(BaseModel):
    """One EVSE's part of a decision."""

    evse: str
    limit_a: float
    target_a: float
    reason: str
    reason_kind: str
    feeder: str | None
    phase: Phase | None
    shadow_price: float | None
    next_turn_at: datetime | None


class DecisionSummaryDocument(BaseModel):
    """A decision in a list."""

    id: str
    at: datetime
    trigger: str
    strategy: str
    rung: str
    rung_why: str


class DecisionDocument(DecisionSummaryDocument):
    """Everything that was decided at one instant."""

    alarms: list[str]
    setpoints: list[SetpointDocument]
    elapsed_ms: float | None
    inputs: dict[str, Any] = Field(description="what it looked at: feeders, EVSEs that were not idle, limits")


class AlternativeSetpoint(BaseModel):
    """What an EVSE would have been given instead."""

    evse: str
    target_a: float
    instead_of_a: float
    text: str = Field(examples=["With equal sharing P1-01 would have been given 14.2 A instead of 9.0 A."])


class Alternative(BaseModel):
    """The same instant, decided by another strategy: recomputed from the stored inputs."""

    strategy: str
    rung: str
    total_a: float
    instead_of_a: float
    setpoints: list[AlternativeSetpoint] = Field(description="the EVSEs for which it would have been different")


class LimitRequest(BaseModel):
    """A temporary limit on a feeder."""

    model_config = ConfigDict(
        extra="forbid",
        populate_by_name=True,
        json_schema_extra={
            "example": {
                "feeder": "main",
                "limit_a": 150,
                "from": None,
                "until": None,
                "reason": "grid operator: transformer maintenance",
            }
        },
    )
    feeder: str = Field(min_length=1, max_length=64)
    limit_a: float = Field(ge=0, le=100_000, description="A per phase, base load included")
    starts_at: AwareDatetime | None = Field(None, alias="from", description="now where it is left out")
    ends_at: AwareDatetime | None = Field(None, alias="until", description="until it is lifted where it is left out")
    reason: str = Field(min_length=1, max_length=500)


class LimitDocument(BaseModel):
    """A temporary limit."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)
    id: str
    feeder: str
    limit_a: float
    starts_at: datetime = Field(alias="from")
    ends_at: datetime | None = Field(alias="until")
    reason: str
    author: str
    in_force: bool


class EvseEffect(BaseModel):
    """One EVSE with and without a limit."""

    evse: str
    before_a: float
    after_a: float


class LimitPreview(BaseModel):
    """What a limit would do if it began now: where the strategy would go, reductions settled."""

    feeder: str
    limit_a: float
    before: dict[Phase, float] = Field(description="EV load of the feeder now decided, A per phase")
    after: dict[Phase, float]
    evses: list[EvseEffect] = Field(description="the EVSEs that would change")
    held: bool = Field(description="whether base load and EVSEs together would be within the limit")


class StrategyRequest(BaseModel):
    """What is to decide from now on; what is left out stays, null goes back to the site file."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"strategy": "milp", "scheduler": "round_robin"}}
    )
    strategy: Strategy | None = None
    scheduler: SchedulerKind | None = None


class AlarmDocument(BaseModel):
    """Something that a person must look at, and what to do."""

    kind: str
    subject: str
    text: str
    raised_at: datetime
    cleared_at: datetime | None
    meaning: str
    advice: str


class Page(BaseModel, Generic[Item]):
    """A page of a list; `next` is the cursor of the following one, null on the last."""

    items: list[Item]
    next: str | None
