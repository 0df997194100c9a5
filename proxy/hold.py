"""One charger's upstream at a site that holds: its CSMS while that is there, and who stands in for it while not."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

import structlog

from domain.events import CsmsLost, CsmsReturned, Event, OcppVersion
from domain.ids import ChargerId
from proxy.hold_office import HoldOffice
from proxy.legs import Leg
from proxy.protocol.exchange import Exchange, OwnCall, OwnOutcome
from proxy.protocol.frames import CallFrame, ErrorFrame, ResultFrame, error_frame, read, result_frame, with_payload
from proxy.protocol.held import Entry, Kind, Remembered, Stored, TagInfo
from proxy.protocol.hold_policy import Held
from proxy.protocol.interception import Answered
from proxy.protocol.provisional import TransactionIds, transaction_of
from proxy.protocol.replay import Replay
from proxy.protocol.stand_in import TELLING, StandIn, learnt, transaction_given
from proxy.redialling import redial
from proxy.replaying import Replayer
from proxy.upstream import Refused, Unreachable

_log = structlog.get_logger()

_MOST_OPEN: Final = 64
_POLICY_VIOLATION, _INTERNAL_ERROR = 1008, 1011


@dataclass(frozen=True, slots=True)
class Way:
    """How one charger reaches its CSMS. `scope` names the CSMS, whose tags are good for all its chargers."""

    scope: str
    dial: Callable[[], Awaitable[Leg | Refused | Unreachable]]
    recognises_repeats: bool = False


class HeldLink(Protocol):
    """The link of a charger, as its hold sees it."""

    def csms_says(self, messages: list[bytes]) -> None:
        """Relay these as the CSMS's."""
        ...

    def inject(self, call: OwnCall) -> None:
        """Send the CSMS a CALL of ours, in turn."""
        ...

    def attach(self, leg: Leg) -> None:
        """Relay to this CSMS from now on."""
        ...

    def drop_csms(self, why: str) -> None:
        """Give the CSMS's socket up."""
        ...

    def close(self, code: int, reason: str) -> None:
        """Let the charger go."""
        ...

    def publish(self, event: Event) -> None:
        """Tell an event."""
        ...


@dataclass(slots=True)
class _Open:
    """A CALL of the charger that the CSMS was sent and has not answered."""

    raw: bytes
    call: CallFrame
    timer: asyncio.TimerHandle | None


@dataclass(slots=True)
class _Late:
    """A CALL that was answered here because the CSMS was silent: its entry and the CSMS's reply, as far as known."""

    stored: Stored | None = None
    reply: ResultFrame | ErrorFrame | None = None


class Hold:
    """Stands between one link and its CSMS, for as long as the charger's socket lives."""

    def __init__(
        self,
        who: tuple[ChargerId, OcppVersion],
        way: Way,
        office: HoldOffice,
        known: tuple[Remembered, dict[str, TagInfo]],
        since: datetime,
    ) -> None:
        self._charger, version = who
        remembered, self._tags = known
        self._way, self._office, self._since = way, office, since
        self._loop = asyncio.get_running_loop()
        self._stand_in = StandIn(version, self._tags, accepted=remembered.booted)
        ids = TransactionIds(remembered.transactions)
        replay = Replay(self._charger, ids, recognises_repeats=way.recognises_repeats)
        self._replayer = Replayer(self._charger, office, self, replay, ids)
        self._replayer.backlog = remembered.pending > 0
        self._replayer.done.update(remembered.done)
        self._replayer.given_up.update(remembered.given_up)
        self._leg: Leg | None = None
        self._link: HeldLink
        self._open: dict[str, _Open] = {}
        self._late: dict[str, _Late] = {}
        self._dialling: asyncio.Task[None] | None = None
        self._chance = random.Random(self._charger)  # spreads them in time, the same way every time

    # What the link calls.

    @property
    def away(self) -> bool:
        """Whether the CSMS is not there."""
        return self._leg is None

    def start(self, link: HeldLink, leg: Leg | None) -> None:
        """The charger's socket is relayed from now on; `leg` is None where its CSMS could not be reached."""
        self._link = link
        if leg is None:
            self._gone("it could not be reached when the charger connected")
        else:
            self._leg = leg
            self._returned()  # it may have come back while the charger had no socket
            self._replayer.start()

    def end(self) -> None:
        """The charger's socket is gone."""
        self._replayer.stop()
        if self._dialling is not None:
            self._dialling.cancel()
        for open_call in self._open.values():
            _cancel(open_call)
        self._open.clear()

    def csms_lost(self, why: str) -> None:
        """The CSMS's socket is gone. What it was asked and has not answered is answered here."""
        self._leg = None
        self._replayer.stop()
        waiting, self._open = self._open, {}
        for open_call in waiting.values():
            _cancel(open_call)
            self._answer(open_call.raw, open_call.call, was_sent=True)
        self._gone(why)

    def up(self, raw: bytes, ours: bool) -> bool:
        """A message for the CSMS; False where it is lost."""
        leg = self._leg
        frame = None if ours else read(raw)
        if not isinstance(frame, CallFrame):
            return leg is not None and leg.send(raw)
        held = self._stand_in.rule(frame.action).held
        keeps = held in (Held.STORE, Held.LATEST)
        if leg is None or (keeps and self._has_to_queue(frame)):
            self._answer(raw, frame, was_sent=False)
            return True
        self._open[frame.call_id] = _Open(raw, frame, self._impatience(frame.call_id) if held is Held.STORE else None)
        if len(self._open) > _MOST_OPEN:
            _cancel(self._open.pop(next(iter(self._open))))
        if len(self._replayer.ids):
            payload = bytes(frame.payload)
            changed = self._replayer.ids.to_csms(frame.action, payload)
            raw = raw if changed is payload else with_payload(raw, changed)
        return leg.send(raw)

    def down(self, messages: list[bytes]) -> list[bytes]:
        """Messages of the CSMS as the charger is to see them; without late replies to what was answered here."""
        if not self._late and not len(self._replayer.ids):
            return messages
        passed = []
        for raw in messages:
            frame = read(raw)
            if isinstance(frame, ResultFrame | ErrorFrame) and (late := self._late.get(frame.call_id)) is not None:
                self._office.counters.swallowed += 1
                if late.reply is None:
                    late.reply = frame
                    self._settle_late(late)
            elif isinstance(frame, CallFrame):
                payload = bytes(frame.payload)
                changed = self._replayer.ids.to_charger(frame.action, payload)
                passed.append(raw if changed is payload else with_payload(raw, changed))
            else:
                passed.append(raw)
        return passed

    def replied(self, exchange: Exchange) -> None:
        """A CALL of the charger was answered: where that was by the CSMS, learn from it."""
        open_call = self._open.pop(exchange.call.call_id, None)
        if open_call is None:
            return
        _cancel(open_call)
        if exchange.ok:
            self._learn(exchange.call.action, exchange.call.payload, exchange.reply)

    def on_outcome(self, outcome: OwnOutcome) -> None:
        """What became of a replayed message."""
        self._replayer.on_outcome(outcome)

    # What the replayer calls.

    def inject(self, call: OwnCall) -> None:
        """See `Teller`."""
        self._link.inject(call)

    def publish(self, event: Event) -> None:
        """See `Teller`."""
        self._link.publish(event)

    def told(self, stored: Stored, reply: bytes) -> None:
        """See `Teller`."""
        self._learn(stored.entry.action, stored.entry.payload, reply)

    def unwelcome(self) -> None:
        """The CSMS does not accept the charger: let it boot again and hear that itself."""
        self._link.close(_POLICY_VIOLATION, "the CSMS does not accept this charger; boot again")

    def csms_is_silent(self) -> None:
        """See `Teller`."""
        self._link.drop_csms("it answers nothing")

    # Answering.

    def _has_to_queue(self, frame: CallFrame) -> bool:
        """Whether a message comes behind kept ones, is one of those that the CSMS has already, or of a transaction that
        it will never know.
        """
        if self._replayer.backlog:
            return True
        given_up = self._replayer.given_up
        if given_up and transaction_of(bytes(frame.payload)) in given_up:
            return True
        done = self._replayer.done
        return bool(done) and self._entry(frame, was_sent=False).key in done

    def _answer(self, raw: bytes, frame: CallFrame, *, was_sent: bool, late: _Late | None = None) -> None:
        now = self._office.clock.now()
        held = self._stand_in.rule(frame.action).held
        self._office.counters.held += 1
        if held is Held.STORE:
            entry = self._entry(frame, was_sent=was_sent)

            def stored(result: Stored | Exception) -> None:
                if isinstance(result, Exception):
                    self._office.failed(result)
                    self._link.close(_INTERNAL_ERROR, "a message could not be written to disk; keep it")
                    return
                self._say(raw, self._stand_in.stored(result, self._office.clock.now()))
                if late is not None:
                    self._replayer.expect_late_reply(result, self._loop.time() + self._office.settings.late_reply_s)
                    late.stored = result
                    self._settle_late(late)

            self._replayer.keep(entry, stored)
            return
        if held is Held.LATEST or (held is Held.BOOT and self._stand_in.accepted):
            self._replayer.keep(self._entry(frame, was_sent=False), self._kept_latest)
        self._say(raw, self._stand_in.answer(frame.action, bytes(frame.payload), now))

    def _entry(self, frame: CallFrame, *, was_sent: bool) -> Entry:
        return self._stand_in.entry(frame, self._office.clock.now(), self._since, was_sent=was_sent)

    def _kept_latest(self, result: Stored | Exception) -> None:
        if isinstance(result, Exception):
            self._office.failed(result)

    def _say(self, raw: bytes, answer: Answered) -> None:
        """Answer the charger, as soon as everything before is carried out."""
        reply = result_frame(raw, answer.payload) if answer.ok else error_frame(raw, answer.payload)
        self._loop.call_soon(self._link.csms_says, [reply])

    def _learn(self, action: str, payload: bytes, reply: bytes) -> None:
        """What the CSMS's word says about tags, and about the charger itself."""
        if action == "BootNotification":
            self._accepted(b'"Accepted"' in reply)
        elif not self._stand_in.accepted and self._stand_in.rule(action).held in (Held.STORE, Held.AUTHORIZE):
            self._accepted(True)  # it booted before we were there: a CSMS talks like that to none that it rejects
        lesson = learnt(payload, reply) if action in TELLING else None
        if lesson is None or (lesson.info is not None and self._tags.get(lesson.tag) == lesson.info):
            return
        tag, info = lesson.tag, lesson.info
        if info is None:
            self._tags.pop(tag, None)
        else:
            self._tags[tag] = info
        self._office.write(lambda book: book.set_tag(self._way.scope, tag, info))

    def _accepted(self, accepted: bool) -> None:
        if accepted is not self._stand_in.accepted:
            self._stand_in.accepted = accepted
            self._office.write(lambda book: book.booted(self._charger, accepted))

    # A CSMS that is connected and silent.

    def _impatience(self, call_id: str) -> asyncio.TimerHandle:
        return self._loop.call_later(self._office.settings.local_answer_s, self._answer_instead, call_id)

    def _answer_instead(self, call_id: str) -> None:
        open_call = self._open.pop(call_id, None)
        if open_call is None:
            return
        late = self._late[call_id] = _Late()
        if len(self._late) > _MOST_OPEN:
            del self._late[next(iter(self._late))]
        self._answer(open_call.raw, open_call.call, was_sent=True, late=late)

    def _settle_late(self, late: _Late) -> None:
        """Once both are there: the reply to a message that was answered here supplies what its replay would."""
        stored, reply = late.stored, late.reply
        if stored is None or reply is None:
            return
        if isinstance(reply, ResultFrame):
            payload = bytes(reply.payload)
            real = transaction_given(payload) if stored.entry.kind is Kind.START else None
            self._replayer.late_reply(stored, real, payload)
        else:
            self._replayer.late_refusal(stored)

    # The CSMS comes and goes.

    def _gone(self, why: str) -> None:
        self._office.counters.csms_lost += 1
        self._office.without_csms.add(self._charger)
        self._link.publish(CsmsLost(self._charger, self._office.clock.now(), why))
        _log.warning("csms_lost", charger=self._charger, why=why)
        self._dialling = self._loop.create_task(self._dial(), name=f"dialling for {self._charger}")

    def _returned(self) -> None:
        """Say that it is back, where it was said that it is gone."""
        if self._charger in self._office.without_csms:
            self._office.without_csms.remove(self._charger)
            self._link.publish(CsmsReturned(self._charger, self._office.clock.now()))

    async def _dial(self) -> None:
        settings = self._office.settings
        outcome = await redial(self._way.dial, self._chance, settings.redial_first_s, settings.redial_most_s)
        if isinstance(outcome, Refused):
            self._link.close(_POLICY_VIOLATION, f"the CSMS answered {outcome.answer.status_code}")
            return
        self._dialling = None
        self._leg = outcome
        _log.info("csms_returned", charger=self._charger)
        self._returned()
        self._link.attach(outcome)
        if self._leg is outcome:
            self._replayer.start()


def _cancel(open_call: _Open) -> None:
    if open_call.timer is not None:
        open_call.timer.cancel()
