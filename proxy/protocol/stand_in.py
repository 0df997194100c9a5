"""Who answers a charger while its CSMS is away: nothing is promised that is not kept.

A transaction message gets neither silence nor a CALLERROR: the charger would discard it after a few attempts [OCPP 1.6
3.7.1, 2.0.1 part 2 E13]. It is answered once it is on disk.
"""

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

from domain.events import OcppVersion
from proxy.protocol.frames import CallFrame
from proxy.protocol.held import Entry, Kind, Stored, TagInfo
from proxy.protocol.hold_policy import Held, HoldRule, hold_rule
from proxy.protocol.interception import Answered
from proxy.protocol.tolerant import as_instant, as_int, as_object, as_text, read_object

_HEARTBEAT_S: Final = 300
_PENDING_S: Final = 60
_NO_CSMS: Final = b'["GenericError","The CSMS cannot be reached; ask again later.",{}]'


class StandIn:
    """One charger's answers. `tags` is the cache of its CSMS's, shared; `accepted`: the CSMS accepted the charger."""

    def __init__(self, version: OcppVersion, tags: Mapping[str, TagInfo], *, accepted: bool) -> None:
        self.accepted = accepted
        self._version: OcppVersion = version
        self._is_16 = version == "ocpp1.6"
        self._tags = tags

    def rule(self, action: str) -> HoldRule:
        """What is done with this action."""
        return hold_rule(self._version, action)

    def answer(self, action: str, payload: bytes, now: datetime) -> Answered:
        """The answer to a message that is not stored first."""
        rule = self.rule(action)
        if rule.held is Held.CLOCK:
            return _json({"currentTime": _stamp(now)})
        if rule.held is Held.BOOT:
            status, interval_s = ("Accepted", _HEARTBEAT_S) if self.accepted else ("Pending", _PENDING_S)
            return _json({"currentTime": _stamp(now), "interval": interval_s, "status": status})
        if rule.held is Held.AUTHORIZE:
            return _json(self._verdict(self._tag_of(read_object(payload)), now))
        if rule.held is Held.ERROR:
            return Answered(_NO_CSMS, ok=False)
        return Answered(rule.reply)

    def entry(self, call: CallFrame, now: datetime, since: datetime, *, was_sent: bool) -> Entry:
        """A message as it is to be stored. `since`: when the charger's socket opened; a start that is older may be the
        repeat of one that the CSMS was sent on an older socket.
        """
        payload = bytes(call.payload)
        kind, key = self._kind_and_key(call.action, payload, call.call_id)
        doubt = False
        if kind is Kind.START:
            began = as_instant((read_object(payload) or {}).get("timestamp"))
            doubt = began is None or began < since
        return Entry(kind, call.action, payload, key, now, sends=int(was_sent), doubt=doubt)

    def stored(self, stored: Stored, now: datetime) -> Answered:
        """The answer to a message that is on disk now, or was there before."""
        entry = stored.entry
        payload = read_object(entry.payload)
        if entry.kind is Kind.START:
            return _json({"transactionId": stored.transaction, **self._verdict(self._tag_of(payload), now)})
        if entry.action == "TransactionEvent" and payload is not None and "idToken" in payload:
            return _json(self._verdict(self._tag_of(payload), now))
        return Answered(self.rule(entry.action).reply)

    def _kind_and_key(self, action: str, payload: bytes, call_id: str) -> tuple[Kind, str]:
        """What tells a repeat: for starts what the specification's own example of a CSMS compares, else the whole."""
        whole = hashlib.sha256(payload).hexdigest()
        fields = read_object(payload) or {}
        if action == "StartTransaction":
            known = [fields.get(name) for name in ("connectorId", "idTag", "meterStart", "timestamp")]
            return Kind.START, f"start {known!r}"
        if action == "StopTransaction":
            return Kind.IN_TRANSACTION, f"stop {fields.get('transactionId')!r} {fields.get('timestamp')!r}"
        if action == "TransactionEvent":
            transaction = as_object(fields.get("transactionInfo")).get("transactionId")
            known = [fields.get(name) for name in ("seqNo", "eventType", "timestamp")]
            return Kind.IN_TRANSACTION, f"event {transaction!r} {known!r}" if transaction else f"event {whole}"
        if action == "MeterValues":
            return Kind.IN_TRANSACTION, f"meter {whole}"
        if self.rule(action).held in (Held.LATEST, Held.BOOT):
            return Kind.LATEST, f"{action} {fields.get('evseId')!r} {fields.get('connectorId')!r}"
        return Kind.OTHER, f"{action} {call_id} {whole}"

    def _tag_of(self, payload: Mapping[str, Any] | None) -> str | None:
        if payload is None:
            return None
        return as_text(payload.get("idTag") if self._is_16 else as_object(payload.get("idToken")).get("idToken"))

    def _verdict(self, tag: str | None, now: datetime) -> dict[str, Any]:
        """`idTagInfo` or `idTokenInfo` as the CSMS last gave it: what it did not accept, or only until then, is not."""
        known = self._tags.get(tag) if tag is not None else None
        info: dict[str, Any]
        if known is None:
            info = {"status": "Invalid" if self._is_16 else "Unknown"}
        elif known.expires_at is not None and known.expires_at <= now:
            info = {"status": "Expired"}
        else:
            info = {"status": "Accepted"}
        if self._is_16 and known is not None:
            if known.expires_at is not None:
                info["expiryDate"] = _stamp(known.expires_at)
            if known.parent is not None:
                info["parentIdTag"] = known.parent
        return {"idTagInfo" if self._is_16 else "idTokenInfo": info}


class Learnt(msgspec.Struct, frozen=True):
    """What the CSMS said about a tag: None where it does not accept it."""

    tag: str
    info: TagInfo | None


TELLING: Final = frozenset({"Authorize", "StartTransaction", "TransactionEvent"})
"""Whose replies tell about tags."""


def learnt(payload: bytes, reply: bytes) -> Learnt | None:
    """What a CSMS's reply to one of `TELLING` says about the tag of the request."""
    answer = read_object(reply) if b"Info" in reply else None
    asked = None if answer is None else read_object(payload)
    if answer is None or asked is None:
        return None
    info = as_object(answer.get("idTagInfo")) or as_object(answer.get("idTokenInfo"))
    tag = as_text(asked.get("idTag")) or as_text(as_object(asked.get("idToken")).get("idToken"))
    status = as_text(info.get("status"))
    if tag is None or status is None:
        return None
    if status == "ConcurrentTx":
        return None  # the tag is good, and charges elsewhere just now
    if status == "Accepted":
        until = as_instant(info.get("expiryDate") or info.get("cacheExpiryDateTime"))
        return Learnt(tag, TagInfo(until, as_text(info.get("parentIdTag"))))
    return Learnt(tag, None)


def transaction_given(reply: bytes) -> int | None:
    """The transaction id of a StartTransaction's reply."""
    return as_int((read_object(reply) or {}).get("transactionId"), -(2**63), 2**63 - 1)


def _json(value: Mapping[str, Any]) -> Answered:
    return Answered(msgspec.json.encode(value))


def _stamp(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
