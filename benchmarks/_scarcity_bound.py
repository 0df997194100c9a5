"""What a day of scarcity could come to at best, with everything known in advance: linear programs over a quarter hour.

Two supplies: the kilowatts alone, and with them the currents of the three lines, which unequal pairs of phases load
unequally. Neither minimum currents, nor waits, nor switches count here. Lines: a polygon around each disc, so that this
is a bound.
"""

import cmath
import math
from collections.abc import Sequence

import numpy as np
from scipy import sparse
from scipy.optimize import linprog

from benchmarks._scarcity_day import HORIZON_MIN, LINE_A, LINE_TO_LINE_V, MAX_A, Stay
from domain.site import PHASES

_STEP_MIN = 15
_TOTAL_KW = 40.0
_SIDES = 72
_VOLTS = {phase: cmath.rect(1.0, -2.0 * math.pi * n / 3.0) for n, phase in enumerate(PHASES)}


def largest_energy_frac(stays: Sequence[Stay], *, lines: bool) -> float:
    """The largest part of all needs that can be delivered."""
    model = _Model(stays, lines=lines)
    found = linprog(-model.kwh, A_ub=model.rows, b_ub=model.right, bounds=model.bounds, method="highs")
    return float(-found.fun) / sum(stay.need_kwh for stay in stays)


def largest_smallest_frac(stays: Sequence[Stay], *, lines: bool) -> float:
    """The largest part of its need that every car can have."""
    model = _Model(stays, lines=lines)
    need = np.array([stay.need_kwh for stay in stays])
    served = sparse.hstack([-model.energy, sparse.csr_array(need[:, None])])
    rows = sparse.vstack([sparse.hstack([model.rows, sparse.csr_array((model.rows.shape[0], 1))]), served])
    right = np.concatenate([model.right, np.zeros(len(need))])
    gain = np.zeros(len(model.kwh) + 1)
    gain[-1] = -1.0
    bounds = np.vstack([model.bounds, [0.0, 1.0]])
    return float(-linprog(gain, A_ub=rows, b_ub=right, bounds=bounds, method="highs").fun)


class _Model:
    """A current per car and quarter of an hour; `rows` x <= `right`: needs, total power, and lines if asked for."""

    def __init__(self, stays: Sequence[Stay], *, lines: bool) -> None:
        slots = HORIZON_MIN // _STEP_MIN
        there = [(m, t, _overlap_min(stay, t)) for m, stay in enumerate(stays) for t in range(slots)]
        columns = [(m, t, within) for m, t, within in there if within > 0]
        car, slot = np.array([m for m, _, _ in columns]), np.array([t for _, t, _ in columns])
        most_a = np.array([MAX_A * within / _STEP_MIN for _, _, within in columns])
        index = np.arange(len(columns))
        kw = LINE_TO_LINE_V / 1000.0
        self.kwh = np.full(len(columns), kw * _STEP_MIN / 60.0)
        self.bounds = np.column_stack([np.zeros(len(columns)), most_a])
        self.energy = sparse.csr_array((self.kwh, (car, index)), shape=(len(stays), len(columns)))
        power = sparse.csr_array((np.full(len(columns), kw), (slot, index)), shape=(slots, len(columns)))
        blocks = [self.energy, power]
        right = [np.array([stay.need_kwh for stay in stays]), np.full(slots, _TOTAL_KW)]
        if lines:
            blocks.append(_lines(stays, columns, slots))
            right.append(np.full(slots * len(PHASES) * _SIDES, LINE_A))
        self.rows, self.right = sparse.vstack(blocks), np.concatenate(right)


def _overlap_min(stay: Stay, slot: int) -> int:
    return min(stay.departure_min, (slot + 1) * _STEP_MIN) - max(stay.arrival_min, slot * _STEP_MIN)


def _lines(stays: Sequence[Stay], columns: list[tuple[int, int, int]], slots: int) -> sparse.csr_array:
    """Per slot, line and direction: the part of every car's current along it."""
    directions = [cmath.rect(1.0, -2.0 * math.pi * side / _SIDES) for side in range(_SIDES)]
    row: list[int] = []
    column: list[int] = []
    value: list[float] = []
    for index, (m, slot, _) in enumerate(columns):
        first, second = stays[m].phases
        leg = (_VOLTS[first] - _VOLTS[second]) / math.sqrt(3.0)
        for phase, current in ((first, leg), (second, -leg)):
            at = (slot * len(PHASES) + PHASES.index(phase)) * _SIDES
            row += range(at, at + _SIDES)
            column += [index] * _SIDES
            value += [(direction * current).real for direction in directions]
    return sparse.csr_array((value, (row, column)), shape=(slots * len(PHASES) * _SIDES, len(columns)))
