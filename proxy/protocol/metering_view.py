"""What the CSMS sees of a charger that samples more for us than the CSMS configured: its own settings and samples.

- Its settings: reads of the measurands and of the interval tell what it set itself; a write of its own is extended by
  ours on its way down, and counts as its setting once the charger accepted it.
- Its samples, 1.6: periodic MeterValues go up at the CSMS's own interval, the others stay here, answered by us. What
  goes up is what the charger wrote, byte for byte: measurands that were added are in it. Samples that begin or end a
  transaction, clock-aligned ones, and those that the CSMS triggered always go up.
- Any version: a sample that we triggered stays here. One that comes long after, or waited so long for its turn, goes
  up: what the CSMS asked for must not stay here instead.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from domain.events import OcppVersion
from proxy.protocol.exchange import Call, Exchange, Side
from proxy.protocol.interception import Answered, Rewritten
from proxy.protocol.probe import variable, words
from proxy.protocol.tolerant import Json, as_int, as_object, as_objects, as_text, read_object

MEASURANDS: Mapping[OcppVersion, str] = {
    "ocpp1.6": "MeterValuesSampledData",
    "ocpp2.0.1": "AlignedDataCtrlr.Measurands",
    "ocpp2.1": "AlignedDataCtrlr.Measurands",
}
"""The list that is extended. In 2.x that of triggered and aligned samples, which no TransactionEvent carries."""
NEEDED = (
    "Current.Import",
    "Voltage",
    "Power.Active.Import",
    "Energy.Active.Import.Register",
    "Current.Offered",
    "SoC",
)
"""What decisions and their verification look at."""
INTERVAL_16 = "MeterValueSampleInterval"
_MOST = 1000
_PERIODIC = ("Sample.Periodic", None)
_TRIGGERED = "Trigger"
_ASKED_S = 20.0
_EMPTY = b"{}"


@dataclass
class MeteringView:
    """One charger's. `csms_*` is what the CSMS set where the charger's setting is another; `extra` what we added."""

    version: OcppVersion
    csms_measurands: tuple[str, ...] | None = None
    csms_interval_s: int | None = None
    extra: tuple[str, ...] = ()
    _interval_s: int | None = None
    _passed_at: dict[int, datetime] = field(default_factory=dict)
    _ours_until: dict[int, datetime] = field(default_factory=dict)
    _theirs_until: datetime | None = None

    # What is configured.

    @property
    def in_force(self) -> tuple[str, ...]:
        """The charger's list of measurands, as far as it is known."""
        return tuple(dict.fromkeys((*(self.csms_measurands or ()), *self.extra)))

    @property
    def _needed(self) -> tuple[str, ...]:
        """What of it we need, whoever asked for it first."""
        return tuple(one for one in self.in_force if one in NEEDED)

    @property
    def differs(self) -> bool:
        """Whether the charger is set to anything that the CSMS did not set."""
        return self.csms_measurands is not None or self.csms_interval_s is not None

    def read_measurands(self, told: tuple[str, ...]) -> None:
        """The charger's list, before anything is added."""
        self.csms_measurands = told

    def added(self, measurands: tuple[str, ...]) -> None:
        """The charger samples these as well."""
        self.extra = tuple(dict.fromkeys((*self.extra, *measurands)))

    def nothing_added(self) -> None:
        """The charger's list is the CSMS's."""
        self.csms_measurands = None

    def read_interval(self, told_s: int) -> None:
        """The charger's interval, before it is changed."""
        self.csms_interval_s = told_s

    def wrote_interval(self, interval_s: int | None) -> None:
        """The charger samples at our interval; None: it did not take it."""
        self._interval_s = interval_s
        if interval_s is None:
            self.csms_interval_s = None

    def remembered(self, interval_s: int) -> None:
        """An earlier run of ours set the charger to sample so often."""
        if self.csms_interval_s is not None:
            self._interval_s = interval_s

    def forget(self) -> None:
        """Everything is as the CSMS set it."""
        self.csms_measurands = self.csms_interval_s = self._interval_s = None
        self.extra = ()

    # What passes by.

    def intercepts(self, side: Side, action: str) -> bool:
        """Whether such frames may have to be changed or kept now."""
        if side is Side.CHARGER:
            if action != "MeterValues":
                return False
            return bool(self._ours_until) or (self.csms_interval_s is not None and self.version == "ocpp1.6")
        return self.differs and action in _SETTINGS

    def on_meter_values(self, call: Call) -> Answered | None:
        """A MeterValues of the charger: None lets it go up."""
        payload = read_object(call.payload)
        if payload is None:
            return None
        connector = as_int(payload.get("connectorId" if self.version == "ocpp1.6" else "evseId")) or 0
        contexts = {
            as_text(value.get("context"))
            for entry in as_objects(payload.get("meterValue"), _MOST)
            for value in as_objects(entry.get("sampledValue"), _MOST)
        }
        if contexts == {_TRIGGERED}:
            return self._triggered(connector, call.at)
        if self.version != "ocpp1.6" or self.csms_interval_s is None or not contexts <= set(_PERIODIC):
            return None
        if self.csms_interval_s == 0 or not (self.csms_measurands is None or self.csms_measurands):
            return Answered(_EMPTY)
        last = self._passed_at.get(connector)
        slack_s = (self._interval_s or 0) / 2.0
        if last is not None and 0.0 <= (call.at - last).total_seconds() < self.csms_interval_s - slack_s:
            return Answered(_EMPTY)
        self._passed_at[connector] = call.at
        return None

    def expect(self, connector: int, until: datetime | None) -> None:
        """A sample that we triggered is to come from there until then; None: it does not come."""
        self._ours_until.pop(connector, None)
        if until is not None:
            self._ours_until[connector] = until

    def _triggered(self, connector: int, at: datetime) -> Answered | None:
        until = self._ours_until.pop(connector, None) or self._ours_until.pop(0, None)
        self._ours_until = {one: end for one, end in self._ours_until.items() if end > at}
        theirs = self._theirs_until is not None and at <= self._theirs_until
        return None if until is None or at > until or theirs else Answered(_EMPTY)

    def on_write(self, payload: bytes) -> Rewritten | None:
        """The payload of a ChangeConfiguration or SetVariables of the CSMS: with ours added; None where it has none."""
        written = read_object(payload)
        if written is None or not self.differs:
            return None
        changed = False
        items = [dict(written)] if self.version == "ocpp1.6" else [dict(i) for i in _items(written, "setVariableData")]
        for item in items:
            value = self._extended(_key(self.version, item), as_text(item.get(_VALUE[self.version]), _MOST))
            if value is not None:
                item[_VALUE[self.version]] = value
                changed = True
        if not changed:
            return None
        whole = items[0] if self.version == "ocpp1.6" else {**written, "setVariableData": items}
        return Rewritten(_json(whole))

    def on_exchange(self, exchange: Exchange) -> None:
        """The CSMS wrote or triggered something, with this outcome; `exchange.call` is as the CSMS wrote it."""
        call = exchange.call
        if call.origin is not Side.CSMS or not exchange.ok:
            return
        payload, reply = read_object(call.payload) or {}, read_object(exchange.reply) or {}
        if call.action == "TriggerMessage" and payload.get("requestedMessage") == "MeterValues":
            if reply.get("status") == "Accepted":
                self._theirs_until = exchange.at + timedelta(seconds=_ASKED_S)
        elif call.action == "ChangeConfiguration" and reply.get("status") in ("Accepted", "RebootRequired"):
            self._set(_key(self.version, payload), as_text(payload.get("value"), _MOST))
        elif call.action == "SetVariables":
            results = as_objects(reply.get("setVariableResult"), _MOST)
            for item, result in zip(_items(payload, "setVariableData"), results, strict=False):
                if result.get("attributeStatus") in ("Accepted", "RebootRequired"):
                    self._set(_key(self.version, item), as_text(item.get("attributeValue"), _MOST))

    def on_read(self, payload: bytes) -> bytes | None:
        """The reply to a GetConfiguration or GetVariables: with the CSMS's own values; None where none is in it."""
        reply = read_object(payload)
        name, value_of = ("configurationKey", "value") if self.version == "ocpp1.6" else (_RESULT, "attributeValue")
        changed = False
        items = []
        for one in _items(reply or {}, name):
            item = dict(one)
            own = self._own(_key(self.version, item))
            if own is not None and value_of in item:
                item[value_of], changed = own, True
            items.append(item)
        return _json({**reply, name: items}) if reply is not None and changed else None

    def _own(self, key: str | None) -> str | None:
        if key == MEASURANDS[self.version] and self.csms_measurands is not None:
            return ",".join(self.csms_measurands)
        if key == INTERVAL_16 and self.csms_interval_s is not None:
            return str(self.csms_interval_s)
        return None

    def _extended(self, key: str | None, value: str | None) -> str | None:
        if value is None:
            return None
        if key == MEASURANDS[self.version] and self.csms_measurands is not None:
            return ",".join(dict.fromkeys((*words(value), *self._needed)))
        wanted_s = as_int(value)
        if key == INTERVAL_16 and self._interval_s is not None and wanted_s is not None:
            return str(min(wanted_s, self._interval_s) if wanted_s > 0 else self._interval_s)
        return None

    def _set(self, key: str | None, value: str | None) -> None:
        if value is None:
            return
        if key == MEASURANDS[self.version] and self.csms_measurands is not None:
            needed, self.csms_measurands = self._needed, words(value)
            self.extra = tuple(one for one in needed if one not in self.csms_measurands)
        interval_s = as_int(value)
        if key == INTERVAL_16 and self.csms_interval_s is not None and interval_s is not None:
            self.csms_interval_s = interval_s


_RESULT = "getVariableResult"
_SETTINGS = frozenset({"GetConfiguration", "ChangeConfiguration", "GetVariables", "SetVariables"})
_VALUE: Mapping[OcppVersion, str] = {"ocpp1.6": "value", "ocpp2.0.1": "attributeValue", "ocpp2.1": "attributeValue"}


def _items(payload: Json, name: str) -> list[Json]:
    return as_objects(payload.get(name), _MOST)


def _key(version: OcppVersion, item: Json) -> str | None:
    if version == "ocpp1.6":
        return as_text(item.get("key"))
    if item.get("attributeType", "Actual") != "Actual":
        return None
    wanted = variable(MEASURANDS[version])
    names = (as_object(item.get("component")).get("name"), as_object(item.get("variable")).get("name"))
    return MEASURANDS[version] if names == (wanted["component"]["name"], wanted["variable"]["name"]) else None


def _json(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
