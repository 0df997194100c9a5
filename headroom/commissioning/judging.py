"""From what meters showed to verdicts. Pure: numbers in, verdicts with their reasons out.

Meter: the EVSE steps up and down, and r_p is how much each phase of the meter moves per ampere. About 1 is right;
a line-to-line load adds at an angle, which makes 0.6 to 1.25 of it (`ems.phase_mapping`).

Fall-back: what an EVSE draws without a link is told by nobody but the meter above it. Before and after, its charger
tells its current I, so the rest of the feeder is M - r I; meanwhile the EVSE draws (M - rest) / r. The rest is taken to
move evenly from before to after; how much it moved and how much it scatters is how far that may be wrong.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import mean, pstdev

from domain.site import Phase
from headroom.commissioning.record import Verdict

TOLERANCE_A = 0.5
"""What meters of a building and of a charger may differ by."""
DOUBT_A = 0.5
"""How much of that may be left open beyond it."""
RIGHT = (0.6, 1.25)
SILENT = 0.2
MOST_ERROR = 0.06
"""Of a ratio, A per A: at 32 A less than 2 A in what is told of a fall-back."""
FEWEST_READINGS = 3
FEWEST_STEPS = 3
_CLEAR_A = 3.0
"""How much more than its fall-back an EVSE must have drawn for a test to show anything."""


@dataclass(frozen=True, slots=True)
class Level:
    """The EVSE's current and its meter's, while both stood still. A."""

    drawn_a: float
    metered_a: Mapping[Phase, float]


@dataclass(frozen=True, slots=True)
class Judged:
    """A verdict with its sentence and its numbers."""

    verdict: Verdict
    text: str
    figures: Mapping[str, float] = field(default_factory=dict)


def judge_meter(levels: Sequence[Level], phases: Sequence[Phase]) -> Judged:
    """Whether the meter follows an EVSE on its own phases, the right way round and by the right amount."""
    steps = [(b.drawn_a - a.drawn_a, a, b) for a, b in pairwise(levels) if abs(b.drawn_a - a.drawn_a) >= 2.0]
    if len(steps) < FEWEST_STEPS:
        return Judged(Verdict.UNCLEAR, f"{len(steps)} steps of the EVSE's current were seen, {FEWEST_STEPS} are needed")
    seen = levels[0].metered_a
    ratio = {p: mean([(b.metered_a[p] - a.metered_a[p]) / moved_a for moved_a, a, b in steps]) for p in seen}
    spread = {
        p: pstdev([(b.metered_a[p] - a.metered_a[p]) / moved_a for moved_a, a, b in steps]) / math.sqrt(len(steps))
        for p in seen
    }
    figures = {f"ratio_{phase}": round(value, 3) for phase, value in ratio.items()}
    figures["error"] = round(max(spread.values()), 3)
    if figures["error"] > MOST_ERROR:
        return Judged(Verdict.UNCLEAR, "the building's own load moved too much meanwhile: try again", figures)
    answering = [phase for phase, value in ratio.items() if abs(value) > SILENT]
    wrong = [phase for phase in answering if phase not in phases]
    missing = [phase for phase in phases if phase not in answering]
    if wrong or (missing and len(answering) == 0):
        found = "-".join(answering) or "no phase"
        return Judged(
            Verdict.FAILED, f"it is written on {'-'.join(phases)}, and {found} followed it: phases are swapped", figures
        )
    own = {phase: ratio[phase] for phase in phases if phase in answering}
    if all(value < 0 for value in own.values()):
        return Judged(
            Verdict.FAILED, "the meter goes down when the load goes up: its transformers are reversed", figures
        )
    off = {phase: value for phase, value in own.items() if not RIGHT[0] <= value <= RIGHT[1]}
    if off:
        told = ", ".join(f"{phase}: {value:.2f} A per A" for phase, value in off.items())
        return Judged(Verdict.FAILED, f"the meter shows {told}: look at its scale and its transformers", figures)
    note = "" if not missing else f" (the car does not use {'-'.join(missing)})"
    told = ", ".join(f"{phase} {value:.2f}" for phase, value in own.items())
    return Judged(Verdict.PASSED, f"the meter follows on {told} A per A{note}", figures)


@dataclass(frozen=True, slots=True)
class Looks:
    """Readings of one part of a test: the meter's, less what other EVSEs drew, and the EVSE's own where it told it."""

    at_s: Sequence[float]
    metered_a: Sequence[Mapping[Phase, float]]
    drawn_a: Sequence[float]

    def rest(self, phase: Phase, ratio: float) -> list[float]:
        """The feeder without the EVSE."""
        told = zip(self.metered_a, self.drawn_a, strict=True)
        return [reading[phase] - ratio * drawn for reading, drawn in told]


@dataclass(frozen=True, slots=True)
class Absence:
    """A test of a fall-back. `ratio` per phase that the car uses, and its `error`; `watch_s`: how long to be seen."""

    before: Looks
    away: Looks
    after: Looks
    ratio: Mapping[Phase, float]
    allowed_a: float
    watch_s: float
    error: float = 0.0


def drawn_while_away(seen: Absence) -> list[float]:
    """The EVSE's current at each reading without a link, A: on the phase where it was largest."""
    begins_s, ends_s = mean(seen.before.at_s), mean(seen.after.at_s)
    rests = {p: (mean(seen.before.rest(p, r)), mean(seen.after.rest(p, r))) for p, r in seen.ratio.items()}

    def rest(phase: Phase, at_s: float) -> float:
        first_a, last_a = rests[phase]
        passed = min(1.0, max(0.0, (at_s - begins_s) / (ends_s - begins_s))) if ends_s > begins_s else 0.0
        return first_a + passed * (last_a - first_a)

    return [
        max((reading[phase] - rest(phase, at_s)) / ratio for phase, ratio in seen.ratio.items())
        for at_s, reading in zip(seen.away.at_s, seen.away.metered_a, strict=True)
    ]


def judge_absence(seen: Absence) -> Judged:
    """Whether an EVSE kept to its fall-back while its link was away; anything doubtful is unclear, not passed."""
    least = min(len(seen.before.at_s), len(seen.away.at_s), len(seen.after.at_s))
    span_s = seen.away.at_s[-1] - seen.away.at_s[0] if seen.away.at_s else 0.0
    if least < FEWEST_READINGS or span_s < 0.8 * seen.watch_s:
        told = f"{len(seen.away.at_s)} readings over {span_s:.0f} s of {seen.watch_s:.0f} s"
        return Judged(Verdict.UNCLEAR, f"not seen for long enough: {told}")
    drawn_a = drawn_while_away(seen)
    before_a, after_a, away_a = mean(seen.before.drawn_a), mean(seen.after.drawn_a), mean(drawn_a)
    margin_a = _margin_a(seen) + seen.error * abs((before_a + after_a) / 2.0 - away_a)
    figures = {
        "before_a": round(before_a, 2),
        "away_a": round(away_a, 2),
        "highest_a": round(max(drawn_a), 2),
        "margin_a": round(margin_a, 2),
        "after_a": round(after_a, 2),
        "allowed_a": seen.allowed_a,
        "seen_s": round(span_s, 0),
    }
    sentence = f"{away_a:.1f} A (give or take {margin_a:.1f} A) without its link, {seen.allowed_a:g} A allowed"
    limit_a = seen.allowed_a + TOLERANCE_A
    if away_a - margin_a > limit_a or _peaks(drawn_a, limit_a + margin_a):
        return Judged(Verdict.FAILED, f"it drew {sentence}, at most {max(drawn_a):.1f} A", figures)
    if before_a < seen.allowed_a + _CLEAR_A:
        return Judged(Verdict.UNCLEAR, f"it drew only {before_a:.1f} A before: that shows no fall-back", figures)
    if after_a < seen.allowed_a + _CLEAR_A / 2:
        return Judged(
            Verdict.UNCLEAR, f"it drew only {after_a:.1f} A afterwards: the car may have been done meanwhile", figures
        )
    if away_a > limit_a or away_a + margin_a > limit_a + DOUBT_A:
        return Judged(Verdict.UNCLEAR, f"{sentence}: the building's load moved too much, try again", figures)
    return Judged(Verdict.PASSED, f"it drew {sentence}, seen for {span_s:.0f} s", figures)


def _margin_a(seen: Absence) -> float:
    """How far the EVSE's current may be off: twice the rest's standard error, a quarter of how far it moved."""
    margins = []
    for phase, ratio in seen.ratio.items():
        before, after = seen.before.rest(phase, ratio), seen.after.rest(phase, ratio)
        spread_a = max(pstdev(before), pstdev(after))
        error_a = 2.0 * spread_a / math.sqrt(min(len(before), len(after)))
        margins.append((error_a + abs(mean(before) - mean(after)) / 4.0) / ratio)
    return max(margins)


def _peaks(drawn_a: Sequence[float], above_a: float) -> bool:
    """Two readings in a row well above: one may be a kettle."""
    return any(one > above_a + 1.0 and other > above_a + 1.0 for one, other in pairwise(drawn_a))
