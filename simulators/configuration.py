"""What a charger can be asked and told about itself: 1.6's configuration keys and 2.x's variables."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from simulators.behaviour import Behaviour
from simulators.evse import EvseSpec


@dataclass(slots=True)
class Setting:
    """One value. `accepts` says which texts may replace it; None makes it read-only."""

    value: str
    accepts: Callable[[str], bool] | None = None


def whole_number(text: str) -> bool:
    """Whether it is an integer of 0 or more."""
    return text.isascii() and text.isdigit() and len(text) < 10


def truth(text: str) -> bool:
    """Whether it says true or false."""
    return text.lower() in ("true", "false")


def settings_16(quirks: Behaviour, evses: tuple[EvseSpec, ...], meter_interval_s: int) -> dict[str, Setting]:
    """The keys of an OCPP 1.6 charger with Core, RemoteTrigger and SmartCharging."""
    units = {"A": "Current", "W": "Power"}
    connectors = quirks.reported_connectors or len(evses)
    phases = {1: "Rxx", 2: "RSx", 3: "RST"}
    rotation = ",".join(f"{spec.connector}.{phases[spec.conductors]}" for spec in evses)
    return {
        "AuthorizeRemoteTxRequests": Setting("true", truth),
        "AllowOfflineTxForUnknownId": Setting(str(quirks.offline_start).lower(), truth),
        "ClockAlignedDataInterval": Setting("0", whole_number),
        "ConnectionTimeOut": Setting("60", whole_number),
        "ConnectorPhaseRotation": Setting(rotation, lambda _: True),
        "GetConfigurationMaxKeys": Setting("50"),
        "HeartbeatInterval": Setting("300", whole_number),
        "LocalAuthorizeOffline": Setting(str(quirks.offline_start).lower(), truth),
        "LocalPreAuthorize": Setting("false", truth),
        "MeterValuesAlignedData": Setting("", _measurands(quirks)),
        "MeterValuesSampledData": Setting(",".join(quirks.measurands), _measurands(quirks)),
        "MeterValueSampleInterval": Setting(str(meter_interval_s), whole_number),
        "NumberOfConnectors": Setting(str(connectors)),
        "StopTransactionOnEVSideDisconnect": Setting("true", truth),
        "StopTransactionOnInvalidId": Setting("true", truth),
        "SupportedFeatureProfiles": Setting("Core,RemoteTrigger,SmartCharging"),
        "TransactionMessageAttempts": Setting("3", whole_number),
        "TransactionMessageRetryInterval": Setting("60", whole_number),
        "UnlockConnectorOnEVSideDisconnect": Setting("true", truth),
        "WebSocketPingInterval": Setting("0", whole_number),
        "ChargeProfileMaxStackLevel": Setting(str(_stack_level(quirks))),
        "ChargingScheduleAllowedChargingRateUnit": Setting(",".join(units[one] for one in sorted(quirks.rate_units))),
        "ChargingScheduleMaxPeriods": Setting(str(quirks.max_periods)),
        "MaxChargingProfilesInstalled": Setting(str(quirks.max_profiles)),
    }


def settings_201(quirks: Behaviour, evses: tuple[EvseSpec, ...], meter_interval_s: int) -> dict[str, Setting]:
    """The variables of an OCPP 2.0.1 station, as `Component.Variable` or `Component.Variable[instance]`."""
    start = "EVConnected" if quirks.starts_at_plug else "PowerPathClosed"
    return {
        "AlignedDataCtrlr.Interval": Setting("0", whole_number),
        "AlignedDataCtrlr.Measurands": Setting("", _measurands(quirks)),
        "ChargingStation.SupplyPhases": Setting(str(max(spec.conductors for spec in evses))),
        "DeviceDataCtrlr.BytesPerMessage[GetVariables]": Setting("65536"),
        "DeviceDataCtrlr.ItemsPerMessage[GetVariables]": Setting("50"),
        "OCPPCommCtrlr.HeartbeatInterval": Setting("300", whole_number),
        "OCPPCommCtrlr.MessageAttempts[TransactionEvent]": Setting("3", whole_number),
        "OCPPCommCtrlr.MessageAttemptInterval[TransactionEvent]": Setting("60", whole_number),
        "OCPPCommCtrlr.MessageTimeout[Default]": Setting("30"),
        "OCPPCommCtrlr.WebSocketPingInterval": Setting("0", whole_number),
        "SampledDataCtrlr.Enabled": Setting("true", truth),
        "SampledDataCtrlr.TxUpdatedInterval": Setting(str(meter_interval_s), whole_number),
        "SampledDataCtrlr.TxUpdatedMeasurands": Setting(",".join(quirks.measurands), _measurands(quirks)),
        "SmartChargingCtrlr.Enabled": Setting("true", truth),
        "SmartChargingCtrlr.Entries[ChargingProfiles]": Setting(str(quirks.max_profiles)),
        "SmartChargingCtrlr.LimitChangeSignificance": Setting("1.0", lambda _: True),
        "SmartChargingCtrlr.PeriodsPerSchedule": Setting(str(quirks.max_periods)),
        "SmartChargingCtrlr.Phases3to1": Setting("false"),
        "SmartChargingCtrlr.ProfileStackLevel": Setting(str(_stack_level(quirks))),
        "SmartChargingCtrlr.RateUnit": Setting(",".join(sorted(quirks.rate_units))),
        "TxCtrlr.EVConnectionTimeOut": Setting("60", whole_number),
        "TxCtrlr.StopTxOnInvalidId": Setting("true", truth),
        "TxCtrlr.TxStartPoint": Setting(start),
    }


def number(settings: Mapping[str, Setting], key: str) -> int:
    """A setting that `whole_number` guards."""
    return int(settings[key].value)


def flag(settings: Mapping[str, Setting], key: str) -> bool:
    """A setting that `truth` guards."""
    return settings[key].value.lower() == "true"


def _stack_level(quirks: Behaviour) -> int:
    told = quirks.reported_max_stack_level
    return quirks.max_stack_level if told is None else told


def _measurands(quirks: Behaviour) -> Callable[[str], bool]:
    """One unsupported measurand rejects the whole list (1.6 section 3.16.4)."""
    return lambda text: all(one in quirks.measurands for one in text.split(",") if text)
