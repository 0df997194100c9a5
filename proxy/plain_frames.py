"""The short way for the frames that OCPP is made of: whole, unfragmented text messages.

`websockets` stays in charge of everything else (the handshake, control frames, fragments, binary messages, closing and
every kind of fault): what is not a plain text frame is handed to it untouched, frame by frame. Its own way of a text
frame takes 2 to 4 us, this one less than 1.
"""

import os
import struct
from collections.abc import Callable
from typing import Final

from websockets.utils import apply_mask as _slow_mask

Mask = Callable[[bytes, bytes], bytes]

try:
    from websockets.speedups import apply_mask as _fast_mask
except ImportError:  # built without its C extension
    apply_mask: Mask = _slow_mask
else:
    apply_mask = _fast_mask

_WHOLE_TEXT: Final = 0x81
_WHOLE_PING, _WHOLE_PONG = 0x89, 0x8A
_FIN, _OPCODE, _CONT, _CLOSE, _FIRST_CONTROL = 0x80, 0x0F, 0x0, 0x8, 0x8
_OPCODES: Final = frozenset({0x0, 0x1, 0x2, 0x8, 0x9, 0xA})
_MASKED: Final = 0x80
_SHORT: Final = tuple(bytes((_WHOLE_TEXT, length)) for length in range(126))
_SHORT_MASKED: Final = tuple(bytes((_WHOLE_TEXT, _MASKED | length)) for length in range(126))


PING: Final = bytes((_WHOLE_PING, 8)) + b"headroom"
"""A ping as a server sends it."""
_MASKS_AT_ONCE: Final = 1024
"""A system call for each costs more than all else that is done to a frame."""
_masks: list[bytes] = []


class Odd(bytes):
    """Bytes for `websockets`: a whole frame that is not plain, or everything from a faulty one on."""

    __slots__ = ()


class Cutter:
    """Cuts a peer's stream behind its handshake. `masked` where the peer is a client [RFC 6455 5.1]."""

    __slots__ = ("_faulty", "_fragmented", "_mask_bit", "_max_bytes", "_rest")

    def __init__(self, *, masked: bool, max_bytes: int) -> None:
        self._mask_bit = _MASKED if masked else 0
        self._max_bytes = max_bytes
        self._rest = bytearray()
        self._fragmented = False
        self._faulty = False

    def whole(self, data: bytes) -> bytes | None:
        """The message where `data` is one whole plain one and nothing else, as nearly always; None, with nothing taken,
        where it is for `cut`.
        """
        size = len(data)
        if data[0] != _WHOLE_TEXT or self._rest or self._fragmented or self._faulty or not 6 < size <= self._max_bytes:
            return None
        second = data[1]
        if self._mask_bit:
            if second < _MASKED | 126:
                return apply_mask(data[6:], data[2:6]) if size == second - (_MASKED - 6) else None
            if second == _MASKED | 126 and size == (data[2] << 8 | data[3]) + 8:
                return apply_mask(data[8:], data[4:8])
        elif second < 126:
            return data[2:] if size == second + 2 else None
        elif second == 126 and size == (data[2] << 8 | data[3]) + 4:
            return data[4:]
        return None

    def is_pong(self, data: bytes) -> bool:
        """Whether `data` is one whole pong and nothing else, as an idle peer says; then it need not be cut."""
        if data[0] != _WHOLE_PONG or self._rest or self._faulty or len(data) < 2:
            return False
        length = data[1] ^ self._mask_bit
        return length < 126 and len(data) == length + (6 if self._mask_bit else 2)

    def cut(self, data: bytes) -> list[bytes]:
        """Whole messages as plain `bytes`, the rest as `Odd`, in order. Keeps a frame that is not complete yet: never
        more than `max_bytes` and its head.
        """
        if self._faulty:
            return [Odd(data)]
        if self._rest:
            self._rest += data
            pieces, used = self._pieces(self._rest)
            del self._rest[:used]
        else:
            pieces, used = self._pieces(data)
            if used < len(data):
                self._rest += data[used:]
        return pieces

    def _pieces(self, data: bytes | bytearray) -> tuple[list[bytes], int]:
        pieces: list[bytes] = []
        at, size = 0, len(data)
        while size - at >= 2:
            first, second = data[at], data[at + 1]
            length, start = second & 0x7F, at + 2
            if length == 126:
                start = at + 4
                length = int.from_bytes(data[at + 2 : start])
            elif length == 127:
                start = at + 10
                length = int.from_bytes(data[at + 2 : start])
            if start > size:
                break
            if second & _MASKED != self._mask_bit or length > self._max_bytes or first & _OPCODE not in _OPCODES:
                self._faulty = True
                pieces.append(Odd(data[at:]))
                return pieces, size
            if self._mask_bit:
                start += 4
            end = start + length
            if end > size:
                break
            if first == _WHOLE_TEXT and not self._fragmented:
                payload = bytes(data[start:end])
                pieces.append(apply_mask(payload, bytes(data[start - 4 : start])) if self._mask_bit else payload)
            else:
                pieces.append(Odd(data[at:end]))
                self._note(first)
                if self._faulty:
                    pieces.append(Odd(data[end:]))
                    return pieces, size
            at = end
        return pieces, at

    def _note(self, first: int) -> None:
        """What a frame that is not plain means for those behind it."""
        opcode = first & _OPCODE
        if opcode < _FIRST_CONTROL:
            self._fragmented = not first & _FIN
        elif opcode == _CLOSE:
            self._faulty = True


def text_frame(payload: bytes) -> bytes:
    """A whole text message as a server sends it."""
    length = len(payload)
    if length < 126:
        return _SHORT[length] + payload
    if length < 65536:
        return struct.pack("!BBH", _WHOLE_TEXT, 126, length) + payload
    return struct.pack("!BBQ", _WHOLE_TEXT, 127, length) + payload


def masked_text_frame(payload: bytes) -> bytes:
    """A whole text message as a client sends it, with an unpredictable mask [RFC 6455 5.3]."""
    length, mask = len(payload), _new_mask()
    if length < 126:
        head = _SHORT_MASKED[length]
    elif length < 65536:
        head = struct.pack("!BBH", _WHOLE_TEXT, _MASKED | 126, length)
    else:
        head = struct.pack("!BBQ", _WHOLE_TEXT, _MASKED | 127, length)
    return head + mask + apply_mask(payload, mask)


def masked_ping() -> bytes:
    """A ping as a client sends it."""
    mask = _new_mask()
    return bytes((_WHOLE_PING, _MASKED | (len(PING) - 2))) + mask + apply_mask(PING[2:], mask)


def _new_mask() -> bytes:
    if not _masks:
        _masks.extend(mask for (mask,) in struct.iter_unpack("4s", os.urandom(4 * _MASKS_AT_ONCE)))
    return _masks.pop()
