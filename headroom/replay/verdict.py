"""A run in numbers, and whether it is a violation: an overload, a trip, or drivers who leave short of energy."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import numpy as np

from headroom.replay.day_grid import Grid
from headroom.replay.recording import Amps
from headroom.replay.shadow import Shadow

ENOUGH = 0.8
"""A stay is short of energy below this share of what its car could have taken alone at full power."""
MOST_SHORT = 0.05
"""More short stays than this part are a violation of service."""


def called(strategy: str) -> str:
    """A controller's name for people."""
    return "no control" if strategy == "none" else f"Headroom ({strategy})"


@dataclass(frozen=True)
class Numbers:
    """What the report says of a run; minutes are of the recording's time."""

    strategy: str
    stays: int
    energy_kwh: float
    possible_kwh: float
    cost: float
    overload_minutes: float
    base_overload_minutes: float
    breaker_trips: int
    max_loading: float
    worst_place: str
    longest_wait_minutes: float
    mean_wait_minutes: float
    waited_share: float
    short_share: float
    limited_share: float

    def as_json(self) -> dict[str, object]:
        """Rounded to what is meaningful."""
        return {name: round(value, 4) if isinstance(value, float) else value for name, value in vars(self).items()}


def numbers(run: Shadow, grid: Grid, price_per_kwh: Amps) -> Numbers:
    """Of a run; `price_per_kwh` has one value per step."""
    served = run.served
    hours = grid.step / timedelta(hours=1)
    waits = np.array([one.waited_s for one in served]) / 60.0
    worst = run.judge.worst
    return Numbers(
        strategy=run.name,
        stays=len(served),
        energy_kwh=sum(one.delivered_wh for one in served) / 1000.0,
        possible_kwh=sum(one.possible_wh for one in served) / 1000.0,
        cost=float((run.ev_w * price_per_kwh).sum() * hours / 1000.0),
        overload_minutes=run.judge.overload_s / 60.0,
        base_overload_minutes=run.judge.base_overload_s / 60.0,
        breaker_trips=int(run.judge.breakers.trips.sum()),
        max_loading=run.judge.max_loading,
        worst_place="" if worst is None else f"{worst.feeder} phase {worst.phase}, {worst.at:%Y-%m-%d %H:%M} UTC",
        longest_wait_minutes=max((one.longest_wait_s for one in served), default=0.0) / 60.0,
        mean_wait_minutes=float(waits.mean()) if served else 0.0,
        waited_share=float((waits > 0.0).mean()) if served else 0.0,
        short_share=short_share(run),
        limited_share=run.limited_steps / max(1, grid.steps),
    )


def short_share(run: Shadow) -> float:
    """Part of the stays that ended short of energy."""
    shares: Sequence[float] = [one.share for one in run.served]
    return float((np.array(shares) < ENOUGH).mean()) if shares else 0.0


def violation(run: Shadow) -> str | None:
    """Why a run is not acceptable, in words; None where it is."""
    judge = run.judge
    if judge.overload_s > 0.0:
        where = judge.first_overload
        place = "" if where is None else f", first at {where.feeder} phase {where.phase}"
        trips = int(judge.breakers.trips.sum())
        tripped = f"; breakers trip {trips} times" if trips else ""
        return f"overloaded for {judge.overload_s / 60.0:.0f} min{place}{tripped}"
    short = short_share(run)
    if short > MOST_SHORT:
        return f"{short:.0%} of the stays end with less than {ENOUGH:.0%} of what their cars could have taken"
    return None
