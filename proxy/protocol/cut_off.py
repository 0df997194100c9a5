"""Commands of the CSMS that would cut the charger off from the proxy: refused in the charger's name, and reported.

A proxy is where its chargers connect to, so that URLs, security profiles, keys and certificates that the CSMS means for
the way to itself act on the way to the proxy [OCPP 2.0.1 part 4, 6.5]. What would make the charger dial somewhere else,
or fail at our door, goes no further; what only adds, or concerns vehicles and firmware, passes.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from domain.events import OcppVersion
from proxy.protocol.exchange import Call, Exchange, Side
from proxy.protocol.interception import Answered, Rewritten
from proxy.protocol.tolerant import Json, as_object, as_objects, read_object

_MOST = 1000
_ACTIONS_16: Final = frozenset(
    {"ChangeConfiguration", "InstallCertificate", "CertificateSigned", "DeleteCertificate"},
)
_ACTIONS_2: Final = frozenset(
    {"SetVariables", "SetNetworkProfile", "InstallCertificate", "CertificateSigned", "DeleteCertificate"}
)
_WEBSOCKET_URL: Final = re.compile(r"\s*wss?://", re.IGNORECASE)
_PLACE_KEY: Final = re.compile(
    r"(central.?system|cs.?ms|back.?office|back.?end|ocpp|server|web.?socket|\bws|cpo)[\w.\- ]*"
    r"(url|uri|address|addr|host|hostname|endpoint|fqdn|domain|port|path)s?$",
    re.IGNORECASE,
)
_OTHER_PLACE: Final = re.compile(
    r"firmware|update|diagnos|log|ftp|ntp|time|ocsp|display|meter|image|payment|qr|dns|mail|proxy", re.IGNORECASE
)
_SMART_CHARGING: Final = re.compile(r"smart.?charging[\w.\- ]*(enabled?|available|active)$", re.IGNORECASE)
_IDENTITY_KEYS: Final = frozenset({"chargepointid", "chargepointidentity", "chargeboxid", "chargeboxidentity"})

_PAST: Final = "it would make the charger dial past the proxy"
_OTHER_WAY: Final = "the charger would connect in another way than it is let in here"
_KEY: Final = "its key is checked against the site file: change it there first"
_LIFTS: Final = "it would lift the building's limits"
_NOBODY: Final = "nobody of the new identity is known here"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A command, or the part of one, that does not reach the charger. `what` never holds a value: it may be secret."""

    action: str
    what: str
    why: str


@dataclass(frozen=True, slots=True)
class Ruling:
    """What becomes of the CALL, and what is to be reported. `verdict` is None where it passes unchanged."""

    verdict: Rewritten | Answered | None
    refusals: tuple[Refusal, ...]


@dataclass(frozen=True, slots=True)
class Leg:
    """How the charger gets in at the proxy, as far as the CSMS's commands could change it.

    `profile`: the security profile of its link now, 0 to 3. `key_checked_here`: its password is in the site file, so
    that a new one would not be known here. `accepts_certificate` says of a PEM chain whether the proxy would let the
    charger in with it; None where no certificate of the CSMS's is ever taken.
    """

    profile: int = 0
    key_checked_here: bool = False
    accepts_certificate: Callable[[str], bool] | None = None


class CutOffGuard:
    """Rules over one charger's commands. `leg` may be set anew at each connection."""

    def __init__(self, version: OcppVersion, leg: Leg | None = None) -> None:
        self.leg = leg or Leg()
        self._is_16 = version == "ocpp1.6"
        self._harmless: dict[tuple[str, str], None] = {}
        """Certificates of vehicles, by (serial number, issuer's key): these may be deleted."""

    def intercepts(self, side: Side, action: str) -> bool:
        """Whether `rule` and `on_reply` want to see CALLs of this action."""
        return side is Side.CSMS and action in (_ACTIONS_16 if self._is_16 else _ACTIONS_2)

    def rule(self, call: Call) -> Ruling | None:
        """What becomes of a CALL of the CSMS; None where there is nothing to say. Unreadable ones pass: a charger
        refuses them itself.
        """
        payload = read_object(call.payload)
        if payload is None:
            return None
        if call.action == "SetVariables":
            return self._variables(payload)
        refusal = self._refusal(call.action, payload)
        if refusal is None:
            return None
        # 1.6 and 2.x share the words, but DeleteCertificate knows no "Rejected".
        status = "Failed" if call.action == "DeleteCertificate" else "Rejected"
        answer: dict[str, object] = {"status": status}
        if not self._is_16:
            answer["statusInfo"] = {"reasonCode": "NotEnabled", "additionalInfo": _told(refusal)}
        return Ruling(Answered(msgspec.json.encode(answer)), (refusal,))

    def on_reply(self, call: Call, ok: bool, payload: bytes) -> Answered | None:
        """The reply to a SetVariables that went on shortened: the refused entries' results are put back in place."""
        if call.action != "SetVariables" or not ok:
            return None
        asked, reply = read_object(call.payload), read_object(payload)
        if asked is None or reply is None:
            return None
        entries = as_objects(asked.get("setVariableData"), _MOST)
        withheld = [self._variable(entry) for entry in entries]
        if not any(withheld):
            return None
        results = iter(as_objects(reply.get("setVariableResult"), _MOST))
        merged: list[Json] = []
        for entry, why in zip(entries, withheld, strict=True):
            if why is not None:
                merged.append(_rejected(entry, why))
            elif (result := next(results, None)) is not None:
                merged.append(result)
        return Answered(msgspec.json.encode({**reply, "setVariableResult": [*merged, *results]}))

    def observe(self, exchange: Exchange) -> None:
        """Learn from GetInstalledCertificateIds which certificates are none of the way to the proxy."""
        if exchange.call.action != "GetInstalledCertificateIds" or not exchange.ok or self._is_16:
            return
        reply = read_object(exchange.reply) or {}
        for chain in as_objects(reply.get("certificateHashDataChain"), _MOST):
            if chain.get("certificateType") in ("V2GRootCertificate", "MORootCertificate", "V2GCertificateChain"):
                children = as_objects(chain.get("childCertificateHashData"), _MOST)
                for entry in (as_object(chain.get("certificateHashData")), *children):
                    self._harmless[_certificate(entry)] = None
        while len(self._harmless) > _MOST:
            del self._harmless[next(iter(self._harmless))]

    # Single commands.

    def _refusal(self, action: str, payload: Json) -> Refusal | None:
        if action == "ChangeConfiguration":
            return self._configuration(payload)
        if action == "SetNetworkProfile":
            return Refusal(action, "a network profile", _PAST)
        if action == "DeleteCertificate":
            return self._delete(payload)
        kind = str(payload.get("certificateType", ""))
        return self._install(kind) if action == "InstallCertificate" else self._signed(kind, payload)

    def _install(self, kind: str) -> Refusal | None:
        if kind not in ("CentralSystemRootCertificate", "CSMSRootCertificate") or self.leg.profile < 2:
            return None
        return Refusal("InstallCertificate", kind, "the charger would check the proxy's certificate by another root")

    def _signed(self, kind: str, payload: Json) -> Refusal | None:
        if kind in ("V2GCertificate", "V2G20Certificate") or self.leg.profile < 3:
            return None
        accepts, chain = self.leg.accepts_certificate, payload.get("certificateChain")
        if accepts is not None and isinstance(chain, str) and accepts(chain):
            return None
        return Refusal("CertificateSigned", "a client certificate", "the proxy would not let the charger in with it")

    def _configuration(self, payload: Json) -> Refusal | None:
        key, value = str(payload.get("key", "")), str(payload.get("value", ""))
        why: str | None = None
        if key.lower() == "securityprofile" and value.strip() != str(self.leg.profile):
            why = _OTHER_WAY
        elif key.lower() == "authorizationkey" and self.leg.key_checked_here:
            why = _KEY
        elif _names_a_place(key, value):
            why = _PAST
        elif key.lower() in _IDENTITY_KEYS:
            why = _NOBODY
        elif _lifts_limits(key, value):
            why = _LIFTS
        return None if why is None else Refusal("ChangeConfiguration", key[:50], why)

    def _delete(self, payload: Json) -> Refusal | None:
        if self.leg.profile < 2 or _certificate(as_object(payload.get("certificateHashData"))) in self._harmless:
            return None
        why = "the charger may need it to connect to the proxy; GetInstalledCertificateIds shows which it does not need"
        return Refusal("DeleteCertificate", "a certificate", why)

    # Variables: a list, of which the rest goes on.

    def _variables(self, payload: Json) -> Ruling | None:
        raw = payload.get("setVariableData")
        entries = as_objects(raw, _MOST)
        if not isinstance(raw, list) or len(entries) != len(raw):
            return None
        withheld = [(entry, why) for entry in entries if (why := self._variable(entry)) is not None]
        if not withheld:
            return None
        refusals = tuple(Refusal("SetVariables", ".".join(_names(entry)), why) for entry, why in withheld)
        if len(withheld) == len(entries):
            results = [_rejected(entry, why) for entry, why in withheld]
            return Ruling(Answered(msgspec.json.encode({"setVariableResult": results})), refusals)
        rest = [entry for entry in entries if self._variable(entry) is None]
        return Ruling(Rewritten(msgspec.json.encode({**payload, "setVariableData": rest})), refusals)

    def _variable(self, entry: Json) -> str | None:
        """Why a variable is not set, None where it is."""
        component, variable = (name.lower() for name in _names(entry))
        value = str(entry.get("attributeValue", ""))
        why: str | None = None
        if variable == "basicauthpassword" and component in ("securityctrlr", "networkconfiguration"):
            why = _KEY if self.leg.key_checked_here else None
        elif (
            component == "networkconfiguration"
            or _names_a_place(variable, value)
            or (component, variable) == ("ocppcommctrlr", "networkconfigurationpriority")
        ):
            why = _PAST
        elif (component, variable) == ("securityctrlr", "identity"):
            why = _NOBODY
        elif component == "smartchargingctrlr" and _lifts_limits(f"SmartCharging.{variable}", value):
            why = _LIFTS
        elif (component, variable) == ("securityctrlr", "securityprofile") and value.strip() != str(self.leg.profile):
            why = _OTHER_WAY
        return why


def describe(refusals: Sequence[Refusal]) -> Iterator[str]:
    """One sentence a refusal, for a person."""
    for refusal in refusals:
        yield f"The CSMS's {refusal.action} of {refusal.what} was not passed on: {refusal.why}."


def _told(refusal: Refusal) -> str:
    return next(describe([refusal]))[:512]


def _names_a_place(key: str, value: str) -> bool:
    """Whether a setting says where the charger connects to: by its value, or by a vendor's name for it."""
    if _WEBSOCKET_URL.match(value):
        return True
    return _PLACE_KEY.search(key) is not None and _OTHER_PLACE.search(key) is None


def _lifts_limits(key: str, value: str) -> bool:
    """Whether a setting switches smart charging off, or off without a link, where our fall-back has to hold."""
    if key.lower().endswith("ignoredprofilepurposesoffline"):
        return bool(value.strip())
    return _SMART_CHARGING.search(key) is not None and value.strip().lower() in ("false", "0", "off", "no")


def _names(entry: Json) -> tuple[str, str]:
    component, variable = (as_object(entry.get(part)) for part in ("component", "variable"))
    return str(component.get("name", ""))[:50], str(variable.get("name", ""))[:50]


def _rejected(entry: Json, why: str) -> Json:
    result = {part: entry[part] for part in ("attributeType", "component", "variable") if part in entry}
    info = {"reasonCode": "NotEnabled", "additionalInfo": why}
    return {**result, "attributeStatus": "Rejected", "attributeStatusInfo": info}


def _certificate(entry: Json) -> tuple[str, str]:
    return str(entry.get("serialNumber", "")).lower(), str(entry.get("issuerKeyHash", "")).lower()
