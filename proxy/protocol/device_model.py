"""What a charger says of its profiles, as the CSMS is told it: less what is kept for us (pure).

1.6: GetConfiguration; 2.x: GetVariables and NotifyReport. Source: local-controller.md section 3, item 1.
"""

from collections.abc import Callable
from typing import Any

import msgspec

from domain.events import OcppVersion
from proxy.protocol.exchange import Call, Side
from proxy.protocol.features import Features, name_of
from proxy.protocol.interception import Answered, Rewritten
from proxy.protocol.placing import Placing
from proxy.protocol.tolerant import Json, as_int, as_object, as_objects, read_object

_MOST = 10_000


class DeviceModel:
    """One charger's. It learns the truth from each message (`learnt` is called then) before it changes the message."""

    def __init__(self, version: OcppVersion, features: Features, placing: Placing, learnt: Callable[[], None]) -> None:
        self._is_16 = version == "ocpp1.6"
        self._features, self._placing, self._learnt = features, placing, learnt

    def intercepts(self, side: Side, action: str) -> bool:
        """Whether CALLs of this action, or the replies to them, may have to be changed."""
        if side is Side.CHARGER:
            return action == "NotifyReport"
        return action == ("GetConfiguration" if self._is_16 else "GetVariables")

    def report(self, call: Call) -> Rewritten | None:
        """A NotifyReport of the charger's; None: it says nothing of profiles."""
        payload = read_object(call.payload)
        if payload is None:
            return None
        self._features.read_report(payload)
        self._learnt()
        items = payload.get("reportData")
        if not isinstance(items, list) or not any(_told(item) for item in as_objects(items, _MOST)):
            return None
        told = [self._item(item) if isinstance(item, dict) else item for item in items]
        return Rewritten(msgspec.json.encode({**payload, "reportData": told}))

    def on_reply(self, payload: bytes) -> Answered | None:
        """The reply to a GetConfiguration or GetVariables of the CSMS's; None: it says nothing of profiles."""
        reply = read_object(payload)
        if reply is None:
            return None
        field = "configurationKey" if self._is_16 else "getVariableResult"
        (self._features.read_keys if self._is_16 else self._features.read_variables)(reply)
        self._learnt()
        entries = reply.get(field)
        if not isinstance(entries, list):
            return None
        change = self._key if self._is_16 else self._variable
        told = [change(entry) if isinstance(entry, dict) else entry for entry in entries]
        return None if told == entries else Answered(msgspec.json.encode({**reply, field: told}))

    def _key(self, entry: Json) -> Json:
        return {**entry, **_changed(entry, "value", self._instead(str(entry.get("key")), entry.get("value")))}

    def _variable(self, entry: Json) -> Json:
        if entry.get("attributeType") not in (None, "Actual"):
            return entry
        value = self._instead(name_of(entry), entry.get("attributeValue"))
        return {**entry, **_changed(entry, "attributeValue", value)}

    def _item(self, item: Json) -> Json:
        """One variable of a report: its values, and how high they may be."""
        name = name_of(item)
        if name not in _VARIABLES:
            return item
        attributes = [
            {**one, **_changed(one, "value", self._instead(name, one.get("value")))}
            for one in as_objects(item.get("variableAttribute"), _MOST)
        ]
        told: dict[str, Any] = {**item, "variableAttribute": attributes}
        limits = as_object(item.get("variableCharacteristics"))
        most = as_int(limits.get("maxLimit"))
        if most is not None:
            level, profiles = self._placing.reported_level, self._placing.reported_profiles(most)
            told["variableCharacteristics"] = {
                **limits,
                "maxLimit": float(min(most, level) if name == "ProfileStackLevel" else profiles),
            }
        return told

    def _instead(self, name: str | None, value: object) -> str | None:
        """The value to tell instead; None: the true one."""
        number = as_int(value)
        if number is None:
            return None
        if name in ("ChargeProfileMaxStackLevel", "ProfileStackLevel"):
            return str(min(number, self._placing.reported_level))
        if name == "MaxChargingProfilesInstalled":
            return str(self._placing.reported_profiles(number))
        if name == "Entries[ChargingProfiles]":
            return str(max(0, number - len(self._placing.profiles.held())))
        return None


_VARIABLES = ("ProfileStackLevel", "Entries[ChargingProfiles]")


def _told(item: Json) -> bool:
    return name_of(item) in _VARIABLES


def _changed(entry: Json, field: str, value: str | None) -> Json:
    return {} if value is None or field not in entry else {field: value}
