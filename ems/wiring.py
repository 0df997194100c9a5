"""Which line of which feeder each EVSE loads, as complex numbers: for the guard and the base load.

On purpose not the Panel's matrix: the guard re-adds everything from the one-line diagram by its own arithmetic.
Frame: every feeder's phase voltages stand at 0, -120 and +120 degrees; EV currents are in phase with the voltage they
are connected to. A delta-wye transformer's primary line currents are differences of two secondary phases; which two is
seldom in the site file; where it is not, both vector groups are kept (`TURNS`).
"""

import cmath
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from domain.ids import EvseId, FeederId
from domain.site import PHASES, Evse, Feeder, Phase, Site

Phasors = Mapping[Phase, complex]

TURNS = (+1, -1)
_TURN_OF_GROUP: Mapping[str, int] = {"Dyn1": +1, "Dyn11": -1}

BASE_ANGLES = (0.0, math.acos(0.95))
"""The base load's power factor is only known to be within 1 and 0.95 lagging: the two ends, in radians."""

_NOTHING = 1e-12

_DEGREES: Mapping[Phase, float] = {Phase.A: 0.0, Phase.B: -120.0, Phase.C: 120.0}
_NEXT = dict(zip(PHASES, (Phase.B, Phase.C, Phase.A), strict=True))
_BEFORE = {after: phase for phase, after in _NEXT.items()}


@dataclass(frozen=True, slots=True)
class Pull:
    """A draw of an EVSE on one line: A there per A drawn. Draw n is conductor n, or both legs of a line-to-line."""

    evse: EvseId
    draw: int
    phasor: complex


@dataclass(frozen=True)
class LoadedLine:
    """A phase of a feeder, or of a group (ac, dc) with a cap there, and all that EVSEs do to it.

    `pulls` have angles relative to the line's own phase voltage. `alone_a`: the largest current that an EVSE alone can
    cause, per A of set-point. `rays`: EVSEs by the angle at which they pull. `sides`: the sets of rays of which one
    gives the largest sum, whatever the draws.
    """

    feeder: FeederId
    phase: Phase
    group: str
    pulls: tuple[Pull, ...]
    alone_a: Mapping[EvseId, float]
    rays: tuple[tuple[complex, tuple[tuple[EvseId, float], ...]], ...]
    sides: tuple[tuple[int, ...], ...]

    @cached_property
    def _seen(self) -> npt.NDArray[np.float64]:
        """Per angle of `BASE_ANGLES` four rows: least and largest real part, least and largest imaginary part.

        Columns: the lowest draw of every pull, then the highest.
        """
        rows = []
        for angle in BASE_ANGLES:
            phasors = np.array([pull.phasor for pull in self.pulls]) * _turned(math.degrees(angle))
            for part in (phasors.real, phasors.imag):
                rising, falling = np.maximum(part, 0.0), np.minimum(part, 0.0)
                rows += [np.concatenate([rising, falling]), np.concatenate([falling, rising])]
        return np.array(rows)

    def bounds_a(self, low_a: Sequence[float], high_a: Sequence[float]) -> list[list[float]]:
        """Per angle of `BASE_ANGLES` [least real, largest real, least imaginary, largest imaginary] of the sum, A.

        Of all pulls between `low_a` and `high_a`, seen from a base load that lags by that angle.
        """
        return np.dot(self._seen, [*low_a, *high_a]).reshape(len(BASE_ANGLES), 4).tolist()  # type: ignore[no-any-return]

    def current_a(self, draw_a: Mapping[EvseId, float], *, phasor: bool) -> float:
        """The largest current on the line if every EVSE draws anything from 0 to `draw_a` (absent: nothing), A."""
        if not phasor:
            return sum(alone_a * draw_a.get(evse, 0.0) for evse, alone_a in self.alone_a.items())
        sums = [unit * sum(size * draw_a.get(evse, 0.0) for evse, size in pulling) for unit, pulling in self.rays]
        return max(abs(sum((sums[index] for index in side), 0j)) for side in self.sides)


@dataclass(frozen=True)
class Wiring:
    """Per vector group of the transformers, the lines that EVSEs load; one set where there is no delta-wye."""

    site: Site
    lines: tuple[tuple[LoadedLine, ...], ...]

    def compiled(self) -> "Wiring":
        """Itself, with all that is derived from it worked out: not left to the first decision."""
        for line in (one for lines in self.at.values() for one in lines):
            line.bounds_a([0.0] * len(line.pulls), [0.0] * len(line.pulls))
        assert set(self.below) == {feeder.id for feeder in self.leaves_first}
        return self

    @cached_property
    def at(self) -> Mapping[tuple[FeederId, Phase], tuple[LoadedLine, ...]]:
        """The lines of each feeder's phases (groups left out), once per vector group."""
        found: dict[tuple[FeederId, Phase], tuple[LoadedLine, ...]] = {}
        for turn in self.lines:
            for line in turn:
                if not line.group:
                    place = (line.feeder, line.phase)
                    found[place] = (*found.get(place, ()), line)
        return found

    @cached_property
    def below(self) -> Mapping[FeederId, tuple[Evse, ...]]:
        """Every EVSE that is supplied through a feeder."""
        return {feeder.id: self.site.evses_below(feeder.id) for feeder in self.site.feeders}

    @cached_property
    def leaves_first(self) -> tuple[Feeder, ...]:
        """Feeders, those furthest from the root first."""
        return tuple(sorted(self.site.feeders, key=lambda feeder: -sum(1 for _ in self.site.path(feeder.id))))


def compile_wiring(site: Site) -> Wiring:
    """Follow every EVSE from its own feeder to the root."""
    between = [feeder.transformer for feeder in site.feeders if feeder.transformer is not None]
    turned = any(each.winding == "delta-wye" and each.vector_group is None for each in between)
    return Wiring(site, tuple(tuple(_lines(site, turn)) for turn in (TURNS if turned else TURNS[:1])))


def _lines(site: Site, turn: int) -> Iterator[LoadedLine]:
    found: dict[tuple[FeederId, Phase], list[Pull]] = {}
    for evse in site.evses:
        for draw, at_evse in enumerate(_draws(evse)):
            at_line = at_evse
            for feeder in site.path(evse.feeder):
                for phase, phasor in at_line.items():
                    if abs(phasor) > _NOTHING:
                        pull = Pull(evse.id, draw, phasor * _turned(-_DEGREES[phase]))
                        found.setdefault((feeder.id, phase), []).append(pull)
                at_line = _through(feeder, at_line, turn)
    for (feeder_id, phase), pulls in found.items():
        feeder = site.feeder(feeder_id)
        yield _loaded(feeder_id, phase, "", pulls)
        for group, cap_a in (("ac", feeder.ac_limit_a), ("dc", feeder.dc_limit_a)):
            grouped = [pull for pull in pulls if site.evse(pull.evse).kind == group]
            if cap_a is not None and grouped:
                yield _loaded(feeder_id, phase, group, grouped)


def _loaded(feeder: FeederId, phase: Phase, group: str, pulls: Sequence[Pull]) -> LoadedLine:
    of_evse: dict[EvseId, list[complex]] = {}
    at_angle: dict[float, dict[EvseId, float]] = {}
    for pull in pulls:
        of_evse.setdefault(pull.evse, []).append(pull.phasor)
        angle = round(math.degrees(cmath.phase(pull.phasor)) % 360.0, 3) % 360.0
        pulling = at_angle.setdefault(angle, {})
        pulling[pull.evse] = pulling.get(pull.evse, 0.0) + abs(pull.phasor)
    angles = sorted(at_angle)
    alone = {evse: _largest(phasors) for evse, phasors in of_evse.items()}
    rays = tuple((_turned(angle), tuple(at_angle[angle].items())) for angle in angles)
    return LoadedLine(feeder, phase, group, tuple(pulls), alone, rays, _sides(angles))


def _largest(phasors: Sequence[complex]) -> float:
    """The largest magnitude that any of them cause together, the others absent."""
    angles = [math.degrees(cmath.phase(phasor)) for phasor in phasors]
    return max(abs(sum((phasors[index] for index in side), 0j)) for side in _sides(angles))


def _sides(angles: Sequence[float]) -> tuple[tuple[int, ...], ...]:
    """Sets of indices: for every direction, those within 90 degrees of it.

    For draws of any size the largest |sum| is attained by one of these sets: seen along that sum's direction, every
    phasor that points forward is in it and no other. Between the angles +- 90 degrees the set does not change.
    """
    edges = sorted({round((angle + quarter) % 360.0, 3) % 360.0 for angle in angles for quarter in (90.0, 270.0)})
    aims = [(one + other) / 2.0 for one, other in zip(edges, [*edges[1:], edges[0] + 360.0], strict=True)]
    sides = (tuple(i for i, a in enumerate(angles) if math.cos(math.radians(a - aim)) > 0.0) for aim in aims)
    return tuple(dict.fromkeys(sides))


def _draws(evse: Evse) -> list[Phasors]:
    """Line currents at 1 A per conductor, in the feeder's frame: one per draw that can come and go by itself."""
    if evse.conductors == 2:
        first, second = evse.phases
        across = _turned(_DEGREES[first]) - _turned(_DEGREES[second])
        unit = across / abs(across)
        return [{first: unit, second: -unit}]
    return [{phase: _turned(_DEGREES[phase])} for phase in evse.phases]


def _through(feeder: Feeder, secondary: Phasors, turn: int) -> Phasors:
    """Line currents on the primary side of the feeder's transformer, in the parent's frame; unchanged without one."""
    transformer = feeder.transformer
    if transformer is None:
        return secondary
    if transformer.winding == "none":
        return {phase: phasor / transformer.ratio for phase, phasor in secondary.items()}
    turn = turn if transformer.vector_group is None else _TURN_OF_GROUP[transformer.vector_group]
    other = _NEXT if turn > 0 else _BEFORE
    shift = _turned(-30.0 * turn) / (math.sqrt(3.0) * transformer.ratio)
    return {phase: shift * (secondary.get(phase, 0j) - secondary.get(other[phase], 0j)) for phase in PHASES}


def through_magnitudes(feeder: Feeder, secondary_a: Mapping[Phase, float]) -> dict[Phase, float]:
    """For magnitudes whose angles are not known: the largest that the primary's lines can carry, A."""
    transformer = feeder.transformer
    if transformer is None:
        return dict(secondary_a)
    if transformer.winding == "none":
        return {phase: current_a / transformer.ratio for phase, current_a in secondary_a.items()}
    scale = 1.0 / (math.sqrt(3.0) * transformer.ratio)
    return {
        phase: scale
        * (secondary_a.get(phase, 0.0) + max(secondary_a.get(_NEXT[phase], 0.0), secondary_a.get(_BEFORE[phase], 0.0)))
        for phase in PHASES
    }


def _turned(degrees: float) -> complex:
    return cmath.exp(1j * math.radians(degrees))
