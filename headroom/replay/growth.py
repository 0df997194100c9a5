"""How many more EVSEs fit: copies of the recorded ones are added until something is violated for the first time."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from math import ceil

from domain.ids import ChargerId, EvseId
from domain.site import Charger, Evse, Strategy
from headroom.replay.day_grid import Grid
from headroom.replay.recording import Stay
from headroom.replay.shadow import run_shadow
from headroom.replay.verdict import violation

STEP = timedelta(minutes=15)
DAY, WEEK = timedelta(days=1), timedelta(days=7)


@dataclass(frozen=True)
class Growth:
    """`fits`: EVSEs that can be added without a violation; `first`: with so many it comes (None: not within `most`)."""

    strategy: str
    fits: int
    first: int | None
    why: str
    most: int


def busiest_week(grid: Grid) -> Grid:
    """The seven days in which most energy was charged; all where there are no more."""
    per_day = round(timedelta(days=1) / grid.step)
    if grid.steps <= 7 * per_day:
        return grid

    def energy(first: int) -> float:
        begins, ends = grid.at(first), grid.at(first + 7 * per_day)
        return sum(stay.energy_wh for stay in grid.stays if begins <= stay.arrives < ends)

    first = max(range(0, grid.steps - 7 * per_day + 1, per_day), key=energy)
    return grid.part(first, first + 7 * per_day)


def grown(grid: Grid, added: int) -> Grid:
    """The building with more EVSEs, each a copy of a recorded one that lives by its stays, n days later.

    The n-th round of copies is n days shifted (around the end of the grid), so that cars do not come in step, and
    always by whole days: cars of the evening stay cars of the evening. After all days are used they are used again.
    """
    site = grid.site
    days = ceil(grid.steps * grid.step / DAY)
    chargers: list[Charger] = []
    stays: list[Stay] = []
    for number in range(added):
        model = site.evses[number % len(site.evses)]
        copy_no = number // len(site.evses) + 1
        name = EvseId(f"{model.id}+{copy_no}")
        charger = ChargerId(f"{model.charger}.{model.connector}+{copy_no}")
        evse: Evse = replace(model, id=name, charger=charger, connector=1, failsafe_a=0.0)
        chargers.append(Charger(charger, (evse,)))
        shift = ((copy_no - 1) % max(1, days - 1) + 1) * DAY
        for stay in grid.stays:
            if stay.evse == model.id:
                arrives = grid.begins + (stay.arrives - grid.begins + shift) % (days * DAY)
                leaves = min(arrives + (stay.leaves - stay.arrives), grid.ends)
                if leaves <= arrives:
                    continue  # an hour of the last day that was not recorded
                part = (leaves - arrives) / (stay.leaves - stay.arrives)
                stays.append(Stay(name, arrives, leaves, stay.energy_wh * part, stay.most_a))
    return replace(grid, site=replace(site, chargers=(*site.chargers, *chargers)), stays=(*grid.stays, *stays))


def room_to_grow(grid: Grid, strategy: Strategy, most: int, told: Callable[[float], None]) -> Growth:
    """The first count that is violated, by doubling and halving: more EVSEs are taken never to cure a violation.

    `told` hears how much of the search is done, as far as that can be known.
    """
    asked = 0
    expected = 2 * max(1, most).bit_length()

    def why(added: int) -> str | None:
        nonlocal asked
        asked += 1
        larger = grown(grid, added)
        larger = replace(larger, site=replace(larger.site, strategy=strategy))
        run = run_shadow(larger, strategy, lambda done: told(min(1.0, (asked - 1 + done) / expected)))
        return violation(run)

    reason = why(0)
    if reason is not None:
        return Growth(strategy, 0, 0, reason, most)
    good, bad = 0, 1
    while bad <= most and (reason := why(bad)) is None:
        good, bad = bad, 2 * bad
    if bad > most:
        reason = why(most) if good < most else None
        if reason is None:
            return Growth(strategy, most, None, f"no violation with {most} more", most)
        bad = most
    while bad - good > 1:
        middle = (good + bad) // 2
        found = why(middle)
        if found is None:
            good = middle
        else:
            bad, reason = middle, found
    return Growth(strategy, good, bad, reason or "", most)
