"""Bookkeeping of the queue that every scheduler shares: who joins, who leaves, how much of a turn is used."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from domain.ids import EvseId
from domain.rotation import RotationState, Turn
from scheduler.contender import Contender


def refresh(
    state: RotationState, contenders: Sequence[Contender], forget_after_s: float, now: datetime
) -> tuple[list[EvseId], dict[EvseId, Turn]]:
    """The order with those gone taken out and the new ones at the back, and everybody's turn.

    The turn of one that left is kept for `forget_after_s`, outside the order and with `waiting_since` = when it left:
    one that comes back goes to the back of the queue and keeps `used_s`, so that a re-plug gains nothing.
    """
    present = {contender.evse for contender in contenders}
    order = [evse for evse in state.order if evse in present]
    queued = set(order)
    turns: dict[EvseId, Turn] = {}
    for evse, turn in state.turns.items():
        if evse in queued:
            turns[evse] = turn
        elif evse in state.order:
            turns[evse] = replace(turn, admitted_since=None, waiting_since=now)
        elif turn.waiting_since is not None and (now - turn.waiting_since).total_seconds() < forget_after_s:
            turns[evse] = turn
    for contender in sorted(contenders, key=lambda one: (one.since, one.evse)):
        if contender.evse not in queued:
            order.append(contender.evse)
            left = turns.get(contender.evse)
            used_s = left.used_s if left is not None else 0.0
            turns[contender.evse] = Turn(joined_at=now, waiting_since=now, used_s=used_s)
    return order, turns


def advance(
    turns: dict[EvseId, Turn],
    state: RotationState,
    guests: frozenset[EvseId],
    holding: frozenset[EvseId],
    now: datetime,
) -> None:
    """Credit the time since the last call: served to those admitted, used to those who used their own turn.

    `guests` use a place that is nobody's; it costs them nothing. `holding` keep a place without current.
    """
    if state.updated_at is None:
        return
    elapsed_s = max(0.0, (now - state.updated_at).total_seconds())
    for evse in state.order:
        turn = turns.get(evse)
        if turn is None:
            continue
        served_s = elapsed_s if turn.admitted_since is not None else 0.0
        used_s = elapsed_s if (served_s or evse in holding) and evse not in guests else 0.0
        if served_s or used_s:
            turns[evse] = replace(turn, used_s=turn.used_s + used_s, served_s=turn.served_s + served_s)


def settle(
    order: Iterable[EvseId], turns: dict[EvseId, Turn], on: frozenset[EvseId], now: datetime
) -> Mapping[EvseId, Turn]:
    """Mark who is admitted from now on and who waits."""
    for evse in order:
        turn = turns[evse]
        if evse in on and turn.admitted_since is None:
            turns[evse] = replace(turn, admitted_since=now, waiting_since=None)
        elif evse not in on and turn.waiting_since is None:
            turns[evse] = replace(turn, admitted_since=None, waiting_since=now)
    return turns


def on_for_s(turn: Turn, now: datetime) -> float:
    """How long it has been charging without a break, in seconds; 0 if it is not."""
    return 0.0 if turn.admitted_since is None else (now - turn.admitted_since).total_seconds()


def seconds(value_s: float) -> timedelta:
    """A duration of `value_s`."""
    return timedelta(seconds=value_s)
