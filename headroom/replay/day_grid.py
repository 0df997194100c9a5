"""A recording on an even grid of time: who is where, and the non-EV load of every feeder and phase."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from domain.site import Site
from headroom.replay.recording import Amps, Stay
from simulators.phasors import Phasors, unit_phasors


@dataclass(frozen=True)
class Grid:
    """The recording as the replay walks through it.

    `base_a` [step, feeder in site order, phase]: non-EV load through each feeder, its children's included, A.
    `stays` are cut to the grid's span. `notes`: assumptions that the report must state.
    """

    site: Site
    begins: datetime
    step: timedelta
    base_a: Amps
    stays: tuple[Stay, ...]
    notes: tuple[str, ...]

    @property
    def steps(self) -> int:
        """How many."""
        return len(self.base_a)

    @property
    def ends(self) -> datetime:
        """The end of the last step."""
        return self.begins + self.steps * self.step

    def at(self, step: int) -> datetime:
        """The beginning of a step."""
        return self.begins + step * self.step

    def step_of(self, at: datetime) -> int:
        """The step that an instant is in or after, from 0 to `steps`."""
        return int(np.clip(np.ceil((at - self.begins) / self.step), 0, self.steps))

    def part(self, first: int, last: int) -> "Grid":
        """Only these steps; stays are cut to them."""
        begins, ends = self.at(first), self.at(last)
        return Grid(self.site, begins, self.step, self.base_a[first:last], cut(self.stays, begins, ends), self.notes)


def line_phasors(site: Site) -> Phasors:
    """[feeder, phase, EVSE] complex line current per A in each conductor of the EVSE."""
    columns = [unit_phasors(site, evse.feeder, evse.phases).sum(axis=2) for evse in site.evses]
    return np.stack(columns, axis=2)


def cut(stays: Sequence[Stay], begins: datetime, ends: datetime) -> tuple[Stay, ...]:
    """The stays that fall into a span. One that is cut keeps the part of its energy in proportion to time."""
    found = []
    for stay in stays:
        arrives, leaves = max(stay.arrives, begins), min(stay.leaves, ends)
        if leaves > arrives:
            part = (leaves - arrives) / (stay.leaves - stay.arrives)
            found.append(Stay(stay.evse, arrives, leaves, stay.energy_wh * part, stay.most_a))
    return tuple(found)
