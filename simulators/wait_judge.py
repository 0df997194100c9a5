"""Promises made to residents: nobody waits longer than the rotation says, by a bound worked out from true loads.

The promise (docs/ems.md, "Who charges when not all can"): |G| - 1 slices, a slice being the quantum over |G| and never
shorter than the minimum on-time. Here |G| comes from the panel alone: on a phase with room for q minima at once, with n
cars below it, a place in the queue is at most n / q turns away. Room is what the usable rating leaves beside the
building's own true load of the last hour and a margin; where that is no minimum nothing is promised. A turn ends a
wait; a moment's offer does not, as it is no use to a car that needs a minute to wake up.
"""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor

import numpy as np

from domain.ids import EvseId
from domain.site import PHASES, Evse, Site
from simulators.phasors import Amps

LOAD_MARGIN = 1.3
"""What a decision may take the building's load for, over what it was in the last hour."""
REMEMBERED = 120
"""Looks, of half a minute each."""
SLACK_S = 180.0
"""From a turn to its current: decision, reductions that settle, the limit's way, the charger's and the car's delays."""
ROUND_S = 60.0
"""The end of a slice is seen at a decision, and those who leave it settle before the next begin."""
TURN_S = 120.0
"""The shortest offer that is a turn; the promise's is the minimum on-time at least, but capacity may fall."""


@dataclass(slots=True)
class _Wait:
    waited_s: float = 0.0
    offered_s: float = 0.0
    bound_s: float = 0.0
    told: bool = False


class WaitJudge:
    """Asked every few seconds. `complaints` are in words, one for each wait that was too long.

    Args:
        site: the panel tree and the scheduler's settings.
    """

    def __init__(self, site: Site) -> None:
        self.complaints: list[str] = []
        self._site = site
        self._rows = {feeder.id: row for row, feeder in enumerate(site.feeders)}
        self._usable_a = np.array([feeder.usable_a for feeder in site.feeders])
        self._paths = {evse.id: [self._rows[feeder.id] for feeder in site.path(evse.feeder)] for evse in site.evses}
        self._waits: dict[EvseId, _Wait] = {}
        self._loads: deque[Amps] = deque(maxlen=REMEMBERED)

    def observe(self, dt_s: float, base_a: Amps, asking: Sequence[Evse], served: Mapping[EvseId, bool]) -> None:
        """Some time has passed.

        Args:
            dt_s: how much of it nothing excuses a wait in, s; in the rest every offer ends a wait.
            base_a: the building's own load now, A [feeder in site order, phase].
            asking: EVSEs with an authorised car that wants energy.
            served: of each of them, whether it is offered current.
        """
        self._remember(base_a)
        present = {evse.id for evse in asking}
        self._waits = {evse: wait for evse, wait in self._waits.items() if evse in present}
        for evse in asking:
            if served[evse.id]:
                self._offered(evse.id, dt_s)
                continue
            wait = self._waits.setdefault(evse.id, _Wait())
            wait.offered_s = 0.0
            bound_s = self._bound_s(evse, asking)
            if bound_s is None:  # no room for a minimum: nothing is promised, and waiting begins anew
                self._waits.pop(evse.id)
                continue
            wait.waited_s += dt_s
            wait.bound_s = max(wait.bound_s, bound_s)
            if wait.waited_s > wait.bound_s and not wait.told:
                wait.told = True
                self.complaints.append(f"{evse.id} waited {wait.waited_s:.0f} s, promised were {wait.bound_s:.0f} s")

    def _offered(self, evse: EvseId, dt_s: float) -> None:
        wait = self._waits.get(evse)
        if wait is None:
            return
        wait.offered_s += dt_s
        if dt_s == 0.0 or wait.offered_s >= TURN_S:
            del self._waits[evse]

    def _remember(self, base_a: Amps) -> None:
        self._loads.append(base_a)
        self._most_a = np.max(self._loads, axis=0) * LOAD_MARGIN

    def _bound_s(self, evse: Evse, asking: Sequence[Evse]) -> float | None:
        """The longest wait that the rotation allows now; None where it promises nothing."""
        groups = 1
        for row in self._paths[evse.id]:
            for phase in evse.phases:
                rivals = sum(row in self._paths[one.id] and phase in one.phases for one in asking)
                room_a = self._usable_a[row] - self._most_a[row, PHASES.index(phase)]
                at_once = floor(room_a / max(one.min_a for one in self._site.evses))
                if at_once < 1:
                    return None
                groups = max(groups, ceil(rivals / at_once))
        settings = self._site.scheduler
        slice_s = max(settings.quantum_s / groups, settings.min_on_s)
        return groups * (slice_s + ROUND_S) + SLACK_S
