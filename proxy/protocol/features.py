"""What a charger says it offers of smart charging, as far as messages that pass by tell: counts and 2.1's extras."""

from collections.abc import Mapping
from dataclasses import dataclass

from proxy.protocol.exchange import OwnCall
from proxy.protocol.tolerant import Json, as_int, as_object, as_objects, as_text

CAREFUL_PERIODS = 8
"""How many periods a schedule of ours has where the charger does not say how many it takes."""
CTRLR = "SmartChargingCtrlr"
FEATURES_SLOT = "read-features"


@dataclass(slots=True)
class Features:
    """Of one charger; None: not told. `max_level` is its highest stack level, `max_profiles` how many it keeps.

    `dynamic` and `max_offline` (2.1): it takes UpdateDynamicSchedule, and limits that end by themselves when the link
    is gone.
    """

    max_level: int | None = None
    max_profiles: int | None = None
    max_periods: int | None = None
    dynamic: bool = False
    max_offline: bool = False

    @property
    def periods(self) -> int:
        """How many periods a schedule of ours may have: two at least, whatever the charger says."""
        return max(2, CAREFUL_PERIODS if self.max_periods is None else self.max_periods)

    def known(self, max_profiles: int | None, max_periods: int | None) -> None:
        """What is known from elsewhere; the charger's own word stands above it."""
        self.max_profiles = max_profiles if self.max_profiles is None else self.max_profiles
        self.max_periods = max_periods if self.max_periods is None else self.max_periods

    def read_keys(self, reply: Json) -> None:
        """1.6: what a GetConfiguration.conf tells."""
        for key in as_objects(reply.get("configurationKey"), 1000):
            self._told(_KEYS.get(as_text(key.get("key")) or ""), key.get("value"))

    def read_variables(self, reply: Json) -> None:
        """2.x: what a GetVariablesResponse tells."""
        for result in as_objects(reply.get("getVariableResult"), 1000):
            if result.get("attributeType") in (None, "Actual"):
                self._told(name_of(result), result.get("attributeValue"))

    def read_report(self, report: Json) -> None:
        """2.x: what a NotifyReport tells. The limit of profiles is the variable's highest value, not its value."""
        for item in as_objects(report.get("reportData"), 1000):
            name = name_of(item)
            if name == "Entries[ChargingProfiles]":
                self._told("max_profiles", as_object(item.get("variableCharacteristics")).get("maxLimit"))
            for attribute in as_objects(item.get("variableAttribute"), 4):
                if attribute.get("type") in (None, "Actual"):
                    self._told(name, attribute.get("value"))

    def _told(self, name: str | None, value: object) -> None:
        field = _VARIABLES.get(name or "", name)
        if field in ("max_level", "max_profiles", "max_periods"):
            number = as_int(value)
            if number is not None:
                setattr(self, field, number)
        elif field in ("dynamic", "max_offline") and value is not None:
            setattr(self, field, value is True or (isinstance(value, str) and value.strip().lower() == "true"))


_KEYS: Mapping[str, str] = {
    "ChargeProfileMaxStackLevel": "max_level",
    "ChargingScheduleMaxPeriods": "max_periods",
    "MaxChargingProfilesInstalled": "max_profiles",
}
_VARIABLES: Mapping[str, str] = {
    "ProfileStackLevel": "max_level",
    "PeriodsPerSchedule": "max_periods",
    "SupportsDynamicProfiles": "dynamic",
    "SupportsFeature[DynamicProfiles]": "dynamic",
    "SupportsMaxOfflineDuration": "max_offline",
    "SupportsFeature[MaxOfflineDuration]": "max_offline",
}


def ask_features(token: str) -> OwnCall:
    """2.1: asks whether the station offers what 2.1 adds."""
    wanted = ("DynamicProfiles", "MaxOfflineDuration")
    data = [
        *({"component": {"name": CTRLR}, "variable": {"name": "SupportsFeature", "instance": one}} for one in wanted),
        *({"component": {"name": CTRLR}, "variable": {"name": f"Supports{one}"}} for one in wanted),
    ]
    return OwnCall("GetVariables", {"getVariableData": data}, FEATURES_SLOT, token)


def name_of(item: Json) -> str | None:
    """A variable of the smart charging controller as `Variable` or `Variable[instance]`; None for any other."""
    component, variable = as_object(item.get("component")), as_object(item.get("variable"))
    name, instance = as_text(variable.get("name")), as_text(variable.get("instance"))
    if component.get("name") != CTRLR or name is None:
        return None
    return name if instance is None else f"{name}[{instance}]"
