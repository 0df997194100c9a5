"""From a message's bytes to what is made of it: the short way for messages as they should be, the tolerant for others.

Decoding straight into a `msgspec.Struct` that has only the fields which are read takes a fifth of the time of a
`dict` that is then looked through. A Struct's types and bounds say what goes the short way; everything else is read
field by field (`proxy.protocol.tolerant`), with the same result where both can read it.
"""

from collections.abc import Callable
from typing import Annotated, Final, Generic, TypeVar

import msgspec
from msgspec import Meta

from domain.events import Event
from proxy.protocol.exchange import Call, Exchange
from proxy.protocol.tolerant import LONGEST_TEXT, NOT_JSON, NOTHING, Json, read_object

Text = Annotated[str, Meta(max_length=LONGEST_TEXT)]
"""What `as_text` leaves as it is."""
Number = Annotated[float, Meta(ge=-1e300, le=1e300)]
"""A number, or a string that is one: finite, as `as_number` gives it."""

Form = TypeVar("Form")
OfCall = Callable[[Call], list[Event] | None]
OfExchange = Callable[[Exchange], list[Event] | None]
"""What a message (and its reply) tells; None where it cannot be read."""


class Reader(Generic[Form]):
    """Reads one kind of payload. `form` is its Struct; `tolerant` makes the same of any JSON object, never raising."""

    def __init__(self, form: type[Form], tolerant: Callable[[Json], Form]) -> None:
        # Not strict: a string that is a number is read as one, which 1.6's sampled values are.
        self.typed: Final = msgspec.json.Decoder(form, strict=False).decode
        self.tolerant: Final = tolerant

    def __call__(self, raw: bytes) -> Form | None:
        """The payload; None where it is no JSON object."""
        try:
            return self.typed(raw)
        except NOT_JSON:
            payload = read_object(raw)
            return None if payload is None else self.tolerant(payload)


def of_call(read: Callable[[bytes], Form | None], handle: Callable[[Call, Form], list[Event]]) -> OfCall:
    """`handle` for the payloads that `read` can read."""

    def told(call: Call) -> list[Event] | None:
        payload = read(call.payload)
        return None if payload is None else handle(call, payload)

    return told


def of_exchange(
    read: Callable[[bytes], Form | None], handle: Callable[[Exchange, Form, Json], list[Event]]
) -> OfExchange:
    """`handle` for the exchanges whose payload `read` can read, with the reply; an error's reply is an empty one."""

    def told(exchange: Exchange) -> list[Event] | None:
        payload = read(exchange.call.payload)
        reply = read_object(exchange.reply) if exchange.ok else NOTHING
        return None if payload is None or reply is None else handle(exchange, payload, reply)

    return told


def of_reply(read: Callable[[bytes], Form | None], handle: Callable[[Exchange, Form], list[Event]]) -> OfExchange:
    """`handle` for the exchanges that ended well and whose reply `read` can read; what was asked is not looked at."""

    def told(exchange: Exchange) -> list[Event] | None:
        if not exchange.ok:
            return []
        reply = read(exchange.reply)
        return None if reply is None else handle(exchange, reply)

    return told
