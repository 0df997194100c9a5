"""The last gate before anything is sent (ems.md 6.1): re-adds every phase of every feeder and lowers what is too much.

Two sums must hold on every line (a phase of a feeder, or of a group with a cap there):
- *hold*: with every set-point obeyed, what cannot be commanded at what it may draw, and the likely base load;
- *rise*: with every EVSE at what it may draw now or at its set-point, the larger (at full rating where it starts and is
  known to surge), and the highest base load; where it does not hold, set-points that rise on that line fall back
  towards what is in force, and nothing else changes.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain

from domain.ids import EvseId, FeederId
from domain.site import NO_AMPS, Evse, PhaseAmps, Site
from ems.wiring import LoadedLine, Wiring

_SLACK_A = 1e-5
_HALVINGS = 12


@dataclass(frozen=True)
class Facts:
    """What the guard is told of the instant, all in A.

    `limit_a`: what a feeder may carry per phase now (usable, or a lower temporary limit). `hold_base_a`, `rise_base_a`:
    non-EV load through each feeder, for the two sums. `held_a`: EVSEs that cannot be commanded, at what they may draw;
    their set-points are left alone. `counted_a`: every EVSE at what it may draw now (the ledger's word).
    `in_force_a`: every EVSE's newest limit. `surge_a`: what those at 0 A may draw at first, given any current at all.
    """

    limit_a: Mapping[FeederId, float]
    hold_base_a: Mapping[FeederId, PhaseAmps]
    rise_base_a: Mapping[FeederId, PhaseAmps]
    held_a: Mapping[EvseId, float]
    counted_a: Mapping[EvseId, float]
    in_force_a: Mapping[EvseId, float]
    surge_a: Mapping[EvseId, float] = field(default_factory=dict)


def guard(
    wiring: Wiring, proposed_a: Mapping[EvseId, float], facts: Facts
) -> tuple[dict[EvseId, float], frozenset[EvseId]]:
    """The set-points that may go out, and those of them that had to be lowered (rounding is not counted).

    Guarantees: every line holds in the first sense, unless base load and EVSEs beyond command alone are above it (then
    every commandable EVSE on it gets 0), and no set-point rises on a line where the second does not hold. Every
    set-point is at most what was proposed, a multiple of 0.1 A rounded down, and 0 or at least the EVSE's minimum.
    Those in `held_a` are passed through.
    """
    evses = {evse.id: evse for evse in wiring.site.evses}
    limits = {
        evse: limit_a if evse in facts.held_a else rounded_down(limit_a, evses[evse].min_a)
        for evse, limit_a in proposed_a.items()
    }
    lowest = {evse: lowest_a(evses[evse]) for evse in limits}
    work = _Work(limits, lowest, wiring.site.electrical.model == "phasor", facts.surge_a)
    lines = tuple(chain.from_iterable(wiring.lines))
    in_force = {e: rounded_down(facts.in_force_a[e], evses[e].min_a) for e in limits if e not in facts.held_a}
    for line in lines:
        free = [e for e in line.alone_a if e not in facts.held_a and limits[e] > 0.0]
        work.lower(line, dict.fromkeys(free, 0.0), facts.held_a, _room_a(wiring.site, line, facts, facts.hold_base_a))
    for line in lines:
        rising = {e: in_force[e] for e in line.alone_a if e in in_force and limits[e] > in_force[e]}
        work.lower(line, rising, facts.counted_a, _room_a(wiring.site, line, facts, facts.rise_base_a), surging=True)
    return limits, frozenset(work.lowered)


def rounded_down(limit_a: float, min_a: float) -> float:
    """To a tenth of an ampere, down; what falls below the minimum, or is no number, is 0."""
    if not math.isfinite(limit_a):
        return 0.0
    tenths = math.floor(limit_a * 10.0 + 1e-6) / 10.0
    return tenths if tenths >= min_a - 1e-9 and tenths > 0.0 else 0.0


def lowest_a(evse: Evse) -> float:
    """The lowest set-point above 0 that the EVSE can be given: its minimum, rounded up to a tenth of an ampere."""
    return math.ceil(evse.min_a * 10.0 - 1e-6) / 10.0


def _room_a(site: Site, line: LoadedLine, facts: Facts, base_a: Mapping[FeederId, PhaseAmps]) -> float:
    """What EVSEs may draw on the line; a group's cap is not reduced by the base load, which is not of that group."""
    feeder = site.feeder(line.feeder)
    cap_a = {"ac": feeder.ac_limit_a, "dc": feeder.dc_limit_a}.get(line.group)
    if cap_a is not None:
        return cap_a
    return facts.limit_a[line.feeder] - base_a.get(line.feeder, NO_AMPS).get(line.phase, 0.0)


@dataclass
class _Work:
    """The set-points while they are being lowered."""

    limits: dict[EvseId, float]
    lowest: Mapping[EvseId, float]
    phasor: bool
    surge_a: Mapping[EvseId, float]
    lowered: set[EvseId] = field(default_factory=set)

    def lower(
        self,
        line: LoadedLine,
        off_a: Mapping[EvseId, float],
        counted_a: Mapping[EvseId, float],
        room_a: float,
        *,
        surging: bool = False,
    ) -> None:
        """Until the line holds: all of `off_a` alike towards their lowest, then, the last first, to `off_a` itself."""

        def holds(limits: Mapping[EvseId, float]) -> bool:
            draw_a = {e: max(counted_a.get(e, 0.0), limits.get(e, 0.0)) for e in line.alone_a}
            if surging:
                starting = (e for e in off_a if limits[e] > 0.0)
                draw_a |= {e: max(draw_a[e], self.surge_a.get(e, 0.0)) for e in starting}
            return line.current_a(draw_a, phasor=self.phasor) <= room_a + _SLACK_A

        if not off_a or holds(self.limits):
            return
        was = {evse: self.limits[evse] for evse in off_a}
        least = {evse: min(was[evse], max(off, self.lowest[evse])) for evse, off in off_a.items()}
        trial = dict(self.limits) | least
        if holds(trial):
            kept, tried = 0.0, 1.0
            for _ in range(_HALVINGS):
                middle = (kept + tried) / 2.0
                kept, tried = (middle, tried) if holds(trial | _between(least, was, middle)) else (kept, middle)
            trial |= _between(least, was, kept)
        else:
            for evse in reversed(list(off_a)):
                trial[evse] = off_a[evse]
                if holds(trial):
                    break
        self.limits.update({evse: trial[evse] for evse in off_a})
        self.lowered |= {evse for evse in off_a if self.limits[evse] < was[evse]}


def _between(least: Mapping[EvseId, float], most: Mapping[EvseId, float], share: float) -> dict[EvseId, float]:
    """Every one the same share of its way up, rounded down to a tenth."""
    return {e: max(low, rounded_down(low + share * (most[e] - low), 0.0)) for e, low in least.items()}
