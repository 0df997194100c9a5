"""The way in for chargers: their proofs, their turn in a storm, and what they are told when they are not let in."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import structlog

from domain.ids import ChargerId
from proxy.answers import refusal
from proxy.charger_leg import ChargerLeg
from proxy.entrance import Entrance, EntryRules, Objection
from proxy.turnstile import Turnstile

_log = structlog.get_logger()

_UNAUTHORIZED: Final = 401
_FORBIDDEN: Final = 403
_TOO_MANY: Final = 429


@dataclass(frozen=True, slots=True)
class DoorSettings:
    """`at_once`: how many handshakes are with the CSMS at a time. `most_waiting` and `patience_s` bound the line behind
    them: 503 and Retry-After beyond. `retry_after_s` is the least of those.
    """

    at_once: int = 64
    most_waiting: int = 5_000
    patience_s: float = 25.0
    retry_after_s: int = 10


@dataclass(slots=True)
class DoorCounters:
    """Since the start: `failed_proof` (401), `not_allowed` (403), `held_up` after failures (429),
    `overtaken` in line by a newer connection of the same charger, `sent_back` (503) because of the line, `throttled`:
    how often a charger that is in had to wait because it said too much.
    """

    failed_proof: int = 0
    not_allowed: int = 0
    held_up: int = 0
    overtaken: int = 0
    sent_back: int = 0
    throttled: int = 0


class Door:
    """One for a server. `time` is the loop's clock."""

    def __init__(self, settings: DoorSettings, time: Callable[[], float]) -> None:
        self.counters = DoorCounters()
        self._settings, self._time = settings, time
        self._entrance = Entrance()
        self._turnstile = Turnstile(settings.at_once, settings.most_waiting, settings.patience_s, time)

    @property
    def waiting(self) -> int:
        """How many chargers wait for their turn."""
        return self._turnstile.waiting

    @property
    def waited(self) -> int:
        """How many were not let in at once, since the start."""
        return self._turnstile.waited

    def turns_away(self, leg: ChargerLeg, who: ChargerId, rules: EntryRules) -> bool:
        """Answer a charger that is not let in; False where nothing speaks against it so far."""
        objection = self._entrance.objection(who, leg.visitor, rules, self._time())
        if objection is None:
            return False
        self._answer(leg, who, objection)
        return True

    def stranger(self, leg: ChargerLeg) -> None:
        """Somebody came whom nobody knows."""
        self._entrance.failed(None, leg.visitor, self._time())

    @asynccontextmanager
    async def passage(self, leg: ChargerLeg, who: ChargerId, rules: EntryRules) -> AsyncIterator[bool]:
        """Wait for one's turn and prove the password, where it is proved here. With False it has been answered."""
        passage, restless = await self._turnstile.enter(who)
        if passage != "in":
            self._send_back(leg, overtaken=passage == "overtaken")
            yield False
            return
        try:
            yield not leg.has_ended and await self._proves_password(leg, who, rules)
        finally:
            self._turnstile.leave(who, restless)

    def refused_by_csms(self, leg: ChargerLeg, who: ChargerId, status: int) -> None:
        """The CSMS did not believe it: that is a failure too."""
        if status in (_UNAUTHORIZED, _FORBIDDEN):
            self._entrance.failed(who, leg.visitor, self._time())

    def let_in(self, leg: ChargerLeg, who: ChargerId, messages: tuple[float, int] | None) -> None:
        """It has a link, and may say so many `messages` a second and at once."""
        self._entrance.succeeded(who, leg.visitor)
        if messages is not None:
            leg.limit(*messages, self._throttled)

    def _throttled(self) -> None:
        self.counters.throttled += 1

    async def _proves_password(self, leg: ChargerLeg, who: ChargerId, rules: EntryRules) -> bool:
        visitor = leg.visitor
        if rules.key is None or visitor.certificate is not None:
            return True
        objection = await self._entrance.checks_password(who, visitor, rules.key)
        if objection is not None:
            self._answer(leg, who, objection)
        return objection is None

    def _answer(self, leg: ChargerLeg, who: ChargerId, objection: Objection) -> None:
        if objection.status == _TOO_MANY:
            self.counters.held_up += 1
        else:
            if objection.status == _UNAUTHORIZED:
                self.counters.failed_proof += 1
            else:
                self.counters.not_allowed += 1
            self._entrance.failed(who, leg.visitor, self._time())
        _log.warning(
            "charger_turned_away",
            charger=who,
            address=str(leg.visitor.address),
            status=objection.status,
            why=objection.sentence,
        )
        leg.answer(refusal(objection.status, objection.sentence, retry_after_s=objection.retry_after_s))

    def _send_back(self, leg: ChargerLeg, *, overtaken: bool) -> None:
        if overtaken:
            self.counters.overtaken += 1
            leg.answer(refusal(503, "A newer connection of this charger took its place in line."))
            return
        self.counters.sent_back += 1
        # Those that are sent back do not all come again at once.
        later_s = self._settings.retry_after_s + self.counters.sent_back % 30
        leg.answer(refusal(503, "Too many chargers connect at once; try again.", retry_after_s=later_s))
