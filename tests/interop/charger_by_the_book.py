"""What a charger by the book holds after the frames that it has answered, and caps for a CSMS to set."""

import json
from datetime import UTC, datetime, timedelta

from simulators.behaviour import STANDARD
from simulators.charging_profiles import profile_16 as read_16
from simulators.charging_profiles import profile_201 as read_201
from simulators.composite import Charge, Supply, cap_a, transaction_limit_a
from simulators.profile_store import ProfileStore


def cap_16(limit_a: float, level: int, number: int) -> dict[str, object]:
    schedule = {
        "startSchedule": "2026-01-01T00:00:00Z",
        "chargingRateUnit": "A",
        "chargingSchedulePeriod": [{"startPeriod": 0, "limit": limit_a}],
    }
    body = {
        "chargingProfileId": number,
        "stackLevel": level,
        "chargingProfilePurpose": "ChargePointMaxProfile",
        "chargingProfileKind": "Absolute",
        "chargingSchedule": schedule,
    }
    return {"connectorId": 0, "csChargingProfiles": body}


def cap_201(limit_a: float, level: int, number: int) -> dict[str, object]:
    body = cap_16(limit_a, level, number)["csChargingProfiles"]
    assert isinstance(body, dict)
    del body["chargingProfileId"]
    schedule = [{"id": 1, **body["chargingSchedule"]}]
    purpose = "ChargingStationMaxProfile"
    return {
        "evseId": 0,
        "chargingProfile": {"id": number, **body, "chargingProfilePurpose": purpose, "chargingSchedule": schedule},
    }


def allowed_a(said: list[str], heard: list[str], transaction: str, *, is_16: bool) -> float | None:
    """What a charger by the book holds after all the frames that this one has answered with Accepted."""
    at = datetime.now(UTC)  # noqa: TID251 (a peer's clock)
    charge, supply = Charge(transaction, at - timedelta(seconds=60)), Supply(3, 120.0)
    store = ProfileStore(STANDARD, (1,), ocpp16=is_16)
    accepted = {json.loads(raw)[1] for raw in said if raw.startswith("[3,") and '"Accepted"' in raw}
    for raw in heard:
        frame = json.loads(raw)
        if frame[0] != 2 or frame[1] not in accepted:
            continue
        if frame[2] == "SetChargingProfile":
            payload = frame[3]
            made = (
                read_16(payload["connectorId"], payload["csChargingProfiles"], at)
                if is_16
                else read_201(payload["evseId"], payload["chargingProfile"], at)
            )
            assert store.install(made, charge) is None, "a charger by the book would not take it"
        elif frame[2] == "ClearChargingProfile":
            asked = frame[3] if is_16 else frame[3].get("chargingProfileCriteria", {})
            number = frame[3].get("id" if is_16 else "chargingProfileId")
            purposes = {"ChargePointMaxProfile": "ChargingStationMaxProfile"}
            purpose = purposes.get(asked.get("chargingProfilePurpose", ""), asked.get("chargingProfilePurpose"))
            store.clear(
                lambda one, number=number, asked=asked, purpose=purpose: (
                    one.profile_id == number
                    if number is not None
                    else purpose in (None, one.purpose) and asked.get("stackLevel") in (None, one.stack_level)
                )
            )
    limits = (cap_a(store, at, supply), transaction_limit_a(store, 1, charge, at, supply))
    return min((limit for limit in limits if limit is not None), default=None)
