"""Answers to pings, which are most of what an idle link carries: in less time than the whole of RFC 6455 takes."""

import secrets

from websockets.utils import apply_mask

_PING, _PONG = 0x89, 0x8A
_MASKED = 0x80
_END_OF_HEAD = b"\r\n\r\n"


class Pings:
    """Sees all that an end receives, and answers what is one whole ping; all else is for `websockets`.

    A ping is only told for certain between two frames: where a frame comes in pieces, all later ones are left to
    `websockets` too. `is_server`: this end receives masked frames and sends plain ones.
    """

    def __init__(self, *, is_server: bool) -> None:
        self._is_server = is_server
        self._between_frames = False

    def head_came(self, data: bytes) -> None:
        """Bytes of the handshake, and perhaps of frames behind it."""
        _, end, rest = data.partition(_END_OF_HEAD)
        self._between_frames = bool(end) and _is_whole(rest)

    def answer(self, data: bytes) -> bytes | None:
        """The pong to `data`, which is then done with; None where `data` is something else."""
        if not self._between_frames:
            return None
        if data[0] == _PING and len(data) >= 2:
            start, length = (6, data[1] ^ _MASKED) if self._is_server else (2, data[1])
            if length < 126 and len(data) == start + length:
                return self._pong(data[2:6], data[6:]) if self._is_server else self._masked_pong(data[2:])
        self._between_frames = _is_whole(data)
        return None

    def _pong(self, mask: bytes, masked: bytes) -> bytes:
        return bytes((_PONG, len(masked))) + (apply_mask(masked, mask) if masked else b"")

    def _masked_pong(self, payload: bytes) -> bytes:
        mask = secrets.token_bytes(4)
        return bytes((_PONG, _MASKED | len(payload))) + mask + (apply_mask(payload, mask) if payload else b"")


def _is_whole(data: bytes) -> bool:
    """Whether the last frame of `data`, which begins with one, is complete."""
    at, size = 0, len(data)
    while size - at >= 2:
        length, start = data[at + 1] & 0x7F, at + (6 if data[at + 1] & _MASKED else 2)
        if length >= 126:
            wide = 2 if length == 126 else 8
            length, start = int.from_bytes(data[at + 2 : at + 2 + wide]), start + wide
        at = start + length
    return at == size
