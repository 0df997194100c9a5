"""The seal at the end of a report: what was signed is every byte before it."""

import base64
import hashlib
import re
from datetime import datetime
from typing import Any

import msgspec

from domain.errors import HeadroomError
from headroom.access.seals import Seal, is_genuine

_MARK = "<!-- headroom seal "
_SEAL = re.compile(rb"\A<!-- headroom seal ([A-Za-z0-9+/=]{1,4000}) -->\n?\Z")


def digest_of(page: str) -> str:
    """The SHA-256 of a page, hexadecimal."""
    return hashlib.sha256(page.encode()).hexdigest()


def with_seal(page: str, seal: dict[str, Any]) -> str:
    """The page with its seal behind it."""
    return f"{page}{_MARK}{base64.b64encode(msgspec.json.encode(seal)).decode()} -->\n"


def verified(report: bytes, public_key: str | None = None) -> Seal:
    """The seal of a report that nobody has changed.

    Raises:
        HeadroomError: it has no seal, was changed, or was sealed by another installation than that of `public_key`.
    """
    page, mark, rest = report.rpartition(_MARK.encode())
    found = _SEAL.match(mark + rest)
    if found is None:
        raise HeadroomError("it has no seal: it is no report of `headroom commission`, or was cut off")
    try:
        seal = _parsed(base64.b64decode(found[1], validate=True))
    except (ValueError, msgspec.MsgspecError):
        raise HeadroomError("its seal cannot be read: it was changed") from None
    if not is_genuine(seal):
        raise HeadroomError("its seal is not genuine: it was changed")
    if seal.digest != hashlib.sha256(page).hexdigest():
        raise HeadroomError(f"it was changed after it was sealed at {seal.at.isoformat(timespec='seconds')}")
    if public_key is not None and public_key.strip() != seal.public_key:
        raise HeadroomError(f"it was sealed by another installation, with the key {seal.public_key}")
    return seal


def _parsed(raw: bytes) -> Seal:
    told = msgspec.json.decode(raw, type=dict[str, str])
    names = ("site", "digest", "by", "public_key", "signature")
    if set(told) != {*names, "at"}:
        raise ValueError("not a seal")
    return Seal(at=datetime.fromisoformat(told["at"]), **{name: told[name] for name in names})
