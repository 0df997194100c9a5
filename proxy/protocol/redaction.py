"""What is taken out of a message before it is kept: secrets, and what points to a person.

One table of JSON paths per action, one of names that are looked for everywhere (vendors put things where they like),
and the settings whose values are secrets, by their names. What cannot be read is not kept at all.
"""

import hashlib
import re
from collections.abc import Mapping
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final

import msgspec

from proxy.protocol.tolerant import NOT_JSON


class Take(StrEnum):
    """What becomes of a value: gone; a mark that is the same for the same value (and site) but tells nothing else; gone
    but for its length.
    """

    SECRET = "secret"  # noqa: S105 (a name, not one)
    IDENTITY = "identity"
    WITHHELD = "withheld"


REDACTED: Final = "[redacted]"
_MARK_BYTES: Final = 6
_LONGEST_TEXT: Final = 20_000

_CONNECTION: Final = {
    "connectionData.basicAuthPassword": Take.SECRET,
    "connectionData.identity": Take.IDENTITY,
    "connectionData.apn.apnUserName": Take.SECRET,
    "connectionData.apn.apnPassword": Take.SECRET,
    "connectionData.apn.simPin": Take.SECRET,
    "connectionData.vpn.user": Take.SECRET,
    "connectionData.vpn.password": Take.SECRET,
    "connectionData.vpn.key": Take.SECRET,
}
_COMPANY: Final = {
    f"{place}.{part}": Take.WITHHELD
    for place in ("company", "vatCompany")
    for part in ("name", "address1", "address2", "city", "postalCode", "country")
}

PATHS: Final[Mapping[str, Mapping[str, Take]]] = {
    "Authorize": {"certificate": Take.WITHHELD, "iso15118CertificateHashData": Take.WITHHELD},
    "CustomerInformation": {"customerIdentifier": Take.IDENTITY, "customerCertificate": Take.WITHHELD},
    "DataTransfer": {"data": Take.WITHHELD},
    "Get15118EVCertificate": {"exiRequest": Take.WITHHELD, "exiResponse": Take.WITHHELD},
    "GetCertificateStatus": {"ocspRequestData": Take.WITHHELD, "ocspResult": Take.WITHHELD},
    "GetCertificateChainStatus": {"certificateStatusRequests": Take.WITHHELD, "certificateStatus": Take.WITHHELD},
    "NotifyCustomerInformation": {"data": Take.WITHHELD},
    "NotifyDisplayMessages": {
        "messageInfo[].message.content": Take.WITHHELD,
        "messageInfo[].messageExtra[].content": Take.WITHHELD,
    },
    "NotifySettlement": {"receiptUrl": Take.SECRET, "receiptId": Take.IDENTITY, "vatNumber": Take.IDENTITY, **_COMPANY},
    "NotifyWebPaymentStarted": {"url": Take.SECRET},
    "SetDisplayMessage": {
        "message.message.content": Take.WITHHELD,
        "message.messageExtra[].content": Take.WITHHELD,
    },
    "SetNetworkProfile": _CONNECTION,
    "VatNumberValidation": {"vatNumber": Take.IDENTITY, **_COMPANY},
}
"""By action, for its request and its response alike; `[]` stands for every element of a list."""

EVERYWHERE: Final[Mapping[str, Take]] = {
    "idtag": Take.IDENTITY,
    "parentidtag": Take.IDENTITY,
    "idtoken": Take.IDENTITY,
    "additionalidtoken": Take.IDENTITY,
    "groupidtoken": Take.IDENTITY,
    "idtokens": Take.IDENTITY,
    "emaid": Take.IDENTITY,
    "emaids": Take.IDENTITY,
    "prioritizedemaids": Take.IDENTITY,
    "iccid": Take.IDENTITY,
    "imsi": Take.IDENTITY,
    "evinverterserialnumber": Take.IDENTITY,
    "evccid": Take.IDENTITY,
    "evid": Take.IDENTITY,
    "evmacaddress": Take.IDENTITY,
    "macaddress": Take.IDENTITY,
    "vin": Take.IDENTITY,
    "vehicleid": Take.IDENTITY,
    "customeridentifier": Take.IDENTITY,
    "personalmessage": Take.WITHHELD,
    "personalmessageextra": Take.WITHHELD,
    "updatedpersonalmessage": Take.WITHHELD,
    "updatedpersonalmessageextra": Take.WITHHELD,
    "signedmeterdata": Take.WITHHELD,
    "email": Take.IDENTITY,
    "phone": Take.IDENTITY,
}
"""By name in lower case, wherever it stands; an object that is an identity is gone through. What is signed by a meter
may name who charged (OCMF)."""

_SECRET_NAME: Final = re.compile(
    r"password|passwd|passphrase|secret|authorization.?key|auth.?key|api.?key|private.?key|access.?key|credential"
    r"|presharedkey|psk$|sim.?pin|(^|[._-])pin$|bearer|access.?token",
    re.IGNORECASE,
)
_NOT_SECRET: Final = re.compile(r"(length|size|count|max\w*|min\w*|interval|enabled|supported)$", re.IGNORECASE)
_PRIVATE_KEY: Final = re.compile(
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL
)
_USER_IN_URL: Final = re.compile(r"(\b[a-z][a-z0-9+.-]{0,20}://)[^/@\s]*@", re.IGNORECASE)
_QUERY_IN_URL: Final = re.compile(r"(\b[a-z][a-z0-9+.-]{0,20}://[^\s?#]+\?)[^\s#]+", re.IGNORECASE)
_WORTH_A_LOOK: Final = (
    *(f'"{name}"'.encode() for name in EVERYWHERE),
    *(b"pass", b"secret", b"key", b"pin", b"psk", b"credential", b"bearer", b"token", b"signeddata", b"://", b"\\"),
)
"""A payload in lower case with none of these holds nothing of the two last kinds. A backslash may spell anything."""


class Redactor:
    """Takes out what may not be kept. `salt` makes the marks of one site say nothing to anybody else's."""

    def __init__(self, salt: bytes) -> None:
        self._salt = salt[:64]
        self._marks: dict[str, str] = {}

    def payload(self, action: str | None, payload: bytes) -> bytes | None:
        """A payload (raw JSON) as it may be kept; None where it may not be: unreadable, or of an unknown action.

        Numbers keep their digits; all else that is not taken out stays as it is.
        """
        if action is None:
            return None
        paths = PATHS.get(action, {})
        if not paths and not _is_worth_a_look(payload.lower()):
            return payload if _is_json(payload) else None
        try:
            value = msgspec.json.decode(payload, type=Any, strict=True)
            return msgspec.json.encode(self._walk(value, "", paths))
        except NOT_JSON:
            return None

    def mark(self, value: object) -> str:
        """The mark of an identity: keyed, so that nobody finds the value by trying all of them."""
        text = str(value)
        known = self._marks.get(text)
        if known is None:
            if len(self._marks) > 10_000:
                self._marks.clear()
            known = hashlib.blake2b(text.encode(), key=self._salt, digest_size=_MARK_BYTES).hexdigest()
            self._marks[text] = known
        return f"[id {known}]"

    def _walk(self, value: Any, path: str, paths: Mapping[str, Take]) -> Any:
        if isinstance(value, dict):
            return self._object(value, path, paths)
        if isinstance(value, list):
            inside = f"{path}[]"
            return [self._walk(item, inside, paths) for item in value]
        return _clean_text(value) if isinstance(value, str) else value

    def _object(self, value: dict[str, Any], path: str, paths: Mapping[str, Take]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        values_are_secret, signed = _names_a_secret(value), value.get("format") == "SignedData"
        for key, item in value.items():
            place = f"{path}.{key}" if path else key
            take = paths.get(place) or _by_name(key)
            if signed and key == "value":
                take = Take.WITHHELD
            if values_are_secret and key in ("value", "attributeValue", "actualValue", "variableAttribute"):
                take = Take.SECRET
            found[key] = self._walk(item, place, paths) if take is None else self._take(take, item, place, paths)
        return found

    def _take(self, take: Take, item: Any, place: str, paths: Mapping[str, Take]) -> Any:
        if item is None or item == "":
            return item
        if take is Take.SECRET:
            return REDACTED
        if take is Take.WITHHELD:
            return f"[{len(item)} withheld]" if isinstance(item, str | list | dict) else REDACTED
        if isinstance(item, dict):
            return self._walk(item, place, paths)
        if isinstance(item, list):
            return [self._take(take, one, f"{place}[]", paths) for one in item]
        return self.mark(item)


def _names_a_secret(value: Mapping[str, Any]) -> bool:
    """Whether an object is a setting whose value is a secret: 1.6 key and value, 2.x component and variable."""
    names = [value.get("key")]
    variable = value.get("variable")
    if isinstance(variable, dict):
        names.append(variable.get("name"))
        names.append(variable.get("instance"))
    return any(isinstance(name, str) and _by_name(name) is Take.SECRET for name in names)


@lru_cache(maxsize=4096)
def _by_name(name: str) -> Take | None:
    take = EVERYWHERE.get(name.lower())
    if take is None and _SECRET_NAME.search(name) and not _NOT_SECRET.search(name):
        take = Take.SECRET
    return take


def _is_worth_a_look(payload: bytes) -> bool:
    return any(needle in payload for needle in _WORTH_A_LOOK)


def _clean_text(text: str) -> str:
    if "PRIVATE KEY" in text:
        text = _PRIVATE_KEY.sub(REDACTED, text)
    if "://" in text:
        text = _USER_IN_URL.sub(r"\1[redacted]@", text[:_LONGEST_TEXT])
        text = _QUERY_IN_URL.sub(rf"\1{REDACTED}", text)
    return text


def _is_json(payload: bytes) -> bool:
    try:
        msgspec.json.decode(payload, type=msgspec.Raw)
    except NOT_JSON:
        return False
    return True
