"""OCPP-J envelopes: what a frame is and whom it answers, with the payload left as it came.

A frame is read to decide its way and never rewritten. What cannot be read is a value, `Unreadable`, because it is
forwarded like everything else; a broken frame whose head can be made out says so, so that a broken reply to our own
CALL still stays inside.
"""

import re
from collections.abc import Mapping
from typing import Final

import msgspec
from msgspec import Raw

_NULL: Final = Raw(b"null")
_EMPTY_TEXT: Final = Raw(b'""')
_EMPTY_OBJECT: Final = Raw(b"{}")

UNREADABLE_ID: Final = "-1"
"""The id of a CALLERROR for a frame whose own id could not be read [OCPP 2.0.1 part 4, 4.2.3]."""


class Binary(bytes):
    """A message that came in a binary WebSocket frame and has to leave in one."""

    __slots__ = ()


class CallFrame(msgspec.Struct, array_like=True, tag=2, frozen=True, gc=False):
    """`[2, id, action, payload]`: a request."""

    call_id: str
    action: str
    payload: Raw = _NULL


class ResultFrame(msgspec.Struct, array_like=True, tag=3, frozen=True, gc=False):
    """`[3, id, payload]`: the answer to a CALL."""

    call_id: str
    payload: Raw = _NULL


class ErrorFrame(msgspec.Struct, array_like=True, tag=4, frozen=True, gc=False):
    """`[4, id, code, description, details]`: the refusal of a CALL."""

    call_id: str
    code: Raw = _EMPTY_TEXT
    description: Raw = _EMPTY_TEXT
    details: Raw = _EMPTY_OBJECT

    @property
    def as_array(self) -> bytes:
        """The raw JSON of [code, description, details]."""
        return b"[%b,%b,%b]" % (bytes(self.code), bytes(self.description), bytes(self.details))


class ResultErrorFrame(msgspec.Struct, array_like=True, tag=5, frozen=True, gc=False):
    """`[5, id, code, description, details]` (2.1): a caller could not use a result; nobody answers it."""

    call_id: str
    code: Raw = _EMPTY_TEXT


class SendFrame(msgspec.Struct, array_like=True, tag=6, frozen=True, gc=False):
    """`[6, id, action, payload]` (2.1): a message that is never answered."""

    call_id: str
    action: str
    payload: Raw = _NULL


class Unreadable(msgspec.Struct, frozen=True, gc=False):
    """A frame that is not OCPP-J, or of a type that we do not know.

    `kind` and `call_id` are what its first bytes say, None where they say nothing; `well_formed` is True where it is
    JSON in the shape of an envelope with another message type, which 2.1 tells its readers to ignore.
    """

    kind: int | None = None
    call_id: str | None = None
    well_formed: bool = False

    @property
    def is_reply(self) -> bool:
        """Whether it calls itself a CALLRESULT, CALLERROR or CALLRESULTERROR."""
        return self.kind in (3, 4, 5)


Envelope = CallFrame | ResultFrame | ErrorFrame | ResultErrorFrame | SendFrame
Frame = Envelope | Unreadable

_ENVELOPE: Final[msgspec.json.Decoder[Envelope]] = msgspec.json.Decoder(Envelope)
_ELEMENTS: Final = msgspec.json.Decoder(list[Raw])
_INTEGER: Final = msgspec.json.Decoder(int)
_NOT_JSON = (msgspec.DecodeError, ValueError, RecursionError)  # ValueError: bad UTF-8; RecursionError: [[[[[[...

_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_BEFORE_KIND: Final = b"\xef\xbb\xbf \t\r\n["
_HEAD_BYTES: Final = 512
_HEAD: Final = re.compile(rb'\s*\[\s*(\d{1,9})\s*(?=[,\]]|$)(?:,\s*(?:"((?:[^"\\]|\\.)*)"|(\d{1,40})))?')


def read(raw: bytes) -> Frame:
    """Read a message's envelope. Never raises; costs about half a microsecond for a readable frame.

    Tolerated, because they are met in the field: numeric ids (read as their digits), missing trailing elements,
    surplus elements, a byte order mark.
    """
    try:
        return _ENVELOPE.decode(raw)
    except _NOT_JSON:
        return _read_odd(raw)


def _read_odd(raw: bytes) -> Frame:
    text = raw.removeprefix(_BYTE_ORDER_MARK)
    try:
        elements = _ELEMENTS.decode(text)
    except _NOT_JSON:
        return _read_head(text, well_formed=False)
    try:
        if len(elements) > 1 and not bytes(elements[1]).startswith(b'"'):
            elements[1] = Raw(b'"%d"' % _INTEGER.decode(elements[1]))
        return _ENVELOPE.decode(b"[%b]" % b",".join(bytes(element) for element in elements))
    except _NOT_JSON:
        return _read_head(text, well_formed=True)


def _read_head(text: bytes, *, well_formed: bool) -> Unreadable:
    head = _HEAD.match(text[:_HEAD_BYTES])
    if head is None:
        return Unreadable()
    kind, text_id, digits_id = head.groups()
    call_id = text_id if text_id is not None else digits_id
    return Unreadable(
        kind=int(kind),
        call_id=None if call_id is None else call_id.decode("utf-8", "replace"),
        well_formed=well_formed and not 2 <= int(kind) <= 6,
    )


def is_reply(raw: bytes) -> bool:
    """Whether a message begins like a CALLRESULT or a CALLERROR."""
    return raw.lstrip(_BEFORE_KIND)[:1] in (b"3", b"4")


def call_frame(call_id: str, action: str, payload: Mapping[str, object] | Raw) -> bytes:
    """A CALL of our own as the bytes to send."""
    return msgspec.json.encode((2, call_id, action, payload), enc_hook=_as_plain)


def result_frame(call: bytes, payload: bytes) -> bytes:
    """The CALLRESULT for a readable CALL, with the id as its sender wrote it. `payload` is raw JSON."""
    return _like(call, b"[3,%b,%b]" % (_elements(call)[1], payload))


def error_frame(call: bytes, words: bytes) -> bytes:
    """The CALLERROR for a readable CALL. `words` is the raw JSON of [code, description, details]."""
    return _like(call, b"[4,%b,%b" % (_elements(call)[1], words.lstrip()[1:]))


def with_payload(frame: bytes, payload: bytes) -> bytes:
    """A readable CALL or CALLRESULT with another payload (raw JSON); the rest stays as it was written."""
    elements = _elements(frame)
    kept = elements[: 3 if bytes(elements[0]).strip() == b"2" else 2]
    return _like(frame, b"[%b]" % b",".join((*kept, payload)))


def _elements(raw: bytes) -> list[Raw]:
    return _ELEMENTS.decode(raw.removeprefix(_BYTE_ORDER_MARK))


def _like(original: bytes, frame: bytes) -> bytes:
    return Binary(frame) if type(original) is Binary else frame


def _as_plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a payload holds a {type(value).__name__}, which has no form in JSON")
