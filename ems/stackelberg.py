"""Strategy `stackelberg` (ems.md section 4; seed 004 ch. 6): the main panel leads, its sub-panels follow.

    follower n    maximise    U_n(y) = sum_m w_m (beta y_m - y_m^2 / (2 i_m))                        (6.1), restated
                  subject to  what its EVSEs draw on the leader's rows <= x_n - delta_n              (6.1a)
                              its own rows and those of panels below, AC and DC caps                 (6.1b, 6.1c)
                              I_min z_m <= y_m <= min(I_max, i_m) z_m                                (6.1d, 6.1f, 6.1g)
    leader        minimise    r sum_n p_n x_n   subject to  sum_n x_n <= I_max                       (6.3, 6.3a)

i_m: requested current; w_m = alpha_m, an EVSE's or a session's priority (a DC charger before AC by a higher one). With
the toll L_m, the sum of the prices of the rows on m's path, the follower's answer is unique (`Terms.answer`):

    y_m = clip(i_m (beta - L_m / w_m), I_min z_m, min(I_max, i_m) z_m).

Differences from the seed: its (6.1) is garbled; this utility has all the properties that it states (strictly concave;
beta keeps allocations from zero; requested currents scale the penalty; alpha gives priority). Its leader would minimise
x alone, which is x_n = 0; here the leader anticipates the answers, first maximising sum_n V_n(x_n), V_n the follower's
best value, then minimising its cost. The first settles y, because V_n is strictly concave in what is used; the second
then leaves x_n = delta_n + what the followers use, whatever r and p_n are. x_n is a vector: one entry per row of the
leader (phase, polygon side, group). sum z = q (6.1e) is the scheduler's word. The equilibrium is checked each time.
"""

from dataclasses import dataclass

import numpy as np

from ems.asked import Asked, admit_in_order, asked
from ems.fitted import binding_rows, fitted
from ems.prices import Demands, clearing_prices
from ems.problem import Allocation, Infeasible, Panel, Problem, Vector

BETA = 1.0
CERTAIN = 1e-6
"""Largest KKT residual of an equilibrium: A, and weighted A per A for prices."""

_ROUNDS = 4
_SAME_A = 1e-6
_PRICED = 1e-9


@dataclass(frozen=True, slots=True)
class Stackelberg:
    """The game as a `Strategy`. `beta` >= 1: with 1 EVSEs of one priority on one row get shares of what they request.

    `Allocation.price` of a priced row is what the EVSEs that answer to it would gain together per A more there; what
    others would lose by it further along is not counted. Without an equilibrium to `CERTAIN`: Infeasible.
    """

    name: str = "stackelberg"
    beta: float = BETA

    def allocate(self, problem: Problem) -> Allocation | Infeasible:
        """The followers' currents in equilibrium; unique, so the same problem gives the same currents."""
        given = asked(problem, admit_in_order(problem) if problem.on is None else problem.on)
        if isinstance(given, Infeasible):
            return given
        terms = Terms.of(given, problem.alpha, self.beta)
        found = play(problem.panel, given, terms)
        if isinstance(found, Infeasible):
            return found
        panel, price = problem.panel, _gains(problem.panel, given, terms, found)
        return Allocation(found.current_a, price, binding_rows(panel, given, found.current_a, found.price))


@dataclass(frozen=True)
class Terms:
    """What followers want: per EVSE w_m (`weight`), i_m (`requested_a`, > 0), bounds in A; one beta for all."""

    weight: Vector
    requested_a: Vector
    low_a: Vector
    high_a: Vector
    beta: float

    @classmethod
    def of(cls, given: Asked, alpha: Vector, beta: float) -> "Terms":
        """Terms of the EVSEs that are served; those of the others are bounds of 0."""
        return cls(alpha, np.where(given.served, given.high_a, 1.0), given.low_a, given.high_a, beta)

    def answer(self, toll: Vector) -> Vector:
        """The best response to tolls, A."""
        return np.clip(self.requested_a * (self.beta - toll / self.weight), self.low_a, self.high_a)

    def utility(self, current_a: Vector) -> float:
        """sum_m w_m (beta y_m - y_m^2 / (2 i_m)) over all followers, in weighted A."""
        return float(self.weight @ (self.beta * current_a - current_a**2 / (2.0 * self.requested_a)))

    def demands(self) -> Demands:
        """The same answers as a step above the minima."""
        start_a = self.requested_a * self.beta - self.low_a
        return Demands(start_a, self.weight / self.requested_a, self.high_a - self.low_a)


@dataclass(frozen=True)
class Equilibrium:
    """`current_a` per EVSE, the leaders' `price` per row (utility per A), the rounds that Algorithm 2 took, and how far
    the optimality conditions of all players are missed (`residual`, at most `CERTAIN`).
    """

    current_a: Vector
    price: Vector
    rounds: int
    residual: float


def play(panel: Panel, given: Asked, terms: Terms) -> Equilibrium | Infeasible:
    """Algorithm 2: demands go up, set-points come down, until they are the same.

    1. Followers ask for all they want, regardless of the leader. 2. Where that fits the leader grants exactly it; where
    it does not, it sets the prices at which the answers fit (on a deeper tree an intermediate panel is follower and
    leader: its price joins the toll of everyone below). 3. Followers answer, which is their new demand.
    """
    price = np.zeros(len(panel.rows))
    demand_a = terms.answer(panel_toll(panel, price))
    for number in range(1, _ROUNDS + 1):
        if (panel.load_a(demand_a) > given.room_a + _SAME_A).any():
            found = clearing_prices(panel, given.room_a - panel.load_a(given.low_a), terms.demands())
            if found is None:
                return Infeasible("the leader found no prices at which the followers' answers fit")
            price = found
        set_point_a = terms.answer(panel_toll(panel, price))
        if np.abs(set_point_a - demand_a).max(initial=0.0) <= _SAME_A:
            current_a = fitted(panel, given, set_point_a)
            residual = kkt_residual(panel, given, terms, current_a, price)
            if residual > CERTAIN:
                return Infeasible(f"no equilibrium: optimality is missed by {residual:.1e}")
            return Equilibrium(current_a, price, number, residual)
        demand_a = set_point_a
    return Infeasible(f"demands and set-points still differ after {_ROUNDS} rounds")


def panel_toll(panel: Panel, price: Vector) -> Vector:
    """L_m: the prices of the rows on m's path, times m's coefficients there."""
    entries = panel.entries
    return np.bincount(entries.column, entries.coefficient * price[entries.row], len(panel.evses)).astype(np.float64)


def kkt_residual(panel: Panel, given: Asked, terms: Terms, current_a: Vector, price: Vector) -> float:
    """The largest miss of: best response to the tolls, rows kept, prices >= 0, prices only at full rows.

    All players' conditions at once: a follower's conditions given x_n are those of its EVSEs and rows, with the prices
    of the rows above as multipliers of its grant; the leader's are that these are the same for all its followers.
    """
    answer_a = terms.answer(panel_toll(panel, price))
    slack_a = given.room_a - panel.load_a(current_a)
    misses = (np.abs(current_a - answer_a), -slack_a, -price, np.minimum(price, slack_a))
    return max(float(miss.max(initial=0.0)) for miss in misses)


def respond(panel: Panel, given: Asked, terms: Terms, members: Vector, grant_a: Vector) -> Vector | None:
    """What a panel with the EVSEs `members` (0 or 1 each) answers to a grant: at most `grant_a` per row of the site.

    For rows of its leader the grant is x_n - delta_n; for rows of its own, and of panels below (which follow it), what
    those carry. Currents in A, 0 for EVSEs that are not members; None where not even the minima fit the grant.
    """
    mine = members > 0.0
    own = Terms(
        terms.weight, terms.requested_a, np.where(mine, terms.low_a, 0.0), np.where(mine, terms.high_a, 0.0), terms.beta
    )
    room_a = np.minimum(given.room_a, grant_a) - panel.load_a(own.low_a)
    if (room_a < -_SAME_A).any():
        return None
    price = clearing_prices(panel, np.maximum(room_a, 0.0), own.demands())
    return None if price is None else own.answer(panel_toll(panel, price))


def _gains(panel: Panel, given: Asked, terms: Terms, found: Equilibrium) -> Vector:
    """Per priced row the A of total set-point per A of capacity, of the EVSEs that are free to answer to its price."""
    entries = panel.entries
    free = (found.current_a > given.low_a + _SAME_A) & (found.current_a < given.high_a - _SAME_A)
    yielding = np.where(free, terms.requested_a / terms.weight, 0.0)[entries.column] * entries.coefficient
    gain = np.bincount(entries.row, yielding * panel.conductors[entries.column], len(panel.rows))
    cost = np.bincount(entries.row, yielding * entries.coefficient, len(panel.rows))
    return np.divide(gain, cost, out=np.zeros(len(cost)), where=(found.price > _PRICED) & (cost > 0.0))
