"""Cohort model (000 eq. 3.3): a fleet as n + 1 classes of remaining energy, at a price that does not grow with the
fleet.

    min  sum_t pi_t Delta P0 1'c(t) + gamma sum_t beta' x(t)
    s.t. x(t+1) = A x(t) + a(t) + B c(t),  0 <= c <= x,  0 <= P0 1'c(t) <= P_bar.

Class i still needs i steps of P0 Delta kWh; class 0 is full. A = diag(1 - alpha_i) lets the share alpha_i =
(n+1-i)/(n+2) leave in each slot, the fuller the sooner; B moves a charged car one class down. The seed leaves x >= 0 to
0 <= c <= x of the next slot; it is asked here of the last state too. c_0 = 0, for a full car takes nothing.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from ems.planning.horizon import PlanInfeasible, Reason, Vector
from ems.planning.linear import NoOptimum, Program, minimise


@dataclass(frozen=True)
class CohortDay:
    """A day of arrivals in classes.

    `arrivals` a(t) is T x (n + 1) cars, `price_per_kwh` T; `power_kw` is P0 per charging car, `capacity_kw` P_bar of
    the site (T); `initial` x(0) is n + 1 cars, nobody by default.
    """

    slot_h: float
    price_per_kwh: Vector
    arrivals: Vector
    power_kw: float
    capacity_kw: Vector
    initial: Vector | None = None

    def __post_init__(self) -> None:
        """Refuses shapes that do not belong together and negative figures (ValueError)."""
        slots = self.price_per_kwh.shape[0]
        if self.arrivals.ndim != 2 or self.arrivals.shape[0] != slots or self.capacity_kw.shape != (slots,):
            raise ValueError(
                f"price has {slots} slots, arrivals {self.arrivals.shape}, capacity {self.capacity_kw.shape}"
            )
        if self.arrivals.shape[1] < 2:
            raise ValueError("at least two classes are needed: full, and one step short of it")
        if not np.isfinite(self.price_per_kwh).all() or not np.isfinite([self.slot_h, self.power_kw]).all():
            raise ValueError("price_per_kwh, slot_h and power_kw must be numbers")
        for name, values in (("arrivals", self.arrivals), ("capacity_kw", self.capacity_kw)):
            if not (values >= 0).all():
                raise ValueError(f"{name} must be 0 or more in every slot")
        if self.initial is not None and (
            self.initial.shape != self.arrivals.shape[1:] or not (self.initial >= 0).all()
        ):
            raise ValueError(f"initial needs {self.arrivals.shape[1]} values of 0 or more")

    @property
    def classes(self) -> int:
        """n, the number of classes that still need energy."""
        return int(self.arrivals.shape[1]) - 1

    @property
    def step_kwh(self) -> float:
        """P0 Delta, the energy that moves one car one class down."""
        return self.power_kw * self.slot_h

    @property
    def start(self) -> Vector:
        """x(0)."""
        return np.zeros(self.classes + 1) if self.initial is None else self.initial


@dataclass(frozen=True)
class CohortPlan:
    """Cars charged and cars present per class and slot.

    `charged` c is T x (n + 1), `present` x is (T + 1) x (n + 1); `energy_cost` is the first term of the objective,
    `waiting` is sum_t beta' x(t), the seed's dissatisfaction in car-slots; `capacity_value` per kWh of site capacity
    (T).
    """

    charged: Vector
    present: Vector
    energy_kwh: Vector
    energy_cost: float
    waiting: float
    objective: float
    capacity_value: Vector

    @property
    def delivered_kwh(self) -> float:
        """Energy of the whole day."""
        return float(self.energy_kwh.sum())


def remain(classes: int) -> Vector:
    """The diagonal of A: 1 - alpha_i = (i + 1) / (n + 2), the share of class i that stays for another slot."""
    return np.asarray((np.arange(classes + 1) + 1.0) / (classes + 2.0))


def dissatisfaction(classes: int) -> Vector:
    """The weights beta of the seed: 0 for full cars, 1 for every other class."""
    return np.concatenate([[0.0], np.ones(classes)])


def plan_cohort(
    day: CohortDay, waiting_price: float = 1.3, *, beta: Vector | None = None, at_least_kwh: float | None = None
) -> CohortPlan | PlanInfeasible:
    """The best schedule of the classes.

    Args:
        day: Arrivals, prices, limits.
        waiting_price: gamma, money per car and slot spent below full.
        beta: Weight per class (n + 1); the seed's (0, 1, ..., 1) by default.
        at_least_kwh: Deliver at least this much over the day, for comparison at equal energy; may be infeasible.

    Raises:
        ArithmeticError: the solver gave no schedule, or one that does not hold when it is run.

    Guarantees: the number of variables is 2 T n, whatever the fleet. Cars are counted in units of the day's
        largest arrival while
    solving, so that tolerances mean the same for a hundred cars and for a million.
    """
    weights = dissatisfaction(day.classes) if beta is None else beta
    unit = max(float(day.arrivals.sum(axis=1).max()), float(day.start.sum()), 1e-9)
    solved = minimise(_program(day, waiting_price * weights, at_least_kwh, unit))
    if isinstance(solved, NoOptimum):
        return PlanInfeasible(
            (
                Reason(
                    None,
                    f"the fleet cannot take {at_least_kwh or 0.0:.1f} kWh: cars leave before they could be charged, "
                    f"or the site's "
                    f"limit of {float(day.capacity_kw.min()):g} kW is too small",
                ),
            )
        )
    charged = np.zeros((day.price_per_kwh.shape[0], day.classes + 1))
    charged[:, 1:] = np.maximum(0.0, solved.x[: charged.shape[0] * day.classes]).reshape(-1, day.classes) * unit
    # A row's bound is P_bar slot_h in kWh, divided by the unit, as the objective is.
    capacity_value = np.maximum(0.0, -solved.row_price[: charged.shape[0]])
    plan = follow(day, charged, waiting_price * weights, weights, capacity_value)
    if min(float(plan.present.min()), float((plan.present[:-1] - charged).min())) < -1e-5 * unit:
        raise ArithmeticError("the cohort program was not solved: its schedule charges cars that are not there")
    return plan


def follow(day: CohortDay, charged: Vector, penalty: Vector, weights: Vector, capacity_value: Vector) -> CohortPlan:
    """Run the dynamics of the model under given controls `charged` (T x (n + 1)) and add up what they cost."""
    stay, slots = remain(day.classes), charged.shape[0]
    present = np.zeros((slots + 1, day.classes + 1))
    present[0] = day.start
    for t in range(slots):
        present[t + 1] = stay * present[t] + day.arrivals[t] - charged[t]
        present[t + 1, :-1] += charged[t, 1:]
    energy = charged.sum(axis=1) * day.step_kwh
    cost = float(day.price_per_kwh @ energy)
    return CohortPlan(
        charged=charged,
        present=present,
        energy_kwh=energy,
        energy_cost=cost,
        waiting=float((present[:-1] @ weights).sum()),
        objective=cost + float((present[:-1] @ penalty).sum()),
        capacity_value=capacity_value,
    )


def _program(day: CohortDay, penalty: Vector, at_least_kwh: float | None, unit: float) -> Program:
    """Columns: c_1..c_n per slot, then x_1..x_n of slots 1..T. Rows: capacity, balance, c <= x, the energy asked.

    Class 0 needs no variable: c_1 >= 0 keeps it positive, and what waiting in it costs is the cost of entering it.
    """
    slots, n = day.price_per_kwh.shape[0], day.classes
    cells = slots * n
    one = sparse.eye_array(slots, format="csc")
    shift = sparse.eye_array(slots, k=-1, format="csc")
    stay = remain(n)
    capacity = sparse.kron(one, np.full((1, n), day.step_kwh))
    move = sparse.eye_array(n) - sparse.eye_array(n, k=1)
    # x(t+1) - A x(t) - B c(t) = a(t): row block t holds x(t+1) at column block t; x(0) is a constant.
    balance_x = sparse.eye_array(cells) - sparse.kron(shift, sparse.diags_array(stay[1:]))
    balance_c = sparse.kron(one, move)
    # c(t) <= x(t), x(t) being column block t - 1.
    below, above = sparse.eye_array(cells), -sparse.kron(shift, sparse.eye_array(n))
    blocks = [[capacity, None], [balance_c, balance_x], [below, above]]
    arrivals, first = day.arrivals[:, 1:] / unit, np.zeros((slots, n))
    arrivals[0] += stay[1:] * day.start[1:] / unit
    first[0] = day.start[1:] / unit
    lower = [np.full(slots, -np.inf), arrivals.ravel(), np.full(cells, -np.inf)]
    upper = [day.capacity_kw * day.slot_h / unit, arrivals.ravel(), first.ravel()]
    if at_least_kwh is not None:
        blocks.append([sparse.csc_array(np.full((1, cells), day.step_kwh)), None])
        lower.append(np.array([at_least_kwh / unit]))
        upper.append(np.array([np.inf]))
    controls = np.repeat(day.price_per_kwh[:, None] * day.step_kwh, n, axis=1)
    controls[:, 0] += penalty[0] * _slots_as_full(slots, float(stay[0]))
    # The objective counts x(0), a constant, to x(T - 1): the last state is free.
    waiting = np.tile(penalty[1:], (slots, 1))
    waiting[-1] = 0.0
    return Program(
        cost=np.concatenate([controls.ravel(), waiting.ravel()]),
        matrix=sparse.csc_array(sparse.block_array(blocks, format="csc")),
        row_lower=np.concatenate(lower),
        row_upper=np.concatenate(upper),
        lower=np.zeros(2 * cells),
        upper=np.full(2 * cells, np.inf),
        recurrence=True,
    )


def _slots_as_full(slots: int, stay: float) -> Vector:
    """Expected slots that a car counts in class 0 after entering it in slot t: x(t+1) .. x(T-1)."""
    counted = np.arange(slots - 1, -1, -1)
    return np.asarray((1.0 - stay**counted) / (1.0 - stay))
