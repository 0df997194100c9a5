"""The documents of the REST API. kW and kWh only here; everything inside is SI."""

from datetime import datetime
from typing import Generic, TypeVar

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from domain.site import Phase

Item = TypeVar("Item")


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


class PhaseLoad(BaseModel):
    """One phase of a feeder, in A."""

    rating_a: float
    usable_a: float
    base_load_a: float
    ev_a: float = Field(description="what the EVSEs below are counted at")
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


class SiteDocument(SiteSummary):
    """A site with its panel tree."""

    feeders: list[FeederDocument]
    accept_unproven_failsafe: bool


class SessionDocument(BaseModel):
    """A car's stay."""

    id: str
    evse: str
    transaction_id: str
    started_at: datetime
    ended_at: datetime | None
    energy_kwh: float


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
    confirmed: bool
    trusted: bool
    measured_a: float | None
    measured_at: datetime | None
    reason: str | None
    reason_kind: str | None
    next_turn_at: datetime | None


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


class Page(BaseModel, Generic[Item]):
    """A page of a list; `next` is the cursor of the following one, null on the last."""

    items: list[Item]
    next: str | None
