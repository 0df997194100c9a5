"""The scheduler's question, put in the panel's terms: who asks, on which contended circuits, and what fits."""

from dataclasses import replace
from datetime import tzinfo

import numpy as np
import numpy.typing as npt

from domain.ids import EvseId
from domain.site import Evse
from domain.snapshot import EvseView
from ems.problem import Mask, Vector
from ems.shares import kind_name, shares
from ems.situation import SLACK_A, Situation
from scheduler.admission import admit
from scheduler.contender import Admission, Contender, Share


def take_turns(situation: Situation, timezone: tzinfo) -> Admission:
    """Who may charge now. Held EVSEs keep their place and take no part; those that take no turns (`worn`) come first.

    Circuits are contended where the minima of all who ask do not fit; who surges from 0 A needs all that it may draw
    then to be switched on, and no more than its minimum after it (`Situation.least_a`). Where every driver has told
    departure and need (`scheduler.by_need`), they are where the cars together could take more than there is.
    """
    settings, volts = situation.layout.site.scheduler, situation.layout.volts
    turning = situation.asking & ~situation.worn
    if not (turning.any() or situation.worn.any()):
        return admit(settings, situation.snapshot.rotation, (), lambda _: True, situation.now, timezone)
    asking = turning & ~situation.held
    by_need = settings.kind == "round_robin" and _all_known(situation, asking)
    wanted_a = np.maximum(situation.upper_a, situation.least_a) if by_need else situation.least_a
    steady_a = np.where(situation.worn, situation.least_a, 0.0)
    rows = _contended_rows(situation, np.where(asking, wanted_a, 0.0) + steady_a)
    circuits = _circuits(situation, rows)
    kinds = situation.panel.kinds.of_evse.tolist()
    contenders = [
        _contender(
            view,
            evse,
            circuits[column],
            held=bool(situation.held[column]),
            kind=kind_name(kinds[column]),
            most_w=float(volts[column] * situation.upper_a[column]),
        )
        for column, (view, evse) in enumerate(zip(situation.views, situation.layout.evses, strict=True))
        if turning[column]
    ]
    # Where all minima fit together no part of them can fail to.
    least_a = np.where(asking, situation.least_a, 0.0) + steady_a
    fit = _Minima(situation, _contended_rows(situation, least_a) if by_need else rows).fit
    steady: tuple[EvseId, ...] = ()
    for column in np.flatnonzero(situation.worn).tolist():
        more = (*steady, situation.panel.evses[column])
        steady = more if fit(more) else steady
    shared = _shares(situation, asking, steady_a, volts) if rows.size and by_need else None
    beside = (lambda some: fit((*steady, *some))) if steady else fit
    answer = admit(settings, situation.snapshot.rotation, contenders, beside, situation.now, timezone, shared)
    return replace(answer, admitted=(*steady, *answer.admitted)) if steady else answer


def _all_known(situation: Situation, asking: Mask) -> bool:
    """Whether everybody who takes part has told when the car leaves and what it needs."""
    sessions = [view.session for view, asks in zip(situation.views, asking.tolist(), strict=True) if asks]
    told = (s is not None and s.departure_at is not None and s.energy_wanted_wh is not None for s in sessions)
    return bool(sessions) and all(told)


def _shares(situation: Situation, asking: Mask, steady_a: Vector, volts: Vector) -> dict[str, Share]:
    """What each kind gets of what may be held, if all who ask and can be commanded share it."""
    room_a = situation.hold_capacity_a - situation.panel.load_a(steady_a)
    return shares(situation.panel, room_a, asking, situation.upper_a, situation.layout.lowest_a, volts)


def newcomers(situation: Situation) -> Mask:
    """Who would have to be switched on: their minima must fit beside the highest base load, not the likely one."""
    return np.asarray(situation.in_force_a < situation.layout.lowest_a - SLACK_A)


def blocking_row(situation: Situation, load_a: Vector, column: int) -> int:
    """The row that keeps an EVSE out beside a load of minima: where it would be furthest above the room; -1: none."""
    own_a = situation.panel.matrix[:, column] * situation.least_a[column]
    over = np.where(own_a > 0.0, load_a + own_a - situation.rise_capacity_a, -np.inf)
    return int(over.argmax()) if over.size and over.max() > SLACK_A else -1


def _contended_rows(situation: Situation, wanted_a: Vector) -> npt.NDArray[np.int64]:
    """Where what is wanted does not fit together."""
    return np.flatnonzero(situation.panel.load_a(wanted_a) > situation.rise_capacity_a + SLACK_A)


def _circuits(situation: Situation, rows: npt.NDArray[np.int64]) -> list[frozenset[str]]:
    """Per EVSE the contended phases of feeders on its path."""
    found: list[set[str]] = [set() for _ in situation.views]
    loaded: dict[str, Mask] = {}
    for row in rows.tolist():
        name = f"{situation.panel.rows[row].feeder}/{situation.panel.rows[row].phase}"
        loads = situation.panel.matrix[row] > 0.0
        loaded[name] = loads if name not in loaded else loaded[name] | loads
    for name, loads in loaded.items():
        for column in np.flatnonzero(loads).tolist():
            found[column].add(name)
    for column in np.flatnonzero(newcomers(situation) & ~situation.fresh).tolist():
        found[column].add(f"stale/{situation.panel.evses[column]}")  # it does not fit, whoever else asks
    return [frozenset(circuits) for circuits in found]


def _contender(
    view: EvseView, evse: Evse, circuits: frozenset[str], *, held: bool, kind: str, most_w: float
) -> Contender:
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
        max_w=most_w,
        delivered_wh=session.energy_wh,
        kind=kind,
    )


class _Minima:
    """Whether minima fit, adding one EVSE at a time to sums already known. Only contended rows are looked at."""

    def __init__(self, situation: Situation, rows: npt.NDArray[np.int64]) -> None:
        new = newcomers(situation)
        self._column = {evse: column for column, evse in enumerate(situation.panel.evses)}
        self._barred = frozenset(
            evse for evse, no in zip(situation.panel.evses, (new & ~situation.fresh).tolist(), strict=True) if no
        )
        loads = situation.panel.matrix[rows] * situation.least_a
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
