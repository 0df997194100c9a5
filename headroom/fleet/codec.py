"""Events and orders as they travel through Redis: JSON, one kind per message, tolerant of what it does not know.

While a fleet is upgraded process by process, old and new versions read one another's messages. So a reader skips kinds
that it does not know (and counts them), ignores fields that it does not know, and a field that is added must have a
default. Floats that JSON has no word for (infinite, not a number) do not travel; nothing of ours is meant to be either.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, get_args

import msgspec

from domain.commands import ApplySetpoint
from domain.events import Event, EvseMetered, FeederMetered, SessionStarted, SetpointSent
from domain.ids import ChargerId, SiteId

Fields = Mapping[bytes, bytes]

_ENCODE = msgspec.json.Encoder().encode
_EVENTS = {kind.__name__: msgspec.json.Decoder(kind) for kind in get_args(Event)}
_ACK = "Acknowledged"


class CodecError(ValueError):
    """A message that cannot be read."""


@dataclass(frozen=True, slots=True)
class Told:
    """An event, and who told it: the `number`-th of that worker's run about this site, from 1; `epoch` is its link's.

    `repeated`: it was told before, and is told again for whoever may have missed it.
    """

    event: Event
    worker: str
    number: int
    epoch: int | None = None
    repeated: bool = False


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """A worker obeys this token's controller from here on, and none with a lower one."""

    worker: str
    number: int
    token: int


@dataclass(frozen=True, slots=True)
class Command:
    """A limit for a charger, from the controller with this token, for the link with this epoch."""

    site: SiteId
    token: int
    epoch: int
    apply: ApplySetpoint


@dataclass(frozen=True, slots=True)
class Announced:
    """A controller takes a site over: its worker is to acknowledge, after telling again how its links stand."""

    site: SiteId
    token: int


@dataclass(frozen=True, slots=True)
class Cut:
    """A charger has a newer link at another worker: an older one here is closed."""

    charger: ChargerId
    epoch: int


Order = Command | Announced | Cut

_ORDERS = {kind.__name__: msgspec.json.Decoder(kind) for kind in get_args(Order)}


def encode(told: Told | Acknowledged, boot: str) -> dict[str, str | bytes]:
    """The fields of a stream's entry. `boot` names the machine's run, in which monotonic clocks agree.

    Raises:
        CodecError: the event holds what JSON cannot say.
    """
    fields: dict[str, str | bytes] = {"w": told.worker, "n": str(told.number)}
    if isinstance(told, Acknowledged):
        return fields | {"k": _ACK, "d": str(told.token)}
    fields |= {"k": type(told.event).__name__, "d": _encoded(told.event), "b": boot}
    if told.epoch is not None:
        fields["e"] = str(told.epoch)
    if told.repeated:
        fields["r"] = "1"
    return fields


def decode(fields: Fields, boot: str) -> Told | Acknowledged | None:
    """What an entry says; None for a kind that this version does not know.

    Raises:
        CodecError: it is of a known kind and cannot be read.
    """
    try:
        kind, worker, number = fields[b"k"].decode(), fields[b"w"].decode(), int(fields[b"n"])
        if kind == _ACK:
            return Acknowledged(worker, number, int(fields[b"d"]))
        decoder = _EVENTS.get(kind)
        if decoder is None:
            return None
        event: Event = decoder.decode(fields[b"d"])
        epoch = int(fields[b"e"]) if b"e" in fields else None
    except (KeyError, ValueError) as error:  # msgspec's errors are ValueErrors
        raise CodecError(f"{type(error).__name__}: {error}") from None
    if fields.get(b"b", b"").decode(errors="replace") != boot:
        event = _without_mono(event)
    return Told(event, worker, number, epoch, b"r" in fields)


def encode_order(order: Order) -> dict[str, str | bytes]:
    """The fields of an entry in a worker's stream."""
    return {"k": type(order).__name__, "d": _encoded(order)}


def decode_order(fields: Fields) -> Order | None:
    """What a worker is told to do; None for a kind that this version does not know.

    Raises:
        CodecError: it is of a known kind and cannot be read.
    """
    try:
        decoder = _ORDERS.get(fields[b"k"].decode())
        return None if decoder is None else decoder.decode(fields[b"d"])
    except (KeyError, ValueError) as error:
        raise CodecError(f"{type(error).__name__}: {error}") from None


def not_after(event: Event, now: datetime) -> Event:
    """The event, its times no later than `now`: a worker whose clock is ahead makes nothing look fresher than it is."""
    if isinstance(event, FeederMetered):
        reading = event.reading
        return replace(event, at=min(event.at, now), reading=replace(reading, at=min(reading.at, now)))
    if isinstance(event, EvseMetered) and event.sample.received_at > now:
        event = replace(event, sample=replace(event.sample, received_at=now))
    return replace(event, at=now) if event.at > now else event


def _encoded(value: Any) -> bytes:
    try:
        return _ENCODE(value)
    except (TypeError, ValueError, UnicodeEncodeError, OverflowError) as error:
        raise CodecError(f"{type(error).__name__}: {error}") from None


def _without_mono(event: Event) -> Event:
    """Readings of another machine's monotonic clock mean nothing here."""
    if isinstance(event, SessionStarted):
        return replace(event, relayed_mono_s=None)
    return replace(event, sent_mono_s=None) if isinstance(event, SetpointSent) else event
