"""What every strategy is asked and what it answers: linear rows over EVSE currents (ems.md sections 1 and 2)."""

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt
from scipy import sparse

from domain.ids import EvseId, FeederId
from domain.site import Phase

Vector = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

_LARGE = 10_000
"""Coefficients, zeros counted, from which on a product by the others alone is faster."""


@dataclass(frozen=True, slots=True)
class Row:
    """One constraint: a phase of a feeder (`facet` numbers the polygon's sides in the phasor form) or a group cap."""

    feeder: FeederId
    phase: Phase | None
    group: Literal["ac", "dc"] | None = None
    facet: int = 0


@dataclass(frozen=True)
class Panel:
    """A site's topology, compiled once: `matrix @ current_a <= capacity_a`.

    `matrix` is rows x EVSEs, dimensionless and >= 0, current per conductor of the EVSE to current at the row (through
    transformers). `usable_a` is u_f r_f per row, or the group's cap. `evses` and `rows` name the columns and rows.
    """

    evses: tuple[EvseId, ...]
    rows: tuple[Row, ...]
    matrix: Vector
    usable_a: Vector
    conductors: npt.NDArray[np.int64]

    def compiled(self) -> "Panel":
        """Itself, with all that is derived from it worked out: not left to the first decision."""
        for each in (self, self.of_kinds):
            assert each.entries.row.size == each.entries.column.size
            each.load_a(np.zeros(len(each.evses)))
            assert each._loads.shape == each.matrix.shape
            assert len(each._columns) == len(each.evses)
        return self

    @cached_property
    def entries(self) -> "Entries":
        """The non-zero coefficients, row by row."""
        row, column = np.nonzero(self.matrix)
        return Entries(row, column, self.matrix[row, column])

    def load_a(self, current_a: Vector) -> Vector:
        """`matrix @ current_a`; of a large panel, which is sparse, by its non-zero coefficients alone."""
        return np.asarray(self._product @ current_a)

    @cached_property
    def _product(self) -> "Vector | sparse.csr_array":
        return sparse.csr_array(self.matrix) if self.matrix.size > _LARGE else self.matrix

    @cached_property
    def _columns(self) -> tuple[tuple[npt.NDArray[np.int64], Vector], ...]:
        loaded = (np.flatnonzero(column) for column in self.matrix.T)
        return tuple((rows, self.matrix[rows, n]) for n, rows in enumerate(loaded))

    def column_a(self, column: int) -> tuple[npt.NDArray[np.int64], Vector]:
        """The rows that an EVSE loads, and what 1 A of it puts there."""
        return self._columns[column]

    def loading(self, rows: Mask) -> Mask:
        """Which EVSEs load at least one of these rows."""
        found = np.zeros(len(self.evses), dtype=np.bool_)
        for row in np.flatnonzero(rows).tolist():
            found |= self._loads[row]
        return found

    @cached_property
    def _loads(self) -> Mask:
        return self.matrix > 0.0

    @cached_property
    def kinds(self) -> "Kinds":
        """EVSEs with one and the same column, gathered."""
        columns = np.vstack([self.matrix, self.conductors])
        _, first, of_evse = np.unique(columns, axis=1, return_index=True, return_inverse=True)
        return Kinds(of_evse.reshape(-1), np.ascontiguousarray(self.matrix[:, first]), self.conductors[first])

    @cached_property
    def memo(self) -> dict[object, object]:
        """Answers to the last questions about this panel, for whoever asks the same again; to be kept small."""
        return {}

    @cached_property
    def of_kinds(self) -> "Panel":
        """The same rows over kinds, as if each kind were one EVSE."""
        kinds = self.kinds
        names = tuple(EvseId(f"kind {number}") for number in range(len(kinds.conductors)))
        return Panel(names, self.rows, kinds.matrix, self.usable_a, kinds.conductors)


@dataclass(frozen=True)
class Entries:
    """A matrix's non-zero coefficients: `coefficient[n]` at (`row[n]`, `column[n]`), in the order of rows."""

    row: npt.NDArray[np.int64]
    column: npt.NDArray[np.int64]
    coefficient: Vector


@dataclass(frozen=True)
class Kinds:
    """EVSEs that load every row alike (one feeder, the same phases): only their sum matters to the rows.

    `of_evse` is the kind of each EVSE; `matrix` (rows x kinds) and `conductors` belong to a kind.
    """

    of_evse: npt.NDArray[np.int64]
    matrix: Vector
    conductors: npt.NDArray[np.int64]


@dataclass(frozen=True)
class Outlook:
    """What the newest plan over the coming hours says of the present step; made off the loop (`ems.dro.solve_dro`).

    `planned_a` per EVSE, 0 where it plans nothing now.
    """

    planned_a: Vector


@dataclass(frozen=True)
class Problem:
    """One allocation at one instant.

    `capacity_a` per row: what the EVSEs together may draw there (usable or temporary limit - non-EV load - EVSEs that
    are not controllable); may be negative. Per EVSE: `min_a` (I_min), `upper_a` = requested_m = min(I_max, the CSMS's
    limit, what the car takes), 0 where nothing is asked; `alpha` >= 1; `on` is the scheduler's word (z), or None
    where z is free. `order`: column numbers, first come first, for the strategies that go by it (None: as listed).
    `outlook`: for the strategies that look ahead; None where there is no plan. `pace` >= 1 weighs fair shares beyond
    `alpha`: how much faster than another an EVSE must charge to get its part of what it needs; None: all alike.
    """

    panel: Panel
    capacity_a: Vector
    min_a: Vector
    upper_a: Vector
    alpha: Vector
    on: Mask | None
    order: tuple[int, ...] | None = None
    outlook: Outlook | None = None
    pace: Vector | None = None


@dataclass(frozen=True)
class Allocation:
    """Currents per EVSE in A: 0 or within [min_a, upper_a], and `panel.matrix @ current_a <= capacity_a` to 1e-6.

    `price` per row: how much the total set-point (sum of current_a times conductors) would rise per A of capacity
    there; 0 where the row does not bind. `binding` per EVSE: index of the row that keeps it below `upper_a`, or -1.
    `note`: what a reader should know of how it was found, beyond the strategy's name.
    """

    current_a: Vector
    price: Vector
    binding: npt.NDArray[np.int64]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Infeasible:
    """The minima of the admitted EVSEs do not fit, or the solver gave no answer; `why` in words."""

    why: str


class Strategy(Protocol):
    """A way to share what there is. Pure and deterministic: the same problem gives the same answer."""

    @property
    def name(self) -> str:
        """The strategy's name in the site file."""
        ...

    def allocate(self, problem: Problem) -> Allocation | Infeasible:
        """Share `capacity_a`; never raises for a well-formed problem."""
        ...
