"""The messages that come all the time, in the form of their version: only the fields that are read.

A bound here is what the short way takes; a payload outside of it is read by the function beside its form, with what
the field's reader in `proxy.protocol.tolerant` makes of it.
"""

from collections.abc import Callable
from typing import Annotated

import msgspec
from msgspec import Meta

from proxy.protocol.metering import (
    DEFAULT_MEASURAND,
    MAX_METER_VALUES,
    MAX_SAMPLED_VALUES,
    Measurand,
    MeterEntry,
    MeterValue,
    Sampled,
    SampledValue,
    newest,
)
from proxy.protocol.reading import Number, Reader, Text
from proxy.protocol.tolerant import Json, as_int, as_number, as_object, as_objects, as_text

MAX_CONNECTOR = 1000
_MAX_POWER_OF_TEN = 6
Connector = Annotated[int, Meta(ge=0, le=MAX_CONNECTOR)]
TransactionId = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | Text
Entries16 = Annotated[list[MeterEntry[SampledValue]], Meta(max_length=MAX_METER_VALUES)]


class MeterValues16(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """1.6's MeterValues."""

    connector_id: Connector | None = None
    transaction_id: TransactionId | None = None
    meter_value: Entries16 = []


class CurrentTime(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """The reply to a Heartbeat, in any version."""

    current_time: str | None = None


class UnitOfMeasure(msgspec.Struct, frozen=True, gc=False):
    """A 2.x unit; `multiplier` is a power of ten, None where it cannot be read."""

    unit: Text | None = None
    multiplier: Annotated[int, Meta(ge=-100, le=100)] | None = 0


class Sampled201(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """A 2.x sampledValue."""

    value: Number | None = None
    measurand: Measurand = DEFAULT_MEASURAND
    phase: Text | None = None
    location: Text | None = None
    unit_of_measure: UnitOfMeasure | None = None

    def plain(self) -> SampledValue:
        """The same with its unit's power of ten applied; no value where that is absurd or unreadable."""
        unit, value = self.unit_of_measure, self.value
        if unit is None:
            return SampledValue(value, self.measurand, self.phase, None, self.location)
        multiplier = unit.multiplier
        if multiplier is None or not -_MAX_POWER_OF_TEN <= multiplier <= _MAX_POWER_OF_TEN:
            value = None
        elif multiplier != 0 and value is not None:
            value *= 10.0**multiplier
        return SampledValue(value, self.measurand, self.phase, unit.unit, self.location)


Entries201 = Annotated[list[MeterEntry[Sampled201]], Meta(max_length=MAX_METER_VALUES)]


class MeterValues201(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """2.x's MeterValues."""

    evse_id: Connector | None = None
    meter_value: Entries201 = []


class EvseRef(msgspec.Struct, frozen=True, gc=False):
    """Which EVSE; None where the number cannot be one."""

    id: Annotated[int, Meta(ge=1, le=MAX_CONNECTOR)] | None = None


class IdToken(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """Who charges."""

    id_token: Text | None = None


class TransactionInfo(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """Which transaction, and how it goes."""

    transaction_id: TransactionId | None = None
    charging_state: Text | None = None
    stopped_reason: Text | None = None


class TransactionEvent(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """2.x's TransactionEvent. `offline` is what came: only True itself says that it is history."""

    event_type: Text | None = None
    timestamp: str | None = None
    offline: object = False
    transaction_info: TransactionInfo = TransactionInfo()
    evse: EvseRef = EvseRef()
    id_token: IdToken = IdToken()
    number_of_phases_used: Annotated[int, Meta(ge=1, le=3)] | None = None
    meter_value: Entries201 = []


class TransactionNamed(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    """Of a TransactionEvent, which transaction it is about."""

    transaction_info: TransactionInfo = TransactionInfo()


def newest_201(entries: list[MeterEntry[Sampled201]]) -> MeterValue:
    """The newest values of a 2.x message."""
    stamp, values = newest(entries)
    return MeterValue(stamp, [value.plain() for value in values])


def sampled_16(raw: Json) -> SampledValue:
    """A 1.6 sampledValue with its defaults (section 7.43): Energy.Active.Import.Register, the overall value, Outlet."""
    return SampledValue(
        as_number(raw.get("value")),
        as_text(raw.get("measurand")) or DEFAULT_MEASURAND,
        as_text(raw.get("phase")),
        as_text(raw.get("unit")),
        as_text(raw.get("location")),
    )


def sampled_201(raw: Json) -> Sampled201:
    """A 2.x sampledValue with its defaults: Energy.Active.Import.Register, the overall value, Outlet, Wh x 10^0."""
    unit = raw.get("unitOfMeasure")
    return Sampled201(
        as_number(raw.get("value")),
        as_text(raw.get("measurand")) or DEFAULT_MEASURAND,
        as_text(raw.get("phase")),
        as_text(raw.get("location")),
        UnitOfMeasure(as_text(unit.get("unit")), as_int(unit.get("multiplier", 0), -100, 100))
        if isinstance(unit, dict)
        else None,
    )


def entries(raw: object, sampled: Callable[[Json], Sampled]) -> list[MeterEntry[Sampled]]:
    """A message's `meterValue` array, as far as it can be read."""
    return [
        MeterEntry(
            stamp if isinstance(stamp := entry.get("timestamp"), str) else None,
            [sampled(value) for value in as_objects(entry.get("sampledValue"), MAX_SAMPLED_VALUES)],
        )
        for entry in as_objects(raw, MAX_METER_VALUES)
    ]


def _transaction_id(value: object) -> int | str | None:
    return value if isinstance(value, str) else as_int(value, -(2**63), 2**63 - 1)


def _transaction_info(raw: object) -> TransactionInfo:
    info = as_object(raw)
    return TransactionInfo(
        _transaction_id(info.get("transactionId")),
        as_text(info.get("chargingState")),
        as_text(info.get("stoppedReason")),
    )


def _transaction_event(payload: Json) -> TransactionEvent:
    stamp = payload.get("timestamp")
    return TransactionEvent(
        as_text(payload.get("eventType")),
        stamp if isinstance(stamp, str) else None,
        payload.get("offline", False),
        _transaction_info(payload.get("transactionInfo")),
        EvseRef(as_int(as_object(payload.get("evse")).get("id"), 1, MAX_CONNECTOR)),
        IdToken(as_text(as_object(payload.get("idToken")).get("idToken"))),
        as_int(payload.get("numberOfPhasesUsed"), 1, 3),
        entries(payload.get("meterValue"), sampled_201),
    )


CURRENT_TIME = Reader(
    CurrentTime,
    lambda payload: CurrentTime(stamp if isinstance(stamp := payload.get("currentTime"), str) else None),
)
METER_VALUES_16 = Reader(
    MeterValues16,
    lambda payload: MeterValues16(
        as_int(payload.get("connectorId"), 0, MAX_CONNECTOR),
        _transaction_id(payload.get("transactionId")),
        entries(payload.get("meterValue"), sampled_16),
    ),
)
METER_VALUES_201 = Reader(
    MeterValues201,
    lambda payload: MeterValues201(
        as_int(payload.get("evseId"), 0, MAX_CONNECTOR), entries(payload.get("meterValue"), sampled_201)
    ),
)
TRANSACTION_EVENT = Reader(TransactionEvent, _transaction_event)
TRANSACTION_NAMED = Reader(
    TransactionNamed, lambda payload: TransactionNamed(_transaction_info(payload.get("transactionInfo")))
)
