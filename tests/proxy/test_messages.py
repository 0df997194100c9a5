"""The short way reads a message as the tolerant way does, or not at all."""

import json
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.protocol.messages import (
    METER_VALUES_16,
    METER_VALUES_201,
    TRANSACTION_EVENT,
    TRANSACTION_NAMED,
    Sampled201,
    TransactionInfo,
    UnitOfMeasure,
)
from proxy.protocol.metering import MeterEntry, SampledValue
from proxy.protocol.reading import Reader
from proxy.protocol.tolerant import NOT_JSON, read_object

ODD: list[Any] = [
    *(None, True, False, [], {}, [3], {"id": 1}, {"unit": 4}),
    *(-1, 0, 1, 3, 4, 1000, 1001, 2**31, 2**63 - 1, 2**63, -(2**63), -(2**63) - 1, 2**64, 10**40),
    *(-0.0, 1.0, 1.5, 1e3, 1e18, 9.3e18, 1e19, 1e300, 1.1e300, 9007199254740993.0, 5e-324),
    *("", " ", "0", "-0", "007", "+5", " 5 ", "5.0", "1e2", "1001", ".5", "5.", "1_0", "0x10", "١٢", "13,2"),
    *("nan", "NaN", "inf", "-Infinity", "1e299", "1e301", "1e999", "1e-400", "null", "NULL", "true", "None"),
    *(-101, -100, -7, -6, 6, 7, 100, 101, 1e301, 1e308),
    *("9" * 30, "9" * 63, "9" * 64, "9" * 65, " " * 65, "0." + "3" * 50, "x" * 64, "x" * 65, "x" * 63 + " x"),
]
EDGES = st.sampled_from(ODD)
NUMBERS = (
    st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.floats(0.0, 500.0).map(lambda value: round(value, 3))
)
WRITTEN = NUMBERS | NUMBERS.map(str) | st.decimals(allow_nan=False, allow_infinity=False).map(str)


def mostly(usual: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.integers(0, 12).flatmap(lambda dice: EDGES | st.text(max_size=70) if dice == 0 else usual)


def object_of(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """An object of some of these fields and one that nobody reads."""
    return st.fixed_dictionaries({}, optional={**fields, "multiplier": EDGES, "customData": EDGES})


WORDS = st.sampled_from(["L1", "L1-N", "N", "A", "kW", "Wh", "Outlet", "Inlet", "Percent", "Charging", "Idle"])
WORD = mostly(WORDS)
STAMP = mostly(st.sampled_from(["2026-03-01T12:00:00Z", "2026-03-01T12:00:00.123+02:00", "2026-03-01 12:00", "soon"]))
MEASURAND = mostly(st.sampled_from(["Current.Import", "Voltage", "Energy.Active.Import.Register", "Frequency"]))
CONNECTOR = mostly(st.integers(0, 3))
TRANSACTION = mostly(st.integers(1, 10**9) | st.uuids().map(str))
SAMPLED_16 = object_of(value=mostly(WRITTEN), measurand=MEASURAND, phase=WORD, unit=WORD, location=WORD)
UNIT = object_of(unit=WORD) | object_of(unit=WORD, multiplier=mostly(st.integers(-8, 8)))
SAMPLED_201 = object_of(
    value=mostly(WRITTEN), measurand=MEASURAND, phase=WORD, location=WORD, unitOfMeasure=mostly(UNIT)
)


def meter_value(sampled: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    entry = object_of(timestamp=STAMP, sampledValue=mostly(st.lists(mostly(sampled), max_size=3)))
    return mostly(st.lists(mostly(entry), max_size=2))


INFO = object_of(transactionId=TRANSACTION, chargingState=WORD, stoppedReason=WORD)
FORMS: dict[str, tuple[Reader[Any], st.SearchStrategy[Any]]] = {
    "1.6 MeterValues": (
        METER_VALUES_16,
        object_of(connectorId=CONNECTOR, transactionId=TRANSACTION, meterValue=meter_value(SAMPLED_16)),
    ),
    "2.x MeterValues": (METER_VALUES_201, object_of(evseId=CONNECTOR, meterValue=meter_value(SAMPLED_201))),
    "2.x TransactionEvent": (
        TRANSACTION_EVENT,
        object_of(
            eventType=mostly(st.sampled_from(["Started", "Updated", "Ended"])),
            timestamp=STAMP,
            offline=mostly(st.booleans()),
            transactionInfo=mostly(INFO),
            evse=mostly(object_of(id=CONNECTOR)),
            idToken=mostly(object_of(idToken=WORD)),
            numberOfPhasesUsed=mostly(st.integers(1, 3)),
            meterValue=meter_value(SAMPLED_201),
        ),
    ),
    "2.x TransactionEvent, its name": (TRANSACTION_NAMED, object_of(transactionInfo=mostly(INFO))),
}


def read_both_ways(reader: Reader[Any], document: object) -> None:
    raw = json.dumps(document).encode()
    payload = read_object(raw)
    tolerant = None if payload is None else reader.tolerant(payload)
    assert reader(raw) == tolerant
    try:
        typed = reader.typed(raw)
    except NOT_JSON:
        return
    assert typed == tolerant


def each_replaced(document: Any, odd: object) -> Iterator[Any]:
    """The document with each of its parts in turn replaced, the whole of it last."""
    keys = document if isinstance(document, dict) else range(len(document)) if isinstance(document, list) else ()
    for key in keys:
        for part in each_replaced(document[key], odd):
            changed = document.copy()
            changed[key] = part
            yield changed
    yield odd


UNIT_OF_MEASURE = {"unit": "W", "multiplier": 3}
VALUE_16 = {"value": "1", "measurand": "Voltage", "phase": "L1", "unit": "V", "location": "Outlet"}
VALUE_201 = {**VALUE_16, "unitOfMeasure": UNIT_OF_MEASURE}
STAMPED_16 = {"timestamp": "2026-03-01T12:00:00Z", "sampledValue": [VALUE_16]}
STAMPED_201 = {"timestamp": "2026-03-01T12:00:00Z", "sampledValue": [VALUE_201]}
WHOLE = {
    "1.6 MeterValues": {"connectorId": 1, "transactionId": 7, "meterValue": [STAMPED_16]},
    "2.x MeterValues": {"evseId": 1, "meterValue": [STAMPED_201]},
    "2.x TransactionEvent": {
        "eventType": "Updated",
        "timestamp": "2026-03-01T12:00:00Z",
        "offline": True,
        "transactionInfo": {"transactionId": "T", "chargingState": "Charging", "stoppedReason": "Local"},
        "evse": {"id": 2, "connectorId": 1},
        "idToken": {"idToken": "TAG", "type": "Central"},
        "numberOfPhasesUsed": 3,
        "meterValue": [STAMPED_201],
    },
}
WHOLE["2.x TransactionEvent, its name"] = WHOLE["2.x TransactionEvent"]


@pytest.mark.parametrize("name", FORMS)
def test_every_part_may_be_odd(name):
    for odd in ODD:
        for document in each_replaced(WHOLE[name], odd):
            read_both_ways(FORMS[name][0], document)


@pytest.mark.parametrize("name", FORMS)
@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_both_ways_read_the_same(name, data):
    reader, payloads = FORMS[name]
    read_both_ways(reader, data.draw(mostly(payloads)))


@given(NUMBERS, st.sampled_from([json.dumps, lambda value: json.dumps(str(value))]))
def test_a_number_is_the_same_to_its_last_bit(number, written):
    raw = b'{"meterValue":[{"sampledValue":[{"value":%b}]}]}' % written(number).encode()
    read = METER_VALUES_16(raw)
    assert read is not None
    assert read.meter_value[0].sampled_value[0].value == pytest.approx(float(number), rel=0, abs=0)


def many(entries: int, values: int) -> bytes:
    entry = {"sampledValue": [{"value": "1"}] * values}
    return json.dumps({"meterValue": [entry] * entries}).encode()


@pytest.mark.parametrize("more", [(201, 1), (1, 201), (1000, 0)])
def test_more_than_is_read_goes_the_tolerant_way_and_is_cut(more):
    with pytest.raises(msgspec.ValidationError):
        METER_VALUES_16.typed(many(*more))
    read = METER_VALUES_16(many(*more))
    assert read is not None
    assert (len(read.meter_value), len(read.meter_value[0].sampled_value)) == (min(more[0], 200), min(more[1], 200))


def test_ordinary_messages_go_the_short_way():
    read = METER_VALUES_16.typed(json.dumps(WHOLE["1.6 MeterValues"]).encode())
    assert (read.connector_id, read.transaction_id) == (1, 7)
    values = [SampledValue(1.0, "Voltage", "L1", "V", "Outlet")]
    assert read.meter_value == [MeterEntry("2026-03-01T12:00:00Z", values)]
    told = TRANSACTION_EVENT.typed(json.dumps(WHOLE["2.x TransactionEvent"]).encode())
    assert (told.event_type, told.offline, told.evse.id, told.id_token.id_token) == ("Updated", True, 2, "TAG")
    assert told.transaction_info == TransactionInfo("T", "Charging", "Local")
    assert (told.number_of_phases_used, told.timestamp) == (3, "2026-03-01T12:00:00Z")
    values_201 = [Sampled201(1.0, "Voltage", "L1", "Outlet", UnitOfMeasure("W", 3))]
    assert told.meter_value == [MeterEntry("2026-03-01T12:00:00Z", values_201)]
    bare = METER_VALUES_201.typed(b'{"meterValue":[{"sampledValue":[{"value":4}]}]}')
    assert bare.meter_value == [MeterEntry(None, [Sampled201(4.0, "Energy.Active.Import.Register")])]


@pytest.mark.parametrize("raw", [b"", b"[]", b"null", b"7", b'{"a":1', b"\xff", b"[" * 100_000, b'{"a":' * 50_000])
@pytest.mark.parametrize("name", FORMS)
def test_what_is_no_object_is_not_read(name, raw):
    assert FORMS[name][0](raw) is None
