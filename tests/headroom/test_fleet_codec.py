"""Every event and every order comes through Redis's words as it was; what another version says breaks nothing."""

import dataclasses
import types
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any, Literal, NewType, Union, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.events import Event, EvseMetered, FeederMetered, SessionStarted, SetpointSent
from domain.ids import ChargerId, EvseId
from domain.metering import EvseSample
from headroom.fleet.codec import (
    Acknowledged,
    CodecError,
    Order,
    Told,
    decode,
    decode_order,
    encode,
    encode_order,
    not_after,
)

NOW = datetime(2026, 3, 3, 12, 0, tzinfo=UTC)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)
OF_TYPE: dict[Any, st.SearchStrategy[Any]] = {
    str: TEXTS,
    int: st.integers(-(2**40), 2**40),
    bool: st.booleans(),
    float: st.floats(allow_nan=False, allow_infinity=False),
    datetime: st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC)),  # noqa: DTZ001
    type(None): st.none(),
    Any: JSON,
}


def of(hint: Any) -> st.SearchStrategy[Any]:
    """Anything of a type."""
    if hint in OF_TYPE:
        return OF_TYPE[hint]
    origin, args = get_origin(hint), get_args(hint)
    if isinstance(hint, NewType):
        return of(hint.__supertype__)
    if origin is Literal:
        return st.sampled_from(args)
    if origin in (Union, types.UnionType):
        return st.one_of([of(one) for one in args])
    if origin is tuple:
        return st.lists(of(args[0]), max_size=3).map(tuple)
    if origin is Mapping:
        return st.dictionaries(of(args[0]), of(args[1]), max_size=3)
    if isinstance(hint, type) and issubclass(hint, Enum):
        return st.sampled_from(list(hint))
    assert dataclasses.is_dataclass(hint), hint
    hints = get_type_hints(hint)
    return st.builds(hint, **{field.name: of(hints[field.name]) for field in dataclasses.fields(hint)})


def as_redis_gives(fields: dict[str, str | bytes]) -> dict[bytes, bytes]:
    return {name.encode(): value if isinstance(value, bytes) else value.encode() for name, value in fields.items()}


@pytest.mark.parametrize("kind", get_args(Event), ids=lambda kind: kind.__name__)
@settings(deadline=None)
@given(data=st.data())
def test_every_event_comes_through_as_it_was(kind: type, data: st.DataObject) -> None:
    event = data.draw(of(kind))
    told = Told(event, data.draw(TEXTS), data.draw(st.integers(1)), data.draw(st.none() | st.integers(1)), False)
    assert decode(as_redis_gives(encode(told, "boot")), "boot") == told


@pytest.mark.parametrize("kind", get_args(Order), ids=lambda kind: kind.__name__)
@settings(deadline=None)
@given(data=st.data())
def test_every_order_comes_through_as_it_was(kind: type, data: st.DataObject) -> None:
    order = data.draw(of(kind))
    assert decode_order(as_redis_gives(encode_order(order))) == order


def test_an_acknowledgement_comes_through() -> None:
    ack = Acknowledged("w", 7, 2**40)
    assert decode(as_redis_gives(encode(ack, "boot")), "boot") == ack


def test_a_later_version_s_kinds_are_skipped_and_its_fields_ignored() -> None:
    assert decode({b"w": b"w", b"n": b"1", b"k": b"ChargerSang", b"d": b"{}"}, "boot") is None
    assert decode_order({b"k": b"Sing", b"d": b"{}"}) is None
    sent = SetpointSent(EvseId("e"), NOW, 6.0, "d")  # type: ignore[arg-type]
    fields = as_redis_gives(encode(Told(sent, "w", 1), "boot"))
    fields[b"d"] = fields[b"d"][:-1] + b',"loudness":3}'
    fields[b"x"] = b"1"
    assert decode(fields, "boot") == Told(sent, "w", 1)


def test_an_earlier_version_s_event_without_a_field_gets_its_default() -> None:
    fields = {b"w": b"w", b"n": b"1", b"k": b"ChargerBooted"}
    fields[b"d"] = b'{"charger":"c","at":"2026-03-03T12:00:00Z","vendor":"v","model":"m","firmware":null}'
    with pytest.raises(CodecError, match="accepted"):
        decode(fields, "boot")
    fields[b"k"] = b"SessionEnded"
    fields[b"d"] = b'{"charger":"c","connector":1,"at":"2026-03-03T12:00:00Z","transaction_id":"t"}'
    told = decode(fields, "boot")
    assert isinstance(told, Told)
    assert told.event.reason is None  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "broken", [{}, {b"k": b"SetpointSent"}, {b"w": b"w", b"n": b"x", b"k": b"SetpointSent", b"d": b"{"}]
)
def test_what_cannot_be_read_is_said(broken: dict[bytes, bytes]) -> None:
    with pytest.raises(CodecError):
        decode(broken, "boot")


def test_what_json_cannot_say_is_no_message() -> None:
    broken = SessionStarted(ChargerId("\ud800"), 1, NOW, "t")
    with pytest.raises(CodecError):
        encode(Told(broken, "w", 1), "boot")


def test_another_machine_s_monotonic_clock_says_nothing_here() -> None:
    started = SessionStarted(ChargerId("c"), 1, NOW, "t", relayed_mono_s=12.5)
    fields = as_redis_gives(encode(Told(started, "w", 1), "boot"))
    here, elsewhere = decode(fields, "boot"), decode(fields, "another")
    assert isinstance(here, Told)
    assert isinstance(elsewhere, Told)
    assert here.event == started
    assert elsewhere.event == dataclasses.replace(started, relayed_mono_s=None)


@settings(deadline=None)
@given(of(EvseMetered) | of(FeederMetered) | of(SetpointSent))
def test_nothing_comes_from_the_future(event: Event) -> None:
    seen = not_after(event, NOW)
    assert seen.at <= NOW
    if isinstance(seen, FeederMetered):
        assert seen.reading.at <= NOW
    if isinstance(seen, EvseMetered):
        assert seen.sample.received_at <= NOW


def test_what_is_of_the_past_is_left_as_it_is() -> None:
    sample = EvseSample(NOW, NOW - timedelta(seconds=3), 6.0)
    event = EvseMetered(ChargerId("c"), 1, NOW - timedelta(seconds=3), sample)
    assert not_after(event, NOW) is event
