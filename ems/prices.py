"""Prices at which separable demands fit a panel: the leader's search in `ems.stackelberg`.

    maximise  sum_m slope_m (start_m u_m - u_m^2 / 2)   subject to   A u <= b (prices), 0 <= u <= width        (1)

The dual of (1) has one price per row; the answer to the toll L = A' price is u_m = clip(start_m - L_m / slope_m, 0,
width_m). The prices are found by a primal-dual interior-point method (Mehrotra's predictor and corrector). An iteration
solves one system in the rows alone, (A D A' + S) step = rhs, D being the slopes of the answers. EVSEs of one kind (same
column) enter A D A' by their sum, and rows share EVSEs only along a path to the root: eliminated from the lowest panel
up the system gains hardly any entries, so that time grows with the number of panels and not with its square.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse.linalg import splu

from ems.problem import Panel, Vector

_ITERATIONS = 100
_DENSE_ROWS = 100
_REDUNDANT = 1e-13
_EXACT = 1e-11
_COMPLEMENTARY = 1e-17
_TO_THE_WALL = 0.9995
_SHUT_A = 1e-9
_HAIR = 1e-24
_CORRECTIONS = (1.0, 0.3, 0.0)
_FAR = 0.9
_BETTER = 1.1
_CENTRAL = 1e-3
_BACK = 20

Solve = Callable[[Vector], Vector]


@dataclass(frozen=True)
class Demands:
    """Per EVSE the answer to a toll L >= 0 on its current: clip(start_a - L / slope, 0, width_a), in A.

    `slope` > 0 is the toll that takes 1 A away. An EVSE with `width_a` 0 takes no part.
    """

    start_a: Vector
    slope: Vector
    width_a: Vector

    def answer(self, toll: Vector) -> Vector:
        """The currents at these tolls."""
        return np.clip(self.start_a - toll / self.slope, 0.0, self.width_a)


def clearing_prices(panel: Panel, room_a: Vector, demands: Demands) -> Vector | None:
    """Per row the price >= 0 of (1), 0 where the row is not full; None where the search does not end.

    `room_a` >= 0 per row; where it is 0 the price keeps all EVSEs there at 0. Where several rows say the same, prices
    are not unique; the answers to them are.
    """
    price = np.zeros(len(panel.rows))
    entries = panel.entries
    shut = room_a <= _SHUT_A
    at_shut = shut[entries.row] & (demands.width_a > 0.0)[entries.column]
    width_a = demands.width_a.copy()
    width_a[entries.column[at_shut]] = 0.0
    columns = np.flatnonzero(width_a > 0.0)
    rows = np.flatnonzero((panel.load_a(width_a) > room_a) & ~shut)
    if rows.size:
        found = _search(*_scaled(panel, room_a, demands, rows, columns))
        if found is None:
            return None
        price[rows] = found
    stay_at_0 = np.maximum(demands.slope * demands.start_a, 0.0)[entries.column[at_shut]]
    np.maximum.at(price, entries.row[at_shut], stay_at_0 / entries.coefficient[at_shut])
    return price


@dataclass(frozen=True)
class _Rows:
    """A of (1), by kinds: `matrix` is rows x kinds, `kind` the kind of each EVSE."""

    matrix: sparse.csr_array
    kind: npt.NDArray[np.int64]

    def load(self, current: Vector) -> Vector:
        """A u."""
        sums = np.bincount(self.kind, current, self.matrix.shape[1])
        return np.asarray(self.matrix @ sums)

    def toll(self, price: Vector) -> Vector:
        """A' price."""
        return np.asarray(self.matrix.T @ price)[self.kind]

    def solver(self, slopes: Vector, loose: Vector) -> Solve:
        """Factors A diag(slopes) A' + diag(loose)."""
        sums = np.bincount(self.kind, slopes, self.matrix.shape[1])
        square = self.matrix.multiply(sums[None, :]) @ self.matrix.T
        # Rows that say the same would make it singular in the end.
        loose = loose + _REDUNDANT * float(square.diagonal().max())
        if len(loose) <= _DENSE_ROWS:
            factor = cho_factor(square.toarray() + np.diag(loose))
            return lambda rhs: np.asarray(cho_solve(factor, rhs))
        system = (square + sparse.diags_array(loose)).tocsc()
        factors = splu(system, permc_spec="NATURAL", diag_pivot_thresh=0.0, options={"SymmetricMode": True})
        return lambda rhs: np.asarray(factors.solve(rhs))


def _scaled(
    panel: Panel, room_a: Vector, demands: Demands, rows: npt.NDArray[np.int64], columns: npt.NDArray[np.int64]
) -> tuple[_Rows, Vector, Demands, npt.NDArray[np.int64]]:
    """(1) for these rows and EVSEs alone, rows with few EVSEs first, in units of the largest width and price."""
    used, kind = np.unique(panel.kinds.of_evse[columns], return_inverse=True)
    matrix = panel.kinds.matrix[np.ix_(rows, used)]
    order = np.argsort((matrix > 0.0).sum(axis=1), kind="stable")
    compact = Demands(demands.start_a[columns], demands.slope[columns], demands.width_a[columns])
    return _Rows(sparse.csr_array(matrix[order]), kind.reshape(-1)), room_a[rows][order], compact, order


def _search(rows: _Rows, room_a: Vector, demands: Demands, order: npt.NDArray[np.int64]) -> Vector | None:
    """The prices, every vector in units of the largest width and of the largest toll that anybody would pay."""
    unit_a = float(demands.width_a.max())
    unit_price = float((demands.slope * demands.start_a).max())
    if unit_price <= 0.0:
        return np.zeros(len(room_a))
    scaled = Demands(demands.start_a / unit_a, demands.slope * unit_a / unit_price, demands.width_a / unit_a)
    room = room_a / unit_a
    half, ones = scaled.width_a / 2.0, np.ones(len(scaled.width_a))
    point = _Point(half, half, np.maximum(room - rows.load(half), 0.1), np.ones(len(room)), ones, ones)
    for _ in range(_ITERATIONS):
        over, steep = point.residuals(rows, room, scaled)
        missed = max(float(np.abs(over).max()), float(np.abs(steep).max()))
        if missed <= _EXACT and max(float(part.max()) for part in point.products()) <= _COMPLEMENTARY:
            price = np.empty(len(room))
            price[order] = point.price * unit_price
            return price
        point = _advance(rows, scaled.slope, point, over, steep)
        if not np.isfinite(point.price).all():
            return None
    return None


@dataclass(frozen=True)
class _Point:
    """Inside all bounds: u and width - u, slack and price of each row, multipliers of u >= 0 and of u <= width."""

    current: Vector
    left: Vector
    slack: Vector
    price: Vector
    low: Vector
    high: Vector

    @property
    def parts(self) -> tuple[Vector, ...]:
        """All of it; every entry is > 0, or a step."""
        return self.current, self.left, self.slack, self.price, self.low, self.high

    def residuals(self, rows: _Rows, room: Vector, demands: Demands) -> tuple[Vector, Vector]:
        """What is missing from A u + slack = room, and from the answer's being the best one."""
        over = rows.load(self.current) + self.slack - room
        steep = demands.slope * (self.current - demands.start_a) + rows.toll(self.price) - self.low + self.high
        return over, steep

    def products(self) -> tuple[Vector, Vector, Vector]:
        """Complementarity of rows, lower and upper bounds: all 0 at the optimum."""
        return self.price * self.slack, self.low * self.current, self.high * self.left

    def gap(self) -> float:
        """The mean of the products."""
        products = self.products()
        return float(sum(part.sum() for part in products)) / sum(len(part) for part in products)

    def reach(self, step: "_Point") -> float:
        """How much of a step, at most all, stays inside."""
        shrink = (float((-change / part).max()) for part, change in zip(self.parts, step.parts, strict=True))
        return 1.0 / max(1.0, *shrink)

    def moved(self, step: "_Point", length: float) -> "_Point":
        """Along a step. What rounding would put on a bound stays a hair inside."""
        ways = zip(self.parts, step.parts, strict=True)
        return _Point(*(np.maximum(part + length * change, _HAIR) for part, change in ways))


def _advance(rows: _Rows, slope: Vector, point: _Point, over: Vector, steep: Vector) -> _Point:
    """One predictor and corrector. The corrector is dropped where it shortens the step (else the method may cycle)."""
    slopes = 1.0 / (slope + point.low / point.current + point.high / point.left)
    solve = rows.solver(slopes, point.slack / point.price)

    def towards(at_row: Vector, at_low: Vector, at_high: Vector) -> _Point:
        """Newton's step that changes the three products by these amounts."""
        wish = at_low / point.current - at_high / point.left - steep
        price = solve(rows.load(slopes * wish) + over + at_row / point.price)
        current = slopes * (wish - rows.toll(price))
        return _Point(
            current,
            -current,
            (at_row - point.slack * price) / point.price,
            price,
            (at_low - point.low * current) / point.current,
            (at_high + point.high * current) / point.left,
        )

    at_row, at_low, at_high = point.products()
    first = towards(-at_row, -at_low, -at_high)
    gap = point.gap()
    centre = gap * (point.moved(first, point.reach(first)).gap() / gap) ** 3
    best, reach = first, 0.0
    for part in _CORRECTIONS:
        second = towards(
            centre - at_row - part * first.price * first.slack,
            centre - at_low - part * first.low * first.current,
            centre - at_high - part * first.high * first.left,
        )
        if (second_reach := point.reach(second)) > _BETTER * reach:
            best, reach = second, second_reach
        if reach >= _FAR:
            break
    return _central(point, best, _TO_THE_WALL * reach)


def _central(point: _Point, step: _Point, length: float) -> _Point:
    """As far along a step as no product falls far below their mean."""
    for _ in range(_BACK):
        moved = point.moved(step, length)
        if min(float(part.min()) for part in moved.products()) >= _CENTRAL * moved.gap():
            break
        length *= 0.8
    return moved
