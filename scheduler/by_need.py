"""Dynamic round robin where every driver has told when the car leaves and what it needs.

The promise is that of `scheduler.round_robin`, |G| - 1 slices, but turns do not change by the clock. A slice that is
used up only makes way when somebody's promise is due, which gives everybody the same share of time with far fewer
switches (contactors), and leaves the scheduler free to choose:

- *Who*: within a kind (same feeder, same phases) the least lax first (`scheduler.need`): those whose fair part of their
  need is most at risk. Who has a seat keeps it while no promise is due.
- *How many*: as many of each kind as its share of the panel feeds (`Share.seats`). Greedy turns can fill one pair of
  phases and leave the others half empty.
- *Who can wait does*: a car whose own hours, when nearly all others have left, are enough is left out while others can
  use the power. Its promise holds for it as for all: it gets a short turn in time.

Why the promise holds (constant capacity and members): waiting ones are cut, oldest first, into batches that fit
together, and each is seated early enough that those behind it are too, `min_on_s` apart. On one circuit there are at
most |G| - 1 of them. On a tree an unlucky order can need one more; then the promise takes a seat although its
contactor has just closed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from domain.ids import EvseId
from domain.rotation import RotationState, Turn
from domain.site import SchedulerSettings
from scheduler.batches import batches, components, group_sizes
from scheduler.contender import Admission, Contender, Fits, Share, WaitInfo
from scheduler.groups import slice_s
from scheduler.need import Need, is_known, outlook
from scheduler.queue import advance, on_for_s, refresh, seconds, settle

MIN_OFF_S = 60.0
"""One that lost its seat stays off this long, unless its promise is due."""
LEAD_S = 120.0
"""A seat is made free this long before the promise: who leaves it has to be seen to come down first."""

_LOOK_AGAIN_S = 1800.0
"""Time alone changes who is lax: as long as somebody could charge and does not, it is looked at again."""


def knows_all(contenders: Sequence[Contender], shares: Mapping[str, Share]) -> bool:
    """Whether turns can be taken by need: everybody on a contended circuit has told, and its kind has a share."""
    contended = [one for one in contenders if one.circuits and not one.pinned]
    return bool(contended) and all(is_known(one) and one.kind in shares for one in contended)


@dataclass(frozen=True)
class _Instant:
    """What is known at one instant. `waits_s`: the promise per component; `needs` of those on contended circuits."""

    by_id: Mapping[EvseId, Contender]
    turns: Mapping[EvseId, Turn]
    component: Mapping[EvseId, int]
    waits_s: Mapping[int, float]
    needs: Mapping[EvseId, Need]
    shares: Mapping[str, Share]
    min_on_s: float
    now: datetime

    def is_on(self, evse: EvseId) -> bool:
        """Whether it has a seat."""
        return self.turns[evse].admitted_since is not None

    def protected(self, evse: EvseId) -> bool:
        """Whether its contactor closed less than the minimum on-time ago."""
        return self.is_on(evse) and on_for_s(self.turns[evse], self.now) < self.min_on_s

    def rests(self, evse: EvseId) -> bool:
        """Whether its contactor opened less than the minimum off-time ago."""
        turn = self.turns[evse]
        off = turn.waiting_since is not None and turn.waiting_since > turn.joined_at
        return off and turn.waiting_since is not None and (self.now - turn.waiting_since).total_seconds() < MIN_OFF_S

    def promised_by(self, evse: EvseId) -> datetime:
        """When one that waits has a seat at the latest."""
        since = self.turns[evse].waiting_since or self.now
        return since + seconds(self.waits_s[self.component[evse]])


def round_robin_by_need(
    settings: SchedulerSettings,
    state: RotationState,
    contenders: Sequence[Contender],
    fits: Fits,
    shares: Mapping[str, Share],
    now: datetime,
) -> Admission:
    """Admit by promise first, then by need; see the module. Needs `knows_all`.

    Guarantees as `round_robin`: at constant capacity and members nobody who could be served alone waits beyond
    `promised_by`; a fall in capacity switches off at once; same state and instant, same answer. `Admission.pace` tells
    how fast each of those admitted must charge to get its part.
    """
    carried = dict(state.turns)
    advance(carried, state, frozenset(), frozenset(), now)
    order, turns = refresh(replace(state, turns=carried), contenders, settings.quantum_s, now)
    by_id = {contender.evse: contender for contender in contenders}
    active = [evse for evse in order if not by_id[evse].pinned]
    contended = [evse for evse in active if by_id[evse].circuits and fits((evse,))]
    component = components([by_id[evse] for evse in order])
    sizes = group_sizes(sorted(contended), by_id, component, fits)
    waits_s = {number: _longest_wait_s(settings, size) for number, size in sizes.items()}
    needs = _needs([by_id[evse] for evse in contended], shares, now)
    instant = _Instant(by_id, turns, component, waits_s, needs, shares, settings.min_on_s, now)
    latest = _latest(contended, instant, fits)
    free = tuple(evse for evse in active if not by_id[evse].circuits)
    on = (*free, *_seat(contended, instant, latest, fits))
    pinned_on = frozenset(evse for evse in order if by_id[evse].pinned and instant.is_on(evse))
    settled = settle(order, dict(turns), frozenset(on) | pinned_on, now)
    waiting = _waiting([evse for evse in active if evse not in set(on)], replace(instant, turns=settled), contended)
    wake = (
        _wake(on, latest, replace(instant, turns=settled))
        if waiting or any(_can_wait(e, instant) for e in on)
        else None
    )
    pace = {evse: needs[evse].pace_w for evse in on if evse in needs}
    return Admission(on, waiting, RotationState(tuple(order), settled, now), wake, pace)


def _longest_wait_s(settings: SchedulerSettings, size: int) -> float:
    """|G| - 1 slices; where all minima fit, what it would be if they just did not, for those that can wait."""
    groups = max(2, size)
    return (groups - 1) * slice_s(settings.quantum_s, settings.min_on_s, groups)


def _needs(members: Sequence[Contender], shares: Mapping[str, Share], now: datetime) -> dict[EvseId, Need]:
    of_kind: dict[str, list[Contender]] = {}
    for one in members:
        of_kind.setdefault(one.kind, []).append(one)
    found: dict[EvseId, Need] = {}
    for kind, some in of_kind.items():
        found |= outlook(some, shares[kind].power_w, now)
    return found


def _latest(contended: Sequence[EvseId], instant: _Instant, fits: Fits) -> dict[EvseId, datetime]:
    """Per waiting EVSE when it must be given a seat, so that its promise and those of all behind it are kept."""
    waiting = sorted(
        (evse for evse in contended if not instant.is_on(evse)), key=lambda evse: (instant.promised_by(evse), evse)
    )
    batch = batches(waiting, instant.by_id, fits)
    found: dict[EvseId, datetime] = {}
    at: dict[int, tuple[int, datetime]] = {}
    for evse in reversed(waiting):
        number = instant.component[evse]
        mine = instant.promised_by(evse) - seconds(LEAD_S)
        behind = at.get(number)
        if behind is not None:
            apart_s = max(0, behind[0] - batch[evse]) * (instant.min_on_s + LEAD_S)
            mine = min(mine, behind[1] - seconds(apart_s))
        at[number] = (batch[evse], mine)
        found[evse] = mine
    return found


def _seat(
    contended: Sequence[EvseId], instant: _Instant, latest: Mapping[EvseId, datetime], fits: Fits
) -> list[EvseId]:
    """Those whose promise has come, those protected, those due; then by need, a share of each kind."""
    held = _held(contended, instant, latest)
    seats: list[EvseId] = []
    fixed: list[EvseId] = []
    taken: dict[str, int] = {}
    soon = instant.now + seconds(instant.min_on_s + LEAD_S)
    coming = [evse for evse, at in latest.items() if at <= soon]

    def lasts(evse: EvseId) -> bool:
        """Whether a contactor that closes now may stay closed, beside those protected and those that are due soon."""
        return evse in coming or fits((*fixed, evse, *(one for one in coming if one not in fixed)))

    def take(some: Sequence[EvseId], *, shared: bool) -> None:
        for evse in some:
            kind = instant.by_id[evse].kind
            full = shared and taken.get(kind, 0) >= instant.shares[kind].seats
            closes = not instant.is_on(evse)
            if evse in seats or full or (shared and closes and not lasts(evse)) or not fits((*seats, evse)):
                continue
            seats.append(evse)
            taken[kind] = taken.get(kind, 0) + 1
            if closes or not shared:
                fixed.append(evse)

    due = sorted((e for e, at in latest.items() if at <= instant.now), key=lambda e: (instant.promised_by(e), e))
    # Seats are freed early enough for all, so this seldom takes one that is protected: a promise is worth a switch.
    take([e for e in due if instant.promised_by(e) - seconds(LEAD_S) <= instant.now], shared=False)
    take([evse for evse in contended if instant.protected(evse)], shared=False)
    take(due, shared=False)
    lax = sorted(contended, key=lambda evse: (not instant.is_on(evse), instant.needs[evse].laxity_h, evse))
    take([e for e in lax if e not in held and (instant.is_on(e) or not instant.rests(e))], shared=True)
    return seats


def _held(contended: Sequence[EvseId], instant: _Instant, latest: Mapping[EvseId, datetime]) -> set[EvseId]:
    """Those that can wait, the laxest first, as long as the rest of their kind can use all of its power."""
    able_w: dict[str, float] = {}
    for evse in contended:
        contender = instant.by_id[evse]
        able_w[contender.kind] = able_w.get(contender.kind, 0.0) + (contender.max_w or 0.0)
    found: set[EvseId] = set()
    for evse in sorted(contended, key=lambda evse: (-instant.needs[evse].laxity_h, evse)):
        contender = instant.by_id[evse]
        left_w = able_w[contender.kind] - (contender.max_w or 0.0)
        due = evse in latest and latest[evse] <= instant.now
        spared = left_w >= instant.shares[contender.kind].power_w and not due and not instant.protected(evse)
        if spared and instant.needs[evse].can_wait:
            found.add(evse)
            able_w[contender.kind] = left_w
    return found


def _waiting(waiting: Sequence[EvseId], instant: _Instant, contended: Sequence[EvseId]) -> dict[EvseId, WaitInfo]:
    """What everyone without a seat is told: the promise is the estimate, as turns come no earlier than they must."""
    servable = set(contended)
    found: dict[EvseId, WaitInfo] = {}
    places: dict[int, int] = {}
    promised = {evse: instant.promised_by(evse) for evse in waiting if evse in servable}
    for evse in sorted(waiting, key=lambda evse: (evse not in servable, promised.get(evse, instant.now), evse)):
        number = instant.component[evse]
        places[number] = places.get(number, 0) + 1
        found[evse] = WaitInfo(places[number], promised.get(evse), promised.get(evse))
    return found


def _wake(on: Sequence[EvseId], latest: Mapping[EvseId, datetime], instant: _Instant) -> datetime | None:
    """The next promise to be seen to, the end of a protection that somebody waits for, or half an hour."""
    seated = set(on)
    unseated = [at for evse, at in latest.items() if evse not in seated]
    instants = [at for at in unseated if at > instant.now] + [instant.now + seconds(_LOOK_AGAIN_S)]
    late = len(instants) <= len(unseated)
    for evse in on:
        begun = instant.turns[evse].admitted_since
        if begun is not None and instant.protected(evse) and (late or _can_wait(evse, instant)):
            instants.append(begun + seconds(instant.min_on_s))
    return min(instants)


def _can_wait(evse: EvseId, instant: _Instant) -> bool:
    need = instant.needs.get(evse)
    return need is not None and need.can_wait
