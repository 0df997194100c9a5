"""Charging profiles on the wire: one meaning (`composite.ChargingProfile`), three dialects (1.6, 2.0.1, 2.1).

Writing gives exactly the payloads of local-controller.md section 6, valid by the official schemas; reading is tolerant.
numberPhases is written only where a limit of the CSMS's restricts phases: absent is right for amperes, and 2 misleads
line-to-line chargers.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from domain.events import OcppVersion
from proxy.protocol.composite import ChargingProfile, Kind, Period, Purpose, RateUnit
from proxy.protocol.tolerant import (
    Json,
    as_instant,
    as_int,
    as_number,
    as_object,
    as_objects,
    as_text,
    read_object,
)

MAX_PERIODS = 1024
MAX_LIMIT = 1e9
_ANY_ID = -(2**31)
_RECURRENCE = {"Daily": timedelta(days=1), "Weekly": timedelta(days=7)}


@dataclass(frozen=True, slots=True)
class ClearCriteria:
    """What a ClearChargingProfile asks to clear: by `id`, else what matches every given criterion (none: all)."""

    id: int | None = None
    connector: int | None = None
    purpose: Purpose | None = None
    level: int | None = None

    def matches(self, profile: ChargingProfile) -> bool:
        """Whether this profile is cleared. With an id nothing else counts (1.6 section 6.13, 2.0.1 K10.FR.01)."""
        if self.id is not None:
            return profile.id == self.id
        return (
            self.connector in (None, profile.connector)
            and self.purpose in (None, profile.purpose)
            and self.level in (None, profile.level)
        )


@dataclass(frozen=True, slots=True)
class Dialect:
    """How one version writes and reads profiles. `first_id`: our own ids are from here on, unique per station.

    `place` and `body`: the fields of SetChargingProfile that hold the connector and the profile. `dynamic`: it knows
    UpdateDynamicSchedule and maxOfflineDuration.
    """

    first_id: int
    purposes: Mapping[Purpose, str]
    remote_start: str
    place: str
    body: str
    write: Callable[[ChargingProfile], Mapping[str, object]]
    write_clear: Callable[[ClearCriteria], Mapping[str, object]]
    read_set: Callable[[Json, datetime], ChargingProfile | None]
    as_set: Callable[[Json], Json]
    """A remote start that carries a profile, as the SetChargingProfile that it amounts to."""
    read_clear: Callable[[Json], ClearCriteria]
    can_bind: Callable[[str], bool]
    """Whether a TxProfile can name this transaction."""
    dynamic: bool = False
    says_why: bool = True
    """Whether its answers have room for a reason."""

    def read(self, body: Json, connector: int, at: datetime) -> ChargingProfile | None:
        """A profile by itself."""
        return self.read_set({self.place: connector, self.body: body}, at)


def dialect_of(version: OcppVersion) -> Dialect:
    """The dialect that a negotiated version speaks."""
    return _DIALECTS[version]


def read_status(raw: bytes) -> str | None:
    """The `status` of a reply's payload; None where there is none."""
    reply = read_object(raw)
    return as_text(reply.get("status")) if reply is not None else None


def wire_instant(instant: datetime) -> str:
    """An instant as both versions write it, whole seconds, UTC."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _schedule(profile: ChargingProfile, *, names_phase: bool) -> dict[str, Any]:
    schedule: dict[str, Any] = {} if profile.start is None else {"startSchedule": wire_instant(profile.start)}
    schedule["chargingRateUnit"] = profile.unit.value
    schedule["chargingSchedulePeriod"] = [_period(p, names_phase) for p in profile.periods]
    return schedule


def _period(period: Period, names_phase: bool) -> dict[str, Any]:
    written: dict[str, Any] = {"startPeriod": period.start_s, "limit": period.limit}
    if period.number_phases is not None:
        written["numberPhases"] = period.number_phases
        if names_phase and period.number_phases == 1 and period.phase_to_use is not None:
            written["phaseToUse"] = period.phase_to_use
    return written


def _write_16(profile: ChargingProfile) -> Mapping[str, object]:
    body: dict[str, object] = {"chargingProfileId": profile.id}
    if profile.transaction_id is not None:
        body["transactionId"] = int(profile.transaction_id)
    body |= {
        "stackLevel": profile.level,
        "chargingProfilePurpose": _PURPOSES_16[profile.purpose],
        "chargingProfileKind": profile.kind.value,
        "chargingSchedule": _schedule(profile, names_phase=False),
    }
    return {"connectorId": profile.connector, "csChargingProfiles": body}


def _write_201(profile: ChargingProfile) -> Mapping[str, object]:
    body: dict[str, object] = {
        "id": profile.id,
        "stackLevel": profile.level,
        "chargingProfilePurpose": _PURPOSES_201[profile.purpose],
        "chargingProfileKind": profile.kind.value,
    }
    if profile.transaction_id is not None:
        body["transactionId"] = profile.transaction_id
    if profile.max_offline_s is not None:
        body["maxOfflineDuration"] = profile.max_offline_s
    body["chargingSchedule"] = [{"id": 1, **_schedule(profile, names_phase=True)}]
    return {"evseId": profile.connector, "chargingProfile": body}


def _write_clear_16(criteria: ClearCriteria) -> Mapping[str, object]:
    fields = {
        "id": criteria.id,
        "connectorId": criteria.connector,
        "chargingProfilePurpose": None if criteria.purpose is None else _PURPOSES_16[criteria.purpose],
        "stackLevel": criteria.level,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _write_clear_201(criteria: ClearCriteria) -> Mapping[str, object]:
    if criteria.id is not None:
        return {"chargingProfileId": criteria.id}
    fields = {
        "evseId": criteria.connector,
        "chargingProfilePurpose": None if criteria.purpose is None else _PURPOSES_201[criteria.purpose],
        "stackLevel": criteria.level,
    }
    return {"chargingProfileCriteria": {name: value for name, value in fields.items() if value is not None}}


_PURPOSES_16 = {
    Purpose.CAP: "ChargePointMaxProfile",
    Purpose.DEFAULT: "TxDefaultProfile",
    Purpose.TX: "TxProfile",
}
_PURPOSES_201 = {
    Purpose.CAP: "ChargingStationMaxProfile",
    Purpose.DEFAULT: "TxDefaultProfile",
    Purpose.TX: "TxProfile",
    Purpose.EXTERNAL: "ChargingStationExternalConstraints",
}
_PURPOSES_21 = {**_PURPOSES_201, Purpose.PRIORITY: "PriorityCharging", Purpose.LOCAL: "LocalGeneration"}
_MEANINGS = {name: purpose for names in (_PURPOSES_16, _PURPOSES_21) for purpose, name in names.items()}


def _periods(raw: object) -> tuple[Period, ...]:
    found = []
    for item in as_objects(raw, MAX_PERIODS):
        start_s, limit = as_int(item.get("startPeriod")), read_limit(item)
        charges = item.get("operationMode") in (None, "ChargingOnly")
        if limit is None and not charges:
            limit = MAX_LIMIT  # a set-point instead of a limit
        if start_s is None or limit is None:
            return ()
        phases, phase = as_int(item.get("numberPhases"), 1, 3), as_int(item.get("phaseToUse"), 1, 3)
        found.append(Period(start_s, limit, phases, phase, charges))
    return tuple(sorted(found, key=lambda period: period.start_s))


def read_limit(item: Json) -> float | None:
    """The limit of a period or of an update of one; where 2.1 names one for each phase, the lowest."""
    limits = [as_number(item[name]) for name in ("limit", "limit_L2", "limit_L3") if name in item]
    if not limits or None in limits or "limit" not in item:
        return None
    return min(min(max(limit, 0.0), MAX_LIMIT) for limit in limits if limit is not None)


def _read_profile(
    body: Json, schedule: Json, profile_id: int | None, connector: int | None, at: datetime
) -> ChargingProfile | None:
    """A CSMS's profile; None where a part that decides what it means cannot be read."""
    level, kind = as_int(body.get("stackLevel")), as_text(body.get("chargingProfileKind"))
    unit, periods = as_text(schedule.get("chargingRateUnit")), _periods(schedule.get("chargingSchedulePeriod"))
    readable = profile_id is not None and connector is not None and level is not None and periods
    if not readable or kind not in set(Kind) or unit not in set(RateUnit):
        return None
    assert profile_id is not None  # `readable` says so; told again for the type checker
    assert connector is not None
    assert level is not None
    transaction = body.get("transactionId")
    return ChargingProfile(
        id=profile_id,
        connector=connector,
        level=level,
        purpose=_MEANINGS.get(as_text(body.get("chargingProfilePurpose")) or "", Purpose.OTHER),
        kind=Kind(kind),
        unit=RateUnit(unit),
        periods=periods,
        start=as_instant(schedule.get("startSchedule")),
        duration_s=as_int(schedule.get("duration")),
        recurrence=_RECURRENCE.get(as_text(body.get("recurrencyKind")) or "Daily"),
        transaction_id=as_transaction_id(transaction),
        valid_from=as_instant(body.get("validFrom")),
        valid_to=as_instant(body.get("validTo")),
        received_at=at,
    )


def as_transaction_id(value: object) -> str | None:
    """A transaction id as text: 1.6 numbers it (within 64 bits), 2.x names it; None for nonsense or an empty one."""
    if isinstance(value, str):
        return value.strip()[:64].rstrip() or None
    number = as_int(value, -(2**63), 2**63 - 1)
    return str(number) if number is not None else None


def _read_body_16(body: Json, connector: object, at: datetime) -> ChargingProfile | None:
    schedule = as_object(body.get("chargingSchedule"))
    return _read_profile(body, schedule, as_int(body.get("chargingProfileId"), _ANY_ID), as_int(connector), at)


def _read_body_201(body: Json, connector: object, at: datetime) -> ChargingProfile | None:
    # Several schedules belong to ISO 15118, where the car chooses one: the first is what a plain charger follows.
    schedules = as_objects(body.get("chargingSchedule"), 3)
    if not schedules:
        return None
    return _read_profile(body, schedules[0], as_int(body.get("id"), _ANY_ID), as_int(connector), at)


def _read_clear_16(payload: Json) -> ClearCriteria:
    return ClearCriteria(
        as_int(payload.get("id"), _ANY_ID),
        as_int(payload.get("connectorId")),
        _MEANINGS.get(as_text(payload.get("chargingProfilePurpose")) or ""),
        as_int(payload.get("stackLevel")),
    )


def _read_clear_201(payload: Json) -> ClearCriteria:
    criteria = as_object(payload.get("chargingProfileCriteria"))
    return ClearCriteria(
        as_int(payload.get("chargingProfileId"), _ANY_ID),
        as_int(criteria.get("evseId")),
        _MEANINGS.get(as_text(criteria.get("chargingProfilePurpose")) or ""),
        as_int(criteria.get("stackLevel")),
    )


def _is_16_id(transaction_id: str) -> bool:
    # Ids below 1 are what CSMSs answer when they refuse (-1 is reserved, errata 3.18).
    number = as_int(transaction_id, 1)
    return number is not None and str(number) == transaction_id


DIALECT_16 = Dialect(
    first_id=9001,
    purposes=_PURPOSES_16,
    remote_start="RemoteStartTransaction",
    place="connectorId",
    body="csChargingProfiles",
    write=_write_16,
    write_clear=_write_clear_16,
    read_set=lambda p, at: _read_body_16(as_object(p.get("csChargingProfiles")), p.get("connectorId"), at),
    as_set=lambda p: {"connectorId": p.get("connectorId"), "csChargingProfiles": p.get("chargingProfile")},
    read_clear=_read_clear_16,
    can_bind=_is_16_id,
    says_why=False,
)
DIALECT_201 = Dialect(
    first_id=900001,
    purposes=_PURPOSES_201,
    remote_start="RequestStartTransaction",
    place="evseId",
    body="chargingProfile",
    write=_write_201,
    write_clear=_write_clear_201,
    read_set=lambda p, at: _read_body_201(as_object(p.get("chargingProfile")), p.get("evseId"), at),
    as_set=lambda p: {"evseId": p.get("evseId"), "chargingProfile": p.get("chargingProfile")},
    read_clear=_read_clear_201,
    can_bind=lambda transaction_id: 0 < len(transaction_id) <= 36,
)
DIALECT_21 = replace(DIALECT_201, purposes=_PURPOSES_21, dynamic=True)
_DIALECTS: Mapping[OcppVersion, Dialect] = {
    "ocpp1.6": DIALECT_16,
    "ocpp2.0.1": DIALECT_201,
    "ocpp2.1": DIALECT_21,
}
