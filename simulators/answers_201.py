"""OCPP 2.0.1: what a charging station answers its CSMS."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from ocpp.v201.enums import (
    AttributeEnumType,
    ChangeAvailabilityStatusEnumType,
    ChargingLimitSourceEnumType,
    ChargingProfileStatusEnumType,
    ClearCacheStatusEnumType,
    ClearChargingProfileStatusEnumType,
    DataEnumType,
    DataTransferStatusEnumType,
    GenericDeviceModelStatusEnumType,
    GenericStatusEnumType,
    GetChargingProfileStatusEnumType,
    GetVariableStatusEnumType,
    MutabilityEnumType,
    ReadingContextEnumType,
    RequestStartStopStatusEnumType,
    ResetStatusEnumType,
    SetVariableStatusEnumType,
    TriggerMessageStatusEnumType,
    UnlockStatusEnumType,
)

from simulators.answers_16 import ECHO_VENDOR, set_availability
from simulators.charging_profiles import Profile, ProfileError, profile_201
from simulators.dialect import Station, StopReason, one_decimal, stamp
from simulators.evse import SimulatedEvse
from simulators.ocpp_line import IncomingCall
from simulators.remote_start import RemoteStarts

REPORT_ITEMS = 10
_KEY = re.compile(r"(?P<component>[^.]+)\.(?P<variable>[^\[]+)(?:\[(?P<instance>.*)\])?")


class Speaker(Protocol):
    """What the answers need the station to say afterwards."""

    def tell_status(self, connector: int, *, again: bool = False) -> None:
        """StatusNotification."""
        ...

    def tell_meter(self, evse: SimulatedEvse, context: str) -> None:
        """MeterValues."""
        ...

    def tell_transaction(self, evse: SimulatedEvse) -> None:
        """TransactionEvent."""
        ...


class Answers201:
    """One method for each action; whatever is not here is NotImplemented."""

    def __init__(self, station: Station, speaker: Speaker) -> None:
        self.remote = RemoteStarts(station)
        self._station, self._speaker = station, speaker
        self._actions: Mapping[str, Callable[[IncomingCall], None]] = {
            "ChangeAvailability": self._change_availability,
            "ClearCache": lambda call: call.reply({"status": ClearCacheStatusEnumType.accepted}),
            "ClearChargingProfile": self._clear_profile,
            "DataTransfer": self._data_transfer,
            "GetBaseReport": self._base_report,
            "GetChargingProfiles": self._get_profiles,
            "GetCompositeSchedule": self._composite,
            "GetTransactionStatus": self._transaction_status,
            "GetVariables": self._get_variables,
            "RequestStartTransaction": self._request_start,
            "RequestStopTransaction": self._request_stop,
            "Reset": self._reset,
            "SetChargingProfile": self._set_profile,
            "SetVariables": self._set_variables,
            "TriggerMessage": self._trigger,
            "UnlockConnector": self._unlock,
        }

    def answer(self, call: IncomingCall) -> None:
        """Answer a CALL. Raises `KeyError`, `TypeError` or `ValueError` on a payload that makes no sense."""
        action = self._actions.get(call.action)
        if action is None:
            call.refuse("NotImplemented", f"{call.action} is not known to this station")
        else:
            action(call)

    # Charging profiles

    def _set_profile(self, call: IncomingCall) -> None:
        evse_id, wire = call.payload["evseId"], call.payload["chargingProfile"]
        evse = self._station.evses.get(evse_id)
        try:
            profile = profile_201(evse_id, wire, self._station.own_now())
            refused = self._station.profiles.install(profile, None if evse is None else evse.charge)
        except ProfileError as error:
            refused = str(error)
        if refused is None:
            call.reply({"status": ChargingProfileStatusEnumType.accepted})
        else:
            info = {"reasonCode": "InvalidProfile", "additionalInfo": refused}
            call.reply({"status": ChargingProfileStatusEnumType.rejected, "statusInfo": info})

    def _clear_profile(self, call: IncomingCall) -> None:
        profile_id = call.payload.get("chargingProfileId")
        asked = call.payload.get("chargingProfileCriteria", {})

        def matches(profile: Profile) -> bool:
            if profile_id is not None:
                return bool(profile.profile_id == profile_id)
            return _meets(profile, asked, "evseId")

        cleared = self._station.profiles.clear(matches)
        statuses = ClearChargingProfileStatusEnumType
        call.reply({"status": statuses.accepted if cleared else statuses.unknown})

    def _get_profiles(self, call: IncomingCall) -> None:
        asked, evse_id = call.payload["chargingProfile"], call.payload.get("evseId")
        ids, sources = asked.get("chargingProfileId"), asked.get("chargingLimitSource")
        source = str(ChargingLimitSourceEnumType.cso)
        found = [
            profile
            for profile in self._station.profiles
            if _meets(profile, asked, "")
            and evse_id in (None, profile.connector)
            and (ids is None or profile.profile_id in ids)
            and (sources is None or source in sources)
        ]
        statuses = GetChargingProfileStatusEnumType
        call.reply({"status": statuses.accepted if found else statuses.no_profiles})
        connectors = sorted({profile.connector for profile in found})
        for connector in connectors:
            report = {
                "requestId": call.payload["requestId"],
                "chargingLimitSource": source,
                "evseId": connector,
                "chargingProfile": [dict(one.wire or {}) for one in found if one.connector == connector],
                "tbc": connector != connectors[-1],
            }
            self._station.send("ReportChargingProfiles", report)

    def _composite(self, call: IncomingCall) -> None:
        connector, duration_s = call.payload["evseId"], call.payload["duration"]
        unit = call.payload.get("chargingRateUnit", "A")
        how = self._station.behaviour.composite
        known = connector == 0 or connector in self._station.evses
        # The schema wants at least one period: who has none to show can only reject.
        if how in ("rejected", "empty") or not known or unit not in self._station.behaviour.rate_units:
            call.reply({"status": GenericStatusEnumType.rejected})
            return
        if how == "bare":
            call.reply({"status": GenericStatusEnumType.accepted})
            return
        evse = self._station.evses.get(connector) or next(iter(self._station.evses.values()))
        scale = evse.supply.voltage_v * evse.supply.loads if unit == "W" else 1.0
        schedule = {
            "evseId": connector,
            "duration": duration_s,
            "scheduleStart": stamp(self._station.own_now()),
            "chargingRateUnit": unit,
            "chargingSchedulePeriod": [
                {"startPeriod": start_s, "limit": one_decimal(limit * scale)}
                for start_s, limit in self._station.schedule(connector, duration_s)
            ],
        }
        call.reply({"status": GenericStatusEnumType.accepted, "schedule": schedule})

    # The device model

    def _get_variables(self, call: IncomingCall) -> None:
        results = []
        for asked in call.payload["getVariableData"]:
            statuses = GetVariableStatusEnumType
            status, value = self._look_up(asked, statuses.unknown_component, statuses.unknown_variable)
            kind = asked.get("attributeType", AttributeEnumType.actual)
            if status is None and kind != AttributeEnumType.actual:
                status = statuses.not_supported_attribute_type
            result = {"component": asked["component"], "variable": asked["variable"], "attributeType": kind}
            if status is None:
                results.append({**result, "attributeStatus": statuses.accepted, "attributeValue": value})
            else:
                results.append({**result, "attributeStatus": status})
        call.reply({"getVariableResult": results})

    def _set_variables(self, call: IncomingCall) -> None:
        results = []
        for asked in call.payload["setVariableData"]:
            statuses = SetVariableStatusEnumType
            status, _ = self._look_up(asked, statuses.unknown_component, statuses.unknown_variable)
            if status is None:
                setting, value = self._station.settings[_key(asked)], asked["attributeValue"]
                status = statuses.rejected
                if setting.accepts is not None and setting.accepts(value):
                    setting.value = value
                    status = statuses.accepted
            results.append({"component": asked["component"], "variable": asked["variable"], "attributeStatus": status})
        call.reply({"setVariableResult": results})

    def _look_up(self, asked: Mapping[str, Any], no_component: str, no_variable: str) -> tuple[str | None, str]:
        """(None, value), or what is wrong with the question."""
        setting = self._station.settings.get(_key(asked))
        if setting is not None:
            return None, setting.value
        component = asked["component"]["name"] + "."
        known = any(key.startswith(component) for key in self._station.settings)
        return (no_variable if known else no_component), ""

    def _base_report(self, call: IncomingCall) -> None:
        call.reply({"status": GenericDeviceModelStatusEnumType.accepted})
        items = [_report_item(key, value.value, value.accepts is None) for key, value in self._station.settings.items()]
        pages = [items[start : start + REPORT_ITEMS] for start in range(0, len(items), REPORT_ITEMS)]
        for number, page in enumerate(pages):
            report = {
                "requestId": call.payload["requestId"],
                "generatedAt": stamp(self._station.own_now()),
                "seqNo": number,
                "tbc": number < len(pages) - 1,
                "reportData": page,
            }
            self._station.send("NotifyReport", report)

    # Transactions and the station

    def _request_start(self, call: IncomingCall) -> None:
        wire: Mapping[str, Any] | None = call.payload.get("chargingProfile")
        now = self._station.own_now()
        evse = self.remote.request(
            call.payload.get("evseId"),
            call.payload["idToken"]["idToken"],
            remote_start_id=call.payload["remoteStartId"],
            profile=None if wire is None else lambda connector: profile_201(connector, wire, now),
        )
        statuses = RequestStartStopStatusEnumType
        if evse is None:
            call.reply({"status": statuses.rejected})
            return
        running = {} if evse.transaction is None else {"transactionId": evse.transaction.local_id}
        call.reply({"status": statuses.accepted, **running})
        self.remote.go(evse, ask_csms=False)

    def _request_stop(self, call: IncomingCall) -> None:
        evse = self._station.find_transaction(call.payload["transactionId"])
        statuses = RequestStartStopStatusEnumType
        call.reply({"status": statuses.rejected if evse is None else statuses.accepted})
        if evse is not None:
            self._station.end(evse, StopReason.REMOTE)

    def _transaction_status(self, call: IncomingCall) -> None:
        asked = call.payload.get("transactionId")
        answer: dict[str, object] = {"messagesInQueue": len(self._station.outbox) > 0}
        if asked is not None:
            answer["ongoingIndicator"] = self._station.find_transaction(asked) is not None
        call.reply(answer)

    def _reset(self, call: IncomingCall) -> None:
        call.reply({"status": ResetStatusEnumType.accepted})
        immediate = call.payload["type"] == "Immediate"
        self._station.reboot(StopReason.HARD_RESET if immediate else StopReason.SOFT_RESET)

    def _change_availability(self, call: IncomingCall) -> None:
        evse_id = call.payload.get("evse", {}).get("id")
        statuses = ChangeAvailabilityStatusEnumType
        chosen = [evse for evse in self._station.evses.values() if evse_id in (None, evse.connector)]
        busy = any(evse.transaction is not None for evse in chosen)
        if not chosen or busy:
            call.reply({"status": statuses.rejected})
            return
        call.reply({"status": statuses.accepted})
        set_availability(chosen, operative=call.payload["operationalStatus"] == "Operative")

    def _unlock(self, call: IncomingCall) -> None:
        evse = self._station.evses.get(call.payload["evseId"])
        statuses = UnlockStatusEnumType
        if evse is None:
            call.reply({"status": statuses.unknown_connector})
        elif evse.transaction is not None:
            call.reply({"status": statuses.ongoing_authorized_transaction})
        else:
            call.reply({"status": statuses.unlocked})

    def _data_transfer(self, call: IncomingCall) -> None:
        if call.payload["vendorId"] != ECHO_VENDOR:
            call.reply({"status": DataTransferStatusEnumType.unknown_vendor_id})
            return
        data = call.payload.get("data")
        call.reply({"status": DataTransferStatusEnumType.accepted, **({} if data is None else {"data": data})})

    def _trigger(self, call: IncomingCall) -> None:
        evse_id = call.payload.get("evse", {}).get("id")
        chosen = [evse for evse in self._station.evses.values() if evse_id in (None, evse.connector)]
        statuses, wanted = TriggerMessageStatusEnumType, call.payload["requestedMessage"]
        per_evse: Mapping[str, Callable[[SimulatedEvse], None]] = {
            "StatusNotification": lambda evse: self._speaker.tell_status(evse.connector, again=True),
            "MeterValues": lambda evse: self._speaker.tell_meter(evse, ReadingContextEnumType.trigger),
            "TransactionEvent": self._speaker.tell_transaction,
        }
        if wanted == "Heartbeat":
            call.reply({"status": statuses.accepted})
            self._station.heartbeat()
        elif wanted == "BootNotification":
            # F06.FR.17: a station that has been accepted does not boot again on demand.
            call.reply({"status": statuses.rejected})
        elif wanted not in per_evse:
            call.reply({"status": statuses.not_implemented})
        elif not chosen:
            call.reply({"status": statuses.rejected})
        else:
            call.reply({"status": statuses.accepted})
            for evse in chosen:
                per_evse[wanted](evse)


def _meets(profile: Profile, asked: Mapping[str, Any], evse_field: str) -> bool:
    """The criteria AND; what is absent does not restrict."""
    return (
        asked.get(evse_field) in (None, profile.connector)
        and asked.get("chargingProfilePurpose") in (None, profile.purpose)
        and asked.get("stackLevel") in (None, profile.stack_level)
    )


def _key(asked: Mapping[str, Any]) -> str:
    instance = asked["variable"].get("instance")
    suffix = "" if instance is None else f"[{instance}]"
    return f"{asked['component']['name']}.{asked['variable']['name']}{suffix}"


def _report_item(key: str, value: str, read_only: bool) -> Mapping[str, Any]:
    parts = _KEY.fullmatch(key)
    assert parts is not None
    variable = {"name": parts["variable"]}
    if parts["instance"] is not None:
        variable["instance"] = parts["instance"]
    mutability = MutabilityEnumType.read_only if read_only else MutabilityEnumType.read_write
    return {
        "component": {"name": parts["component"]},
        "variable": variable,
        "variableAttribute": [{"type": AttributeEnumType.actual, "value": value, "mutability": mutability}],
        "variableCharacteristics": {"dataType": DataEnumType.string, "supportsMonitoring": False},
    }
