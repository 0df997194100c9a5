"""What may happen over the coming steps, as samples, and how much of each row it may take (ems.md section 3).

Axes are always in the order sample, thing, step: S samples, M EVSEs, L sources of non-EV load, R rows, T steps.
"""

import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
import numpy.typing as npt

from ems.problem import Mask, Panel, Vector
from ems.radius import FixedRadius, HourlyRadius

Array = npt.NDArray[np.float64]
Risk = Literal["cvar", "expectation"]

_SMALLEST_SIGMA_A = 1e-3


@dataclass(frozen=True)
class HorizonProblem:
    """Steps of `step_h` hours, the first of which is the present one.

    Known: `panel`; `room_a` [R, T] what each row may carry in all, A; `served` [M] who may charge now (z); `low_a` [M]
    the minima of those, `high_a` [M, T] what each may be given, A; `energy_ah` [M] what each car still takes, in
    ampere-hours per conductor, expected for cars not yet there; `weight` [M] C_m >= 0; `hours` [T] hour of day.
    Sampled: `load_a` [S, L, T] non-EV load, A, forecast + past residual; `available` [S, M, T] 1 where a car is plugged
    in, else 0 (step 0 is not read: that is known). `carries` [R, L]: A at a row per A of a source.
    `now_a` [R]: what the EVSEs may draw together in the present step at most, where that is known better; or None.
    """

    panel: Panel
    step_h: float
    hours: tuple[int, ...]
    room_a: Array
    served: Mask
    low_a: Vector
    high_a: Array
    energy_ah: Vector
    weight: Vector
    load_a: Array
    carries: Array
    available: Array
    now_a: Vector | None = None

    @property
    def steps(self) -> int:
        """T."""
        return int(self.room_a.shape[1])

    @cached_property
    def sigma_a(self) -> Array:
        """[L, T] standard deviation of each source's samples, A: the unit in which load is measured."""
        return np.asarray(np.maximum(self.load_a.std(axis=0), _SMALLEST_SIGMA_A))

    @cached_property
    def row_load_a(self) -> Array:
        """[S, R, T] non-EV load at the rows."""
        return np.asarray(np.einsum("rl,slt->srt", self.carries, self.load_a))

    @cached_property
    def row_sigma_a(self) -> Array:
        """[R, T] the norm of the load's part of beta: sqrt(sum_l (carries sigma)^2), A."""
        return np.asarray(np.sqrt(self.carries**2 @ self.sigma_a**2))


@dataclass(frozen=True)
class DroSettings:
    """`risk`: what of each row's overload is kept below 0, its mean (the thesis) or its CVaR at `level`.

    `confidence_z`: z_(alpha/2) of eps_nt = z sigma_nt (5.2); counts in `expectation` alone, where no other margin is.
    `boxed`: every load at its highest sample and every car there (RO), with the objective of the rest.
    """

    risk: Risk = "cvar"
    level: float = 0.05
    radius: FixedRadius | HourlyRadius = field(default_factory=FixedRadius)
    confidence_z: float = 1.96
    boxed: bool = False

    def radii(self, problem: HorizonProblem) -> Vector:
        """[T] the radius of each step's constraints, after scaling."""
        return np.array([self.radius.at(hour) for hour in problem.hours])

    def reach(self, problem: HorizonProblem) -> Vector:
        """[T] what a unit of ||beta|| costs in the constraints: rho, or rho / sqrt(level)."""
        return self.radii(problem) / (math.sqrt(self.level) if self.risk == "cvar" else 1.0)


SAMPLE_AVERAGE = DroSettings(risk="expectation", radius=FixedRadius(0.0), confidence_z=0.0)
"""SO: the samples taken literally, rho = 0 and eps = 0."""
BOX = DroSettings(risk="expectation", radius=FixedRadius(0.0), confidence_z=0.0, boxed=True)
"""RO: nothing may go wrong inside the box around the samples."""


def tail_mean(samples: Array, level: float) -> Array:
    """CVaR at `level` along the first axis: the mean of the largest `level` part of equally likely samples."""
    count = samples.shape[0]
    part = np.clip(level * count - np.arange(count), 0.0, 1.0) / (level * count)
    return np.asarray(np.tensordot(part, np.sort(samples, axis=0)[::-1], axes=1))


def load_margin_a(problem: HorizonProblem, settings: DroSettings) -> Array:
    """[R, T] what must be kept free at each row for the non-EV load alone.

    expectation: mean + rho ||beta|| + sum eps (5.17, 5.23); cvar: CVaR + rho / sqrt(level) ||beta||; boxed: the sum of
    every source's highest sample.
    """
    if settings.boxed:
        return np.asarray(problem.carries @ problem.load_a.max(axis=0))
    robust = settings.reach(problem) * problem.row_sigma_a
    if settings.risk == "cvar":
        return tail_mean(problem.row_load_a, settings.level) + robust
    doubt = settings.confidence_z * (problem.carries @ problem.sigma_a)
    return np.asarray(problem.row_load_a.mean(axis=0) + robust + doubt)
