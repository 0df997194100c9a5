"""The fail-safe proof (ems.md section 6.5): what the building carries when every link is lost.

Without a link each EVSE ends at its fall-back current, and until then its last limit holds for the dead-man time. The
site is accepted only if on every phase of every feeder

    sum of fall-backs + largest base load over (dead-man + response time)  <=  usable rating.

A fall-back that no commissioning test has shown counts at full rating, unless the site accepts it in writing.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from domain.ids import EvseId, FeederId
from domain.site import NO_AMPS, PHASES, Evse, Feeder, Phase, PhaseAmps, Site
from ems.panel import compile_panel
from ems.problem import Panel, Row, Vector
from ems.wiring import through_magnitudes

_SLACK_A = 1e-6


@dataclass(frozen=True, slots=True)
class ProofLine:
    """One phase of a feeder, or of its AC or DC group where that has a cap.

    `failsafe_a` is the fall-backs' current there, `base_a` the largest non-EV load (None: not known).
    """

    feeder: FeederId
    phase: Phase
    failsafe_a: float
    base_a: float | None
    usable_a: float
    group: Literal["ac", "dc"] | None = None

    @property
    def spare_a(self) -> float:
        """What is left of the usable rating; negative where the proof fails, minus infinity for an unknown load."""
        return -np.inf if self.base_a is None else self.usable_a - self.base_a - self.failsafe_a

    @property
    def holds(self) -> bool:
        """Whether the fall-backs and the base load fit."""
        return self.spare_a >= -_SLACK_A

    def __str__(self) -> str:
        where = f"{self.feeder} phase {self.phase}" + (f" ({self.group} group)" if self.group else "")
        if self.base_a is None:
            return f"{where}: fall-backs {self.failsafe_a:.1f} A, base load not known: does not hold"
        sums = f"fall-backs {self.failsafe_a:.1f} A + base load {self.base_a:.1f} A of {self.usable_a:.1f} A"
        return f"{where}: {sums}: " + ("holds" if self.holds else f"does not hold by {-self.spare_a:.1f} A")


@dataclass(frozen=True, slots=True)
class Proof:
    """The proof, line by line, and what would mend it.

    `unproven`: EVSEs whose fall-back no test has shown; they count at full rating, or as written where `accepted`.
    `must_be_zero`: EVSEs whose fall-back must be 0 A for the proof to hold with every fall-back shown by test.
    `base_too_high`: lines that the base load alone is above, or where it is not known: no fall-back mends them.
    """

    lines: tuple[ProofLine, ...]
    unproven: tuple[EvseId, ...]
    accepted: bool
    must_be_zero: tuple[EvseId, ...]
    base_too_high: tuple[ProofLine, ...]

    @property
    def holds(self) -> bool:
        """Whether the site may be run."""
        return all(line.holds for line in self.lines)

    @property
    def failing(self) -> tuple[ProofLine, ...]:
        """The lines that do not hold."""
        return tuple(line for line in self.lines if not line.holds)


def prove(
    site: Site,
    base_max_a: Mapping[FeederId, PhaseAmps] | None = None,
    resumes_from_zero: Collection[EvseId] = (),
) -> Proof:
    """The proof for a site.

    `base_max_a`: upper quantile of each feeder's non-EV through-load (children included, its own amperes), of its
    maximum over the longest dead-man in force below it (hours, where a charger's memory wears) + response time. A
    metered feeder that it leaves out counts at its design load `base_load_max_a`, the most that it ever carries, which
    covers every dead-man; it fails with neither. A Dedicated feeder carries what its children carry.
    `resumes_from_zero`: EVSEs known to start again after 0 A; they are named first where fall-backs must be 0.
    """
    panel = compile_panel(site)
    unproven = tuple(evse.id for evse in site.evses if not evse.failsafe_proven)
    accepted = site.accept_unproven_failsafe
    counted_a = np.array([e.failsafe_a if e.failsafe_proven or accepted else e.max_a for e in site.evses])
    base_a = _through_loads(site, base_max_a or {})
    lines = tuple(_lines(site, panel, counted_a, base_a))
    bare = [replace(line, failsafe_a=0.0) for line in lines]
    return Proof(
        lines=lines,
        unproven=unproven,
        accepted=accepted,
        must_be_zero=_must_be_zero(site, panel, base_a, frozenset(resumes_from_zero)),
        base_too_high=tuple(line for line in bare if not line.holds),
    )


def render(proof: Proof) -> str:
    """The proof in plain words, one line a phase, and what to do where it does not hold."""
    text = [str(line) for line in proof.lines]
    if proof.unproven:
        names = ", ".join(proof.unproven)
        counted = "as written (accepted by the site)" if proof.accepted else "at full rating"
        text.append(f"fall-back not shown by test, counted {counted}: {names}")
    if proof.holds:
        return "\n".join([*text, "the fail-safe proof holds"])
    text.append("the fail-safe proof does not hold")
    for line in proof.base_too_high:
        if line.base_a is None:
            text.append(f"{line.feeder}: give base_load_max_a, the most it ever carries beside EVs")
        else:
            text.append(f"{line.feeder} phase {line.phase}: the base load alone is above {line.usable_a:.1f} A")
    if proof.must_be_zero:
        text.append(f"set failsafe_a: 0 for {', '.join(proof.must_be_zero)}")
    if proof.unproven and not proof.accepted:
        text.append(
            "show the fall-backs by test (failsafe_proven: true), or accept them in writing (accept_unproven_failsafe)"
        )
    return "\n".join(text)


def _lines(site: Site, panel: Panel, counted_a: Vector, base_a: Mapping[FeederId, PhaseAmps | None]) -> list[ProofLine]:
    """A line per phase that a feeder has, the worst facet of each; group caps after their feeder."""
    load_a = panel.load_a(counted_a)
    worst: dict[Row, float] = {}
    for row, ampere in zip(panel.rows, load_a.tolist(), strict=True):
        key = replace(row, facet=0)
        worst[key] = max(worst.get(key, 0.0), ampere)
    lines = []
    for feeder in site.feeders:
        base = base_a[feeder.id]
        for phase in PHASES:
            ev_a = worst.get(Row(feeder.id, phase), 0.0)
            if phase in feeder.phases or ev_a > 0.0:
                phase_a = None if base is None else base.get(phase, 0.0)
                lines.append(ProofLine(feeder.id, phase, ev_a, phase_a, feeder.usable_a))
        lines += [
            ProofLine(feeder.id, row.phase, ev_a, 0.0, cap_a, row.group)
            for row, ev_a in worst.items()
            if row.feeder == feeder.id and row.group and row.phase
            for cap_a in [feeder.ac_limit_a if row.group == "ac" else feeder.dc_limit_a]
            if cap_a is not None
        ]
    return lines


def _through_loads(site: Site, base_max_a: Mapping[FeederId, PhaseAmps]) -> dict[FeederId, PhaseAmps | None]:
    """The largest non-EV load through each feeder, None where a meter's load or a child's is not known."""
    known: dict[FeederId, PhaseAmps | None] = {}

    def through(feeder: Feeder) -> PhaseAmps | None:
        if feeder.id not in known:
            own = base_max_a.get(feeder.id, feeder.base_load_max_a)
            below = [(child, through(child)) for child in site.children(feeder.id)]
            known[feeder.id] = own if own is not None or feeder.meter is not None else _added(below)
        return known[feeder.id]

    through(site.root)
    return known


def _added(children: list[tuple[Feeder, PhaseAmps | None]]) -> PhaseAmps | None:
    total_a = dict(NO_AMPS)
    for child, load_a in children:
        if load_a is None:
            return None
        for phase, ampere in through_magnitudes(child, load_a).items():
            total_a[phase] = total_a.get(phase, 0.0) + ampere
    return total_a


def _must_be_zero(
    site: Site, panel: Panel, base_a: Mapping[FeederId, PhaseAmps | None], resumes: frozenset[EvseId]
) -> tuple[EvseId, ...]:
    """Keep fall-backs while they fit, EVSEs that may not wake up from 0 A first; the others must have none."""
    room_a = np.array(
        [_room_a(row, usable_a, base_a) for row, usable_a in zip(panel.rows, panel.usable_a, strict=True)]
    )
    dropped = set()
    for column, evse in sorted(enumerate(site.evses), key=lambda pair: pair[1].id in resumes):
        load_a = panel.matrix[:, column] * evse.failsafe_a
        if evse.failsafe_a > 0.0 and (load_a > room_a + _SLACK_A)[load_a > 0.0].any():
            dropped.add(evse.id)
        else:
            room_a -= load_a
    return tuple(_in_site_order(site, dropped))


def _room_a(row: Row, usable_a: float, base_a: Mapping[FeederId, PhaseAmps | None]) -> float:
    if row.group is not None:
        return float(usable_a)
    base = base_a[row.feeder]
    # An unknown load is no reason to name EVSEs: giving the load comes first.
    return float(usable_a) if base is None or row.phase is None else float(usable_a) - base.get(row.phase, 0.0)


def _in_site_order(site: Site, chosen: set[EvseId]) -> list[EvseId]:
    evses: tuple[Evse, ...] = site.evses
    return [evse.id for evse in evses if evse.id in chosen]
