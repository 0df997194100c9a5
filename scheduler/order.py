"""The schedulers that are one sorted queue: FCFS, regular, earliest deadline first, least laxity first, none."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, tzinfo

from domain.ids import EvseId
from domain.rotation import RotationState, Turn
from domain.site import SchedulerSettings
from scheduler.contender import Admission, Contender, Fits, WaitInfo
from scheduler.queue import advance, on_for_s, refresh, seconds, settle

Key = Callable[[Contender, Turn], tuple[object, ...]]

_NIGHT_BEGINS_H, _NIGHT_ENDS_H = 1, 6


def everyone(state: RotationState, contenders: Sequence[Contender], now: datetime) -> Admission:
    """`none`: all who ask are admitted; the strategy decides who is on."""
    return in_order(state, contenders, lambda _: True, now, lambda contender, _: (contender.since, contender.evse))


def fcfs(state: RotationState, contenders: Sequence[Contender], fits: Fits, now: datetime) -> Admission:
    """First come, first served: by the time of asking; who has a place keeps it until it leaves or is full."""
    return in_order(state, contenders, fits, now, lambda contender, _: (contender.since, contender.evse))


def edf(
    settings: SchedulerSettings, state: RotationState, contenders: Sequence[Contender], fits: Fits, now: datetime
) -> Admission:
    """Earliest departure first; those without a known departure last, by time of asking. Keeps minimum on-times."""
    far = datetime.max.replace(tzinfo=now.tzinfo)

    def key(contender: Contender, turn: Turn) -> tuple[object, ...]:
        return not _protected(turn, settings, now), contender.departure_at or far, contender.since, contender.evse

    return in_order(state, contenders, fits, now, key, _protection_ends(settings, now))


def llf(
    settings: SchedulerSettings, state: RotationState, contenders: Sequence[Contender], fits: Fits, now: datetime
) -> Admission:
    """Least laxity first: (departure - now) - remaining energy / maximum power. Keeps minimum on-times.

    A car of unknown departure or energy has unlimited laxity: it comes last, by time of asking.
    """

    def key(contender: Contender, turn: Turn) -> tuple[object, ...]:
        return not _protected(turn, settings, now), _laxity_s(contender, now), contender.since, contender.evse

    return in_order(state, contenders, fits, now, key, _protection_ends(settings, now))


def regular(
    state: RotationState, contenders: Sequence[Contender], fits: Fits, now: datetime, timezone: tzinfo
) -> Admission:
    """Fixed spots (004 section 3.2): the earliest arrival takes a free one and keeps it; the others reserve the next.

    Nobody moves a car at night: from 01:00 to 06:00 local time one that was already waiting is not called.
    """
    night = _NIGHT_BEGINS_H <= now.astimezone(timezone).hour < _NIGHT_ENDS_H
    asleep = frozenset(evse for evse in state.order if night and state.turns[evse].admitted_since is None)

    def key(contender: Contender, turn: Turn) -> tuple[object, ...]:
        return turn.admitted_since is None, contender.since, contender.evse

    return in_order(state, contenders, lambda some: asleep.isdisjoint(some) and fits(some), now, key)


def in_order(
    state: RotationState,
    contenders: Sequence[Contender],
    fits: Fits,
    now: datetime,
    key: Key,
    protection_ends: Callable[[Turn], datetime | None] = lambda _: None,
) -> Admission:
    """Admit greedily in the order of `key`. Nothing is promised to those who wait."""
    carried = dict(state.turns)
    advance(carried, state, frozenset(), frozenset(), now)
    order, turns = refresh(replace(state, turns=carried), contenders, 0.0, now)
    by_id = {contender.evse: contender for contender in contenders}
    order.sort(key=lambda evse: key(by_id[evse], turns[evse]))
    admitted: tuple[EvseId, ...] = ()
    waiting: dict[EvseId, WaitInfo] = {}
    for evse in order:
        if by_id[evse].pinned:
            continue
        if fits((*admitted, evse)):
            admitted = (*admitted, evse)
        else:
            waiting[evse] = WaitInfo(len(waiting) + 1)
    pinned_on = frozenset(e for e in order if by_id[e].pinned and turns[e].admitted_since is not None)
    settled = settle(order, turns, frozenset(admitted) | pinned_on, now)
    ends = [end for evse in admitted if waiting and (end := protection_ends(settled[evse])) is not None]
    return Admission(admitted, waiting, RotationState(tuple(order), settled, now), min(ends, default=None))


def _laxity_s(contender: Contender, now: datetime) -> float:
    if contender.departure_at is None or contender.remaining_wh is None or not contender.max_w:
        return float("inf")
    return (contender.departure_at - now).total_seconds() - 3600.0 * contender.remaining_wh / contender.max_w


def _protected(turn: Turn, settings: SchedulerSettings, now: datetime) -> bool:
    return turn.admitted_since is not None and on_for_s(turn, now) < settings.min_on_s


def _protection_ends(settings: SchedulerSettings, now: datetime) -> Callable[[Turn], datetime | None]:
    def ends(turn: Turn) -> datetime | None:
        end = None if turn.admitted_since is None else turn.admitted_since + seconds(settings.min_on_s)
        return end if end is not None and end > now else None

    return ends
