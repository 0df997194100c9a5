"""What each car still has to get from shared hours, so that all of a kind leave with the same part of what they need.

Cars of one kind (same feeder, same phases) share one power, so their hours can be planned as on a single line:

- *Own hours*: those in which so few of them are left that each can have its maximum. What a car can take then costs
  nobody anything; taken earlier it would cost the others, and be missing later, when nobody else can use the power.
- *Fair part* phi: the largest fraction of its need that every one of them can have by its departure, given what each
  has already (earliest departure first is feasible if anything is).
- *Contested* energy: what a car needs to reach phi beyond its own hours. Laxity is counted from that.

Cars still to come are not known; phi falls when they come.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from domain.ids import EvseId
from scheduler.contender import Contender

_HALVINGS = 14
_PART_OF_MAXIMUM = 1.0 / 3.0
"""Where hours are shared a car gets about this part of its maximum power: laxity counts energy at that rate."""
_LEAST_WH = 50.0
"""Contested energy below this is none; also the least that a pace is made of."""
_SOONEST_H = 0.05
_OVERSTAY_H = 1.0
"""One that is still there after it was to leave is taken to stay so long again: it must not be late for ever."""
_TINY_WH = 1e-6


@dataclass(frozen=True, slots=True)
class Need:
    """One car's outlook. `laxity_h`: spare hours, negative where it is late; `pace_w`: contested energy over its stay.

    `can_wait`: its own hours are enough to reach the fair part.
    """

    laxity_h: float
    pace_w: float
    can_wait: bool


def is_known(contender: Contender) -> bool:
    """Whether the driver has told when the car leaves and what it needs."""
    told = contender.departure_at is not None and contender.remaining_wh is not None
    return told and bool(contender.max_w)


def outlook(members: Sequence[Contender], power_w: float, now: datetime) -> dict[EvseId, Need]:
    """The needs of all cars of one kind that share `power_w`; for contenders that are `known`."""
    if not members:
        return {}
    by_departure = sorted(members, key=lambda one: (_left_h(one, now), one.evse))
    own_wh = _own_wh(by_departure, power_w, now)
    part = _fair_part(by_departure, power_w, now)
    found = {}
    for one in by_departure:
        wanted_wh = one.delivered_wh + (one.remaining_wh or 0.0)
        contested_wh = max(0.0, part * wanted_wh - one.delivered_wh - own_wh[one.evse])
        left_h, most_w = _left_h(one, now), one.max_w or 1.0
        found[one.evse] = Need(
            laxity_h=left_h - contested_wh / (most_w * _PART_OF_MAXIMUM),
            pace_w=max(_LEAST_WH, contested_wh) / max(_SOONEST_H, left_h),
            can_wait=contested_wh <= _LEAST_WH,
        )
    return found


def _own_wh(by_departure: Sequence[Contender], power_w: float, now: datetime) -> Mapping[EvseId, float]:
    """Per car the energy of the hours in which the last ones left can all have their maximum."""
    found = {one.evse: 0.0 for one in by_departure}
    total_w, last = 0.0, len(by_departure)
    while last and total_w + (by_departure[last - 1].max_w or 0.0) <= power_w + _TINY_WH:
        last -= 1
        total_w += by_departure[last].max_w or 0.0
    begins_h = _left_h(by_departure[last - 1], now) if last else 0.0
    for one in by_departure[last:]:
        found[one.evse] = (one.max_w or 0.0) * max(0.0, _left_h(one, now) - begins_h)
    return found


def _fair_part(by_departure: Sequence[Contender], power_w: float, now: datetime) -> float:
    """phi: by halving, as what fits at one fraction fits at every smaller one."""
    rows = [
        (_left_h(one, now), one.max_w or 0.0, one.delivered_wh, one.delivered_wh + (one.remaining_wh or 0.0))
        for one in by_departure
    ]

    def fits(part: float) -> bool:
        due_wh = 0.0
        for left_h, most_w, delivered_wh, wanted_wh in rows:
            due_wh += min(max(0.0, part * wanted_wh - delivered_wh), most_w * left_h)
            if due_wh > power_w * left_h + _TINY_WH:
                return False
        return True

    if fits(1.0):
        return 1.0
    low, high = 0.0, 1.0
    for _ in range(_HALVINGS):
        middle = (low + high) / 2.0
        low, high = (middle, high) if fits(middle) else (low, middle)
    return low


def _left_h(contender: Contender, now: datetime) -> float:
    assert contender.departure_at is not None
    left_h = (contender.departure_at - now).total_seconds() / 3600.0
    return left_h if left_h > 0.0 else _OVERSTAY_H
