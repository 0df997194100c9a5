"""Counts what a relay did to the frames: both simulated ends write down each text message that they send and receive.

A relay is faithful when every message arrives unchanged and in order, when what it adds (its own CALLs to the charger)
is never taken for the CSMS's, and when the replies to those stay inside.
"""

import re
from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

Side = Literal["charger", "csms"]
CALL, RESULT, ERROR = "2", "3", "4"
MAX_REMEMBERED = 10_000
MAX_COMPLAINTS = 50
_HEAD = re.compile(r'\s*\[\s*(\d+)\s*,\s*"((?:[^"\\]|\\.)*)"\s*(?:,\s*"([^"\\]*)")?')


@dataclass(slots=True)
class _Sent:
    text: str
    kind: str
    call_id: str
    epoch: int


@dataclass(slots=True)
class _Lane:
    """One direction of one charger's traffic: sent and not yet arrived, in order."""

    pending: deque[_Sent] = field(default_factory=deque)
    missing: "OrderedDict[str, bool]" = field(default_factory=OrderedDict)
    """Passed over by a later frame; True where a broken link excuses it."""


@dataclass(slots=True)
class _Pair:
    up: _Lane = field(default_factory=_Lane)
    down: _Lane = field(default_factory=_Lane)
    epoch: int = 0
    csms_ids: set[str] = field(default_factory=set)
    injected_ids: "OrderedDict[str, None]" = field(default_factory=OrderedDict)
    exempt_ids: "OrderedDict[str, None]" = field(default_factory=OrderedDict)


class FrameJudge:
    """What the ends saw, compared.

    Frames still on their way are not judged, nor those that a broken link swallowed: a frame that never arrived is
    excused where a link of the pair opened or closed between it and the next one that did.

    Args:
        intercepted: actions that the relay answers or rewrites by design; their CALLs and replies are not judged.
    """

    def __init__(self, intercepted: Iterable[str] = ()) -> None:
        self.complaints: list[str] = []
        """The first 50 findings, in words."""
        self._intercepted = frozenset(intercepted)
        self._pairs: dict[str, _Pair] = {}
        self._altered = self._leaked = self._relayed = self._injected = 0

    def altered(self) -> int:
        """Frames that arrived changed, twice, out of order, or never sent, or that were dropped between others."""
        return self._altered

    def leaked(self) -> int:
        """Replies that reached the CSMS for a CALL that it never sent."""
        return self._leaked

    def relayed(self) -> int:
        """Frames that arrived as they were sent."""
        return self._relayed

    def injected(self) -> int:
        """CALLs that the charger received and the CSMS never sent."""
        return self._injected

    def link_changed(self, identity: str) -> None:
        """A link of this charger, on either side, has opened or closed."""
        self._pair(identity).epoch += 1

    def sent(self, identity: str, side: Side, text: str) -> None:
        """`side` has put this message on its link."""
        pair = self._pair(identity)
        kind, call_id, action = _head(text)
        if side == "csms" and kind == CALL:
            pair.csms_ids.add(call_id)
        if self._is_exempt(pair, side, kind, call_id, action):
            return
        if side == "charger" and kind in (RESULT, ERROR) and call_id in pair.injected_ids:
            return
        lane = pair.up if side == "charger" else pair.down
        lane.pending.append(_Sent(text, kind, call_id, pair.epoch))

    def received(self, identity: str, side: Side, text: str) -> None:
        """`side` has got this message."""
        pair = self._pair(identity)
        kind, call_id, action = _head(text)
        sender: Side = "csms" if side == "charger" else "charger"
        if self._is_exempt(pair, sender, kind, call_id, action):
            return
        lane = pair.down if side == "charger" else pair.up
        if self._matches(identity, lane, text):
            self._relayed += 1
        elif side == "charger" and kind == CALL and call_id not in pair.csms_ids:
            self._injected += 1
            _remember(pair.injected_ids, call_id)
        elif side == "csms" and kind in (RESULT, ERROR) and call_id not in pair.csms_ids:
            self._leaked += 1
            self._complain(identity, "a reply to a CALL that the CSMS never sent reached it", text)
        else:
            self._changed(identity, lane, kind, call_id, text)

    def _pair(self, identity: str) -> _Pair:
        pair = self._pairs.get(identity)
        if pair is None:
            pair = self._pairs[identity] = _Pair()
        return pair

    def _is_exempt(self, pair: _Pair, sender: Side, kind: str, call_id: str, action: str) -> bool:
        if not self._intercepted:
            return False
        if kind == CALL and action in self._intercepted:
            _remember(pair.exempt_ids, sender + call_id)
            return True
        asker = "charger" if sender == "csms" else "csms"
        return kind in (RESULT, ERROR) and asker + call_id in pair.exempt_ids

    def _matches(self, identity: str, lane: _Lane, text: str) -> bool:
        pending = lane.pending
        if pending and pending[0].text == text:
            pending.popleft()
            return True
        found = next((index for index, frame in enumerate(pending) if frame.text == text), None)
        if found is not None:
            epoch = pending[found].epoch
            for _ in range(found):
                self._passed_over(identity, lane, pending.popleft(), epoch)
            pending.popleft()
            return True
        if (excused := lane.missing.pop(text, None)) is None:
            return False
        if not excused:
            self._complain(identity, "a frame came late, after one that was sent later", text)
        return True

    def _passed_over(self, identity: str, lane: _Lane, frame: _Sent, epoch: int) -> None:
        excused = frame.epoch < epoch
        lane.missing[frame.text] = excused
        if len(lane.missing) > MAX_REMEMBERED:
            lane.missing.popitem(last=False)
        if not excused:
            self._altered += 1
            self._complain(identity, "a frame did not arrive before one that was sent later", frame.text)

    def _changed(self, identity: str, lane: _Lane, kind: str, call_id: str, text: str) -> None:
        original = next((one for one in lane.pending if (one.kind, one.call_id) == (kind, call_id)), None)
        if original is not None:
            lane.pending.remove(original)
        self._altered += 1
        self._complain(identity, "a frame arrived that was not sent so", text)

    def _complain(self, identity: str, what: str, text: str) -> None:
        if len(self.complaints) < MAX_COMPLAINTS:
            self.complaints.append(f"{identity}: {what}: {text[:300]}")


def _remember(known: "OrderedDict[str, None]", key: str) -> None:
    known[key] = None
    if len(known) > MAX_REMEMBERED:
        known.popitem(last=False)


def _head(text: str) -> tuple[str, str, str]:
    """(type, id, action) of a frame; empty strings where it is no frame."""
    found = _HEAD.match(text)
    return (found[1], found[2], found[3] or "") if found else ("", "", "")
