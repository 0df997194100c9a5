"""Which phases an EVSE is really on: a small step of its current, again and again, and what the feeder's meter saw.

While one EVSE goes back and forth between two currents, the meter reads a plateau at each. From plateau to plateau the
EVSE changes by dE and each phase by dI_p; r_p = dI_p / dE is about 1 on a phase that feeds it (a line-to-line load adds
at 30 degrees to the others' current, and theirs may lag: 0.6 to 1.1) and about 0 elsewhere. Steps up and down take
turns, so a building's slow drift cancels; what does not cancel shows as scatter.

Verdict: r_p of several steps has a mean and a standard error; by Student's t each phase gets a probability to respond
(mean in `RESPONDS`) and to be silent (mean in `SILENT`). Every set of phases that the EVSE can be wired to is judged by
the product over the phases, the empty set (it is not below this feeder at all) among them. One is believed if it has
`CERTAIN` of all, and itself explains what was seen by `EXPLAINS`; else the answer is `unknown`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import combinations, pairwise
from statistics import mean, stdev

from scipy import stats

from domain.ids import EvseId, FeederId
from domain.site import Evse, Feeder, Phase, PhaseAmps, Site

STEP_A = 4.0
"""How far the EVSE is lowered."""
FEWEST_STEPS, MOST_STEPS = 5, 14
CERTAIN = 0.99
EXPLAINS = 0.6
RESPONDS = (0.45, 1.25)
SILENT = (-0.3, 0.3)
FULL = 0.8
"""Of the usable rating: above this load on any phase of its path nothing is tried."""

_LEAST_ERROR = 0.03
_LEAST_CHANGE_A = 0.5


class Verdict(StrEnum):
    """What the steps say of the site file."""

    AS_WRITTEN = "as_written"
    WRONG = "wrong"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Plateau:
    """The EVSE's current per conductor and the feeder's per phase, A, each the mean of a few readings."""

    evse_a: float
    metered_a: PhaseAmps


@dataclass(frozen=True, slots=True)
class PhaseMapping:
    """What was found. `found`: the phases that answered, or None; empty: none did, so it is not below the feeder.

    `response` per phase: A seen there per A of the EVSE. `confidence`: of the phases named, among all that it could be.
    """

    evse: EvseId
    feeder: FeederId
    at: datetime
    verdict: Verdict
    written: tuple[Phase, ...]
    found: tuple[Phase, ...] | None
    response: PhaseAmps
    confidence: float
    steps: int

    @property
    def text(self) -> str:
        """One sentence for whoever has to look."""
        written = "-".join(self.written)
        if self.verdict is Verdict.AS_WRITTEN:
            return f"{self.evse} is wired to {written} of {self.feeder}, as written"
        if self.verdict is Verdict.UNKNOWN or self.found is None:
            return f"{self.evse}: {self.steps} steps of {self.feeder}'s meter do not tell its phases"
        if not self.found:
            return f"{self.evse} is written on {self.feeder} phases {written}, but no phase there follows it"
        seen = "-".join(self.found)
        return f"{self.evse} is written on phases {written} of {self.feeder}, but {seen} follow it"


def metered_feeder(site: Site, evse: Evse) -> Feeder | None:
    """The nearest feeder above an EVSE with a meter that sees its own phases: not through a transformer."""
    for feeder in site.path(evse.feeder):
        if feeder.meter is not None:
            return feeder
        if feeder.transformer is not None:
            return None
    return None


def judge(evse: Evse, feeder: Feeder, plateaus: Sequence[Plateau], at: datetime) -> PhaseMapping:
    """The verdict on an EVSE from its plateaus, in order of time. Pure.

    A three-phase EVSE whose car uses one conductor shows which phase is its L1; where all three answer, their order
    cannot be seen and counts as written.
    """
    ratios = _ratios(plateaus, feeder.phases)
    steps = len(next(iter(ratios.values()), ()))
    response = {phase: mean(values) if values else 0.0 for phase, values in ratios.items()}
    if steps < FEWEST_STEPS:
        return PhaseMapping(evse.id, feeder.id, at, Verdict.UNKNOWN, evse.phases, None, response, 0.0, steps)
    answers = {phase: _within(values, RESPONDS) for phase, values in ratios.items()}
    silences = {phase: _within(values, SILENT) for phase, values in ratios.items()}
    likely = {
        some: math.prod(answers[p] if p in some else silences[p] for p in feeder.phases)
        for some in _possible(evse, feeder)
    }
    best = max(likely, key=lambda some: (likely[some], some))
    total = sum(likely.values())
    confidence = likely[best] / total if total > 0.0 else 0.0
    if confidence < CERTAIN or likely[best] < EXPLAINS:
        return PhaseMapping(evse.id, feeder.id, at, Verdict.UNKNOWN, evse.phases, None, response, confidence, steps)
    verdict = Verdict.AS_WRITTEN if _agrees(evse, best) else Verdict.WRONG
    return PhaseMapping(evse.id, feeder.id, at, verdict, evse.phases, best, response, confidence, steps)


def is_done(mapping: PhaseMapping) -> bool:
    """Whether more steps are not needed, or not worth it."""
    return mapping.verdict is not Verdict.UNKNOWN or mapping.steps >= MOST_STEPS


def _ratios(plateaus: Sequence[Plateau], phases: Sequence[Phase]) -> dict[Phase, list[float]]:
    """Per phase, A per A of every step, averaged over neighbours: one up, one down, so drift cancels."""
    found: dict[Phase, list[float]] = {phase: [] for phase in phases}
    moved = [
        (after.evse_a - before.evse_a, before, after)
        for before, after in pairwise(plateaus)
        if abs(after.evse_a - before.evse_a) >= _LEAST_CHANGE_A
    ]
    singles = {
        phase: [(after.metered_a[phase] - before.metered_a[phase]) / change_a for change_a, before, after in moved]
        for phase in phases
    }
    for phase, values in singles.items():
        found[phase] = [(one + other) / 2.0 for one, other in pairwise(values)]
    return found


def _within(values: Sequence[float], interval: tuple[float, float]) -> float:
    """The probability that the mean behind some values lies in an interval."""
    error = max(stdev(values) / math.sqrt(len(values)), _LEAST_ERROR)
    # Neighbours share a plateau: about half of the values are independent.
    freedom = max(1, len(values) // 2)
    spread = stats.t(freedom, loc=mean(values), scale=error * math.sqrt(2.0))
    return float(spread.cdf(interval[1]) - spread.cdf(interval[0]))


def _possible(evse: Evse, feeder: Feeder) -> list[tuple[Phase, ...]]:
    """Every set of phases that could follow the EVSE: as many as its conductors, fewer for cars that use fewer."""
    sizes = range(1, 4) if evse.conductors == 3 else (evse.conductors,)
    return [(), *(some for size in sizes for some in combinations(feeder.phases, size))]


def _agrees(evse: Evse, found: tuple[Phase, ...]) -> bool:
    """Whether what was found is what the site file says: conductors are used from the first on."""
    return bool(found) and set(found) == set(evse.phases[: len(found)])


def has_room(metered_a: PhaseAmps, usable_a: float) -> bool:
    """Whether a feeder is far enough from its limit to be used for this."""
    return all(load_a <= FULL * usable_a for load_a in metered_a.values())


def means(readings: Sequence[Mapping[Phase, float]]) -> dict[Phase, float]:
    """The mean of a few readings, per phase."""
    return {phase: mean(reading[phase] for reading in readings) for phase in readings[0]}
