"""Counts what a relay did to the frames: both simulated ends write down each text message that they send and receive.

A relay is faithful when every message arrives unchanged and in order, when what it adds (its own CALLs to the charger)
is never taken for the CSMS's, and when the replies to those stay inside.
"""

import re
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal

from simulators.asked_samples import AskedSamples
from simulators.stand_in_judge import StandInBook, Tags, masked

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
    may_stay: bool = False


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
    samples: AskedSamples = field(default_factory=AskedSamples)
    may_stay_ids: "OrderedDict[str, None]" = field(default_factory=OrderedDict)
    """Samples that the relay asked for and the CSMS has not got."""
    stood_in_ids: "OrderedDict[str, None]" = field(default_factory=OrderedDict)
    """CALLs of the charger that were answered in the CSMS's place."""
    overdue: "OrderedDict[str, None]" = field(default_factory=OrderedDict)
    """Those of them that had not arrived by then, as they were sent: a link that was frozen still delivers them."""
    replay_ids: "OrderedDict[str, None]" = field(default_factory=OrderedDict)
    """CALLs of the relay's own to the CSMS."""
    book: StandInBook | None = None


class FrameJudge:
    """What the ends saw, compared.

    Frames still on their way are not judged, nor those that a broken link swallowed: a frame that never arrived is
    excused where a link of the pair opened or closed between it and the next one that did. Samples that the relay
    itself asked the charger for may stay with it (`AskedSamples`).

    Args:
        intercepted: actions that the relay answers or rewrites by design; their CALLs and replies are not judged.
        holds: the relay stands in for a CSMS that is away (`StandInBook`); it never does otherwise.

    Attributes:
        may_stand_in: whether the CSMS may be away for this charger, or was a short while ago.
        when: the present instant in words, for complaints.
    """

    def __init__(self, intercepted: Iterable[str] = (), *, holds: bool = False) -> None:
        self.complaints: list[str] = []
        """The first 50 findings, in words."""
        self.may_stand_in: Callable[[str], bool] = lambda _: True
        self.when: Callable[[], str] = lambda: ""
        self._intercepted = frozenset(intercepted)
        self._holds, self._tags = holds, Tags()
        self._pairs: dict[str, _Pair] = {}
        self._altered = self._leaked = self._relayed = self._injected = self._stood_in = 0

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

    def stood_in(self) -> int:
        """CALLs of chargers that were answered in the CSMS's place."""
        return self._stood_in

    def untold(self) -> list[str]:
        """What was answered in the CSMS's place and the CSMS has not been told, in words."""
        books = ((name, pair.book) for name, pair in self._pairs.items() if pair.book is not None)
        return [f"{name}: answered and not told: {what[:300]}" for name, book in books for what in book.untold]

    def link_changed(self, identity: str) -> None:
        """A link of this charger, on either side, has opened or closed."""
        self._pair(identity).epoch += 1

    def sent(self, identity: str, side: Side, text: str) -> None:
        """`side` has put this message on its link."""
        pair = self._pair(identity)
        if self._holds:
            text = masked(text)
        kind, call_id, action = _head(text)
        if side == "csms" and kind == CALL:
            pair.csms_ids.add(call_id)
        if self._is_exempt(pair, side, kind, call_id, action):
            return
        if kind in (RESULT, ERROR) and self._concerns_the_relay(pair, side, call_id, text):
            return
        may_stay = side == "charger" and action == "MeterValues" and kind == CALL and pair.samples.may_stay(text)
        if may_stay:
            _remember(pair.may_stay_ids, call_id)
        if pair.book is not None and side == "charger" and kind == CALL:
            pair.book.called(call_id, action, text)  # one that may stay may be told as well
        lane = pair.up if side == "charger" else pair.down
        lane.pending.append(_Sent(text, kind, call_id, pair.epoch, may_stay))

    def received(self, identity: str, side: Side, text: str) -> None:
        """`side` has got this message."""
        pair = self._pair(identity)
        if self._holds:
            text = masked(text)
        kind, call_id, action = _head(text)
        sender: Side = "csms" if side == "charger" else "charger"
        if side == "charger" and kind == CALL and call_id not in pair.csms_ids:
            pair.samples.injected(action, text)
        if self._is_exempt(pair, sender, kind, call_id, action):
            return
        lane = pair.down if side == "charger" else pair.up
        if self._matches(identity, lane, text):
            self._relayed += 1
            self._note_relayed(pair, side, kind, call_id, action)
        elif side == "charger" and kind == CALL and call_id not in pair.csms_ids:
            self._injected += 1
            _remember(pair.injected_ids, call_id)
        elif side == "csms" and kind in (RESULT, ERROR) and call_id not in pair.csms_ids:
            self._leaked += 1
            self._complain(identity, "a reply to a CALL that the CSMS never sent reached it", text)
        elif side == "charger" and kind == RESULT and call_id in pair.may_stay_ids:
            self._stayed(pair, call_id)
        elif pair.book is not None and side == "charger" and kind in (RESULT, ERROR):
            self._stand_in(identity, pair, pair.book, kind, call_id, text)
        elif pair.book is not None and side == "csms" and kind == CALL:
            self._told(identity, pair, pair.book, call_id, action, text)
        else:
            self._changed(identity, lane, kind, call_id, text)

    def _concerns_the_relay(self, pair: _Pair, side: Side, call_id: str, text: str) -> bool:
        """Whether a reply is to the relay: to a CALL of its own, or too late for one that it has answered."""
        if side == "charger":
            return call_id in pair.injected_ids
        if pair.book is not None:
            pair.book.csms_replied(call_id, text)
        return call_id in pair.replay_ids or call_id in pair.stood_in_ids

    def _stayed(self, pair: _Pair, call_id: str) -> None:
        """A sample that the relay asked for was answered before it reached the CSMS."""
        del pair.may_stay_ids[call_id]
        _take(pair.up, CALL, call_id)
        if pair.book is not None:
            pair.book.settled(call_id)

    def _note_relayed(self, pair: _Pair, side: Side, kind: str, call_id: str, action: str) -> None:
        if side == "csms" and kind == CALL:
            pair.may_stay_ids.pop(call_id, None)  # it did not stay: the CSMS answers it
        if pair.book is None:
            return
        if side == "csms" and kind == CALL:
            pair.book.relayed(call_id, action)
        elif side == "charger" and kind in (RESULT, ERROR):
            pair.book.settled(call_id)

    def _stand_in(self, identity: str, pair: _Pair, book: StandInBook, kind: str, call_id: str, text: str) -> None:
        """The charger has got an answer that the CSMS did not send."""
        self._stood_in += 1
        _remember(pair.stood_in_ids, call_id)
        if (overdue := _take(pair.up, CALL, call_id)) is not None:
            _remember(pair.overdue, overdue.text)
        for reply in (RESULT, ERROR):
            _take(pair.down, reply, call_id)
        behind_kept_ones = bool(book.untold)
        wrong = book.answered(call_id, kind, text)
        if wrong is None and not behind_kept_ones and not self.may_stand_in(identity):
            wrong = "an answer came in the CSMS's place although it was there"
        if wrong is not None:
            self._altered += 1
            self._complain(identity, wrong, text)

    def _told(self, identity: str, pair: _Pair, book: StandInBook, call_id: str, action: str, text: str) -> None:
        """The CSMS has got a CALL that the charger has an answer to, or never sent."""
        _remember(pair.replay_ids, call_id)
        is_overdue = text in pair.overdue and self.may_stand_in(identity)
        pair.overdue.pop(text, None)
        wrong = book.replayed(action, text)
        if wrong is not None and not is_overdue:
            self._altered += 1
            self._complain(identity, wrong, text)

    def _pair(self, identity: str) -> _Pair:
        pair = self._pairs.get(identity)
        if pair is None:
            pair = self._pairs[identity] = _Pair(book=StandInBook(self._tags) if self._holds else None)
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
        excused = frame.epoch < epoch or frame.may_stay
        lane.missing[frame.text] = excused
        if len(lane.missing) > MAX_REMEMBERED:
            lane.missing.popitem(last=False)
        if not excused:
            self._altered += 1
            self._complain(identity, "a frame did not arrive before one that was sent later", frame.text)

    def _changed(self, identity: str, lane: _Lane, kind: str, call_id: str, text: str) -> None:
        _take(lane, kind, call_id)
        self._altered += 1
        self._complain(identity, "a frame arrived that was not sent so", text)

    def _complain(self, identity: str, what: str, text: str) -> None:
        if len(self.complaints) < MAX_COMPLAINTS:
            self.complaints.append(f"{self.when()}{identity}: {what}: {text[:300]}")


def _take(lane: _Lane, kind: str, call_id: str) -> _Sent | None:
    """A frame is not expected any more; it, where it was."""
    for number, one in enumerate(lane.pending):
        if one.kind == kind and one.call_id == call_id:
            del lane.pending[number]
            return one
    return None


def _remember(known: "OrderedDict[str, None]", key: str) -> None:
    known[key] = None
    if len(known) > MAX_REMEMBERED:
        known.popitem(last=False)


def _head(text: str) -> tuple[str, str, str]:
    """(type, id, action) of a frame; empty strings where it is no frame."""
    found = _HEAD.match(text)
    return (found[1], found[2], found[3] or "") if found else ("", "", "")
