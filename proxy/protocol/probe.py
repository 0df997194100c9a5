"""Asks a charger what it says of itself: in one question where it can answer that, else one by one; pure.

1.6: GetConfiguration with keys, 2.x: GetVariables. Nothing is changed at the charger, and only what it says of itself
is read here: what it really takes is tried by the ladder (`capability`) and seen by the meter.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from domain.events import OcppVersion
from domain.quirks import Unit
from proxy.protocol.exchange import OwnCall, OwnOutcome
from proxy.protocol.tolerant import as_int, as_object, as_objects, as_text, read_object

SLOT = "probe"
GIVE_UP_AFTER = 2
"""So many questions in a row without an answer: it answers none of this kind."""
AT_ONCE_201 = 4
"""Variables in one question: every station takes that many, few say how many it may be (ItemsPerMessage)."""
MAX_VALUE = 1000

KEYS_16 = {
    "ChargeProfileMaxStackLevel": "max_level",
    "ChargingScheduleAllowedChargingRateUnit": "rate_units",
    "ChargingScheduleMaxPeriods": "max_periods",
    "MaxChargingProfilesInstalled": "max_profiles",
    "ConnectorSwitch3to1PhaseSupported": "switches_phases",
    "MeterValuesSampledData": "measurands",
    "MeterValueSampleInterval": "sample_interval_s",
}
"""1.6's keys (sections 9.1 and 9.4), and the quirk that each tells."""
KEYS_201 = {
    "SmartChargingCtrlr.ProfileStackLevel": "max_level",
    "SmartChargingCtrlr.RateUnit": "rate_units",
    "SmartChargingCtrlr.PeriodsPerSchedule": "max_periods",
    "SmartChargingCtrlr.Entries[ChargingProfiles]": "max_profiles",
    "SmartChargingCtrlr.Phases3to1": "switches_phases",
    "SampledDataCtrlr.TxUpdatedMeasurands": "measurands",
    "SampledDataCtrlr.TxUpdatedInterval": "sample_interval_s",
}
"""2.x's variables as Component.Variable[instance], and the quirk that each tells."""

_UNITS: Mapping[str, Unit] = {"current": "A", "a": "A", "power": "W", "w": "W"}


@dataclass
class Probe:
    """One round of questions to one charger. `done` once nothing is left to ask or it answers no more."""

    version: OcppVersion
    new_token: Callable[[], str]
    found: dict[str, Any] = field(default_factory=dict)
    """Fields of `Quirks`."""
    _waiting: list[tuple[str, ...]] = field(default_factory=list)
    _asked: tuple[str, tuple[str, ...]] | None = None
    _silent: int = 0

    def begin(self) -> list[OwnCall]:
        """The first question."""
        keys = tuple(self._keys)
        step = len(keys) if self.version == "ocpp1.6" else AT_ONCE_201
        self._waiting = [keys[start : start + step] for start in range(0, len(keys), step)]
        self._silent = 0
        return self._next()

    @property
    def done(self) -> bool:
        """Whether nothing more is asked."""
        return self._asked is None and not self._waiting

    def on_outcome(self, outcome: OwnOutcome) -> list[OwnCall]:
        """An answer, or none: the next question."""
        if self._asked is None or outcome.call.token != self._asked[0] or outcome.kind == "sent":
            return []
        keys, self._asked = self._asked[1], None
        if outcome.kind == "result":
            self._silent = 0
            self.found |= read_answers(self.version, outcome.payload)
        elif outcome.kind in ("lost", "superseded"):
            self._waiting = []
        else:
            self._silent += 1
            if self._silent >= GIVE_UP_AFTER:
                self._waiting = []
            elif len(keys) > 1:
                self._waiting = [(key,) for key in keys] + self._waiting
        return self._next()

    @property
    def _keys(self) -> Mapping[str, str]:
        return KEYS_16 if self.version == "ocpp1.6" else KEYS_201

    def _next(self) -> list[OwnCall]:
        if not self._waiting:
            return []
        keys, token = self._waiting.pop(0), self.new_token()
        self._asked = (token, keys)
        return [question(self.version, keys, SLOT, token)]


def question(version: OcppVersion, keys: Sequence[str], slot: str, token: str) -> OwnCall:
    """The CALL that asks for settings: 1.6's keys, or 2.x's variables as Component.Variable[instance]."""
    if version == "ocpp1.6":
        return OwnCall("GetConfiguration", {"key": list(keys)}, slot, token)
    return OwnCall("GetVariables", {"getVariableData": [variable(key) for key in keys]}, slot, token)


def variable(key: str) -> dict[str, Any]:
    """A 2.x variable's component and variable, from Component.Variable[instance]."""
    component, _, rest = key.partition(".")
    name, _, instance = rest.partition("[")
    found: dict[str, Any] = {"name": name}
    if instance:
        found["instance"] = instance.removesuffix("]")
    return {"component": {"name": component}, "variable": found}


def settings_of(version: OcppVersion, payload: bytes) -> dict[str, str]:
    """What a GetConfiguration or GetVariables told, by key; unknown ones are left out."""
    reply = read_object(payload) or {}
    found = {}
    if version == "ocpp1.6":
        for item in as_objects(reply.get("configurationKey"), MAX_VALUE):
            key, value = as_text(item.get("key")), as_text(item.get("value"), MAX_VALUE)
            if key is not None and value is not None:
                found[key] = value
        return found
    for item in as_objects(reply.get("getVariableResult"), MAX_VALUE):
        component, told = as_object(item.get("component")), as_object(item.get("variable"))
        value = as_text(item.get("attributeValue"), MAX_VALUE)
        if item.get("attributeStatus") != "Accepted" or item.get("attributeType", "Actual") != "Actual":
            continue
        instance = as_text(told.get("instance"))
        key = f"{as_text(component.get('name'))}.{as_text(told.get('name'))}" + (f"[{instance}]" if instance else "")
        if value is not None:
            found[key] = value
    return found


def read_answers(version: OcppVersion, payload: bytes) -> dict[str, Any]:
    """What an answer tells of a charger, as fields of `Quirks`; what makes no sense tells nothing."""
    keys = KEYS_16 if version == "ocpp1.6" else KEYS_201
    read = {
        keys[key]: _READERS[keys[key]](value) for key, value in settings_of(version, payload).items() if key in keys
    }
    return {name: value for name, value in read.items() if value is not None}


def words(text: str) -> tuple[str, ...]:
    """The words of a comma-separated list, each once, bounded; without what is no plain word."""
    parts = (part.strip() for part in text.split(",")[:100])
    return tuple(dict.fromkeys(part for part in parts if part and len(part) <= 60 and part.isprintable()))


def _units(text: str) -> tuple[Unit, ...] | None:
    found = {_UNITS[word.lower()] for word in words(text) if word.lower() in _UNITS}
    return tuple(unit for unit in ("A", "W") if unit in found) or None


def _truth(text: str) -> bool | None:
    return {"true": True, "false": False}.get(text.strip().lower())


def _count(text: str) -> int | None:
    # A charger whose memory is exhausted tells absurd numbers: they tell nothing.
    return as_int(text, 0, 100_000)


_READERS: Mapping[str, Callable[[str], Any]] = {
    "max_level": _count,
    "rate_units": _units,
    "max_periods": _count,
    "max_profiles": _count,
    "switches_phases": _truth,
    "measurands": words,
    "sample_interval_s": _count,
}
