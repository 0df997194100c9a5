"""Passwords of chargers as a site file may hold them: salted and hashed with scrypt (RFC 7914), never in clear.

A charger's password is bytes. A 1.6 AuthorizationKey is set as hexadecimal digits and sent as the bytes that they stand
for [security white paper ed. 3, A00.FR.205]; a 2.x password is UTF-8 text [OCPP 2.0.1 part 2, A00.FR.205]. Chargers
that send the digits themselves exist, and so do keys that were never hexadecimal.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from domain.errors import HeadroomError

_HEXADECIMAL = re.compile(rb"(?:[0-9A-Fa-f]{2}){8,32}")
_MAX_N = 2**20
_MAX_MEMORY = 256 * 2**20


class PasswordHashError(HeadroomError):
    """A text that is no password hash."""

    def __init__(self) -> None:
        super().__init__(
            "is no password hash: it must look like scrypt:16384:8:1:<salt>:<hash>, as `headroom key` prints it"
        )


@dataclass(frozen=True, slots=True)
class PasswordHash:
    """scrypt of a password. `n`, `r` and `p` are its costs; checking takes 16 MiB and some 50 ms with the defaults."""

    salt: bytes = field(repr=False)
    digest: bytes = field(repr=False)
    n: int = 2**14
    r: int = 8
    p: int = 1

    @classmethod
    def of(cls, password: bytes, salt: bytes) -> "PasswordHash":
        """Hash a password; hexadecimal digits (16 to 64 of them) count as the bytes that they stand for."""
        draft = cls(salt, b"")
        return cls(salt, draft._scrypt(_plain(password)))

    @classmethod
    def parse(cls, text: str) -> "PasswordHash":
        """Read the form of a site file; `PasswordHashError` for anything else."""
        parts = text.split(":")
        if len(parts) != 6 or parts[0] != "scrypt":
            raise PasswordHashError
        try:
            n, r, p = (int(part) for part in parts[1:4])
            salt, digest = (base64.b64decode(part, validate=True) for part in parts[4:])
        except (ValueError, binascii.Error):
            raise PasswordHashError from None
        within = 2 <= n <= _MAX_N and n & (n - 1) == 0 and 1 <= r <= 32 and 1 <= p <= 16
        if not within or 128 * n * r * p >= _MAX_MEMORY or len(salt) < 8 or len(digest) != 32:
            raise PasswordHashError
        return cls(salt, digest, n, r, p)

    @property
    def text(self) -> str:
        """The form of a site file."""
        salt, digest = (base64.b64encode(part).decode() for part in (self.salt, self.digest))
        return f"scrypt:{self.n}:{self.r}:{self.p}:{salt}:{digest}"

    def matches(self, sent: bytes) -> bool:
        """Whether this is the password: as bytes, as text, or as the digits of a hexadecimal key."""
        return any(hmac.compare_digest(self._scrypt(candidate), self.digest) for candidate in _candidates(sent))

    def _scrypt(self, password: bytes) -> bytes:
        return hashlib.scrypt(password, salt=self.salt, n=self.n, r=self.r, p=self.p, maxmem=_MAX_MEMORY, dklen=32)


def _plain(password: bytes) -> bytes:
    return bytes.fromhex(password.decode()) if _HEXADECIMAL.fullmatch(password) else password


def _candidates(sent: bytes) -> Iterator[bytes]:
    yield sent
    if (digits := _plain(sent)) != sent:
        yield digits
