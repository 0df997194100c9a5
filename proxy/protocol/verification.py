"""Whether a charger's own composite schedule shows the limits that it accepted: evidence, never proof; pure.

After each acknowledged set-point the charger is asked (GetCompositeSchedule, not urgent, one question per EVSE at a
time). What its answers are worth is learnt: a charger that rejects the question, answers without a schedule, or shows
the same limit whatever it was told, is asked no more. Only one whose schedules were seen to follow two limits that no
one schedule fits counts as honest, and only of an honest one does a schedule that allows more mean that a limit is not
held; then it is asked again first, because some take up to half a minute to apply a profile [libocpp #811].
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from domain.events import Event, OcppVersion, SetpointAccepted, SetpointConfirmed, SetpointIgnored
from domain.ids import EvseId
from domain.quirks import Feedback, Unit
from domain.site import Charger
from proxy.protocol.composite import Period, RateUnit, in_amperes
from proxy.protocol.exchange import OwnCall, OwnOutcome
from proxy.protocol.tolerant import Json, as_int, as_number, as_object, as_objects, read_object

ASK_FOR_S = 60
SLOW_S = 30.0
"""A schedule that shows an older limit is asked for again after so long."""
SAME_A = 0.5
STRIKES = 2
"""So many useless answers in a row: it is not asked any more."""
MISSES = 4
"""So many answers that never fitted what it was told: they mean something else."""


@dataclass(slots=True)
class _Question:
    """What was told, and since when the answer is waited for."""

    told: SetpointAccepted
    token: str
    again: bool = False


@dataclass
class Verification:
    """One charger's feedback. `verdict` is what is known of it; `due_at` when an answer is to be asked for again."""

    charger: Charger
    version: OcppVersion
    new_token: Callable[[], str]
    line_to_line_v: float = 208.0
    unit: Unit = "A"
    verdict: Feedback | None = None
    due_at: datetime | None = None
    _asked: dict[EvseId, _Question] = field(default_factory=dict)
    _slow: dict[EvseId, SetpointAccepted] = field(default_factory=dict)
    _newest: dict[EvseId, SetpointAccepted] = field(default_factory=dict)
    _shown: dict[EvseId, float] = field(default_factory=dict)
    _fitting: set[float] = field(default_factory=set)
    _missed: list[float] = field(default_factory=list)
    _strikes: int = 0

    @property
    def is_worth_asking(self) -> bool:
        """Whether its answers may mean something."""
        return self.verdict in (None, "honest")

    def accepted(self, told: SetpointAccepted) -> list[OwnCall]:
        """A set-point was acknowledged: ask, unless the same limit was shown last."""
        before = self._newest.get(told.evse)
        self._newest[told.evse] = told
        self._slow.pop(told.evse, None)
        same = before is not None and before.limit_a == told.limit_a
        if not self.is_worth_asking or (same and told.evse in self._shown):
            return []
        self._shown.pop(told.evse, None)
        return [self._ask(told)]

    def connected(self) -> None:
        """A new socket: what was asked on the old one is not answered any more."""
        self._asked.clear()
        self._slow.clear()
        self.due_at = None

    def renewed(self) -> None:
        """Another firmware: its answers may be worth something again."""
        self.verdict, self._strikes = None, 0
        self._fitting.clear()
        self._missed.clear()

    def pass_time(self, now: datetime) -> list[OwnCall]:
        """Ask those again whose schedule showed an older limit half a minute ago."""
        if self.due_at is None or now < self.due_at:
            return []
        slow, self._slow, self.due_at = self._slow, {}, None
        return [self._ask(told, again=True) for told in slow.values() if self._newest.get(told.evse) is told]

    def on_outcome(self, outcome: OwnOutcome) -> list[Event]:
        """What the charger's schedule says of the newest limit; nothing for questions that are not ours."""
        found = next((q for q in self._asked.values() if q.token == outcome.call.token), None)
        if found is None or outcome.kind == "sent":
            return []
        del self._asked[found.told.evse]
        if outcome.kind in ("lost", "superseded") or not self.is_worth_asking:
            return []
        shown_a = self._read(outcome, found.told.evse)
        if shown_a is None or self._newest.get(found.told.evse) is not found.told:
            return []
        return self._judge(found, shown_a, outcome.at)

    def _ask(self, told: SetpointAccepted, *, again: bool = False) -> OwnCall:
        connector = next(evse.connector for evse in self.charger.evses if evse.id == told.evse)
        where = "connectorId" if self.version == "ocpp1.6" else "evseId"
        question = _Question(told, self.new_token(), again)
        self._asked[told.evse] = question
        payload = {where: connector, "duration": ASK_FOR_S, "chargingRateUnit": self.unit}
        return OwnCall("GetCompositeSchedule", payload, f"schedule:{connector}", question.token)

    def _read(self, outcome: OwnOutcome, evse: EvseId) -> float | None:
        """The limit that the answer shows for now, A; None where it shows none, which is held against the charger."""
        useless: Feedback = "rejected" if outcome.kind == "error" else "silent"
        if outcome.kind == "result":
            reply = read_object(outcome.payload) or {}
            schedule = as_object(reply.get("chargingSchedule" if self.version == "ocpp1.6" else "schedule"))
            shown_a = self._shows_a(schedule, evse)
            if reply.get("status") == "Accepted" and shown_a is not None:
                self._strikes = 0
                return shown_a
            useless = "rejected" if reply.get("status") != "Accepted" else "empty" if schedule else "bare"
        self._strikes += 1
        if self._strikes >= (STRIKES if self.verdict is None else 2 * STRIKES):
            self.verdict = useless
        return None

    def _shows_a(self, schedule: Json, evse: EvseId) -> float | None:
        periods = as_objects(schedule.get("chargingSchedulePeriod"), 1)
        limit = as_number(periods[0].get("limit")) if periods else None
        unit = schedule.get("chargingRateUnit")
        if limit is None or unit not in set(RateUnit):
            return None
        period = Period(0, limit, as_int(periods[0].get("numberPhases"), 1, 3))
        conductors = next(one.conductors for one in self.charger.evses if one.id == evse)
        return in_amperes(period, RateUnit(unit), conductors, self.line_to_line_v)

    def _judge(self, question: _Question, shown_a: float, at: datetime) -> list[Event]:
        told = question.told
        if abs(shown_a - told.limit_a) <= SAME_A:
            self._fitting.add(told.limit_a)
            self._missed.clear()
            if max(self._fitting) - min(self._fitting) > 2 * SAME_A:
                self.verdict = "honest"
        elif shown_a > told.limit_a:
            if not question.again:
                self._slow[told.evse] = told
                self.due_at = min(self.due_at or at + timedelta(seconds=SLOW_S), at + timedelta(seconds=SLOW_S))
                return []
            if self.verdict != "honest":
                self._miss(shown_a)
                return []
            return [SetpointIgnored(told.evse, at, told.limit_a, told.decision, shown_a, "schedule")]
        # Less than it was told is what a limit of the CSMS makes of it: the limit holds.
        self._shown[told.evse] = shown_a
        return [SetpointConfirmed(told.evse, at, told.limit_a, told.decision, "schedule", shown_a)]

    def _miss(self, shown_a: float) -> None:
        self._missed.append(shown_a)
        if len(self._missed) >= MISSES:
            self.verdict = "constant" if len(set(self._missed)) == 1 else "wrong"
