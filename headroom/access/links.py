"""Drivers' links: an EVSE's id and a generation, signed (HMAC-SHA256). Whoever has the link may see that EVSE alone.

The link is printed as a QR code at the EVSE and needs no account. A revocation counts the generation up.
"""

import base64
import binascii
import hashlib
import hmac

_SIGNATURE_BYTES = 18
MOST_LENGTH = 200


def sign_link(key: bytes, evse: str, generation: int) -> str:
    """The last part of an EVSE's link: safe in a URL."""
    payload = f"{generation}:{evse}".encode()
    return base64.urlsafe_b64encode(_signature(key, payload) + payload).decode().rstrip("=")


def read_link(key: bytes, link: str) -> tuple[str, int] | None:
    """The EVSE and the generation that a link was signed for; None where we did not sign it."""
    if len(link) > MOST_LENGTH or not link.isascii():
        return None
    try:
        raw = base64.urlsafe_b64decode(link + "=" * (-len(link) % 4))
    except (binascii.Error, ValueError):
        return None
    signature, payload = raw[:_SIGNATURE_BYTES], raw[_SIGNATURE_BYTES:]
    if not hmac.compare_digest(signature, _signature(key, payload)):
        return None
    generation, _, evse = payload.decode().partition(":")
    return evse, int(generation)


def _signature(key: bytes, payload: bytes) -> bytes:
    return hmac.new(key, payload, hashlib.sha256).digest()[:_SIGNATURE_BYTES]
