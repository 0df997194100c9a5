"""The cone program of `ems.dro`, laid out once per panel and shape; a new problem changes its values only.

Columns and lines are blocks of arrays over the entries k = (row, EVSE) of the panel's matrix, the later steps t >= 1
and the samples; no loop runs over any of them. In CVXPY (`benchmarks/_cvxpy_dro.py`, the readable form and the oracle)
the samples would be parameters, and compiling would take parameters x columns x lines: 15 s for 8 EVSEs and 24 steps.
"""

from dataclasses import dataclass

import numpy as np

from ems.cone_program import ConeProgram, Index
from ems.problem import Infeasible, Panel, Vector
from ems.scenarios import Array, DroSettings, HorizonProblem, Risk, load_margin_a

EVENNESS = 1e-3
_UNIT_A = 32.0
_SPARE_A = 1e-2
_BLOCKED_A = 1.0


@dataclass(frozen=True)
class Shape:
    """What must stay the same for a laid out program to serve another problem, beside the panel."""

    steps: int
    samples: int
    risk: Risk

    @classmethod
    def of(cls, problem: HorizonProblem, settings: DroSettings) -> "Shape":
        """The shape that a problem needs under these settings; samples count in `cvar` alone."""
        return cls(problem.steps, problem.load_a.shape[0] if settings.risk == "cvar" else 0, settings.risk)


@dataclass(frozen=True)
class Currents:
    """`now_a` [M] and `later_a` [M, T - 1], A; `value`: the worst-case expected weighted current of all steps, A."""

    now_a: Vector
    later_a: Array
    value: float


class _Blocks:
    """Consecutive numbers for arrays of columns or lines."""

    def __init__(self) -> None:
        self.count = 0

    def block(self, *shape: int) -> Index:
        """The next numbers, in an array of that shape."""
        size = int(np.prod(shape))
        self.count += size
        return np.arange(self.count - size, self.count).reshape(shape)


class _Columns(_Blocks):
    """x = (y_0, y_t, certain, norm, tau, above, doubt)."""

    def __init__(self, panel: Panel, shape: Shape) -> None:
        super().__init__()
        rows, evses, entries, later = len(panel.rows), len(panel.evses), len(panel.entries.row), shape.steps - 1
        tails = 1 if shape.risk == "cvar" else 0
        self.now, self.then = self.block(evses), self.block(later, evses)
        self.certain = self.block(tails * later, entries)
        self.norm, self.tau = self.block(later, rows), self.block(tails * later, rows)
        self.above = self.block(tails * later, rows, shape.samples)
        self.doubt = self.block(1 if later else 0)


class _Lines(_Blocks):
    """Inequalities first, then a cone per later step and row, then the objective's."""

    def __init__(self, panel: Panel, shape: Shape) -> None:
        super().__init__()
        rows, evses, entries, later = len(panel.rows), len(panel.evses), len(panel.entries.row), shape.steps - 1
        tails = 1 if shape.risk == "cvar" else 0
        self.now_row, self.now_most, self.now_least = self.block(rows), self.block(evses), self.block(evses)
        self.then_most, self.then_least = self.block(later, evses), self.block(later, evses)
        self.energy = self.block(evses if later else 0)
        self.certain_most, self.certain_least = (self.block(tails * later, entries) for _ in range(2))
        self.loss, self.above_least = (self.block(tails * later, rows, shape.samples) for _ in range(2))
        self.then_row = self.block(later, rows)
        self.inequalities = self.count
        lengths = np.bincount(panel.entries.row, minlength=rows)
        self.cones = np.tile(lengths + 2, later).tolist()
        first = np.cumsum(lengths + 2) - (lengths + 2)
        step = self.block(later, int((lengths + 2).sum()))
        self.cone_head, self.cone_sigma = step[:, first], step[:, first + 1]
        # Entries come row by row, so the n-th entry of a row stands n places after that row's sigma.
        nth = np.arange(entries) - (np.cumsum(lengths) - lengths)[panel.entries.row]
        self.cone_entry = step[:, first[panel.entries.row] + 2 + nth]
        self.doubt_head, self.doubt = self.block(1 if later else 0), self.block(later, evses)
        if later:
            self.cones.append(1 + later * evses)


class DroModel:
    """One program, laid out for a panel and a shape. Not for two threads at once."""

    def __init__(self, panel: Panel, shape: Shape) -> None:
        """Lay out the program: every place that may hold a coefficient."""
        self.panel, self.shape = panel, shape
        self._x, self._at = _Columns(panel, shape), _Lines(panel, shape)
        self._program = ConeProgram(self._x.count, self._at.inequalities, self._at.cones)
        add, x, at, entries = self._program.add, self._x, self._at, panel.entries
        add(at.now_row[entries.row], x.now[entries.column], entries.coefficient)
        add(at.now_most, x.now, 1.0)
        add(at.now_least, x.now, -1.0)
        if shape.steps > 1:
            self._lay_out_later()

    def _lay_out_later(self) -> None:
        add, x, at, entries = self._program.add, self._x, self._at, self.panel.entries
        drawn = x.then[:, entries.column]
        add(at.then_most, x.then, 1.0)
        add(at.then_least, x.then, -1.0)
        add(at.energy, x.now, 1.0)
        add(at.energy[None, :], x.then, 1.0)
        add(at.cone_head, x.norm, -1.0)
        add(at.cone_entry, drawn, -entries.coefficient)
        add(at.doubt_head, x.doubt, -1.0)
        self._doubt = add(at.doubt, x.then, 0.0)
        self._reach = add(at.then_row, x.norm, 0.0)
        by_entry = at.then_row[:, entries.row]
        if self.shape.risk == "expectation":
            self._share = add(by_entry, drawn, 0.0)
            return
        # Of what an EVSE draws at a row the part `certain` counts as if the car were there for sure.
        add(at.cone_entry, x.certain, 1.0)
        add(at.certain_most, x.certain, 1.0)
        add(at.certain_most, drawn, -entries.coefficient)
        add(at.certain_least, x.certain, -1.0)
        add(by_entry, x.certain, 1.0)
        # CVaR of the rest by Rockafellar and Uryasev: min over tau of tau + mean of (loss - tau)+ / level.
        add(at.then_row, x.tau, 1.0)
        self._part = add(at.then_row[:, :, None], x.above, 0.0)
        loss = at.loss[:, entries.row, :]
        self._there = add(loss, drawn[:, :, None], 0.0)
        self._there_certain = add(loss, x.certain[:, :, None], 0.0)
        add(at.loss, x.tau[:, :, None], -1.0)
        add(at.loss, x.above, -1.0)
        add(at.above_least, x.above, -1.0)

    def solve(self, problem: HorizonProblem, settings: DroSettings, now_room_a: Vector) -> Currents | Infeasible:
        """The optimum for new data of the same shape; `now_room_a` [R] is what the present step's EVSEs may draw."""
        x, at = self._x, self._at
        high_a = np.maximum(np.where(problem.served, problem.high_a[:, 0], 0.0), problem.low_a)
        # Bounds that coincide leave an interior-point method no interior; callers clip to the true ones.
        high_a = np.maximum(high_a, problem.low_a + _SPARE_A)
        weight = np.where(problem.served, problem.weight, 0.0)
        curve, slope, bound = np.zeros(x.count), np.zeros(x.count), np.zeros(self._at.count)
        curve[x.now] = EVENNESS * np.maximum(problem.weight, EVENNESS) / np.maximum(high_a, 1.0)
        slope[x.now] = -weight
        bound[at.now_row], bound[at.now_most], bound[at.now_least] = now_room_a, high_a, -problem.low_a
        if self.shape.steps > 1:
            slope[x.then] = -(problem.available[:, :, 1:].mean(axis=0) * problem.weight[:, None]).T
            slope[x.doubt] = 1.0
            self._fill_later(problem, settings, bound)
        # Constraints are homogeneous in the currents, so any unit will do.
        scaled = self._program.solve(curve * _UNIT_A, slope, bound / _UNIT_A)
        if isinstance(scaled, str):
            return Infeasible(f"Clarabel: {scaled}")
        found = scaled * _UNIT_A
        return Currents(found[x.now], found[x.then].T, -float(slope @ found))

    def _fill_later(self, problem: HorizonProblem, settings: DroSettings, bound: Vector) -> None:
        """Coefficients and right-hand sides of the later steps, steps first."""
        change, at, entries = self._program.change, self._at, self.panel.entries
        bound[at.energy] = np.maximum(problem.energy_ah / problem.step_h, problem.low_a)
        bound[at.cone_sigma] = sigma_a = problem.row_sigma_a[:, 1:].T
        reach = np.broadcast_to(settings.reach(problem)[1:, None], sigma_a.shape)
        change(self._reach, reach)
        change(self._doubt, -settings.radii(problem)[1:, None] * problem.weight)
        margin_a = load_margin_a(problem, settings)[:, 1:].T
        room_a, high_a = problem.room_a[:, 1:].T, np.maximum(problem.high_a[:, 1:].T, _SPARE_A)
        # Where the load alone is too much nothing may be drawn, which must not make the whole plan impossible.
        blocked = margin_a > room_a - _SPARE_A
        room_a = np.where(blocked, margin_a + _BLOCKED_A, room_a)
        step, entry = np.nonzero(blocked[:, entries.row])
        high_a[step, entries.column[entry]] = _SPARE_A
        bound[at.then_most] = high_a
        there = problem.available[:, entries.column, 1:].transpose(2, 1, 0)
        if self.shape.risk == "expectation":
            # The load's part of the margin, but for the norm, which is in the cone.
            bound[at.then_row] = room_a - margin_a + reach * sigma_a
            share = np.ones(there.shape[:2]) if settings.boxed else there.mean(axis=2)
            change(self._share, share * entries.coefficient)
            return
        bound[at.then_row] = room_a
        bound[at.loss] = -problem.row_load_a[:, :, 1:].transpose(2, 1, 0)
        change(self._there, there * entries.coefficient[None, :, None])
        change(self._there_certain, -there)
        change(self._part, np.full(at.loss.size, 1.0 / (settings.level * self.shape.samples)))
