"""How a socket ends, and in which words."""

from dataclasses import dataclass
from typing import Final

from websockets.frames import CloseCode


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a leg ended, and what to tell the other side."""

    code: int
    reason: str


def closing_words(code: int, reason: str) -> tuple[int, str]:
    """A code and reason that may be sent: reserved codes become 1001, a long reason is cut to 123 bytes."""
    if not (code in _SENDABLE or 3000 <= code < 5000):
        code = CloseCode.GOING_AWAY
    return code, reason.encode()[:123].decode(errors="ignore")


_SENDABLE: Final = frozenset(range(1000, 1015)) - {1004, 1005, 1006}
