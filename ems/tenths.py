"""Currents in the tenths of an ampere that chargers are told, with as little as possible lost to rounding."""

import numpy as np

from ems.problem import Panel, Vector

_PER_A = 10.0
_HAIR = 1e-6


def in_tenths(panel: Panel, current_a: Vector, room_a: Vector, most_a: Vector, first: tuple[int, ...]) -> Vector:
    """`current_a` rounded down to tenths, and tenths given back to those that lost most while rows allow it.

    Guarantee: no current is a tenth or more away from what it was, none is above `most_a`, and no row carries more than
    `room_a` by what is given back. Equal losses in the order `first`.
    """
    tenths = np.floor(current_a * _PER_A + _HAIR)
    lost = current_a * _PER_A - tenths
    rank = np.empty(len(current_a))
    rank[list(first)] = np.arange(len(first))
    losing = np.flatnonzero((lost > _HAIR) & (tenths + 1.0 <= most_a * _PER_A + _HAIR))
    if losing.size:
        left_a = room_a - panel.load_a(tenths / _PER_A)
        for column in losing[np.lexsort((rank[losing], -np.round(lost[losing], 3)))].tolist():
            rows, cost_a = panel.column_a(column)
            cost_a = cost_a / _PER_A
            if (cost_a <= left_a[rows] + _HAIR * cost_a).all():
                left_a[rows] -= cost_a
                tenths[column] += 1.0
    return np.asarray(tenths / _PER_A)
