"""What another limit or another strategy would do: the same decision code, asked about what is not so.

It runs in a thread and not in the solver's process: a question of a person must not delay a decision.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from domain.ids import DecisionId, EvseId
from domain.rotation import RotationState
from domain.setpoint import Decision
from domain.site import Phase, Site, Strategy
from domain.snapshot import SiteSnapshot, TemporaryLimit
from ems.decide import compile_plan, decide
from inventory.inputs import snapshot_of
from inventory.records import DecisionRecord

WORDS: Mapping[str, str] = {
    "milp": "the fairest split (milp)",
    "dro": "distributionally robust optimisation (dro)",
    "stackelberg": "the pricing game (stackelberg)",
    "so": "stochastic optimisation (so)",
    "ro": "robust optimisation (ro)",
    "equal": "equal sharing",
    "fcfs": "first come, first served",
    "none": "no sharing rule",
}
_NOTICED_A = 0.05


@dataclass(frozen=True, slots=True)
class Effect:
    """EV set-points per EVSE and their sums per phase of one feeder, before and after, A."""

    before_a: Mapping[EvseId, float]
    after_a: Mapping[EvseId, float]
    feeder_before_a: Mapping[Phase, float]
    feeder_after_a: Mapping[Phase, float]
    held: bool


async def preview(snapshot: SiteSnapshot, limit: TemporaryLimit) -> Effect:
    """What a limit would do if it began at once, once reductions have settled."""
    begun = replace(limit, starts_at=snapshot.at, ends_at=None)
    before, after = await asyncio.gather(
        asyncio.to_thread(_decide, snapshot), asyncio.to_thread(_decide, with_limit(snapshot, begun))
    )
    site, feeder = snapshot.site, snapshot.site.feeder(limit.feeder)
    before_a, after_a = targets(before), targets(after)
    below = site.evses_below(limit.feeder)

    def summed(amps: Mapping[EvseId, float]) -> dict[Phase, float]:
        return {phase: sum(amps[evse.id] for evse in below if phase in evse.phases) for phase in feeder.phases}

    after_sum = summed(after_a)
    base_a = snapshot.feeders[limit.feeder].base_likely_a
    held = all(
        after_sum[phase] + base_a.get(phase, 0.0) <= limit.limit_a + _NOTICED_A or after_sum[phase] < _NOTICED_A
        for phase in feeder.phases
    )
    return Effect(before_a, after_a, summed(before_a), after_sum, held)


async def alternatives(
    site: Site, record: DecisionRecord, rotation: RotationState, strategies: Sequence[Strategy]
) -> list[tuple[Strategy, Decision]]:
    """A decision's instant, decided by other strategies: from its stored inputs and the turns that it found."""
    snapshot = snapshot_of(site, record.inputs, rotation)
    return [
        (one, await asyncio.to_thread(_decide, replace(snapshot, site=replace(site, strategy=one))))
        for one in strategies
    ]


def with_limit(snapshot: SiteSnapshot, limit: TemporaryLimit) -> SiteSnapshot:
    """The same instant with one more limit."""
    return replace(snapshot, limits=(*snapshot.limits, limit))


def targets(decision: Decision) -> dict[EvseId, float]:
    """Where a decision wants each EVSE to go, A."""
    return {point.evse: point.target_a for point in decision.setpoints}


def sentence(strategy: Strategy, evse: EvseId, instead_a: float, was_a: float) -> str:
    """One sentence about one EVSE."""
    return f"With {WORDS[strategy]} {evse} would have been given {instead_a:.1f} A instead of {was_a:.1f} A."


def differs(one_a: float, other_a: float) -> bool:
    """Whether anybody would notice."""
    return abs(one_a - other_a) > _NOTICED_A


def _decide(snapshot: SiteSnapshot) -> Decision:
    return decide(
        snapshot, compile_plan(snapshot.site), snapshot.at, trigger="what if", decision_id=DecisionId("what-if")
    )
