"""What an EVSE was drawing at an instant between its samples: an interval per conductor."""

import math
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from domain.ledger import LedgerEntry
from domain.metering import EvseSample
from domain.site import Evse
from ems.ledger import counted_a

LAG_S = 5.0
"""How far the clocks of meter and chargers may be apart."""
STALE_SAMPLES = 3.0
"""An EVSE that is silent for this many sample intervals is not metered."""

_SHORTEST_S, _LONGEST_S = 10.0, 300.0

Amps = tuple[float, ...]


@dataclass(frozen=True)
class EvseTrack:
    """What is known of one EVSE's draw lately.

    `samples`: oldest first, those of the last few minutes. `interval_s`: how far apart its samples come. `idle`: no car
    is connected, so that it draws nothing.
    """

    ledger: LedgerEntry
    samples: tuple[EvseSample, ...] = ()
    interval_s: float = 60.0
    idle: bool = False
    _told: dict[tuple[int, float], tuple[tuple[datetime, Amps], ...]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @cached_property
    def window_s(self) -> float:
        """One sample interval, kept within reason."""
        return min(max(self.interval_s, _SHORTEST_S), _LONGEST_S)

    @cached_property
    def newest_at(self) -> datetime | None:
        """When the newest sample that tells a current came."""
        return next((s.received_at for s in reversed(self.samples) if s.current_a is not None or s.line_a), None)

    def metered_until(self, now: datetime) -> datetime | None:
        """When the newest sample came; None for an EVSE without a car, never sampled or silent for too long."""
        newest = self.newest_at
        if newest is None or self.idle or (now - newest).total_seconds() > STALE_SAMPLES * self.window_s:
            return None
        return newest

    def told(self, evse: Evse, line_to_line_v: float) -> tuple[tuple[datetime, Amps], ...]:
        """When samples came that tell what each conductor of the track's EVSE drew, and that; worked out once."""
        key = (evse.conductors, line_to_line_v)
        known = self._told.get(key)
        if known is None:
            found = ((sample.received_at, conductor_a(evse, sample, line_to_line_v)) for sample in self.samples)
            known = self._told[key] = tuple((at, amps) for at, amps in found if amps is not None and _are_amps(amps))
        return known


def _are_amps(amps: Amps) -> bool:
    return all(math.isfinite(a) and a >= 0.0 for a in amps)


@dataclass(frozen=True, slots=True)
class Draw:
    """Lowest and highest current of every conductor, A."""

    low_a: Amps
    high_a: Amps


NO_DRAW = Draw((0.0, 0.0, 0.0), (0.0, 0.0, 0.0))
"""Of an EVSE without a car, whatever its conductors."""


def conductor_a(evse: Evse, sample: EvseSample, line_to_line_v: float) -> tuple[float, ...] | None:
    """What each conductor draws by a sample, A, in the order of `evse.phases`; None where it tells no current.

    Two legs carry the same current, the largest that is reported (never their sum). Of three, those reported per line
    are taken; else all alike unless the power contradicts: 1-phase cars load the first alone, 2-phase cars two.
    """
    if evse.conductors < 3:
        current_a = max([a for a in (sample.current_a, *sample.line_a) if a is not None], default=None)
        return None if current_a is None else (current_a,) * evse.conductors
    if len(sample.line_a) >= 3:
        return tuple(sample.line_a[:3])
    if sample.current_a is None:
        return None
    loaded = 3
    if sample.power_w is not None and sample.current_a > 0.0:
        loaded = round(sample.power_w * math.sqrt(3.0) / (line_to_line_v * sample.current_a))
    return tuple(sample.current_a if index < max(1, loaded) else 0.0 for index in range(3))


def draw_at(evse: Evse, track: EvseTrack | None, line_to_line_v: float, at: datetime, now: datetime) -> Draw:
    """What the EVSE may have been drawing at `at`, by all that is known at `now`.

    Where a sample came after: between the samples around `at` (those within the clocks' lag, and the next on either
    side). Else from min(newest sample, limit in force) to the highest that the ledger allows; a limit that was refused
    or is not obeyed is not in force. No sample before: from 0.
    """
    zero = (0.0,) * evse.conductors
    if track is None:
        return Draw(zero, (evse.max_a,) * evse.conductors)
    if track.idle:
        return Draw(zero, zero)
    allowed_a = counted_a(track.ledger, evse, now)
    fresh_s = STALE_SAMPLES * track.window_s + LAG_S
    found: list[tuple[float, Amps]] = []
    last_before, first_after = -math.inf, math.inf
    for came_at, amps in track.told(evse, line_to_line_v):
        since_s = (came_at - at).total_seconds()
        if since_s < -fresh_s:
            continue
        found.append((since_s, amps))
        if since_s < -LAG_S:
            last_before = max(last_before, since_s)
        elif since_s > LAG_S:
            first_after = min(first_after, since_s)
    if not found:
        return Draw(zero, (allowed_a,) * evse.conductors)
    around = [amps for since_s, amps in found if last_before <= since_s <= first_after]
    low = high = around[0]
    if any(amps != low for amps in around):
        low, high = (tuple(map(pick, zip(*around, strict=True))) for pick in (min, max))
    if all(since_s > 0.0 for since_s, _ in found):
        return Draw(zero, tuple(max(a, allowed_a) for a in high))
    if any(since_s >= 0.0 for since_s, _ in found):
        return Draw(low, high)
    obeyed = track.ledger.trusted and not track.ledger.refused
    in_force_a = track.ledger.limit_a if obeyed else allowed_a
    return Draw(tuple(min(a, in_force_a) for a in low), tuple(max(a, allowed_a) for a in high))
