"""What a problem asks of any strategy, in the few vectors that all of them start from."""

from dataclasses import dataclass

import numpy as np

from ems.problem import Infeasible, Mask, Problem, Vector

_FITS = 1e-9


@dataclass(frozen=True)
class Bounds:
    """`low_a` <= y <= `high_a`, A; fair shares are y / `weight_a`, with `weight_a` at least `high_a`."""

    low_a: Vector
    high_a: Vector
    weight_a: Vector


@dataclass(frozen=True)
class Asked(Bounds):
    """The bounds once it is settled who is `served`; both are 0 for an EVSE that is not.

    `weight_a` = alpha_m requested_m, times the pace where there is one. `room_a` per row = capacity, 0 where the base
    load alone is above the limit (then every EVSE there gets 0). Guarantee: `panel.matrix @ low_a <= room_a`.
    """

    served: Mask
    room_a: Vector


def servable(problem: Problem) -> Mask:
    """EVSEs that can be given anything at all: they ask for something, and for no less than their minimum."""
    return np.asarray((problem.upper_a > 0.0) & (problem.upper_a >= problem.min_a))


def asked(problem: Problem, on: Mask) -> Asked | Infeasible:
    """The bounds with `on` admitted; an EVSE that cannot be given anything is not served though admitted."""
    served = np.asarray(on & servable(problem))
    low_a = np.where(served, problem.min_a, 0.0)
    room_a = np.maximum(problem.capacity_a, 0.0)
    load_a = problem.panel.load_a(low_a)
    if (load_a > room_a + _FITS).any():
        worst = int(np.argmax(load_a - room_a))
        row = problem.panel.rows[worst]
        where = f"{row.feeder} phase {row.phase}" + (f" ({row.group} group)" if row.group else "")
        return Infeasible(
            f"the minima of the admitted EVSEs load {where} with {load_a[worst]:.1f} A; {room_a[worst]:.1f} A are free"
        )
    high_a = np.where(served, problem.upper_a, 0.0)
    weight_a = high_a * problem.alpha if problem.pace is None else high_a * problem.alpha * problem.pace
    return Asked(low_a, high_a, weight_a, served, np.maximum(room_a, load_a))


def first_come(problem: Problem) -> tuple[int, ...]:
    """Columns in the order of service."""
    return tuple(range(len(problem.panel.evses))) if problem.order is None else problem.order


def admit_in_order(problem: Problem) -> Mask:
    """Where z is free and a strategy does not optimise it: first come first served while the minima fit."""
    matrix = problem.panel.matrix
    left_a = np.maximum(problem.capacity_a, 0.0)
    on = servable(problem)
    if (problem.panel.load_a(np.where(on, problem.min_a, 0.0)) <= left_a).all():
        return on
    for column in first_come(problem):
        if not on[column]:
            continue
        load_a = matrix[:, column] * problem.min_a[column]
        if (load_a <= left_a + _FITS).all():
            left_a -= load_a
        else:
            on[column] = False
    return on
