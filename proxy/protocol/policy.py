"""What the proxy does with each action: one table, from which docs/forwarding.md is written.

Every message is relayed byte for byte, whatever it is; what is listed as *observe* is read as well, after it was
forwarded. An action that is not in the table (a vendor's, a later version's) is relayed.
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


def _table(observed: Mapping[str, Rule], relayed: str) -> Mapping[str, Rule]:
    return dict(sorted({**dict.fromkeys(relayed.split(), _RELAY), **observed}.items()))


_CLOCK: Final = _observe("currentTime in the reply sets the charger's clock, in which schedules are written")
_BOOT: Final = _observe("vendor, model and firmware; currentTime in the reply sets the charger's clock")
_STATUS: Final = _observe("the state of each connector")
_METER: Final = _observe("what each EVSE draws")
_SET: Final = _observe("the CSMS's own limits: the EMS never exceeds them")
_CLEAR: Final = _observe("the CSMS's own limits end, and ours are sent again where they went with them")
_START: Final = _observe("may carry a charging profile: a limit of the CSMS's own")
_KEYS: Final = _observe("the highest stack level that the charger takes")

_OBSERVED_16: Final = {
    "BootNotification": _BOOT,
    "ClearChargingProfile": _CLEAR,
    "GetConfiguration": _KEYS,
    "Heartbeat": _CLOCK,
    "MeterValues": _METER,
    "RemoteStartTransaction": _START,
    "SetChargingProfile": _SET,
    "StartTransaction": _observe("a session begins; its id is in the CSMS's reply"),
    "StatusNotification": _STATUS,
    "StopTransaction": _observe("a session ends"),
}
_OBSERVED_2: Final = {
    "BootNotification": _BOOT,
    "ClearChargingProfile": _CLEAR,
    "GetVariables": _KEYS,
    "Heartbeat": _CLOCK,
    "MeterValues": _METER,
    "RequestStartTransaction": _START,
    "SetChargingProfile": _SET,
    "StatusNotification": _STATUS,
    "TransactionEvent": _observe("a session begins, changes or ends; what its EVSE draws"),
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
    "ocpp2.1": _table(_OBSERVED_2, _RELAYED_21),
}


def rule(version: OcppVersion, action: str) -> Rule:
    """How an action is treated; one that nobody knows is relayed."""
    return POLICY[version].get(action, _RELAY)
