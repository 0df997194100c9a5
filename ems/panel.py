"""The panel tree as linear rows over EVSE currents: arithmetic and phasor form (ems.md section 1).

Conventions. Every feeder has its own frame, in which its phase voltages stand at 0, -120 and +120 degrees; EV currents
are in phase with the voltage that they are connected to (unity power factor). A car may draw anything from 0 to its
set-point, and on a three-phase EVSE on any of its conductors alone, so an EVSE is a set of *draws* that come and go
by themselves: one for line-to-neutral and line-to-line, three for three-phase.

The vector group of a delta-wye transformer is on its nameplate and seldom in the site file. The line currents of its
primary are differences of two secondary phases, and the group says which two: a-b, b-c, c-a (high side leads by 30
degrees, the North American standard) or a-c, b-a, c-b (as in Caltech's ACN). Rows for both are built, so that the
limits hold whichever it is, unless the site file names it; behind a primary that carries nothing else both say the
same and nothing is lost.
"""

import cmath
import math
from collections.abc import Iterator, Mapping
from itertools import combinations

import numpy as np
import numpy.typing as npt

from domain.ids import FeederId
from domain.site import NO_AMPS, PHASES, Evse, Feeder, Phase, PhaseAmps, Site, Transformer
from ems.problem import Mask, Panel, Row, Vector

Draws = npt.NDArray[np.complex128]
"""Line currents of an EVSE at 1 A per conductor: draws x 3 phases."""

SIDES = 36
"""Sides of the polygon that is inscribed in each disc.

At most 1 - cos(pi / 36) = 0.38 % is lost. 36 rather than the 32 that would do, because its corners then lie at every
multiple of 30 degrees, where all connections and both vector groups put their currents: a single EVSE or a balanced
load loses nothing, and whatever the arithmetic form allows the phasor form allows too.
"""

_VOLTAGES: Draws = np.exp(1j * np.radians([0.0, -120.0, 120.0]))
_DELTA: Mapping[int, Draws] = {
    +1: np.array([[1, -1, 0], [0, 1, -1], [-1, 0, 1]]) * cmath.exp(-1j * math.pi / 6) / math.sqrt(3.0),
    -1: np.array([[1, 0, -1], [-1, 1, 0], [0, -1, 1]]) * cmath.exp(1j * math.pi / 6) / math.sqrt(3.0),
}
TURN_OF_GROUP: Mapping[str, int] = {"Dyn1": +1, "Dyn11": -1}
_NEGLIGIBLE = 1e-9


def compile_panel(site: Site) -> Panel:
    """The rows of `site` in the form that `site.electrical.model` names.

    A row per feeder and phase that an EVSE can load, several in the phasor form (`Row.facet` numbers them), and the
    same per phase for a feeder's AC and DC cap, which count that group's EVSEs alone. Guarantee: for every current
    vector y with `matrix @ y <= capacity_a` and every y' with 0 <= y' <= y, whichever conductors the cars use, the
    line current of the EVSEs is at most `capacity_a` on every phase of every feeder and for every group. The
    polygon's loss is in the matrix: `capacity_a` is the disc's radius in A, the same for all facets.

    Arithmetic: coefficient = largest line current that the EVSE alone can cause there per A. Phasor: the part of each
    draw along the facet's normal, max(0, .) because the map is not monotone, divided by cos(pi / SIDES). Rows that
    another row of the same feeder, phase and group implies are left out.
    """
    evses = site.evses
    wirings = tuple(dict.fromkeys(_wiring(evse) for evse in evses))
    column = {wiring: index for index, wiring in enumerate(wirings)}
    of_evse = np.array([column[_wiring(evse)] for evse in evses], dtype=np.int64)
    lines = {turn: [dict(_line_currents(site, wiring, turn)) for wiring in wirings] for turn in _DELTA}
    rows: list[Row] = []
    coefficients: list[Vector] = []
    usable: list[float] = []
    for feeder in site.feeders:
        for group, limit_a in (("", feeder.usable_a), ("ac", feeder.ac_limit_a), ("dc", feeder.dc_limit_a)):
            if limit_a is None:
                continue
            counted = np.array([group in {"", wiring[2]} for wiring in wirings], dtype=np.bool_)
            for index, phase in enumerate(PHASES):
                candidates = np.vstack(
                    [_facets(site, [w.get(feeder.id) for w in lines[turn]], index, counted) for turn in _DELTA]
                )
                for facet, kept in enumerate(_undominated(candidates)):
                    rows.append(_row(feeder, phase, group, facet))
                    coefficients.append(kept)
                    usable.append(limit_a)
    matrix = np.array(coefficients).reshape(len(rows), len(wirings))[:, of_evse]
    return Panel(
        evses=tuple(evse.id for evse in evses),
        rows=tuple(rows),
        matrix=np.ascontiguousarray(matrix),
        usable_a=np.array(usable),
        conductors=np.array([evse.conductors for evse in evses], dtype=np.int64),
    )


def capacity(
    panel: Panel, site: Site, base_a: Mapping[FeederId, PhaseAmps], limits_a: Mapping[FeederId, float] | None = None
) -> Vector:
    """`Problem.capacity_a`: what the EVSEs together may draw at each row, A; negative where others overload it.

    Per row min(usable_a, temporary limit) - base; a group's cap is not reduced by the base load, which is not of that
    group. `base_a`: non-EV load through each feeder, children included, in that feeder's own amperes (a magnitude:
    its angle is not known; a feeder or phase that is absent carries none). `limits_a`: lowest temporary limit in
    force per feeder, A per phase. Set-points of EVSEs that are not controllable are the caller's to subtract
    (`panel.matrix @ their_current_a`).
    """
    limits = limits_a or {}
    fleet: dict[tuple[FeederId, Phase | None], float] = {}
    for feeder in site.feeders:
        usable = min(feeder.usable_a, limits.get(feeder.id, math.inf))
        base = base_a.get(feeder.id, NO_AMPS)
        for phase in PHASES:
            fleet[feeder.id, phase] = usable - base.get(phase, 0.0)
    left = [
        fleet[row.feeder, row.phase] if row.group is None else cap_a
        for row, cap_a in zip(panel.rows, panel.usable_a.tolist(), strict=True)
    ]
    return np.array(left, dtype=np.float64)


def _wiring(evse: Evse) -> tuple[FeederId, tuple[Phase, ...], str]:
    """EVSEs of one wiring have one column: the matrix is computed once for each."""
    return evse.feeder, evse.phases, evse.kind


def _row(feeder: Feeder, phase: Phase, group: str, facet: int) -> Row:
    match group:
        case "ac":
            return Row(feeder.id, phase, "ac", facet)
        case "dc":
            return Row(feeder.id, phase, "dc", facet)
        case _:
            return Row(feeder.id, phase, None, facet)


def _draws(phases: tuple[Phase, ...]) -> Draws:
    """Line currents at 1 A per conductor, one row per draw that can come and go by itself."""
    at = [PHASES.index(phase) for phase in phases]
    if len(at) == 2:
        draw = np.zeros((1, 3), dtype=np.complex128)
        draw[0, at[0]] = (_VOLTAGES[at[0]] - _VOLTAGES[at[1]]) / math.sqrt(3.0)
        draw[0, at[1]] = -draw[0, at[0]]
        return draw
    alone = np.zeros((len(at), 3), dtype=np.complex128)
    alone[range(len(at)), at] = _VOLTAGES[at]
    return alone


def _line_currents(
    site: Site, wiring: tuple[FeederId, tuple[Phase, ...], str], turn: int
) -> Iterator[tuple[FeederId, Draws]]:
    """The draws as each feeder from the EVSE's own to the root sees them, in that feeder's frame."""
    draws = _draws(wiring[1])
    for feeder in site.path(wiring[0]):
        yield feeder.id, draws
        if feeder.transformer is not None:
            draws = draws @ _to_primary(feeder.transformer, turn).T


def _to_primary(transformer: Transformer, turn: int) -> Draws:
    """3 x 3: secondary to primary line currents; delta-wye by its group, else by `turn` (+1: a-b, -1: a-c)."""
    turn = turn if transformer.vector_group is None else TURN_OF_GROUP[transformer.vector_group]
    through = _DELTA[turn] if transformer.winding == "delta-wye" else np.eye(3, dtype=np.complex128)
    return np.asarray(through / transformer.ratio, dtype=np.complex128)


def _facets(site: Site, lines: list[Draws | None], phase: int, counted: Mask) -> Vector:
    """Coefficients of one feeder and phase: facets x wirings (one row in the arithmetic form), zeros kept."""
    arithmetic = site.electrical.model == "arithmetic"
    corners = np.angle(_VOLTAGES[phase]) + (np.arange(SIDES) + 0.5) * 2.0 * math.pi / SIDES
    facets = np.zeros((1 if arithmetic else SIDES, len(lines)))
    for column, draws in enumerate(lines):
        if draws is None or not counted[column]:
            continue
        line = draws[:, phase]
        if arithmetic:
            facets[:, column] = _largest(line)
        else:
            along = np.real(np.exp(-1j * corners)[:, None] * line[None, :])
            facets[:, column] = np.maximum(along, 0.0).sum(axis=1) / math.cos(math.pi / SIDES)
    # Equal wirings must give equal coefficients, bit for bit.
    return np.asarray(np.round(np.where(facets < _NEGLIGIBLE, 0.0, facets), 12))


def _largest(draws: npt.NDArray[np.complex128]) -> float:
    """The largest magnitude that any of the draws cause together, the others absent."""
    groups = (list(g) for size in range(1, len(draws) + 1) for g in combinations(range(len(draws)), size))
    return max(abs(complex(draws[group].sum())) for group in groups)


def _undominated(candidates: Vector) -> Vector:
    """Without rows of zeros and rows nowhere above another one; of equal rows the first stays."""
    rows = np.unique(candidates[candidates.max(axis=1, initial=0.0) > 0.0], axis=0)[::-1]
    at_most: Mask = np.asarray((rows[:, None, :] <= rows[None, :, :] + _NEGLIGIBLE).all(axis=2))
    # Rows equal but for rounding (and each row with itself) imply one another: the earlier one stays.
    at_most &= ~(at_most.T & np.triu(np.ones(at_most.shape, dtype=np.bool_)))
    return np.asarray(rows[~at_most.any(axis=1)])
