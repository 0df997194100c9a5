"""How much more a site's EVSEs get because currents add as phasors (ems.md section 1) and because they take turns."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from domain.ids import FeederId
from domain.site import Evse, PhaseAmps, Site
from ems.panel import capacity, compile_panel
from ems.problem import Vector
from ems.solver import LinearProgram

_FITS_A = 1e-9


@dataclass(frozen=True, slots=True)
class CapacityGain:
    """The largest power of all EVSEs together beside the building's load, kW, in each form.

    `at_once` of `evses` have room for their minimum current at the same time, in the site's own form and in the order
    of the site file: without turns the others would get nothing.
    """

    arithmetic_kw: float
    phasor_kw: float
    at_once: int
    evses: int

    @property
    def gain_frac(self) -> float:
        """What the phasor form adds, as a part of the arithmetic form; 0 where that is 0."""
        return 0.0 if self.arithmetic_kw <= 0.0 else self.phasor_kw / self.arithmetic_kw - 1.0

    @property
    def rotation_gain_frac(self) -> float:
        """How many more EVSEs are served by turns, as a part of those at once; 0 where none fits or all do."""
        return 0.0 if self.at_once == 0 else self.evses / self.at_once - 1.0

    def __str__(self) -> str:
        forms = f"arithmetic form {self.arithmetic_kw:.1f} kW, phasor form {self.phasor_kw:.1f} kW"
        return f"largest power of all EVSEs beside the design load: {forms} ({100.0 * self.gain_frac:+.1f} %)"


def capacity_gain(site: Site, base_a: Mapping[FeederId, PhaseAmps] | None = None) -> CapacityGain:
    """Both forms for one site, beside `base_a` per feeder (what flows further up with it), A.

    Without it the design load counts: `base_load_max_a` on every feeder that names one. In the powers every EVSE may
    have anything up to its rating: minimum currents do not count there.
    """
    loads = _design_loads(site) if base_a is None else base_a
    return CapacityGain(
        arithmetic_kw=_largest_kw(site, "arithmetic", loads),
        phasor_kw=_largest_kw(site, "phasor", loads),
        at_once=_at_once(site, loads),
        evses=len(site.evses),
    )


def _at_once(site: Site, loads: Mapping[FeederId, PhaseAmps]) -> int:
    panel = compile_panel(site)
    left_a = np.maximum(capacity(panel, site, loads), 0.0)
    count = 0
    for column, evse in enumerate(site.evses):
        load_a = panel.matrix[:, column] * evse.min_a
        if (load_a <= left_a + _FITS_A).all():
            left_a -= load_a
            count += 1
    return count


def _design_loads(site: Site) -> dict[FeederId, PhaseAmps]:
    return {one.id: one.base_load_max_a for one in site.feeders if one.base_load_max_a is not None}


def _largest_kw(site: Site, model: str, loads: Mapping[FeederId, PhaseAmps]) -> float:
    electrical = replace(site.electrical, model="phasor" if model == "phasor" else "arithmetic")
    formed = replace(site, electrical=electrical)
    panel = compile_panel(formed)
    room_a = np.maximum(capacity(panel, formed, loads), 0.0)
    kinds = panel.kinds
    most_a = np.bincount(kinds.of_evse, [evse.max_a for evse in site.evses], len(kinds.conductors)).astype(np.float64)
    watts: Vector = np.zeros(len(kinds.conductors))
    watts[kinds.of_evse] = [volt_amperes(site, evse) for evse in site.evses]
    if not len(most_a):
        return 0.0
    found = LinearProgram(kinds.matrix, room_a, watts, np.zeros(len(most_a)), most_a).solve()
    return 0.0 if found is None else found.value / 1000.0


def volt_amperes(site: Site, evse: Evse) -> float:
    """W per A of set-point, nominal: line to neutral, line to line, or three phases."""
    across_v = site.feeder(evse.feeder).line_to_line_v or site.electrical.line_to_line_v
    return float(across_v * {1: 3.0**-0.5, 2: 1.0, 3: 3.0**0.5}[evse.conductors])
