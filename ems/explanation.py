"""A reason as one plain sentence for a resident: "P1-04: 9 A, panel p1 phase B is full"."""

from datetime import datetime, tzinfo
from functools import lru_cache

from domain.ids import EvseId, FeederId
from domain.setpoint import Reason, ReasonKind
from domain.site import Phase


def explain(evse: EvseId, limit_a: float, target_a: float, reason: Reason, now: datetime, timezone: tzinfo) -> str:
    """The sentence: who, how much, why, and what comes next. Times are the site's own."""
    told = _told(evse, limit_a, target_a, reason.kind, reason.feeder, reason.phase)
    return f"{told}, {_turn(reason, now, timezone)}" if reason.place is not None and limit_a == 0.0 else told


@lru_cache(maxsize=4096)
def _told(
    evse: EvseId, limit_a: float, target_a: float, kind: ReasonKind, feeder: FeederId | None, phase: Phase | None
) -> str:
    """All of it but what comes next: mostly the same from one decision to the next."""
    return f"{evse}: {amperes(limit_a)}, {_why(kind, feeder, phase, limit_a, target_a)}"


def amperes(current_a: float) -> str:
    """A current to a tenth, without a needless ".0"."""
    return f"{current_a:.1f}".removesuffix(".0") + " A"


def clock(at: datetime, now: datetime, timezone: tzinfo) -> str:
    """A time of day; with the weekday where it is another day."""
    local, today = at.astimezone(timezone), now.astimezone(timezone)
    return local.strftime("%H:%M" if local.date() == today.date() else "%a %H:%M")


_WHY = {
    ReasonKind.GRANTED: "all that this charger gives",
    ReasonKind.FEEDER_FULL: "{where} is full",
    ReasonKind.GROUP_FULL: "the chargers' own limit on {where} is reached",
    ReasonKind.WAITING: "{where} is full",
    ReasonKind.NO_SESSION: "no car is charging",
    ReasonKind.CAR_FULL: "the car takes no current now",
    ReasonKind.CSMS_LIMIT: "the charging service set this limit",
    ReasonKind.CAR_LIMIT: "all that this car takes",
    ReasonKind.SETTLING: "the charger has not confirmed its limit yet",
    ReasonKind.HOLDING: "kept as it is, a change would be too small or too soon",
    ReasonKind.STALE_METER: "the meter of {where} is silent and nothing may rise",
    ReasonKind.BASE_OVERLOAD: "the building alone overloads {where}",
    ReasonKind.UNTRUSTED: "the charger draws more than it was told and staff has been told",
    ReasonKind.NO_LINK: "no connection to the charger, it keeps its last or its fall-back limit",
    ReasonKind.WIRING_TEST: "the wiring is being tested for a few minutes",
    ReasonKind.FALLBACK: "safe fall-back while no better plan can be made",
}


def _why(kind: ReasonKind, feeder: FeederId | None, phase: Phase | None, limit_a: float, target_a: float) -> str:
    if kind is ReasonKind.SETTLING and target_a > limit_a:
        return f"{amperes(target_a)} as soon as others have come down"
    if kind is ReasonKind.WAITING and feeder is None:
        return "others have their turn"
    if kind is ReasonKind.CAR_FULL and limit_a > 0.0:
        return "kept ready for the car, which takes no current now"
    return _WHY[kind].format(where=_where(feeder, phase))


def _where(feeder: FeederId | None, phase: Phase | None) -> str:
    if feeder is None:
        return "the panel"
    return f"panel {feeder}" + (f" phase {phase}" if phase is not None else "")


def _turn(reason: Reason, now: datetime, timezone: tzinfo) -> str:
    if reason.next_turn_at is None:
        return f"place {reason.place} in the queue, no time can be promised"
    return f"next turn {clock(reason.next_turn_at, now, timezone)}"
