"""One schedule that allows the minimum of what the EMS and the CSMS allow, at every instant (pure).

Source: local-controller.md section 3, item 3. Instants are in the charger's clock.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from proxy.protocol.composite import Allowed, Period

HORIZON = timedelta(days=7)
"""Beyond it the lowest limit of the CSMS's holds: schedules are renewed long before."""
_MOST_EDGES = 500

Step = tuple[datetime, float]
"""From this instant on so many A are ours to allow."""


@dataclass(frozen=True, slots=True)
class Csms:
    """What the CSMS allows: at an instant, until when, and the least ever (None: it limits nothing)."""

    allowed: Callable[[datetime], Allowed | None]
    edge: Callable[[datetime], datetime | None]
    floor: Allowed | None


@dataclass(frozen=True, slots=True)
class Merged:
    """The periods, counted from the schedule's start. From `exact_until` on they may allow less than the minimum."""

    periods: tuple[Period, ...]
    exact_until: datetime | None = None


def merge(
    ours: Sequence[Step], csms: Csms, start: datetime, now: datetime, most: int, written: Callable[[float], float]
) -> Merged:
    """The merged schedule from `start`, where it allows until `now` what it allows at `now`.

    Args:
        ours: what the EMS allows, in order; the first step holds at `now`.
        csms: what the CSMS allows.
        start: startSchedule; `now` is not before it.
        now: the present.
        most: how many periods the charger takes, at least one more than `ours` has.
        written: a limit as it may be written: rounded down, and 0 where it is below the EVSE's minimum.

    Guarantees that no instant allows more than either side; where `most` does not suffice the last period holds the
    least that either side allows afterwards.
    """

    def value(at: datetime) -> Allowed:
        ems_a = [amps for since, amps in ours if since <= at][-1:] or [ours[0][1]]
        theirs = csms.allowed(at)
        if theirs is None:
            return Allowed(written(ems_a[0]))
        return Allowed(written(min(ems_a[0], theirs.amps)), theirs.phases, theirs.phase_to_use)

    edges, unseen = _edges(ours, csms, now)
    points: list[tuple[int, Allowed]] = [(0, value(now))]
    for index, edge in enumerate(edges):
        new, old = value(edge), points[-1][1]
        if new == old:
            continue
        more = unseen is not None or any(value(later) != new for later in edges[index + 1 :])
        if len(points) + 1 >= most and more:
            return _with_tail(points, edge, start, ours, csms, written)
        points.append((_offset_s(start, edge, lower=new.amps <= old.amps), new))
    if unseen is not None:
        return _with_tail(points, unseen, start, ours, csms, written)
    return Merged(_periods(points))


def _edges(ours: Sequence[Step], csms: Csms, now: datetime) -> tuple[list[datetime], datetime | None]:
    """The instants after `now` at which either side may change its mind, and the first at which nobody looked."""
    found = [since for since, _ in ours if since > now]
    end = now + HORIZON
    ceiling_a = max(amps for _, amps in ours)
    if csms.floor is None or (csms.floor.amps >= ceiling_a and csms.floor.phases is None):
        return found, None
    at = csms.edge(now)
    while at is not None and at <= end and len(found) < _MOST_EDGES:
        found.append(at)
        at = csms.edge(at)
    return sorted(set(found)), at


def _with_tail(
    points: list[tuple[int, Allowed]],
    since: datetime,
    start: datetime,
    ours: Sequence[Step],
    csms: Csms,
    written: Callable[[float], float],
) -> Merged:
    """From `since` on the least of everything."""
    later_a = [amps for at, amps in ours if at > since] + [amps for at, amps in ours if at <= since][-1:]
    least = Allowed(written(min(later_a)))
    if csms.floor is not None:
        least = Allowed(written(min(*later_a, csms.floor.amps)), csms.floor.phases, csms.floor.phase_to_use)
    if least != points[-1][1]:
        points = [*points, (_offset_s(start, since, lower=True), least)]
    return Merged(_periods(points), since)


def _offset_s(start: datetime, at: datetime, *, lower: bool) -> int:
    """Whole seconds: a lowering never comes late, a rise never early."""
    seconds = (at - start).total_seconds()
    return max(1, math.floor(seconds) if lower else math.ceil(seconds))


def _periods(points: Sequence[tuple[int, Allowed]]) -> tuple[Period, ...]:
    """Of two points at one second the lower limit holds."""
    by_second: dict[int, Allowed] = {}
    for second, allowed in points:
        before = by_second.get(second)
        by_second[second] = allowed if before is None or allowed.amps <= before.amps else before
    return tuple(Period(second, one.amps, one.phases, one.phase_to_use) for second, one in sorted(by_second.items()))
