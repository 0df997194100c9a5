"""Strategy `milp` (ems.md section 2; seed 004 ch. 4): the largest total, and among its splits the fairest.

    maximise    sum_m c_m y_m                                           (4.1), c_m = conductors of EVSE m
    subject to  sum_m A_im y_m <= u_f r_f - b_i                         (4.1a), along the tree and through transformers
                I_min z_m <= y_m <= requested_m z_m                     (4.1d), z written out

Differences from the seed: a tree instead of one feeder; equal current in both conductors (4.1c) is built into y_m, one
current per EVSE; z, implicit there, is the scheduler's word; priorities do not weigh in the total, which would be
strict preference, but in the second stage: with the total kept, lexicographic max-min of y_m / (alpha_m requested_m).
Given z both stages are linear (`ems.max_min`). With z free (scheduler `none`) two small MILPs settle it first: the
number served, then the total with that number.
"""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from ems.asked import Asked, asked, servable
from ems.max_min import fairest_of_largest_total
from ems.problem import Allocation, Infeasible, Mask, Panel, Problem, Vector
from ems.solver import LinearProgram

_FULL_A = 1e-6
_CONTENT_A = 1e-9
_KEPT = 4


@dataclass(frozen=True, slots=True)
class Milp:
    """Both stages as a `Strategy`. `Allocation.price` is the dual of the first stage."""

    name: str = "milp"
    _answered: dict[tuple[object, ...], tuple[Panel, Allocation | Infeasible]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    """The newest answers: between two readings of the meters the same is asked several times."""

    def allocate(self, problem: Problem) -> Allocation | Infeasible:
        """The fairest split of the largest total; unique, so the same problem gives the same currents."""
        given = (problem.capacity_a, problem.min_a, problem.upper_a, problem.alpha, problem.on, problem.pace)
        asked_for = (id(problem.panel), problem.order, *(None if one is None else one.tobytes() for one in given))
        known = self._answered.get(asked_for)
        if known is None:
            if len(self._answered) >= _KEPT:
                del self._answered[next(iter(self._answered))]
            # With its panel, which its id stands for as long as it is kept.
            known = self._answered[asked_for] = problem.panel, self._allocate(problem)
        return known[1]

    def _allocate(self, problem: Problem) -> Allocation | Infeasible:
        on = _most_served(problem) if problem.on is None else problem.on
        if isinstance(on, Infeasible):
            return on
        given = asked(problem, on)
        if isinstance(given, Infeasible):
            return given
        found = fairest_of_largest_total(problem.panel, given)
        if isinstance(found, Infeasible):
            return found
        return Allocation(found.current_a, found.price, _binding(problem, given, found.current_a, found.price))


def _most_served(problem: Problem) -> Mask | Infeasible:
    """Who is served where nobody says so: as many as possible, and of those choices one of the largest total."""
    matrix, room_a = problem.panel.matrix, np.maximum(problem.capacity_a, 0.0)
    possible = servable(problem)
    if (problem.panel.load_a(np.where(possible, problem.min_a, 0.0)) <= room_a).all():
        return possible
    columns = np.flatnonzero(possible)
    count, rows = len(columns), len(room_a)
    least, most = np.diag(problem.min_a[columns]), np.diag(problem.upper_a[columns])
    one, none = np.ones(count), np.zeros(count)
    number = LinearProgram(
        matrix[:, columns] * problem.min_a[columns], room_a, one, none, one, np.ones(count, dtype=np.bool_)
    ).solve()
    if number is None:
        return Infeasible("the solver could not prove how many EVSEs can be served at once")
    eye = np.eye(count)
    largest = LinearProgram(
        np.block(
            [
                [matrix[:, columns], np.zeros((rows, count))],
                [-eye, least],
                [eye, -most],
                [none[None, :], -one[None, :]],
            ]
        ),
        np.concatenate([room_a, none, none, [-float(round(number.value))]]),
        np.concatenate([problem.panel.conductors[columns].astype(np.float64), none]),
        np.zeros(2 * count),
        np.concatenate([problem.upper_a[columns], one]),
        np.arange(2 * count) >= count,
    ).solve()
    if largest is None:
        return Infeasible("the solver could not prove which EVSEs to serve for the largest total")
    on = np.zeros(len(possible), dtype=np.bool_)
    on[columns] = largest.column[count:] > 0.5
    return on


def _binding(problem: Problem, given: Asked, current_a: Vector, price: Vector) -> npt.NDArray[np.int64]:
    """Per EVSE below its upper limit the full row that counts most: by price times coefficient, then by coefficient.

    There always is one for an EVSE that is served: where no full row holds it, the total could grow.
    """
    panel = problem.panel
    entries = panel.entries
    full = panel.load_a(current_a) >= given.room_a - _FULL_A
    held = full[entries.row] & (current_a < given.high_a - _CONTENT_A)[entries.column]
    row, column = entries.row[held], entries.column[held]
    weight = entries.coefficient[held] * (price[row] + _FULL_A)
    binding = np.full(len(current_a), -1, dtype=np.int64)
    # Ascending weights, equal ones in descending rows: the last word is the largest weight's lowest row.
    rising = np.lexsort((-row, weight))
    binding[column[rising]] = row[rising]
    return binding
