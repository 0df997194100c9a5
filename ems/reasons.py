"""Why each EVSE has its limit: the first of a list of causes that applies."""

from dataclasses import dataclass, field
from datetime import tzinfo
from functools import cached_property

import numpy as np

from domain.ids import FeederId
from domain.setpoint import Reason, ReasonKind, Rung, Setpoint
from domain.site import Phase
from domain.snapshot import LoadSource
from ems.explanation import explain
from ems.ladder import Answer
from ems.problem import Mask, Vector
from ems.situation import SLACK_A, Situation
from ems.turns import blocking_row
from scheduler.contender import Admission

_TENTH_A = 0.1
_STALE = (LoadSource.FORECAST, LoadSource.FAILSAFE)
_AT_A_ROW = (ReasonKind.FEEDER_FULL, ReasonKind.GROUP_FULL, ReasonKind.WAITING)


@dataclass(frozen=True)
class Outcome:
    """All that was worked out: who is admitted, the answer, the wish and the limits, per EVSE of the panel."""

    situation: Situation
    admission: Admission
    admitted: Mask
    answer: Answer
    target_a: Vector
    limit_a: Vector
    timezone: tzinfo
    _ages_s: dict[FeederId, float | None] = field(default_factory=dict)

    @cached_property
    def load_a(self) -> Vector:
        """Per row what those admitted need to be on."""
        return self.situation.panel.load_a(np.where(self.admitted, self.situation.least_a, 0.0))

    def setpoints(self) -> tuple[Setpoint, ...]:
        """A set-point with its reason for every EVSE, in site order."""
        return tuple(self._setpoint(column) for column in range(len(self.situation.views)))

    def _setpoint(self, column: int) -> Setpoint:
        evse, now = self.situation.layout.evses[column].id, self.situation.now
        limit_a, target_a = float(self.limit_a[column]), float(self.target_a[column])
        kind = self._beyond_sharing(column) or self._in_sharing(column, limit_a, target_a)
        info = self.admission.waiting.get(evse) if kind is ReasonKind.WAITING else None
        feeder, phase, price = self._where(column, kind)
        place, turn = (None, None) if info is None else (info.place, info.next_turn_at)
        bare = Reason(kind, feeder, phase, price, place, turn)
        text = explain(evse, limit_a, target_a, bare, now, self.timezone)
        # Built twice: ten times cheaper than `replace`.
        return Setpoint(
            evse, limit_a, target_a, Reason(kind, feeder, phase, price, place, turn, self._age_s(column), text)
        )

    def _age_s(self, column: int) -> float | None:
        """The age of the oldest meter reading on the path; None without a meter or a reading."""
        path = self.situation.layout.paths[column]
        if path[0].id not in self._ages_s:
            feeders = self.situation.snapshot.feeders
            readings = [feeders[f.id].reading_at for f in path if f.meter is not None]
            ages = [(self.situation.now - at).total_seconds() for at in readings if at is not None]
            self._ages_s[path[0].id] = max(ages, default=None)
        return self._ages_s[path[0].id]

    def _beyond_sharing(self, column: int) -> ReasonKind | None:
        """What takes an EVSE out of the sharing, the gravest first; None where it takes part."""
        situation, view = self.situation, self.situation.views[column]
        kind = None
        if not view.linked:
            kind = ReasonKind.NO_LINK
        elif not view.ledger.trusted:
            kind = ReasonKind.UNTRUSTED
        elif not (situation.charging[column] or situation.full[column]):
            kind = ReasonKind.NO_SESSION
        elif situation.overloaded[column] is not None:
            kind = ReasonKind.BASE_OVERLOAD
        elif situation.held[column]:
            kind = ReasonKind.SETTLING
        elif situation.full[column]:
            kind = ReasonKind.CAR_FULL
        elif not situation.asking[column]:
            kind = ReasonKind.CSMS_LIMIT
        return kind

    def _in_sharing(self, column: int, limit_a: float, target_a: float) -> ReasonKind:
        """What an EVSE that takes part gets its limit from."""
        situation = self.situation
        if limit_a < situation.upper_a[column] - _TENTH_A and not situation.fresh[column]:
            return ReasonKind.STALE_METER
        if self.answer.rung is Rung.FALLBACK:
            return ReasonKind.FALLBACK
        if limit_a == 0.0 and target_a == 0.0:
            return ReasonKind.WAITING
        if limit_a < target_a - SLACK_A:
            return ReasonKind.HOLDING if self._too_soon(column, limit_a) else ReasonKind.SETTLING
        return self._limited_by(column, limit_a)

    def _too_soon(self, column: int, limit_a: float) -> bool:
        """Whether it will have more as soon as its own last rise is long enough ago."""
        raised_at = self.situation.views[column].ledger.raised_at
        if raised_at is None or limit_a > self.situation.in_force_a[column] + SLACK_A:
            return False
        return (self.situation.now - raised_at).total_seconds() < rise_interval_s(self.situation)

    def _limited_by(self, column: int, limit_a: float) -> ReasonKind:
        situation, view = self.situation, self.situation.views[column]
        if limit_a < situation.upper_a[column] - _TENTH_A:
            row = int(self.answer.allocation.binding[column])
            if row < 0:
                return ReasonKind.HOLDING
            return ReasonKind.FEEDER_FULL if situation.panel.rows[row].group is None else ReasonKind.GROUP_FULL
        if view.probe_limit_a is not None and view.probe_limit_a <= limit_a + _TENTH_A:
            return ReasonKind.WIRING_TEST
        if view.csms_limit_a is not None and view.csms_limit_a <= limit_a + _TENTH_A:
            return ReasonKind.CSMS_LIMIT
        if limit_a < situation.layout.evses[column].max_a - _TENTH_A:
            return ReasonKind.CAR_LIMIT
        return ReasonKind.GRANTED

    def _where(self, column: int, kind: ReasonKind) -> tuple[FeederId | None, Phase | None, float | None]:
        """The feeder, phase and shadow price that the reason is about."""
        overload = self.situation.overloaded[column]
        if kind is ReasonKind.BASE_OVERLOAD and overload is not None:
            return overload[0], overload[1], None
        if kind is ReasonKind.STALE_METER:
            feeders = self.situation.snapshot.feeders
            stale = (f.id for f in self.situation.layout.paths[column] if feeders[f.id].source in _STALE)
            return next(stale, None), None, None
        if kind not in _AT_A_ROW:
            return None, None, None
        row = int(self.answer.allocation.binding[column])
        if kind is ReasonKind.WAITING:
            blocking = blocking_row(self.situation, self.load_a, column)
            row = blocking if blocking >= 0 else row
        if row < 0:
            return None, None, None
        place = self.situation.panel.rows[row]
        return place.feeder, place.phase, float(self.answer.allocation.price[row])


def rise_interval_s(situation: Situation) -> float:
    """How far apart the rises of one EVSE are, at least."""
    return max(15.0, situation.layout.site.control.interval_s)
