"""Strategies to compare with: the same current for all, and first come first served. Both are safe, neither is good."""

from dataclasses import dataclass

import numpy as np

from ems.asked import Bounds, admit_in_order, asked, first_come
from ems.problem import Allocation, Infeasible, Problem
from ems.water_filling import fill

_FULL_A = 1e-9


@dataclass(frozen=True, slots=True)
class Equal:
    """The same amperes for every EVSE, whatever it asks, until it has enough or its panel is full; no prices."""

    name: str = "equal"

    def allocate(self, problem: Problem) -> Allocation | Infeasible:
        """Progressive filling with equal weights."""
        given = asked(problem, admit_in_order(problem) if problem.on is None else problem.on)
        if isinstance(given, Infeasible):
            return given
        most_a = float(given.high_a.max(initial=0.0))
        same = Bounds(given.low_a, given.high_a, np.where(given.served, most_a, 0.0))
        filled = fill(problem.panel.entries, given.room_a, same)
        return Allocation(filled.current_a, np.zeros(len(given.room_a)), filled.binding)


@dataclass(frozen=True, slots=True)
class FirstCome:
    """Each EVSE in `Problem.order` takes all it can get; the minima of those admitted are kept free; no prices."""

    name: str = "fcfs"

    def allocate(self, problem: Problem) -> Allocation | Infeasible:
        """One pass over the EVSEs."""
        given = asked(problem, admit_in_order(problem) if problem.on is None else problem.on)
        if isinstance(given, Infeasible):
            return given
        matrix = problem.panel.matrix
        current_a = given.low_a.copy()
        binding = np.full(len(current_a), -1, dtype=np.int64)
        left_a = given.room_a - problem.panel.load_a(current_a)
        for column in first_come(problem):
            rows = np.flatnonzero(matrix[:, column])
            wanted_a = given.high_a[column] - current_a[column]
            if not given.served[column] or not rows.size:
                current_a[column] += wanted_a
                continue
            fits_a = left_a[rows] / matrix[rows, column]
            tightest = int(fits_a.argmin())
            if fits_a[tightest] < wanted_a - _FULL_A:
                binding[column] = rows[tightest]
            more_a = max(0.0, min(wanted_a, float(fits_a[tightest])))
            current_a[column] += more_a
            left_a[rows] -= matrix[rows, column] * more_a
        return Allocation(current_a, np.zeros(len(left_a)), binding)
