"""What a current at one load makes of the currents on every phase of every feeder: linear, complex, exact.

Voltages form a balanced three-phase system: on the root V_A is at 0, V_B at -120, V_C at +120 degrees. A delta-wye
transformer turns its secondary's voltages by +30 degrees (V_a in the direction of V_A - V_B), and its lines carry
I_A = (I_a - I_c) / (sqrt(3) ratio), I_B = (I_b - I_a) / .., I_C = (I_c - I_b) / ..: the model of Caltech's ACN (ems.md
section 1), vector group Dyn11. One that is written as Dyn1 turns them by -30 degrees, with I_A = (I_a - I_b) / ..
A loss-free transformer: the power on both sides is the same.
"""

from cmath import exp, phase
from math import pi, sqrt

import numpy as np
import numpy.typing as npt

from domain.ids import FeederId
from domain.site import PHASES, Evse, Feeder, Phase, Site

Amps = npt.NDArray[np.float64]
Phasors = npt.NDArray[np.complex128]

LINE_ANGLE = {Phase.A: 0.0, Phase.B: -2 * pi / 3, Phase.C: 2 * pi / 3}
DELTA_WYE_TURN = pi / 6
_DELTA = np.array([[1, 0, -1], [-1, 1, 0], [0, -1, 1]], dtype=np.complex128)


def feeder_voltage_v(site: Site, feeder_id: FeederId) -> float:
    """Line-to-line voltage at a feeder in V: its own where written, else its parent's through the transformer."""
    feeder = site.feeder(feeder_id)
    if feeder.line_to_line_v is not None:
        return feeder.line_to_line_v
    if feeder.parent is None:
        return site.electrical.line_to_line_v
    ratio = feeder.transformer.ratio if feeder.transformer else 1.0
    return feeder_voltage_v(site, feeder.parent) / ratio


def evse_voltage_v(site: Site, evse: Evse) -> float:
    """Voltage in V across what one conductor current of the EVSE flows through.

    Line-to-line for two conductors; line-to-neutral for one and for three, so that the power in W is
    voltage x current x (1 for one or two conductors, 3 for three).
    """
    line_to_line_v = feeder_voltage_v(site, evse.feeder)
    return line_to_line_v if evse.conductors == 2 else line_to_line_v / sqrt(3)


def unit_phasors(site: Site, feeder_id: FeederId, phases: tuple[Phase, ...]) -> Phasors:
    """Line currents that 1 A in each conductor of a load puts on every feeder.

    Args:
        site: the panel tree.
        feeder_id: where the load hangs.
        phases: one phase (to neutral), two (line-to-line: +1 A on the first, -1 A on the second, at the angle of
            their voltage) or three (each to neutral), at unity power factor.

    Returns:
        Complex array [feeder in site order, phase A B C, conductor], A per A; the RMS current of a phase is the
        magnitude of the sum over conductors of entry x conductor current.
    """
    turn = sum(_turn(feeder) for feeder in site.path(feeder_id) if _is_delta_wye(feeder))
    lines = np.zeros((3, len(phases)), dtype=np.complex128)
    if len(phases) == 2:
        first, second = phases
        angle = phase(exp(1j * LINE_ANGLE[first]) - exp(1j * LINE_ANGLE[second]))
        lines[PHASES.index(first), 0] = exp(1j * (angle + turn))
        lines[PHASES.index(second), 1] = -exp(1j * (angle + turn))
    else:
        for column, line in enumerate(phases):
            lines[PHASES.index(line), column] = exp(1j * (LINE_ANGLE[line] + turn))
    order = {feeder.id: index for index, feeder in enumerate(site.feeders)}
    currents = np.zeros((len(site.feeders), 3, len(phases)), dtype=np.complex128)
    for feeder in site.path(feeder_id):
        currents[order[feeder.id]] = lines
        lines = _through(feeder, lines)
    return currents


def _is_delta_wye(feeder: Feeder) -> bool:
    return feeder.transformer is not None and feeder.transformer.winding == "delta-wye"


def _turn(feeder: Feeder) -> float:
    """By how much the voltages turn from the parent to a feeder behind a delta-wye transformer."""
    known = None if feeder.transformer is None else feeder.transformer.vector_group
    return -DELTA_WYE_TURN if known == "Dyn1" else DELTA_WYE_TURN


def _through(feeder: Feeder, lines: Phasors) -> Phasors:
    """Currents on the feeder's own side [3, n] to those that its parent carries."""
    if feeder.transformer is None:
        return lines
    if feeder.transformer.winding == "delta-wye":
        delta = _DELTA if _turn(feeder) > 0.0 else _DELTA.T
        return np.asarray(delta @ lines / (sqrt(3) * feeder.transformer.ratio))
    return lines / feeder.transformer.ratio
