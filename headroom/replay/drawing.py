"""What cars draw: at most, and when nobody limits them."""

from datetime import timedelta

import numpy as np

from domain.site import Evse, Site
from headroom.replay.day_grid import Grid
from headroom.replay.recording import Amps, Stay
from simulators.phasors import evse_voltage_v

EMPTY_WH = 1.0
"""Less than this is nothing left to charge."""


def uncontrolled_a(grid: Grid) -> Amps:
    """[step, EVSE] what is drawn when every car charges at full power from plug-in on, A (mean of each step)."""
    found = np.zeros((grid.steps, len(grid.site.evses)))
    hours = grid.step / timedelta(hours=1)
    column = {evse.id: place for place, evse in enumerate(grid.site.evses)}
    for stay in grid.stays:
        place = column[stay.evse]
        evse = grid.site.evses[place]
        power_w = watts_per_a(grid.site, evse) * most_a(stay, evse)
        left_wh = stay.energy_wh
        for step in range(grid.step_of(stay.arrives), grid.step_of(stay.leaves)):
            if left_wh <= EMPTY_WH:
                break
            part = min(1.0, left_wh / (power_w * hours))
            found[step, place] += part * most_a(stay, evse)
            left_wh -= part * power_w * hours
    return found


def watts_per_a(site: Site, evse: Evse) -> float:
    """AC power of an EVSE per ampere in each of its conductors."""
    return evse_voltage_v(site, evse) * (3.0 if evse.conductors == 3 else 1.0)


def most_a(stay: Stay, evse: Evse) -> float:
    """What a car takes at most there, A per conductor: what it was seen to draw, else what the EVSE gives."""
    return evse.max_a if stay.most_a is None else min(evse.max_a, max(stay.most_a, evse.min_a))
