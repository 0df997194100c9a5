"""Seals: an installation's Ed25519 signature on a record's digest, with site, time and who asked.

RFC 8032. The secret is one of the installation's signing keys (32 bytes, in its database); it never leaves the service.
"""

import base64
import json
from dataclasses import dataclass, replace
from datetime import datetime

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

_WHAT = "headroom commissioning record, 1"
"""Signed with everything: a signature for one purpose is none for another."""


@dataclass(frozen=True, slots=True)
class Seal:
    """`digest` is the SHA-256 of the record (hexadecimal), `by` who presented it; keys and signatures are base64."""

    site: str
    digest: str
    at: datetime
    by: str
    public_key: str = ""
    signature: str = ""


def public_key(secret: bytes) -> str:
    """The key by which seals of this secret are known."""
    return base64.b64encode(Ed25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw()).decode()


def signed(secret: bytes, seal: Seal) -> Seal:
    """The seal with its key and its signature."""
    known = replace(seal, public_key=public_key(secret))
    signature = Ed25519PrivateKey.from_private_bytes(secret).sign(_words(known))
    return replace(known, signature=base64.b64encode(signature).decode())


def is_genuine(seal: Seal) -> bool:
    """Whether the signature is that of the seal's own key; whose key that is, its reader has to know."""
    try:
        key = Ed25519PublicKey.from_public_bytes(base64.b64decode(seal.public_key, validate=True))
        key.verify(base64.b64decode(seal.signature, validate=True), _words(seal))
    except (ValueError, InvalidSignature):
        return False
    return True


def _words(seal: Seal) -> bytes:
    told = [_WHAT, seal.site, seal.digest, seal.at.isoformat(), seal.by, seal.public_key]
    return json.dumps(told, ensure_ascii=True).encode()
