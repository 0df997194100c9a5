"""Telling a CSMS that is back what one charger said meanwhile."""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

import structlog

from domain.events import Event, StartInDoubt
from domain.ids import ChargerId
from proxy.hold_office import HoldOffice
from proxy.protocol.exchange import OwnCall, OwnOutcome
from proxy.protocol.held import Doubt, Entry, Kind, Stored
from proxy.protocol.provisional import TransactionIds
from proxy.protocol.replay import Replay, Send, SetAside, Told

_log = structlog.get_logger()

_DISK_PAUSE_S: Final = 5.0
_MOST_SILENCES: Final = 3
_MOST_DONE: Final = 2000


class Teller(Protocol):
    """Whom a replayer works for."""

    def inject(self, call: OwnCall) -> None:
        """Send the CSMS a CALL of ours."""
        ...

    def publish(self, event: Event) -> None:
        """Tell an event."""
        ...

    def told(self, stored: Stored, reply: bytes) -> None:
        """The CSMS has answered a message that was kept."""
        ...

    def unwelcome(self) -> None:
        """The CSMS does not accept the charger any more."""
        ...

    def csms_is_silent(self) -> None:
        """The CSMS is connected and does not answer."""
        ...


class Replayer:
    """One charger's kept messages, oldest first, one at a time.

    Attributes:
        backlog: whether anything is kept, or about to be: then further messages have to queue up behind it.
        ids: the provisional transaction ids.
        done: keys of messages that the CSMS has, with their provisional id.
        given_up: provisional ids that the CSMS will never know: messages with them stay here.
    """

    def __init__(
        self, charger: ChargerId, office: HoldOffice, teller: Teller, replay: Replay, ids: TransactionIds
    ) -> None:
        self.backlog = False
        self.ids = ids
        self.done: dict[str, int | None] = {}
        self.given_up: set[int] = set()
        self._charger, self._office, self._teller, self._replay = charger, office, teller, replay
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._run = 0  # which connection of the CSMS: what was asked for an older one is void
        self._is_on = self._is_busy = False
        self._keeping = 0
        self._flight: Stored | None = None
        self._silences = 0
        self._late_until_s: dict[int, float] = {}
        self._answered_late: set[int] = set()

    def start(self) -> None:
        """The CSMS is there."""
        self._is_on = True
        self._pump()

    def stop(self) -> None:
        """It is gone."""
        self._run += 1
        self._is_on = self._is_busy = False
        self._flight = None
        self._silences = 0
        self._late_until_s.clear()
        self._office.pace.leave(self._charger)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def keep(self, entry: Entry, then: Callable[[Stored | Exception], None]) -> None:
        """Write a message down, and say `then` once it is durable."""
        self.backlog = True
        self._keeping += 1

        def kept(stored: Stored | Exception) -> None:
            self._keeping -= 1
            then(stored)
            self._pump()

        self._office.spool.do(lambda book: book.keep(self._charger, entry), kept)

    def expect_late_reply(self, stored: Stored, until_s: float) -> None:
        """The CSMS was sent this and may still answer it: it is not sent again before."""
        self._late_until_s[stored.seq] = until_s

    def late_reply(self, stored: Stored, real: int | None, reply: bytes) -> None:
        """It has answered."""
        self._late_until_s.pop(stored.seq, None)
        if self._flight is None or self._flight.seq != stored.seq:
            self._answered_late.add(stored.seq)
            self._finish(stored, real, reply)

    def late_refusal(self, stored: Stored) -> None:
        """It has answered with an error: it does not hold it, and is asked again."""
        self._late_until_s.pop(stored.seq, None)
        self._office.write(lambda book: book.unsent(stored.seq))

    # The next one.

    def _pump(self) -> None:
        if not self._is_on or self._is_busy:
            return
        self._is_busy = True
        run = self._run

        def found(stored: list[Stored] | Exception) -> None:
            if run == self._run:
                self._found(stored)

        self._office.spool.do(lambda book: book.head(self._charger, 1), found)

    def _found(self, found: list[Stored] | Exception) -> None:
        if isinstance(found, Exception):
            self._office.failed(found)
            self._later(_DISK_PAUSE_S)
        elif not found:
            self._is_busy = False
            self.backlog = self._keeping > 0
        elif found[0].seq in self._answered_late:
            self._later(0.0)
        elif (wait_s := self._late_until_s.get(found[0].seq, 0.0) - self._loop.time()) > 0:
            self._later(wait_s)
        else:
            self._take_up(found[0])

    def _take_up(self, stored: Stored) -> None:
        plan = self._replay.plan(stored, self._office.clock.now(), self.given_up)
        if isinstance(plan, SetAside):
            self._set_aside(stored, plan)
        else:
            self._office.pace.ask(self._charger, lambda: self._send(stored, plan))

    def _send(self, stored: Stored, plan: Send) -> None:
        if stored.seq in self._answered_late:
            self._again()
            return
        self._flight = stored
        if not plan.counts:
            self._teller.inject(plan.call)
            return
        run = self._run

        def noted(result: Exception | None) -> None:
            if run != self._run:
                return
            if isinstance(result, Exception):
                self._office.failed(result)
                self._flight = None
                self._later(_DISK_PAUSE_S)
                return
            if plan.doubt is not None:
                self._tell_doubt(plan.doubt, given_up=False)
            self._teller.inject(plan.call)

        self._office.spool.do(lambda book: book.sending(stored.seq, plan.doubt), noted)

    def _later(self, seconds: float) -> None:
        self._timer = self._loop.call_later(seconds, self._again)

    def _again(self) -> None:
        self._timer = None
        self._is_busy = False
        self._pump()

    # What became of it.

    def on_outcome(self, outcome: OwnOutcome) -> None:
        """A CALL that was injected was sent, answered or given up."""
        stored = self._flight
        if stored is None or outcome.kind in ("sent", "lost") or outcome.call.token != str(stored.seq):
            return
        self._flight = None
        decision = self._replay.outcome(stored, outcome)
        self._silences = self._silences + 1 if outcome.kind == "timeout" else 0
        if isinstance(decision, Told):
            self._finish(stored, decision.real, outcome.payload)
            if decision.unwelcome:
                self._teller.unwelcome()
        elif isinstance(decision, SetAside):
            self._set_aside(stored, decision)
        elif self._silences >= _MOST_SILENCES:
            self._teller.csms_is_silent()
        else:
            if decision.refused:
                self._office.write(lambda book: book.unsent(stored.seq))
            self._later(decision.after_s)

    def _finish(self, stored: Stored, real: int | None, reply: bytes) -> None:
        now = self._office.clock.now()
        run = self._run

        def done(result: Exception | None) -> None:
            was_late = stored.seq in self._answered_late
            self._answered_late.discard(stored.seq)
            if isinstance(result, Exception):
                self._office.failed(result)  # it stays the oldest, and a start is in doubt from now on
                if run == self._run and not was_late:
                    self._later(_DISK_PAUSE_S)
                return
            self._office.counters.replayed += 1
            if real is not None and stored.transaction is not None:
                self.ids.add(stored.transaction, real)
            self._remember_done(stored)
            self._teller.told(stored, reply)
            if run == self._run and not was_late:
                self._again()

        self._office.spool.do(lambda book: book.done(stored.seq, real, now), done)

    def _remember_done(self, stored: Stored) -> None:
        if stored.entry.kind is Kind.LATEST:
            return  # its key is that of the next state as well, which is no repeat
        self.done[stored.entry.key] = stored.transaction
        if len(self.done) > _MOST_DONE:
            del self.done[next(iter(self.done))]

    def _set_aside(self, stored: Stored, decision: SetAside) -> None:
        doubt = decision.doubt
        run = self._run

        def aside(result: Exception | None) -> None:
            if isinstance(result, Exception):
                self._office.failed(result)
            else:
                self._office.counters.set_aside += 1
                if stored.transaction is not None:
                    self.given_up.add(stored.transaction)
                _log.error("message_set_aside", charger=self._charger, action=stored.entry.action, why=decision.why)
                if doubt is not None:
                    self._tell_doubt(doubt, given_up=True)
            if run == self._run:
                self._later(0.0 if result is None else _DISK_PAUSE_S)

        self._office.spool.do(lambda book: book.set_aside(stored.seq, doubt), aside)

    def _tell_doubt(self, doubt: Doubt, *, given_up: bool) -> None:
        self._office.counters.starts_in_doubt += 1
        _log.warning("start_in_doubt", charger=self._charger, id_tag=doubt.id_tag, started_at=doubt.started_at)
        now = self._office.clock.now()
        self._teller.publish(
            StartInDoubt(self._charger, now, doubt.connector, doubt.id_tag, doubt.started_at, given_up)
        )
