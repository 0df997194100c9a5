"""SetChargingProfile as a CSMS writes it, in each version."""

from datetime import UTC, datetime

T0 = datetime(2026, 3, 1, 12, tzinfo=UTC)


def wire_stamp(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")


def set_payload(
    version: str,
    purpose: str,
    periods: list[tuple[int, float]],
    *,
    connector: int = 0,
    number: int = 1,
    level: int = 1,
    start: datetime | None = T0,
    kind: str = "Absolute",
    duration: int | None = None,
    tx: object = None,
    unit: str = "A",
    phases: int | None = None,
    **more: object,
) -> dict:
    """A SetChargingProfile in either version; `purpose` is "cap", "default" or "tx"."""
    is_16 = version == "ocpp1.6"
    names = {
        "cap": "ChargePointMaxProfile" if is_16 else "ChargingStationMaxProfile",
        "default": "TxDefaultProfile",
        "tx": "TxProfile",
    }
    entries = [{"startPeriod": at, "limit": limit} for at, limit in periods]
    for entry in entries:
        if phases is not None:
            entry["numberPhases"] = phases
    schedule: dict[str, object] = {"chargingRateUnit": unit, "chargingSchedulePeriod": entries}
    if start is not None and kind != "Relative":
        schedule["startSchedule"] = wire_stamp(start)
    if duration is not None:
        schedule["duration"] = duration
    body: dict[str, object] = {
        "chargingProfileId" if is_16 else "id": number,
        "stackLevel": level,
        "chargingProfilePurpose": names.get(purpose, purpose),
        "chargingProfileKind": kind,
        "chargingSchedule": schedule if is_16 else [{"id": 1, **schedule}],
        **more,
    }
    if kind == "Recurring":
        body["recurrencyKind"] = "Daily"
    if tx is not None:
        body["transactionId"] = tx
    if is_16:
        return {"connectorId": connector, "csChargingProfiles": body}
    return {"evseId": connector, "chargingProfile": body}
