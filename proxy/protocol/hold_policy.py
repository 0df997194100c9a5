"""What a charger is told while its CSMS is away and the site holds: one table, for docs/forwarding.md as well.

Answers are true: what is acknowledged is on disk and goes to the CSMS later, and what needs the CSMS's own word is
refused in the words that its schema has for it.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, NamedTuple

from domain.events import OcppVersion


class Held(StrEnum):
    """How an action of a charger is answered in an outage."""

    STORE = "store"
    LATEST = "latest"
    CLOCK = "clock"
    BOOT = "boot"
    AUTHORIZE = "authorize"
    REFUSE = "refuse"
    ERROR = "error"


class HoldRule(NamedTuple):
    """`reply`: the raw JSON result of `STORE`, `LATEST` and `REFUSE`, where it does not depend on the request."""

    held: Held
    reply: bytes = b"{}"


MEANING: Final[Mapping[Held, str]] = {
    Held.STORE: "written to disk, then answered; replayed in order when the CSMS is back",
    Held.LATEST: "answered; the newest one is replayed when the CSMS is back",
    Held.CLOCK: "answered with the proxy's own time",
    Held.BOOT: "Accepted where the CSMS accepted this charger before, else Pending; replayed when the CSMS is back",
    Held.AUTHORIZE: "Accepted where the CSMS accepted this tag before and it has not expired, else refused",
    Held.REFUSE: "refused: it needs the CSMS",
    Held.ERROR: "answered with a CALLERROR: no truthful answer exists",
}

_STORE: Final = HoldRule(Held.STORE)
_LATEST: Final = HoldRule(Held.LATEST)
_REJECTED: Final = HoldRule(Held.REFUSE, b'{"status":"Rejected"}')
_FAILED: Final = HoldRule(Held.REFUSE, b'{"status":"Failed"}')
_COMMON: Final = {
    "Authorize": HoldRule(Held.AUTHORIZE),
    "BootNotification": HoldRule(Held.BOOT),
    "DataTransfer": _REJECTED,
    "FirmwareStatusNotification": _STORE,
    "Heartbeat": HoldRule(Held.CLOCK),
    "LogStatusNotification": _STORE,
    "MeterValues": _STORE,
    "SecurityEventNotification": _STORE,
    "SignCertificate": _REJECTED,
    "StatusNotification": _LATEST,
}
_HOLD_16: Final = {
    **_COMMON,
    "DiagnosticsStatusNotification": _STORE,
    "SignedFirmwareStatusNotification": _STORE,
    "StartTransaction": _STORE,
    "StopTransaction": _STORE,
}
_HOLD_201: Final = {
    **_COMMON,
    **dict.fromkeys(
        (
            *("ClearedChargingLimit", "NotifyChargingLimit", "NotifyCustomerInformation", "NotifyDisplayMessages"),
            *("NotifyEvent", "NotifyMonitoringReport", "NotifyReport", "PublishFirmwareStatusNotification"),
            *("ReportChargingProfiles", "ReservationStatusUpdate", "TransactionEvent"),
        ),
        _STORE,
    ),
    "Get15118EVCertificate": HoldRule(Held.REFUSE, b'{"status":"Failed","exiResponse":""}'),
    "GetCertificateStatus": _FAILED,
    "NotifyEVChargingNeeds": _REJECTED,
    "NotifyEVChargingSchedule": _REJECTED,
}
_HOLD_21: Final = {
    **_HOLD_201,
    **dict.fromkeys(
        (
            *("BatterySwap", "ClosePeriodicEventStream", "NotifyDERAlarm", "NotifyDERStartStop"),
            *("NotifyPriorityCharging", "NotifySettlement", "ReportDERControl"),
        ),
        _STORE,
    ),
    "OpenPeriodicEventStream": _REJECTED,
    "PullDynamicScheduleUpdate": _REJECTED,
}
HOLD: Final[Mapping[OcppVersion, Mapping[str, HoldRule]]] = {
    "ocpp1.6": dict(sorted(_HOLD_16.items())),
    "ocpp2.0.1": dict(sorted(_HOLD_201.items())),
    "ocpp2.1": dict(sorted(_HOLD_21.items())),
}
OTHERWISE: Final = HoldRule(Held.ERROR)
"""For an action that is not in the table: a vendor's, a later version's."""


def hold_rule(version: OcppVersion, action: str) -> HoldRule:
    """What is done with an action of a charger in an outage."""
    return HOLD[version].get(action, OTHERWISE)
