"""The documents of access: tokens, logins, the audit trail, drivers' links."""

from datetime import datetime
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from headroom.access.roles import Permission, Role

Name = Field(min_length=1, max_length=100)
Ids = Field(None, min_length=1, max_length=500, description="null: all")


class TokenRequest(BaseModel):
    """A new token."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"name": "meter gateway", "role": "meter", "days": 365}}
    )
    name: str = Name
    role: Role
    sites: list[str] | None = Ids
    evses: list[str] | None = Field(None, min_length=1, max_length=500, description="for drivers: their EVSEs")
    days: float | None = Field(None, gt=0, le=3650, description="how long it holds; null: until it is revoked")


class TokenDocument(BaseModel):
    """A token, without its secret."""

    id: str
    name: str
    role: Role
    sites: list[str] | None
    evses: list[str] | None
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


class NewTokenDocument(TokenDocument):
    """A token as it is told once."""

    token: str = Field(description="kept nowhere: it is told this once", examples=["hr_4f7k2m9q_..."])


class LoginRequest(BaseModel):
    """A token (of this service or of the OpenID Connect provider) to be changed for a cookie."""

    model_config = ConfigDict(extra="forbid")
    token: str = Field(min_length=1, max_length=8000)


class Me(BaseModel):
    """Who the service takes the caller for."""

    id: str
    name: str
    role: Role | None
    via: str = Field(description="token, oidc, page (a cookie) or open (a service without access control)")
    permissions: list[Permission]
    sites: list[str] | None
    evses: list[str] | None
    csrf: str | None = Field(description="send it as X-CSRF-Token with every write by cookie")


class AuditDocument(BaseModel):
    """One write: who, from where, what, and how it was answered."""

    model_config = ConfigDict(from_attributes=True)
    id: str
    at: datetime
    caller: str
    name: str
    role: str | None
    via: str
    client: str
    method: str
    path: str
    site_id: str | None
    status: int
    body: Any = Field(None, description="the request's, without secrets")


class LinkDocument(BaseModel):
    """The link that is printed at an EVSE."""

    evse: str
    link: str
    path: str = Field(description="of the driver's view, below the service's own address")


class DriverDocument(BaseModel):
    """What a driver sees: this EVSE, and nothing of anybody else's."""

    evse: str
    at: datetime = Field(description="when this was so")
    timezone: str = Field(description="the building's")
    state: str
    connected: bool
    reason: str | None
    setpoint_a: float | None
    measured_a: float | None
    power_kw: float | None
    place: int | None = Field(description="in the queue for a turn; 1 is next")
    next_turn_at: datetime | None
    session: str | None
    started_at: datetime | None
    energy_kwh: float | None
    departure_at: datetime | None
    energy_wanted_kwh: float | None
    done_at: datetime | None = Field(description="at the present power; null where that cannot be told")


class DriverWishes(BaseModel):
    """What a driver may wish; what is left out stays, null takes a wish back."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"example": {"departure_at": "2026-03-02T07:30:00Z", "energy_wanted_kwh": 24}}
    )
    departure_at: AwareDatetime | None = None
    energy_wanted_kwh: float | None = Field(None, gt=0, le=1000)
