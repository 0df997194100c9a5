"""Judges who answers in a CSMS's place: what was promised to the charger is told to the CSMS, once and in order.

Knows docs/forwarding.md, "on hold", and none of the code that is judged.
"""

import json
import re
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from typing import TypeVar

STORED = frozenset(
    {
        *("MeterValues", "StartTransaction", "StopTransaction", "TransactionEvent"),
        *("DiagnosticsStatusNotification", "FirmwareStatusNotification", "LogStatusNotification", "NotifyEvent"),
        *("SecurityEventNotification", "SignedFirmwareStatusNotification", "ReportChargingProfiles", "NotifyReport"),
        *("ClearedChargingLimit", "NotifyChargingLimit", "NotifyCustomerInformation", "NotifyDisplayMessages"),
        *("NotifyMonitoringReport", "PublishFirmwareStatusNotification", "ReservationStatusUpdate"),
    }
)
"""Answered once on disk, replayed in order."""
NEWEST = frozenset({"BootNotification", "StatusNotification"})
"""Answered; the newest is replayed."""
OWN_TIME = frozenset({"Heartbeat"})
TELL_OF_TAGS = frozenset({"Authorize", "StartTransaction", "TransactionEvent"})
MOST = 10_000
V = TypeVar("V")
_TRANSACTION = re.compile(r'("transactionId"\s*:\s*)-?\d+')
_TAG = re.compile(r'"id(?:Tag|Token)"\s*:\s*"([^"]*)"')
_ACCEPTED = re.compile(r'"status"\s*:\s*"Accepted"')


def masked(text: str) -> str:
    """1.6's numbers of transactions are translated where one began in an outage; the books judge them, not we."""
    return _TRANSACTION.sub(r"\g<1>0", text) if "transactionId" in text else text


@dataclass(slots=True)
class Tags:
    """The id tags that the site's CSMS has ever accepted."""

    accepted: set[str] = field(default_factory=set)


@dataclass(slots=True)
class StandInBook:
    """One charger's. Texts are `masked`. What is found wrong is returned in words, None where nothing is."""

    tags: Tags
    known: "OrderedDict[str, None]" = field(default_factory=OrderedDict)
    """Contents that the charger has sent."""
    told: "OrderedDict[str, None]" = field(default_factory=OrderedDict)
    untold: deque[str] = field(default_factory=deque)
    """Answered in the CSMS's place, not yet told, in order."""
    repeats: int = 0
    _open: "OrderedDict[str, tuple[str, str]]" = field(default_factory=OrderedDict)

    def called(self, call_id: str, action: str, text: str) -> None:
        """The charger has sent a CALL."""
        _put(self._open, call_id, (action, text))
        if action in STORED or action in NEWEST:
            _put(self.known, content(text), None)

    def csms_replied(self, call_id: str, text: str) -> None:
        """The CSMS has sent its reply to a CALL of the charger."""
        action, call = self._open.get(call_id, ("", ""))
        if action in TELL_OF_TAGS and _ACCEPTED.search(text) and (tag := _TAG.search(call)):
            self.tags.accepted.add(tag[1])

    def relayed(self, call_id: str, action: str) -> None:
        """A CALL of the charger has reached the CSMS as it was sent."""
        if action in STORED and call_id in self._open:
            self._tell(content(self._open[call_id][1]))

    def answered(self, call_id: str, kind: str, text: str) -> str | None:
        """The charger has got an answer that is not the CSMS's."""
        if call_id not in self._open:
            return "an answer came in the CSMS's place to a CALL that was never sent, or twice"
        action, call = self._open.pop(call_id)
        if action in STORED:
            if kind != "3":
                return "a message that must not be lost was refused in the CSMS's place"
            what = content(call)
            if what not in self.told and what not in self.untold:
                self.untold.append(what)
            return None
        if action in NEWEST or action in OWN_TIME:
            return None
        if action == "Authorize" and _ACCEPTED.search(text):
            tag = _TAG.search(call)
            return None if tag and tag[1] in self.tags.accepted else "a tag was accepted that the CSMS never accepted"
        return f"{action} was accepted in the CSMS's place" if _ACCEPTED.search(text) else None

    def settled(self, call_id: str) -> None:
        """The charger has got an answer that nobody promised anything with: the CSMS's own, or that to a sample which
        the relay asked for. Such a sample may be told or not.
        """
        self._open.pop(call_id, None)

    def replayed(self, action: str, text: str) -> str | None:
        """The CSMS has got a CALL that no charger's frame is."""
        if action not in STORED and action not in NEWEST:
            return "a CALL reached the CSMS that the charger never sent"
        what = content(text)
        if action in NEWEST:
            return None if what in self.known else "a state was told that the charger never had"
        if what not in self.untold:
            return self._told_again(what)
        oldest = self.untold[0]
        self.untold.remove(what)
        self._tell(what)
        return None if what == oldest else "a kept message was told before an older one"

    def _told_again(self, what: str) -> str | None:
        """One that was told before, or whose answer has not reached the charger yet."""
        if what in self.told:
            self.repeats += 1
        elif what not in self.known:
            return "a message was told that the charger never sent so"
        self._tell(what)
        return None

    def _tell(self, what: str) -> None:
        _put(self.told, what, None)


def content(text: str) -> str:
    """Action and payload of a CALL without what a replay may change: its id, 2.x's `offline`."""
    try:
        _, _, action, payload = json.loads(text)
    except ValueError:
        return text
    if isinstance(payload, dict):
        payload.pop("offline", None)
    return f"{action} {json.dumps(payload, sort_keys=True)}"


def _put(known: "OrderedDict[str, V]", key: str, value: V) -> None:
    known[key] = value
    if len(known) > MOST:
        known.popitem(last=False)
