"""The schedules of our own profiles: the dead-man step, the CSMS's limits merged in, limits as written (pure)."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import ROUND_FLOOR, Decimal
from math import isfinite, sqrt

from domain.site import Evse
from proxy.protocol.charger_clock import EPOCH, ChargerClock
from proxy.protocol.composite import ChargingProfile, Kind, Period, Purpose, RateUnit
from proxy.protocol.csms_profiles import CsmsProfiles, Scope
from proxy.protocol.features import Features
from proxy.protocol.merge import Csms, merge
from proxy.protocol.tolerant import MAX_ID

CLOCK_MARGIN_S = 60.0
"""M: the worst error of a charger's clock that the start of a schedule allows for."""
_TENTH = Decimal("0.1")
_ROUNDING = Decimal("1e-6")
_SAME_STEP_S = 2.0


@dataclass(frozen=True, slots=True)
class Slot:
    """One place for one profile of ours, with one id for ever: writing it again replaces what is there."""

    name: str
    id: int
    connector: int
    purpose: Purpose
    fallback: bool = False
    group: bool = False


@dataclass(slots=True)
class Draft:
    """How the schedules of one plan are made. `hold_s` None: no step, for a charger whose time cannot be relied on.

    `offline_s`: they end by themselves without a link. `evse` None: of the whole charger.
    """

    clock: ChargerClock
    csms: CsmsProfiles
    features: Features
    offline_s: int | None
    evse: Evse | None
    level: int
    now: datetime
    hold_s: float | None
    exact_until: datetime | None = None
    step_at: datetime | None = None

    @property
    def then(self) -> datetime:
        """Now in the charger's clock."""
        return self.clock.now(self.now)

    def profile(
        self, slot: Slot, scope: Scope, limit_a: float, failsafe_a: float, transaction_id: str | None = None
    ) -> ChargingProfile:
        """The dead-man schedule of a slot, merged with what the CSMS allows; one constant limit needs no clock, so it
        holds from 1970 on.
        """
        then = self.then
        start = max(EPOCH, (then - timedelta(seconds=CLOCK_MARGIN_S)).replace(microsecond=0))
        ours = [(EPOCH, limit_a)]
        if self.hold_s is not None and limit_a != failsafe_a and self.offline_s is None:
            hold_s = self.hold_s if isfinite(self.hold_s) else 0.0
            step_s = (then - start).total_seconds() + max(0.0, hold_s)
            self.step_at = start + timedelta(seconds=min(max(1, int(step_s)), MAX_ID))
            ours.append((self.step_at, failsafe_a))
        theirs = Csms(
            lambda at: self.csms.allowed(scope, at), lambda at: self.csms.edge(scope, at), self.csms.floor(scope)
        )
        merged = merge(ours, theirs, start, then, self.features.periods, self._written)
        if merged.exact_until is not None:
            until = self.now + (merged.exact_until - then)
            self.exact_until = until if self.exact_until is None else min(until, self.exact_until)
        constant = len(merged.periods) == 1
        begins = EPOCH if constant else start
        made = _absolute(slot, self.level, begins, merged.periods, transaction_id, self.offline_s)
        if constant and self.offline_s is not None and self.features.dynamic:
            return replace(made, kind=Kind.DYNAMIC, start=None)
        return made

    def _written(self, amps: float) -> float:
        return _tenths(amps) if self.evse is None else wire_amps(amps, self.evse)


def wire_amps(amps: float, evse: Evse) -> float:
    """A limit as it is written: one decimal, rounded down, at most the EVSE's rating, and 0 if below its minimum."""
    if not isfinite(amps):
        return 0.0
    rounded = _tenths(min(amps, evse.max_a))
    return rounded if rounded > 0.0 and rounded >= evse.min_a else 0.0


def _tenths(amps: float) -> float:
    return max(0.0, float((Decimal(repr(float(amps))) + _ROUNDING).quantize(_TENTH, ROUND_FLOOR)))


def same_from(one: ChargingProfile, other: ChargingProfile, then: datetime) -> bool:
    """Whether two profiles of ours allow the same from `then` on (charger's clock), within two seconds of a step.

    A step of `one` that has just passed may not have passed yet by a clock that is slow: then they are not the same.
    """
    if _just_stepped(one, then):
        return False
    if (one.level, one.kind, one.transaction_id, one.max_offline_s) != (
        other.level,
        other.kind,
        other.transaction_id,
        other.max_offline_s,
    ):
        return False
    first, second = _steps(one, then), _steps(other, then)
    return len(first) == len(second) and all(
        a[1:] == b[1:] and abs(a[0] - b[0]) <= _SAME_STEP_S for a, b in zip(first, second, strict=True)
    )


def _just_stepped(profile: ChargingProfile, then: datetime) -> bool:
    if profile.start is None:
        return False
    ago_s = (then - profile.start).total_seconds()
    return any(0.0 <= ago_s - period.start_s < CLOCK_MARGIN_S for period in profile.periods[1:])


def _steps(profile: ChargingProfile, then: datetime) -> list[tuple[float, float, int | None]]:
    """Seconds from `then`, limit and phases of each period that is not over."""
    zero_s = 0.0 if profile.start is None else (profile.start - then).total_seconds()
    steps = [(zero_s + p.start_s, p.limit, p.number_phases) for p in profile.periods]
    begun = [step for step in steps if step[0] <= 0.0]
    return [(0.0, *step[1:]) for step in begun[-1:]] + [step for step in steps if step[0] > 0.0]


def _absolute(
    slot: Slot,
    level: int,
    start: datetime,
    periods: tuple[Period, ...],
    transaction_id: str | None,
    offline_s: int | None = None,
) -> ChargingProfile:
    return ChargingProfile(
        slot.id,
        slot.connector,
        level,
        slot.purpose,
        Kind.ABSOLUTE,
        RateUnit.A,
        periods,
        start=start,
        transaction_id=transaction_id,
        max_offline_s=offline_s,
    )


def static(slot: Slot, level: int, limit_a: float, transaction_id: str | None = None) -> ChargingProfile:
    """One limit from 1970 on: it needs no clock."""
    return _absolute(slot, level, EPOCH, (Period(0, limit_a),), transaction_id)


def still_good(held: ChargingProfile, wanted: ChargingProfile, draft: Draft) -> bool:
    """Whether a held profile allows the same as the wanted one for at least half of its time."""
    if same_from(held, wanted, draft.then):
        return True
    same = [(p.limit, p.number_phases) for p in held.periods] == [(p.limit, p.number_phases) for p in wanted.periods]
    # Only the step of the dead-man may differ: it stands alone where the CSMS has no say.
    if not same or held.level != wanted.level or held.start is None or len(wanted.periods) != 2:
        return False
    left_s = (held.start - draft.then).total_seconds() + held.periods[-1].start_s
    return left_s >= (draft.hold_s or 0.0) / 2.0 and draft.csms.floor(draft.csms.scope_of_cap()) is None


def in_watts(profile: ChargingProfile, conductors: int, line_to_line_v: float) -> ChargingProfile:
    """A profile of ours for a charger that takes watts alone: the power of all conductors at nominal voltage.

    Phases are named where the charger would otherwise divide by three (1.6 section 7.12, K01.FR.49).
    """
    periods = []
    for period in profile.periods:
        phases = period.number_phases or (3 if conductors == 3 else 1)
        volts = line_to_line_v if conductors == 2 else line_to_line_v / sqrt(3.0)
        named = None if phases == 3 else phases
        periods.append(Period(period.start_s, _tenths(period.limit * volts * phases), named, period.phase_to_use))
    return replace(profile, unit=RateUnit.W, periods=tuple(periods))
