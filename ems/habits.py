"""How an EVSE is used, from recorded stays: how likely a car is there in an hour of the day, and what it still takes.

The robust plan's availability of later steps (ems.md section 3): the present step is observed, the others are history.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo

import numpy as np

from domain.ids import EvseId
from ems.problem import Mask, Vector
from ems.scenarios import Array

DAY_H = 24
PRIOR_DAYS = 7.0
"""So many days of the prior count beside what was observed."""
PRIOR: Vector = np.where((np.arange(DAY_H) >= 8) & (np.arange(DAY_H) < 15), 0.2, 0.7)
"""A car is there 70 % of the time, 20 % from 08:00 to 15:00 (seed 004, table 5.1), where nothing is known."""
_LEAST_STAYS = 10
_MOST_LINKED = 0.99


@dataclass(frozen=True, slots=True)
class Stay:
    """A car's time at an EVSE; `ended_at` None while it is there. `energy_wh`: delivered in it."""

    evse: EvseId
    started_at: datetime
    ended_at: datetime | None
    energy_wh: float


@dataclass(frozen=True)
class Habits:
    """`there` [M, 24]: chance of a car per EVSE and hour of the day. `linked`: what presence in one hour tells of the
    next, 0 (nothing) to 1. `energies_wh`: of the stays that ended; empty where too few have.
    """

    there: Array
    linked: float
    energies_wh: Vector

    def chances(self, now: Mask, leaves_in: Vector, hours: Sequence[int]) -> Array:
        """[M, T] the chance of a car in each step: of an hour each, the present one first.

        c + (observed - c) linked^t: what is seen now counts less from step to step. `now`: who is there.
        `leaves_in` [M]: steps until the time that a driver has told, infinite where none has; until then the car is
        there, and from then on the place is as if it had been seen empty.
        """
        step = np.arange(len(hours), dtype=np.float64)[None, :]
        usual = self.there[:, np.asarray(hours) % DAY_H]
        told = np.isfinite(leaves_in)[:, None] & now[:, None]
        since = np.maximum(step - np.where(told, leaves_in[:, None], 0.0), 0.0)
        seen = np.where(told, 0.0, now[:, None].astype(np.float64))
        found = usual + (seen - usual) * self.linked**since
        return np.where(told & (step < leaves_in[:, None]), 1.0, found)

    def more_wh(self, delivered_wh: float) -> float:
        """What a car that has had so much is expected to take yet, Wh: the mean excess of the stays that took more.

        Infinite where too few stays are known; 0 where none took more.
        """
        if not self.energies_wh.size:
            return math.inf
        more = self.energies_wh[self.energies_wh > delivered_wh]
        return float(more.mean() - delivered_wh) if more.size else 0.0


def habits(
    stays: Sequence[Stay], evses: Sequence[EvseId], since: datetime, until: datetime, timezone: tzinfo
) -> Habits:
    """Habits of the EVSEs (M, in this order) from all their stays within [since, until).

    Args:
        stays: those of other EVSEs are left out; one that has not ended lasts until `until`.
        evses: the order of M.
        since: how far back the record reaches; before it nothing is known.
        until: now.
        timezone: of the hours of the day.
    """
    first = math.ceil(since.timestamp() / 3600)
    count = max(0, math.floor(until.timestamp() / 3600) - first)
    row = {evse: number for number, evse in enumerate(evses)}
    occupied = np.zeros((len(evses), count))
    for stay in stays:
        if stay.evse in row and count:
            begin = stay.started_at.timestamp() / 3600 - first
            end = (stay.ended_at or until).timestamp() / 3600 - first
            _occupy(occupied[row[stay.evse]], begin, end)
    np.minimum(occupied, 1.0, out=occupied)
    hour = np.array([datetime.fromtimestamp((first + n) * 3600, timezone).hour for n in range(count)], dtype=np.int64)
    there = np.empty((len(evses), DAY_H))
    for of_day in range(DAY_H):
        seen = occupied[:, hour == of_day]
        there[:, of_day] = (seen.sum(axis=1) + PRIOR_DAYS * PRIOR[of_day]) / (seen.shape[1] + PRIOR_DAYS)
    energies = np.array([stay.energy_wh for stay in stays if stay.ended_at is not None and stay.energy_wh > 0.0])
    enough = energies.size >= _LEAST_STAYS
    return Habits(there, _linked(occupied - there[:, hour]), energies if enough else np.empty(0))


def _occupy(hours: Vector, begin: float, end: float) -> None:
    """Add to each hour the part of it in [begin, end), in hours from the first one's start."""
    begin, end = max(begin, 0.0), min(end, float(hours.size))
    if end <= begin:
        return
    first, last = int(begin), min(int(end), hours.size - 1)
    edges = np.arange(first, last + 1, dtype=np.float64)
    hours[first : last + 1] += np.clip(np.minimum(edges + 1.0, end) - np.maximum(edges, begin), 0.0, 1.0)


def _linked(beside_usual: Array) -> float:
    """The correlation of one hour's presence with the next one's, over all EVSEs, beside what is usual."""
    power = float((beside_usual[:, :-1] ** 2).sum())
    if power <= 0.0:
        return 0.0
    return float(np.clip((beside_usual[:, :-1] * beside_usual[:, 1:]).sum() / power, 0.0, _MOST_LINKED))
