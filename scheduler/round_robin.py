"""Dynamic round robin, live: the rotation is an order, in which EVSEs are admitted while the minima fit.

The thesis (004 section 3.1, algorithm 1) cuts E members into q groups and lets one of each charge. On a panel tree "one
of each group" can be infeasible, so here q is what fits: the queue is cut, from the front, into *batches* that fit
together, each member going to the first batch that has room and is not before the batch of anybody ahead of it on the
same circuit. On one circuit with equal minima there are ceil(E / q) = |G| batches, the size of the thesis's groups.

Why the bound holds (constant capacity and members): whoever is ahead of a member of batch k on its circuits is in batch
k or earlier. Batch 1 is admitted at once and has used up its slice after one slice, which sends it to the back; then
batch 2 fits, and so on: a member of batch k waits at most k - 1 slices. EVSEs behind a waiting one may use what it
cannot (*guests*): a guest's time is not counted, and it yields as soon as the one ahead fits.

Differences from the seed: q is found, not given, and differs by panel; groups are batches that fit and not a fixed cut
(eq. 3.1's floor form contradicts table 6.1, see `scheduler.groups`); a slice is never shorter than the minimum on-time;
elapsed time in a slice survives a re-plug; every waiting one is told a bound. Where drivers have told what they need,
`scheduler.by_need` keeps the same bound and chooses whom to serve.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from domain.ids import EvseId
from domain.rotation import RotationState, Turn
from domain.site import SchedulerSettings
from scheduler.batches import batches, components, group_sizes
from scheduler.contender import Admission, Contender, Fits, WaitInfo
from scheduler.groups import slice_s
from scheduler.queue import advance, refresh, seconds, settle

MIN_OFF_S = 60.0
"""One that lost its place in mid-slice (capacity fell) stays off this long; it keeps the place and its slice runs."""

_EPSILON_S = 1e-3


@dataclass(frozen=True)
class _Round:
    """The queue at one instant. `component` numbers the sets of members that may stand in each other's way."""

    by_id: Mapping[EvseId, Contender]
    turns: dict[EvseId, Turn]
    servable: frozenset[EvseId]
    component: Mapping[EvseId, int]
    slice_s: Mapping[EvseId, float]
    now: datetime

    def rivals(self, one: EvseId, other: EvseId) -> bool:
        """Whether two members share a contended circuit."""
        return not self.by_id[one].circuits.isdisjoint(self.by_id[other].circuits)

    def remaining_s(self, evse: EvseId) -> float:
        """What is left of a member's slice."""
        return max(0.0, self.slice_s[evse] - self.turns[evse].used_s)

    def holds_place(self, evse: EvseId) -> bool:
        """Whether it lost its current in mid-slice, less than the minimum off-time ago."""
        turn = self.turns[evse]
        return (
            turn.used_s > 0.0
            and turn.waiting_since is not None
            and turn.waiting_since > turn.joined_at
            and (self.now - turn.waiting_since).total_seconds() < MIN_OFF_S
        )


@dataclass(frozen=True)
class _Seats:
    """Who got a place: `occupied` includes those who only hold one; `guests` are a part of `on`."""

    occupied: tuple[EvseId, ...]
    on: tuple[EvseId, ...]
    guests: frozenset[EvseId]
    blocked: tuple[EvseId, ...]


def round_robin(
    settings: SchedulerSettings,
    state: RotationState,
    contenders: Sequence[Contender],
    fits: Fits,
    now: datetime,
) -> Admission:
    """Admit in the order of the rotation; send to the back whose slice is used up while a rival waits.

    Guarantees, at constant capacity and members: nobody who could be served alone waits longer than its `promised_by`,
    which is at most (batches - 1) slices away (but for the minimum off-time of one that lost its place in mid-slice).
    A fall in capacity switches off at once, from the back of the queue. Same state and instant, same answer.
    """
    by_id = {contender.evse: contender for contender in contenders}
    carried = dict(state.turns)
    guests, holding = _unpaid(state, by_id, fits)
    advance(carried, state, guests, holding, now)
    order, turns = refresh(replace(state, turns=carried), contenders, settings.quantum_s, now)
    active = tuple(evse for evse in order if not by_id[evse].pinned)
    servable = frozenset(evse for evse in active if not by_id[evse].circuits or fits((evse,)))
    component = components([by_id[evse] for evse in order])
    sizes = group_sizes(sorted(servable), by_id, component, fits)
    slices = {evse: slice_s(settings.quantum_s, settings.min_on_s, sizes.get(component[evse], 1)) for evse in order}
    queue = _Round(by_id, turns, servable, component, slices, now)
    order = _rotate(order, queue)
    seats = _seat(order, queue, fits, settings.min_on_s)
    pinned_on = frozenset(e for e in order if by_id[e].pinned and turns[e].admitted_since is not None)
    settled = settle(order, turns, frozenset(seats.on) | pinned_on, now)
    waiting = _waiting(order, queue, seats, fits)
    return Admission(seats.on, waiting, RotationState(tuple(order), settled, now), _wake(queue, seats, waiting))


def _unpaid(
    state: RotationState, by_id: Mapping[EvseId, Contender], fits: Fits
) -> tuple[frozenset[EvseId], frozenset[EvseId]]:
    """Since the last call: guests (admitted behind a blocked rival), and those that held a place without current."""
    guests: set[EvseId] = set()
    holding: set[EvseId] = set()
    blocked: list[frozenset[str]] = []
    for evse in state.order:
        contender, turn = by_id.get(evse), state.turns[evse]
        if contender is None or contender.pinned:
            continue
        if turn.admitted_since is not None:
            if any(not contender.circuits.isdisjoint(circuits) for circuits in blocked):
                guests.add(evse)
        elif _was_holding(turn, state.updated_at):
            holding.add(evse)
        elif contender.circuits and fits((evse,)):
            blocked.append(contender.circuits)
    return frozenset(guests), frozenset(holding)


def _was_holding(turn: Turn, at: datetime | None) -> bool:
    if at is None or turn.waiting_since is None or turn.used_s <= 0.0 or turn.waiting_since <= turn.joined_at:
        return False
    return (at - turn.waiting_since).total_seconds() < MIN_OFF_S


def _rotate(order: list[EvseId], queue: _Round) -> list[EvseId]:
    """Send to the back, in order, those whose slice is used up while a member of their component waits."""
    thirsty = {
        queue.component[evse] for evse in order if evse in queue.servable and queue.turns[evse].admitted_since is None
    }
    spent = [
        evse
        for evse in order
        if queue.component[evse] in thirsty and queue.remaining_s(evse) <= _EPSILON_S and queue.by_id[evse].circuits
    ]
    for evse in spent:
        queue.turns[evse] = replace(queue.turns[evse], used_s=0.0)
    gone = set(spent)
    return [evse for evse in order if evse not in gone] + spent


def _seat(order: Sequence[EvseId], queue: _Round, fits: Fits, min_on_s: float) -> _Seats:
    """Go through the queue once, front first, and give a place to everyone who still fits."""
    occupied: list[EvseId] = []
    on: list[EvseId] = []
    guests: set[EvseId] = set()
    blocked: list[EvseId] = []
    for evse in order:
        if evse not in queue.servable:
            continue
        if not queue.by_id[evse].circuits:
            if not queue.holds_place(evse):
                on.append(evse)
            continue
        ahead = [one for one in blocked if queue.rivals(one, evse)]
        is_on = queue.turns[evse].admitted_since is not None
        room = fits((*occupied, evse))
        if ahead and room and not is_on:
            # A guest's contactor closes only if it may stay closed: nobody on a rival's circuits ends a slice soon.
            seated = [one for one in occupied if one not in guests and any(queue.rivals(one, b) for b in ahead)]
            room = all(queue.remaining_s(one) >= min_on_s for one in seated)
        if not room:
            blocked.append(evse)
            continue
        occupied.append(evse)
        if ahead:
            guests.add(evse)
        if not queue.holds_place(evse):
            on.append(evse)
    return _Seats(tuple(occupied), tuple(on), frozenset(guests), tuple(blocked))


def _waiting(order: Sequence[EvseId], queue: _Round, seats: _Seats, fits: Fits) -> dict[EvseId, WaitInfo]:
    """What everyone without current is told."""
    charging = set(seats.on)
    waiting = [evse for evse in order if evse not in charging and not queue.by_id[evse].pinned]
    if not waiting:
        return {}
    batch = batches([evse for evse in order if evse in queue.servable], queue.by_id, fits)
    first_end_s: dict[int, float] = {}
    for evse in seats.occupied:
        if batch[evse] == 1:
            number = queue.component[evse]
            first_end_s[number] = max(first_end_s.get(number, 0.0), queue.remaining_s(evse))
    estimates = _estimates_s(queue, seats)
    places: dict[int, int] = {}
    found: dict[EvseId, WaitInfo] = {}
    for evse in waiting:
        number = queue.component[evse]
        places[number] = places.get(number, 0) + 1
        if evse not in queue.servable:
            found[evse] = WaitInfo(places[number])
            continue
        turn = queue.turns[evse]
        bound_s = 0.0 if batch[evse] == 1 else first_end_s.get(number, 0.0) + (batch[evse] - 2) * queue.slice_s[evse]
        promised_by = queue.now + seconds(bound_s)
        if queue.holds_place(evse) and turn.waiting_since is not None:
            promised_by = max(promised_by, turn.waiting_since + seconds(MIN_OFF_S))
            found[evse] = WaitInfo(places[number], promised_by, promised_by)
            continue
        estimate = queue.now + seconds(estimates.get(evse, 0.0))
        found[evse] = WaitInfo(places[number], min(estimate, promised_by), promised_by)
    return found


def _estimates_s(queue: _Round, seats: _Seats) -> dict[EvseId, float]:
    """When a seat comes free, if every circuit's seats are alike: the j-th to wait takes the j-th seat to be left."""
    ends_s: dict[str, list[float]] = {}
    for evse in seats.occupied:
        if evse not in seats.guests:
            for circuit in queue.by_id[evse].circuits:
                ends_s.setdefault(circuit, []).append(queue.remaining_s(evse))
    for ends in ends_s.values():
        ends.sort()
    ahead: dict[str, int] = {}
    found: dict[EvseId, float] = {}
    for evse in seats.blocked:
        latest_s = 0.0
        for circuit in queue.by_id[evse].circuits:
            rank = ahead.get(circuit, 0)
            ahead[circuit] = rank + 1
            seats_end_s = ends_s.get(circuit)
            if seats_end_s:
                rounds, seat = divmod(rank, len(seats_end_s))
                latest_s = max(latest_s, seats_end_s[seat] + rounds * queue.slice_s[evse])
        found[evse] = latest_s
    return found


def _wake(queue: _Round, seats: _Seats, waiting: Mapping[EvseId, WaitInfo]) -> datetime | None:
    """The next end of a slice for which somebody waits, or of a minimum off-time."""
    thirsty = {queue.component[evse] for evse in seats.blocked}
    instants = [
        queue.now + seconds(queue.remaining_s(evse))
        for evse in seats.occupied
        if evse not in seats.guests and queue.component[evse] in thirsty
    ]
    instants += [
        info.promised_by for evse, info in waiting.items() if info.promised_by is not None and queue.holds_place(evse)
    ]
    return min(instants, default=None)
