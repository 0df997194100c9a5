"""The scheduler's question, put in the panel's terms: who asks, on which contended circuits, and what fits."""

from datetime import tzinfo

import numpy as np
import numpy.typing as npt

from domain.ids import EvseId
from domain.site import Evse
from domain.snapshot import EvseView
from ems.problem import Mask, Vector
from ems.situation import SLACK_A, Situation
from scheduler.admission import admit
from scheduler.contender import Admission, Contender


def take_turns(situation: Situation, timezone: tzinfo) -> Admission:
    """Who may charge now. Held EVSEs keep their place and take no part."""
    site = situation.layout.site
    rows = _contended_rows(situation)
    circuits = _circuits(situation, rows)
    contenders = [
        _contender(view, evse, circuits[column], held=bool(situation.held[column]))
        for column, (view, evse) in enumerate(zip(situation.views, situation.layout.evses, strict=True))
        if situation.asking[column]
    ]
    fit = _Minima(situation, rows).fit
    return admit(site.scheduler, situation.snapshot.rotation, contenders, fit, situation.now, timezone)


def newcomers(situation: Situation) -> Mask:
    """Who would have to be switched on: their minima must fit beside the highest base load, not the likely one."""
    return np.asarray(situation.in_force_a < situation.layout.lowest_a - SLACK_A)


def blocking_row(situation: Situation, load_a: Vector, column: int) -> int:
    """The row that keeps an EVSE out beside a load of minima: where it would be furthest above the room; -1: none."""
    own_a = situation.panel.matrix[:, column] * situation.layout.lowest_a[column]
    over = np.where(own_a > 0.0, load_a + own_a - situation.rise_capacity_a, -np.inf)
    return int(over.argmax()) if over.size and over.max() > SLACK_A else -1


def _contended_rows(situation: Situation) -> npt.NDArray[np.int64]:
    """Where the minima of all who ask do not fit together."""
    load = situation.panel.matrix @ np.where(situation.asking & ~situation.held, situation.layout.lowest_a, 0.0)
    return np.flatnonzero(load > situation.rise_capacity_a + SLACK_A)


def _circuits(situation: Situation, rows: npt.NDArray[np.int64]) -> list[frozenset[str]]:
    """Per EVSE the contended phases of feeders on its path."""
    found: list[set[str]] = [set() for _ in situation.views]
    for row in rows.tolist():
        name = f"{situation.panel.rows[row].feeder}/{situation.panel.rows[row].phase}"
        for column in np.flatnonzero(situation.panel.matrix[row] > 0.0).tolist():
            found[column].add(name)
    for column in np.flatnonzero(newcomers(situation) & ~situation.fresh).tolist():
        found[column].add(f"stale/{situation.panel.evses[column]}")  # it does not fit, whoever else asks
    return [frozenset(circuits) for circuits in found]


def _contender(view: EvseView, evse: Evse, circuits: frozenset[str], *, held: bool) -> Contender:
    session = view.session
    assert session is not None
    wanted_wh = session.energy_wanted_wh
    return Contender(
        evse=evse.id,
        since=session.started_at,
        circuits=circuits,
        pinned=held,
        departure_at=session.departure_at,
        remaining_wh=None if wanted_wh is None else max(0.0, wanted_wh - session.energy_wh),
        max_w=_volts(evse) * evse.max_a,
    )


def _volts(evse: Evse) -> float:
    """Nominal W per A; only the ratios between EVSEs matter to least laxity first."""
    return {1: 120.0, 2: 208.0, 3: 360.0}[evse.conductors]


class _Minima:
    """Whether minima fit, adding one EVSE at a time to sums already known. Only contended rows are looked at."""

    def __init__(self, situation: Situation, rows: npt.NDArray[np.int64]) -> None:
        new = newcomers(situation)
        self._column = {evse: column for column, evse in enumerate(situation.panel.evses)}
        self._barred = frozenset(
            evse for evse, no in zip(situation.panel.evses, (new & ~situation.fresh).tolist(), strict=True) if no
        )
        loads = situation.panel.matrix[rows] * situation.layout.lowest_a
        self._loads = np.ascontiguousarray(loads.T)
        self._starts = (self._loads > 0.0) & new[:, None]
        self._hold_a = situation.hold_capacity_a[rows] + SLACK_A
        self._gap_a = np.maximum(0.0, situation.hold_capacity_a[rows] - situation.rise_capacity_a[rows])
        self._known: dict[tuple[EvseId, ...], tuple[Vector, Mask]] = {}

    def fit(self, some: tuple[EvseId, ...]) -> bool:
        """Those already on beside the likely base load; rows that a newcomer loads beside the highest one."""
        before = self._known.get(some[:-1])
        if before is not None and some:
            columns = [self._column[some[-1]]]
            load, started = before[0] + self._loads[columns[0]], before[1] | self._starts[columns[0]]
        else:
            columns = [self._column[evse] for evse in some]
            load, started = self._loads[columns].sum(axis=0), self._starts[columns].any(axis=0)
        if not self._barred.isdisjoint(some[-1:] if before is not None else some):
            return False
        fits = bool(((load <= self._hold_a - self._gap_a * started) | (load <= 0.0)).all())
        if fits:
            self._known[some] = (load, started)
        return fits
