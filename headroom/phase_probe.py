"""Finds out, one EVSE at a time, whether it is wired as the site file says (`ems.phase_mapping`); where opted in.

An EVSE that charges steadily with room on its path is asked for a few amperes less, then given them back, several
times; the decisions do it like any other limit. Nothing is ever raised above what a decision gives anyway, and nothing
is tried near a limit, beside stale meters, or while the CSMS or the car holds the current. Nor where the newest
decision names a panel of its path as what binds: others would take what the EVSE gives up, and the meter would show
nothing. Nor at a charger whose memory bears few writes.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import structlog

from domain.ids import EvseId, FeederId
from domain.setpoint import Alarm, AlarmKind, Decision
from domain.site import Evse, Feeder, PhaseAmps, Site
from domain.snapshot import EvseView, LoadSource, SiteSnapshot, TemporaryLimit
from ems.phase_mapping import STEP_A, PhaseMapping, Plateau, Verdict, has_room, is_done, judge, means, metered_feeder
from ems.situation import FEW_WRITES

log = structlog.get_logger()

AGAIN = timedelta(days=30)
"""Wiring is moved seldom: so long a verdict stands."""
LATER = timedelta(hours=6)
"""After an attempt that told nothing."""

_READINGS = 2
_FOLLOWED_A = 1.0
_PATIENCE = timedelta(minutes=4)
"""A plateau that does not come within this ends the attempt: the car does not follow."""


@dataclass
class _Attempt:
    """Steps under way at one EVSE."""

    evse: Evse
    feeder: Feeder
    high_a: float
    low_a: float
    transaction: str
    since: datetime
    lowered: bool = False
    readings: list[PhaseAmps] = field(default_factory=list)
    currents_a: list[float] = field(default_factory=list)
    last_reading_at: datetime | None = None
    plateaus: list[Plateau] = field(default_factory=list)

    def turn(self, now: datetime) -> None:
        """A plateau is complete: on to the other one."""
        mean_a = sum(self.currents_a) / len(self.currents_a)
        self.plateaus.append(Plateau(mean_a, means(self.readings)))
        self.readings, self.currents_a = [], []
        self.lowered, self.since = not self.lowered, now


class PhaseProbe:
    """The attempts and verdicts of one site; idle where the site has not opted in. `tell` gets every verdict."""

    def __init__(self, site: Site, tell: Callable[[dict[str, object]], object] = lambda _: None) -> None:
        self._site = site
        self._tell = tell
        self._attempt: _Attempt | None = None
        self._next_at: dict[EvseId, datetime] = {}
        self._binding: frozenset[FeederId] = frozenset()
        self.found: dict[EvseId, PhaseMapping] = {}
        """The newest verdict per EVSE."""

    def tested(self, snapshot: SiteSnapshot) -> SiteSnapshot:
        """The snapshot to decide on, after a look at it."""
        if not self._site.control.phase_detection:
            return snapshot
        mapping = self.look(snapshot)
        if mapping is not None:
            log.info("phase_mapping", evse=mapping.evse, verdict=mapping.verdict, text=mapping.text)
            self._tell(mapping_notice(mapping))
        return self.limited(snapshot)

    def marked(self, decision: Decision) -> Decision:
        """The decision with the alarms about wrong wiring; the panels that it names as full are noted."""
        self._binding = frozenset(p.reason.feeder for p in decision.setpoints if p.reason.feeder is not None)
        alarms = self.alarms()
        return replace(decision, alarms=(*decision.alarms, *alarms)) if alarms else decision

    def look(self, snapshot: SiteSnapshot) -> PhaseMapping | None:
        """Take up what a snapshot shows: go on with an attempt, or begin one. The mapping that it completes, if any."""
        if self._attempt is None:
            self._attempt = self._begin(snapshot)
            return None
        attempt, now = self._attempt, snapshot.at
        view = snapshot.evses[attempt.evse.id]
        if not self._may_go_on(attempt, snapshot, view):
            return self._end(attempt, now)
        self._observe(attempt, snapshot, view)
        if len(attempt.readings) < _READINGS:
            return None
        attempt.turn(now)
        mapping = judge(attempt.evse, attempt.feeder, attempt.plateaus, now)
        return self._end(attempt, now) if is_done(mapping) else None

    def limited(self, snapshot: SiteSnapshot) -> SiteSnapshot:
        """The snapshot that decisions are made on: the EVSE under test has a limit while it is to be low."""
        attempt = self._attempt
        if attempt is None or not attempt.lowered:
            return snapshot
        view = snapshot.evses[attempt.evse.id]
        return replace(snapshot, evses={**snapshot.evses, view.evse: replace(view, probe_limit_a=attempt.low_a)})

    def alarms(self) -> tuple[Alarm, ...]:
        """EVSEs that are not wired as the site file says."""
        wrong = (mapping for mapping in self.found.values() if mapping.verdict is Verdict.WRONG)
        return tuple(Alarm(AlarmKind.PHASE_MAPPING, mapping.evse, mapping.text) for mapping in wrong)

    def _begin(self, snapshot: SiteSnapshot) -> _Attempt | None:
        for evse in self._site.evses:
            if snapshot.at < self._next_at.get(evse.id, snapshot.at):
                continue
            feeder, view = metered_feeder(self._site, evse), snapshot.evses[evse.id]
            if feeder is not None and self._is_steady(evse, view) and self._has_room(evse, snapshot):
                assert view.session is not None
                high_a = view.ledger.limit_a
                low_a = max(evse.min_a, high_a - STEP_A)
                return _Attempt(evse, feeder, high_a, low_a, view.session.transaction_id, snapshot.at)
        return None

    def _is_steady(self, evse: Evse, view: EvseView) -> bool:
        """It charges by its limit, which is high enough to be lowered."""
        entry = view.ledger
        charges = view.linked and view.session is not None and view.session.wants_current
        drawn_a = entry.measured_a or 0.0
        high_enough = entry.limit_a >= evse.min_a + STEP_A / 2.0
        budget = view.quirks.write_budget_per_day
        if budget is not None and budget <= FEW_WRITES:
            return False
        return charges and entry.settled and entry.trusted and high_enough and drawn_a >= entry.limit_a - _FOLLOWED_A

    def _has_room(self, evse: Evse, snapshot: SiteSnapshot) -> bool:
        """No feeder of its path binds anybody; every metered one is measured, and far from what it may carry now."""
        for feeder in self._site.path(evse.feeder):
            if feeder.id in self._binding:
                return False
            if feeder.meter is None:
                continue
            view = snapshot.feeders[feeder.id]
            if view.source is not LoadSource.MEASURED or view.metered_a is None:
                return False
            lower = (one.limit_a for one in snapshot.limits if one.feeder == feeder.id and _is_on(one, snapshot.at))
            if not has_room(view.metered_a, min([feeder.usable_a, *lower])):
                return False
        return True

    def _may_go_on(self, attempt: _Attempt, snapshot: SiteSnapshot, view: EvseView) -> bool:
        same_car = view.session is not None and view.session.transaction_id == attempt.transaction
        patient = snapshot.at - attempt.since < _PATIENCE
        return same_car and view.linked and view.ledger.trusted and patient and self._has_room(attempt.evse, snapshot)

    def _observe(self, attempt: _Attempt, snapshot: SiteSnapshot, view: EvseView) -> None:
        """A reading counts if it is new and the EVSE was seen at its plateau, half a minute before it at most."""
        feeder, entry = snapshot.feeders[attempt.feeder.id], view.ledger
        wanted_a = attempt.low_a if attempt.lowered else attempt.high_a
        there = entry.measured_a is not None and abs(entry.measured_a - wanted_a) <= _FOLLOWED_A
        fresh = entry.measured_at is not None and entry.measured_at > attempt.since
        if not there or not fresh or feeder.reading_at is None or feeder.metered_a is None:
            attempt.readings, attempt.currents_a = [], []
            return
        assert entry.measured_a is not None
        assert entry.measured_at is not None
        new = attempt.last_reading_at is None or feeder.reading_at > attempt.last_reading_at
        if new and feeder.reading_at > max(attempt.since, entry.measured_at - timedelta(seconds=30)):
            attempt.last_reading_at = feeder.reading_at
            attempt.readings.append(feeder.metered_a)
            attempt.currents_a.append(entry.measured_a)

    def _end(self, attempt: _Attempt, now: datetime) -> PhaseMapping:
        mapping = judge(attempt.evse, attempt.feeder, attempt.plateaus, now)
        told = mapping.verdict is not Verdict.UNKNOWN
        self._next_at[attempt.evse.id] = now + (AGAIN if told else LATER)
        if told or attempt.evse.id not in self.found:
            self.found[attempt.evse.id] = mapping
        self._attempt = None
        return mapping


def _is_on(limit: TemporaryLimit, now: datetime) -> bool:
    return limit.starts_at <= now and (limit.ends_at is None or now < limit.ends_at)


def mapping_notice(mapping: PhaseMapping) -> dict[str, object]:
    """A verdict, ready for JSON."""
    return {
        "evse": mapping.evse,
        "feeder": mapping.feeder,
        "at": mapping.at.isoformat(),
        "verdict": mapping.verdict,
        "written": list(mapping.written),
        "found": None if mapping.found is None else list(mapping.found),
        "response": {phase: round(part, 3) for phase, part in mapping.response.items()},
        "confidence": round(mapping.confidence, 4),
        "steps": mapping.steps,
        "text": mapping.text,
    }
