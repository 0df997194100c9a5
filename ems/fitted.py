"""The last step of a strategy whose solver is exact to a tolerance only: an allocation that holds to the letter."""

import numpy as np
import numpy.typing as npt

from ems.asked import Asked
from ems.problem import Panel, Vector

_FULL_A = 1e-6
_CONTENT_A = 1e-9


def fitted(panel: Panel, given: Asked, current_a: Vector) -> Vector:
    """`current_a` brought into its bounds, and down towards the minima where a row would carry too much.

    Guarantee: low_a <= result <= high_a and `panel.load_a(result) <= room_a` up to rounding. Where a
    row would carry too much, every EVSE there gives up the same part of what it has above its minimum.
    """
    current_a = np.clip(current_a, given.low_a, given.high_a)
    least_a = panel.load_a(given.low_a)
    above_a = panel.load_a(current_a - given.low_a)
    room_a = np.maximum(given.room_a - least_a, 0.0)
    part = np.divide(room_a, above_a, out=np.ones(len(room_a)), where=above_a > room_a)
    kept = np.ones(len(current_a))
    entries = panel.entries
    np.minimum.at(kept, entries.column, part[entries.row])
    return np.asarray(given.low_a + kept * (current_a - given.low_a))


def binding_rows(panel: Panel, given: Asked, current_a: Vector, price: Vector) -> npt.NDArray[np.int64]:
    """Per EVSE below its upper limit the full row that costs it most, by price times coefficient; -1: no row does."""
    entries = panel.entries
    full = panel.load_a(current_a) >= given.room_a - _FULL_A
    held = full[entries.row] & (current_a < given.high_a - _CONTENT_A)[entries.column]
    row, column = entries.row[held], entries.column[held]
    toll = entries.coefficient[held] * (price[row] + _FULL_A)
    binding = np.full(len(current_a), -1, dtype=np.int64)
    # Ascending tolls, equal ones in descending rows: the last word is the largest toll's lowest row.
    rising = np.lexsort((-row, toll))
    binding[column[rising]] = row[rising]
    return binding
