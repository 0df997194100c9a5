"""Charging profiles as both versions write them, in one form; pure.

Times are aware UTC in the charger's own clock, limits are in the schedule's unit (A per phase, or W in total).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Literal


class Purpose(StrEnum):
    """What a profile is for; the names are 2.x's (1.6 says ChargePointMaxProfile)."""

    EXTERNAL = "ChargingStationExternalConstraints"
    STATION_MAX = "ChargingStationMaxProfile"
    TX_DEFAULT = "TxDefaultProfile"
    TX = "TxProfile"


class Kind(StrEnum):
    """From when a schedule's seconds count."""

    ABSOLUTE = "Absolute"
    RECURRING = "Recurring"
    RELATIVE = "Relative"


Unit = Literal["A", "W"]
STATION_MAX_16 = "ChargePointMaxProfile"
LONGEST_S = 10 * 366 * 86400
"""A schedule that claims to be longer is nonsense."""
RECURRENCE = {"Daily": timedelta(days=1), "Weekly": timedelta(weeks=1)}


@dataclass(frozen=True, slots=True)
class Period:
    """`limit` holds from `start_s` after the schedule's start until the next period."""

    start_s: int
    limit: float
    number_phases: int | None = None


@dataclass(frozen=True, slots=True)
class Profile:
    """One installed profile with its one schedule.

    Attributes:
        connector: 1.6 connectorId or 2.x evseId; 0 is the whole charger.
        transaction_id: whom a TxProfile belongs to; None for one that came with a remote start.
        recurrence: how often a Recurring schedule starts again.
        start_at: of an Absolute or Recurring schedule.
        installed_at: when the charger got it; a Relative cap counts from here.
        wire: the profile as it came, for reports.
    """

    profile_id: int
    connector: int
    stack_level: int
    purpose: Purpose
    kind: Kind
    unit: Unit
    periods: tuple[Period, ...]
    installed_at: datetime
    duration_s: int | None = None
    start_at: datetime | None = None
    recurrence: timedelta | None = None
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    transaction_id: str | None = None
    wire: Mapping[str, Any] | None = None

    @property
    def slot(self) -> tuple[Purpose, int, int, str | None]:
        """What may exist once: purpose, level, connector, transaction."""
        return self.purpose, self.stack_level, self.connector, self.transaction_id


class ProfileError(ValueError):
    """A profile that says something no charger can act on; the text says what."""


def profile_16(connector: int, wire: Mapping[str, Any], installed_at: datetime) -> Profile:
    """The `csChargingProfiles` of 1.6. `ProfileError`, `KeyError` or `ValueError` where it makes no sense."""
    purpose = wire["chargingProfilePurpose"]
    transaction_id = wire.get("transactionId")
    return _profile(
        wire,
        connector=connector,
        profile_id=wire["chargingProfileId"],
        purpose=Purpose.STATION_MAX if purpose == STATION_MAX_16 else Purpose(purpose),
        transaction_id=None if transaction_id is None else str(transaction_id),
        schedule=wire["chargingSchedule"],
        installed_at=installed_at,
    )


def profile_201(evse: int, wire: Mapping[str, Any], installed_at: datetime) -> Profile:
    """The `chargingProfile` of 2.x; its first schedule counts. Errors as `profile_16`."""
    schedule = wire["chargingSchedule"][0]
    kind = Kind(wire["chargingProfileKind"])
    if kind is not Kind.RELATIVE and "startSchedule" not in schedule:
        raise ProfileError("an Absolute or Recurring schedule needs startSchedule (K01.FR.40)")
    return _profile(
        wire,
        connector=evse,
        profile_id=wire["id"],
        purpose=Purpose(wire["chargingProfilePurpose"]),
        transaction_id=wire.get("transactionId"),
        schedule=schedule,
        installed_at=installed_at,
    )


def _profile(
    wire: Mapping[str, Any],
    *,
    connector: int,
    profile_id: int,
    purpose: Purpose,
    transaction_id: str | None,
    schedule: Mapping[str, Any],
    installed_at: datetime,
) -> Profile:
    periods = tuple(
        Period(period["startPeriod"], float(period["limit"]), period.get("numberPhases"))
        for period in sorted(schedule["chargingSchedulePeriod"], key=lambda one: one["startPeriod"])
    )
    if not periods or periods[0].start_s != 0:
        raise ProfileError("the first period must start at 0")
    if max(periods[-1].start_s, schedule.get("duration") or 0) > LONGEST_S or wire["stackLevel"] < 0:
        raise ProfileError(f"a schedule of up to {LONGEST_S} s and a stack level of at least 0 are allowed")
    kind = Kind(wire["chargingProfileKind"])
    recurrence = RECURRENCE[wire["recurrencyKind"]] if kind is Kind.RECURRING else None
    return Profile(
        profile_id=profile_id,
        connector=connector,
        stack_level=wire["stackLevel"],
        purpose=purpose,
        kind=kind,
        unit="W" if schedule["chargingRateUnit"] == "W" else "A",
        periods=periods,
        installed_at=installed_at,
        duration_s=schedule.get("duration"),
        start_at=_instant(schedule.get("startSchedule")),
        recurrence=recurrence,
        valid_from=_instant(wire.get("validFrom")),
        valid_to=_instant(wire.get("validTo")),
        transaction_id=transaction_id,
        wire=wire,
    )


def _instant(text: str | None) -> datetime | None:
    if text is None:
        return None
    value = datetime.fromisoformat(text)
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
