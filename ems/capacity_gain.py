"""How much more the EVSEs of a site may draw together because currents add as phasors (ems.md section 1)."""

from dataclasses import dataclass, replace

import numpy as np

from domain.ids import FeederId
from domain.site import Evse, PhaseAmps, Site
from ems.panel import capacity, compile_panel
from ems.problem import Vector
from ems.solver import LinearProgram


@dataclass(frozen=True, slots=True)
class CapacityGain:
    """The largest power of all EVSEs together beside the design load, kW, in each form."""

    arithmetic_kw: float
    phasor_kw: float

    @property
    def gain_frac(self) -> float:
        """What the phasor form adds, as a part of the arithmetic form; 0 where that is 0."""
        return 0.0 if self.arithmetic_kw <= 0.0 else self.phasor_kw / self.arithmetic_kw - 1.0

    def __str__(self) -> str:
        forms = f"arithmetic form {self.arithmetic_kw:.1f} kW, phasor form {self.phasor_kw:.1f} kW"
        return f"largest power of all EVSEs beside the design load: {forms} ({100.0 * self.gain_frac:+.1f} %)"


def capacity_gain(site: Site) -> CapacityGain:
    """Both forms for one site, with `base_load_max_a` on every feeder that names one (what flows further up with it).

    Every EVSE may have anything up to its rating: minimum currents do not count here.
    """
    return CapacityGain(_largest_kw(site, "arithmetic"), _largest_kw(site, "phasor"))


def _largest_kw(site: Site, model: str) -> float:
    electrical = replace(site.electrical, model="phasor" if model == "phasor" else "arithmetic")
    formed = replace(site, electrical=electrical)
    panel = compile_panel(formed)
    loads: dict[FeederId, PhaseAmps] = {f.id: f.base_load_max_a for f in site.feeders if f.base_load_max_a is not None}
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
