"""What the proxy does with each action: one table, from which docs/forwarding.md is written.

A message is relayed byte for byte, whatever it is, unless its action is listed as *intercept*; what is listed as
*observe* is read as well, after it was forwarded. An action that is not in the table (a vendor's, a later version's) is
relayed.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, NamedTuple

from domain.events import OcppVersion


class Treatment(StrEnum):
    """Relay: pass it on. Observe: pass it on, then read it. Intercept: change or answer it ourselves."""

    RELAY = "relay"
    OBSERVE = "observe"
    INTERCEPT = "intercept"


class Rule(NamedTuple):
    """How an action is treated, and why where it is not just relayed."""

    treatment: Treatment
    why: str = ""


_RELAY: Final = Rule(Treatment.RELAY)


def _observe(why: str) -> Rule:
    return Rule(Treatment.OBSERVE, why)


def _intercept(why: str) -> Rule:
    return Rule(Treatment.INTERCEPT, why)


def _table(observed: Mapping[str, Rule], relayed: str) -> Mapping[str, Rule]:
    return dict(sorted({**dict.fromkeys(relayed.split(), _RELAY), **observed}.items()))


_CLOCK: Final = _observe("currentTime in the reply sets the charger's clock, in which schedules are written")
_BOOT: Final = _observe("vendor, model and firmware; currentTime in the reply sets the charger's clock")
_STATUS: Final = _observe("the state of each connector")
_METER: Final = _intercept(
    "what each EVSE draws is read; where the site lets us ask for more samples than the CSMS configured, those stay "
    "here"
)
_SET: Final = _intercept(
    "passes once ours respect it, so that a lowering never is a moment of more; one that would stand above ours, or "
    "has an id of ours, is kept here and Accepted once ours respect it; one that nothing could limit is Rejected"
)
_CLEAR: Final = _intercept("clears what the CSMS set and none of ours: by criteria it becomes several clears")
_START: Final = _intercept(
    "a charging profile in it is taken out and kept here where it would replace ours; it passes once ours respect that"
)
_KEYS: Final = _intercept(
    "the reply: the stack level and the profiles that are kept for us are not told; nor are measurands and an interval "
    "that we added, but those that the CSMS set"
)
_SCHEDULE: Final = _intercept("the reply: what is expected stands in the place of the step to the fall-back")
_CUT_OFF: Final = "what would make the charger dial past the proxy, or fail at its door, is Rejected and reported"
_SETTING: Final = _intercept(
    f"{_CUT_OFF}; so is what would switch smart charging off; a list of measurands keeps those that we added"
)
_CERTIFICATE: Final = _intercept(_CUT_OFF)

_OBSERVED_16: Final = {
    "BootNotification": _BOOT,
    "CertificateSigned": _CERTIFICATE,
    "ChangeConfiguration": _SETTING,
    "ClearChargingProfile": _CLEAR,
    "DeleteCertificate": _CERTIFICATE,
    "GetCompositeSchedule": _SCHEDULE,
    "GetConfiguration": _KEYS,
    "Heartbeat": _CLOCK,
    "InstallCertificate": _CERTIFICATE,
    "MeterValues": _METER,
    "RemoteStartTransaction": _START,
    "SetChargingProfile": _SET,
    "StartTransaction": _observe("a session begins; its id is in the CSMS's reply"),
    "StatusNotification": _STATUS,
    "StopTransaction": _observe("a session ends"),
}
_OBSERVED_2: Final = {
    "BootNotification": _BOOT,
    "CertificateSigned": _CERTIFICATE,
    "ClearChargingProfile": _CLEAR,
    "DeleteCertificate": _CERTIFICATE,
    "GetChargingProfiles": _intercept("the reply: NoProfiles where the charger has none but ours"),
    "GetCompositeSchedule": _SCHEDULE,
    "GetInstalledCertificateIds": _observe("which certificates are none of the way to the proxy"),
    "GetVariables": _KEYS,
    "Heartbeat": _CLOCK,
    "InstallCertificate": _CERTIFICATE,
    "MeterValues": _METER,
    "NotifyReport": _intercept("the stack level and the profiles that are kept for us are not told"),
    "ReportChargingProfiles": _intercept(
        "goes on without ours, with those that are kept here, when all of it is there"
    ),
    "RequestStartTransaction": _START,
    "SetChargingProfile": _SET,
    "SetNetworkProfile": _CERTIFICATE,
    "SetVariables": _SETTING,
    "StatusNotification": _STATUS,
    "TransactionEvent": _observe("a session begins, changes or ends; what its EVSE draws"),
}
_OBSERVED_21: Final = {
    **_OBSERVED_2,
    "NotifyPriorityCharging": _observe("priority charging may overrule our limits: reported"),
    "PullDynamicScheduleUpdate": _intercept("asked for a profile of ours it is Rejected: ours are pushed"),
    "UpdateDynamicSchedule": _SET,
    "UsePriorityCharging": _intercept("Rejected and reported where no station cap of ours would hold it down"),
}
_RELAYED_16: Final = """
    Authorize CancelReservation CertificateSigned ChangeAvailability ChangeConfiguration ClearCache DataTransfer
    DeleteCertificate DiagnosticsStatusNotification ExtendedTriggerMessage FirmwareStatusNotification
    GetCompositeSchedule GetDiagnostics GetInstalledCertificateIds GetLocalListVersion GetLog InstallCertificate
    LogStatusNotification RemoteStopTransaction ReserveNow Reset SecurityEventNotification SendLocalList
    SignCertificate SignedFirmwareStatusNotification SignedUpdateFirmware TriggerMessage UnlockConnector UpdateFirmware
"""
_RELAYED_201: Final = """
    Authorize CancelReservation CertificateSigned ChangeAvailability ClearCache ClearDisplayMessage
    ClearVariableMonitoring ClearedChargingLimit CostUpdated CustomerInformation DataTransfer DeleteCertificate
    FirmwareStatusNotification Get15118EVCertificate GetBaseReport GetCertificateStatus GetChargingProfiles
    GetCompositeSchedule GetDisplayMessages GetInstalledCertificateIds GetLocalListVersion GetLog GetMonitoringReport
    GetReport GetTransactionStatus InstallCertificate LogStatusNotification NotifyChargingLimit
    NotifyCustomerInformation NotifyDisplayMessages NotifyEVChargingNeeds NotifyEVChargingSchedule NotifyEvent
    NotifyMonitoringReport NotifyReport PublishFirmware PublishFirmwareStatusNotification ReportChargingProfiles
    RequestStopTransaction ReservationStatusUpdate ReserveNow Reset SecurityEventNotification SendLocalList
    SetDisplayMessage SetMonitoringBase SetMonitoringLevel SetNetworkProfile SetVariableMonitoring SetVariables
    SignCertificate TriggerMessage UnlockConnector UnpublishFirmware UpdateFirmware
"""
_RELAYED_21: Final = f"""{_RELAYED_201}
    AFRRSignal AdjustPeriodicEventStream BatterySwap ChangeTransactionTariff ClearDERControl ClearTariffs
    ClosePeriodicEventStream GetCertificateChainStatus GetDERControl GetPeriodicEventStream GetTariffs
    NotifyAllowedEnergyTransfer NotifyDERAlarm NotifyDERStartStop NotifyPeriodicEventStream NotifyPriorityCharging
    NotifySettlement NotifyWebPaymentStarted OpenPeriodicEventStream PullDynamicScheduleUpdate ReportDERControl
    RequestBatterySwap SetDERControl SetDefaultTariff UpdateDynamicSchedule UsePriorityCharging VatNumberValidation
"""

POLICY: Final[Mapping[OcppVersion, Mapping[str, Rule]]] = {
    "ocpp1.6": _table(_OBSERVED_16, _RELAYED_16),
    "ocpp2.0.1": _table(_OBSERVED_2, _RELAYED_201),
    "ocpp2.1": _table(_OBSERVED_21, _RELAYED_21),
}
INTERCEPTED: Final = frozenset(
    action for rules in POLICY.values() for action, row in rules.items() if row.treatment is Treatment.INTERCEPT
)
"""The actions that may be changed or answered, in any version."""


def rule(version: OcppVersion, action: str) -> Rule:
    """How an action is treated; one that nobody knows is relayed."""
    return POLICY[version].get(action, _RELAY)
