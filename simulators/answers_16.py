"""OCPP 1.6: what a charger answers its Central System."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from ocpp.v16.enums import (
    AvailabilityStatus,
    ChargingProfileStatus,
    ClearCacheStatus,
    ClearChargingProfileStatus,
    ConfigurationStatus,
    DataTransferStatus,
    GetCompositeScheduleStatus,
    ReadingContext,
    RemoteStartStopStatus,
    ResetStatus,
    TriggerMessageStatus,
    UnlockStatus,
    UpdateStatus,
)

from simulators.charging_profiles import STATION_MAX_16, Profile, ProfileError, Purpose, profile_16
from simulators.configuration import flag
from simulators.dialect import Station, StopReason, one_decimal, stamp
from simulators.evse import PlugState, SimulatedEvse
from simulators.ocpp_line import IncomingCall
from simulators.remote_start import RemoteStarts

ECHO_VENDOR = "headroom.echo"
"""DataTransfer to this vendor comes back as it went."""


class Speaker(Protocol):
    """What the answers need the charger to say afterwards."""

    def tell_status(self, connector: int, *, again: bool = False) -> None:
        """StatusNotification."""
        ...

    def tell_meter(self, evse: SimulatedEvse, context: str) -> None:
        """MeterValues."""
        ...


class Answers16:
    """One method for each action; whatever is not here is NotImplemented."""

    def __init__(self, station: Station, speaker: Speaker) -> None:
        self.remote = RemoteStarts(station)
        self._station, self._speaker = station, speaker
        self._actions: Mapping[str, Callable[[IncomingCall], None]] = {
            "ChangeAvailability": self._change_availability,
            "ChangeConfiguration": self._change_configuration,
            "ClearCache": lambda call: call.reply({"status": ClearCacheStatus.accepted}),
            "ClearChargingProfile": self._clear_profile,
            "DataTransfer": self._data_transfer,
            "GetCompositeSchedule": self._composite,
            "GetConfiguration": self._get_configuration,
            "GetLocalListVersion": lambda call: call.reply({"listVersion": -1}),
            "RemoteStartTransaction": self._remote_start,
            "RemoteStopTransaction": self._remote_stop,
            "Reset": self._reset,
            "SendLocalList": lambda call: call.reply({"status": UpdateStatus.not_supported}),
            "SetChargingProfile": self._set_profile,
            "TriggerMessage": self._trigger,
            "UnlockConnector": lambda call: call.reply({"status": UnlockStatus.not_supported}),
        }

    def answer(self, call: IncomingCall) -> None:
        """Answer a CALL. Raises `KeyError`, `TypeError` or `ValueError` on a payload that makes no sense."""
        action = self._actions.get(call.action)
        if action is None:
            call.refuse("NotImplemented", f"{call.action} is not known to this charger")
        else:
            action(call)

    def _set_profile(self, call: IncomingCall) -> None:
        connector, wire = call.payload["connectorId"], call.payload["csChargingProfiles"]
        evse = self._station.evses.get(connector)
        try:
            profile = profile_16(connector, wire, self._station.own_now())
            refused = self._station.profiles.install(profile, None if evse is None else evse.charge)
        except ProfileError as error:
            refused = str(error)
        status = ChargingProfileStatus.accepted if refused is None else ChargingProfileStatus.rejected
        call.reply({"status": status})

    def _clear_profile(self, call: IncomingCall) -> None:
        asked = call.payload
        purpose = asked.get("chargingProfilePurpose")
        if purpose == STATION_MAX_16:
            purpose = Purpose.STATION_MAX

        def matches(profile: Profile) -> bool:
            # The fields AND; without any, everything goes (errata 1.6 3.25).
            return (
                asked.get("id") in (None, profile.profile_id)
                and asked.get("connectorId") in (None, profile.connector)
                and purpose in (None, profile.purpose)
                and asked.get("stackLevel") in (None, profile.stack_level)
            )

        cleared = self._station.profiles.clear(matches)
        statuses = ClearChargingProfileStatus
        call.reply({"status": statuses.accepted if cleared else statuses.unknown})

    def _composite(self, call: IncomingCall) -> None:
        connector, duration_s = call.payload["connectorId"], call.payload["duration"]
        unit = call.payload.get("chargingRateUnit", "A")
        how = self._station.behaviour.composite
        known = connector == 0 or connector in self._station.evses
        if how == "rejected" or not known or unit not in self._station.behaviour.rate_units:
            call.reply({"status": GetCompositeScheduleStatus.rejected})
            return
        if how == "bare":
            call.reply({"status": GetCompositeScheduleStatus.accepted})
            return
        evse = self._station.evses.get(connector) or next(iter(self._station.evses.values()))
        scale = evse.supply.voltage_v * evse.supply.loads if unit == "W" else 1.0
        steps = [] if how == "empty" else self._station.schedule(connector, duration_s)
        call.reply(
            {
                "status": GetCompositeScheduleStatus.accepted,
                "connectorId": connector,
                "scheduleStart": stamp(self._station.own_now()),
                # Errata 1.6 3.57: no startSchedule here.
                "chargingSchedule": {
                    "duration": duration_s,
                    "chargingRateUnit": unit,
                    "chargingSchedulePeriod": [
                        {"startPeriod": start_s, "limit": one_decimal(limit * scale)} for start_s, limit in steps
                    ],
                },
            }
        )

    def _get_configuration(self, call: IncomingCall) -> None:
        settings = self._station.settings
        keys = call.payload.get("key") or list(settings)
        known = [
            {"key": key, "readonly": settings[key].accepts is None, "value": settings[key].value}
            for key in keys
            if key in settings
        ]
        call.reply({"configurationKey": known, "unknownKey": [key for key in keys if key not in settings]})

    def _change_configuration(self, call: IncomingCall) -> None:
        setting = self._station.settings.get(call.payload["key"])
        value = call.payload["value"]
        if setting is None:
            call.reply({"status": ConfigurationStatus.not_supported})
        elif setting.accepts is None or not setting.accepts(value):
            call.reply({"status": ConfigurationStatus.rejected})
        else:
            setting.value = value
            call.reply({"status": ConfigurationStatus.accepted})

    def _remote_start(self, call: IncomingCall) -> None:
        wire: Mapping[str, Any] | None = call.payload.get("chargingProfile")
        now = self._station.own_now()
        evse = self.remote.request(
            call.payload.get("connectorId"),
            call.payload["idTag"],
            profile=None if wire is None else lambda connector: profile_16(connector, wire, now),
        )
        accepted = evse is not None
        call.reply({"status": RemoteStartStopStatus.accepted if accepted else RemoteStartStopStatus.rejected})
        if evse is not None:
            self.remote.go(evse, ask_csms=flag(self._station.settings, "AuthorizeRemoteTxRequests"))

    def _remote_stop(self, call: IncomingCall) -> None:
        evse = self._station.find_transaction(str(call.payload["transactionId"]))
        accepted = evse is not None
        call.reply({"status": RemoteStartStopStatus.accepted if accepted else RemoteStartStopStatus.rejected})
        if evse is not None:
            self._station.end(evse, StopReason.REMOTE)

    def _reset(self, call: IncomingCall) -> None:
        call.reply({"status": ResetStatus.accepted})
        hard = call.payload["type"] == "Hard"
        self._station.reboot(StopReason.HARD_RESET if hard else StopReason.SOFT_RESET)

    def _change_availability(self, call: IncomingCall) -> None:
        connector, operative = call.payload["connectorId"], call.payload["type"] == "Operative"
        if connector and connector not in self._station.evses:
            call.reply({"status": AvailabilityStatus.rejected})
            return
        chosen = [evse for evse in self._station.evses.values() if connector in (0, evse.connector)]
        busy = any(evse.transaction is not None for evse in chosen)
        call.reply({"status": AvailabilityStatus.rejected if busy else AvailabilityStatus.accepted})
        if not busy:
            set_availability(chosen, operative=operative)

    def _data_transfer(self, call: IncomingCall) -> None:
        if call.payload["vendorId"] != ECHO_VENDOR:
            call.reply({"status": DataTransferStatus.unknown_vendor_id})
            return
        data = call.payload.get("data")
        call.reply({"status": DataTransferStatus.accepted, **({} if data is None else {"data": data})})

    def _trigger(self, call: IncomingCall) -> None:
        connector = call.payload.get("connectorId")
        chosen = [evse for evse in self._station.evses.values() if connector in (None, 0, evse.connector)]
        whole: Mapping[str, Callable[[], None]] = {
            "BootNotification": self._station.boot_again,
            "Heartbeat": self._station.heartbeat,
        }
        per_connector: Mapping[str, Callable[[SimulatedEvse], None]] = {
            "StatusNotification": lambda evse: self._speaker.tell_status(evse.connector, again=True),
            "MeterValues": lambda evse: self._speaker.tell_meter(evse, ReadingContext.trigger),
        }
        wanted = call.payload["requestedMessage"]
        if wanted not in whole and wanted not in per_connector:
            call.reply({"status": TriggerMessageStatus.not_implemented})
        elif not chosen:
            call.reply({"status": TriggerMessageStatus.rejected})
        else:
            call.reply({"status": TriggerMessageStatus.accepted})
            if wanted in whole:
                whole[wanted]()
            else:
                for evse in chosen:
                    per_connector[wanted](evse)


def set_availability(evses: list[SimulatedEvse], *, operative: bool) -> None:
    """Take connectors out of service or back; they must have no transaction."""
    for evse in evses:
        if not operative:
            evse.enter(PlugState.UNAVAILABLE)
        elif evse.state is PlugState.UNAVAILABLE:
            evse.enter(PlugState.AVAILABLE if evse.vehicle is None else PlugState.PREPARING)
