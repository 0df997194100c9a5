"""Looks again and again, and keeps what is new: readings of the meter beside what the charger tells."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from domain.ports import Clock
from domain.site import Phase
from headroom.commissioning.judging import Level, Looks
from headroom.commissioning.record import Trace
from headroom.commissioning.site_api import Seen, SiteApi, Terms

SETTLED_A = 0.7
"""Two looks at a current that differ by less show that it stands still."""


@dataclass
class Pace:
    """How long things may take, s."""

    poll_s: float = 2.0
    patience_s: float = 600.0
    grace_s: float = 120.0
    watch_s: float = 60.0
    power_watch_s: float = 300.0


@dataclass
class Watcher:
    """One EVSE for the time of one step. `new` are the looks with a new reading of the meter."""

    api: SiteApi
    clock: Clock
    terms: Terms
    others: list[Terms]
    pace: Pace
    new: list[Seen] = field(default_factory=list)
    marks: list[tuple[datetime, str]] = field(default_factory=list)

    async def look(self) -> Seen:
        """Look once."""
        seen = await self.api.look(self.terms, self.others, self.clock.now())
        known = self.new[-1].reading_at if self.new else None
        if seen.reading_at is not None and (known is None or seen.reading_at > known):
            self.new.append(seen)
        return seen

    async def until(self, holds: Callable[[Seen], bool], within_s: float | None = None) -> Seen | None:
        """Look until something is so; None where it does not come to be in good time."""
        ends_at = self.clock.now() + timedelta(seconds=self.pace.patience_s if within_s is None else within_s)
        while True:
            seen = await self.look()
            if holds(seen):
                return seen
            if self.clock.now() >= ends_at:
                return None
            await self.clock.sleep(self.pace.poll_s)

    async def watch(self, seconds: float) -> list[Seen]:
        """The new readings of the next seconds."""
        begun, ends_at = len(self.new), self.clock.now() + timedelta(seconds=seconds)
        while self.clock.now() < ends_at:
            await self.clock.sleep(self.pace.poll_s)
            await self.look()
        return self.new[begun:]

    async def readings(self, count: int, *, fresh: bool) -> list[Seen]:
        """So many new readings; `fresh`: while the charger tells, again and again, the same current."""
        found: list[Seen] = []
        ends_at = self.clock.now() + timedelta(seconds=self.pace.patience_s)
        told = [await self.look()]
        while len(found) < count and self.clock.now() < ends_at:
            await self.clock.sleep(self.pace.poll_s)
            known = len(self.new)
            seen = await self.look()
            if seen.drawn_at != told[-1].drawn_at:
                told.append(seen)
            if fresh and not _steady(told):
                found.clear()
            elif len(self.new) > known:
                found.append(seen)
        return found

    async def level(self) -> Level | None:
        """Where current and meter stand still; None where they do not."""
        found = await self.readings(2, fresh=True)
        if len(found) < 2:
            return None
        drawn = [one.drawn_a or 0.0 for one in found]
        return Level(sum(drawn) / 2, {p: sum(one.metered_a[p] for one in found) / 2 for p in found[0].metered_a})

    def mark(self, text: str) -> None:
        """Something happens now: for the figure."""
        self.marks.append((self.clock.now(), text))

    def trace(self, drawn_a: list[float], window: tuple[datetime, datetime] | None, allowed_a: float | None) -> Trace:
        """All that was seen, for a figure. `drawn_a` belongs to `new`."""
        if not self.new:
            return Trace([], [], {})
        start = self.new[0].at

        def s(at: datetime) -> float:
            return round((at - start).total_seconds(), 1)

        phases: list[Phase] = sorted(self.new[0].metered_a)
        return Trace(
            [s(one.at) for one in self.new],
            [round(one, 2) for one in drawn_a],
            {phase: [round(one.metered_a[phase], 2) for one in self.new] for phase in phases},
            allowed_a,
            None if window is None else (s(window[0]), s(window[1])),
            [(s(at), text) for at, text in self.marks],
        )


def _steady(told: list[Seen]) -> bool:
    """The charger has told its current twice since the first look, and it was the same."""
    before, newest = told[1:][-2:-1], told[1:][-1:]
    if not before or before[0].drawn_a is None or newest[0].drawn_a is None:
        return False
    return abs(newest[0].drawn_a - before[0].drawn_a) <= SETTLED_A


def looks(seen: list[Seen], start: datetime) -> Looks:
    """For judging; times since `start`."""
    return Looks(
        [(one.at - start).total_seconds() for one in seen],
        [one.metered_a for one in seen],
        [one.drawn_a or 0.0 for one in seen],
    )
