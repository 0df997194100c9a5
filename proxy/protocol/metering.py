"""A charger's sampled values -> one `EvseSample`: which current really flows in the EVSE's conductors.

Rules (local-controller.md section 4, field-reports.md section 1): values are never added over lines for current; power
of lines is added only where no total is told; a value that cannot be true is dropped and counted, never guessed.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Annotated, Generic, NamedTuple, TypeVar

import msgspec
from msgspec import Meta

from domain.metering import EvseSample
from domain.site import Evse
from proxy.protocol.reading import Number, Text
from proxy.protocol.tolerant import LONGEST_TEXT, as_instant

MAX_METER_VALUES = 200
MAX_SAMPLED_VALUES = 200
NOISE_A = 0.1
"""A reading this little below zero is a meter's noise around nothing, not nonsense."""
ABSURD = 10.0
"""A current or power above this many times the EVSE's rating cannot be true."""
MAX_ENERGY_WH = 1e12
_SAME_INSTANT = timedelta(seconds=5)
_LINES = {"L1": 0, "L1-N": 0, "L1-L2": 0, "L2": 1, "L2-N": 1, "L2-L3": 1, "L3": 2, "L3-N": 2, "L3-L1": 2}
_Scales = Mapping[str | None, float]
_SCALES: Mapping[str, _Scales] = {
    "Current": {None: 1.0, "": 1.0, "A": 1.0, "a": 1.0, "ma": 1e-3},
    "Power": {None: 1.0, "": 1.0, "W": 1.0, "w": 1.0, "kw": 1e3},
    "Voltage": {None: 1.0, "": 1.0, "V": 1.0, "v": 1.0, "kv": 1e3},
    "Energy": {None: 1.0, "": 1.0, "Wh": 1.0, "wh": 1.0, "kwh": 1e3},
    "SoC": {None: 1.0, "": 1.0, "Percent": 1.0, "percent": 1.0, "%": 1.0},
}
"""How much SI a unit is; a value without a unit is in the default one."""

DEFAULT_MEASURAND = "Energy.Active.Import.Register"
_READ = {
    DEFAULT_MEASURAND: "Energy",
    "Current.Import": "Current",
    "Current.Offered": "Current",
    "Power.Active.Import": "Power",
    "Voltage": "Voltage",
    "SoC": "SoC",
}
Measurand = Annotated[str, Meta(min_length=1, max_length=LONGEST_TEXT)]


class SampledValue(msgspec.Struct, frozen=True, gc=False):
    """One sampled value of either version, defaults applied; `value` None where it was no number.

    `phase` as the charger names it ("L1", "L1-N", "N"; None: the overall value). It is 1.6's own form.
    """

    value: Number | None = None
    measurand: Measurand = DEFAULT_MEASURAND
    phase: Text | None = None
    unit: Text | None = None
    location: Text | None = None


Sampled = TypeVar("Sampled")


class MeterEntry(msgspec.Struct, Generic[Sampled], frozen=True, gc=False, rename="camel"):
    """One entry of a message's `meterValue`: values of one instant, in the form of their version."""

    timestamp: str | None = None
    sampled_value: Annotated[list[Sampled], Meta(max_length=MAX_SAMPLED_VALUES)] = []


class MeterValue(msgspec.Struct, frozen=True, gc=False):
    """The newest values of a message and the charger's stamp on them (None: it wrote none that can be read)."""

    stamp: datetime | None
    values: Sequence[SampledValue]


def newest(entries: Sequence[MeterEntry[Sampled]]) -> tuple[datetime | None, Sequence[Sampled]]:
    """The values stamped within 5 s of a message's newest stamp, and that stamp; older ones are history.

    Some chargers write one entry per measurand: entries of one instant are taken together.
    """
    if len(entries) == 1:
        return as_instant(entries[0].timestamp), entries[0].sampled_value
    stamped = [(as_instant(entry.timestamp), entry.sampled_value) for entry in entries]
    stamps = [stamp for stamp, _ in stamped if stamp is not None]
    last = max(stamps) if stamps else None
    fresh = [values for stamp, values in stamped if stamp is None or last is None or last - stamp <= _SAME_INSTANT]
    return last, [value for values in fresh for value in values][-MAX_SAMPLED_VALUES:]


def energy_wh(values: Iterable[SampledValue]) -> float | None:
    """The energy register in Wh: the overall value, or the sum over lines where only those are told."""
    scales = _SCALES["Energy"]
    told = [
        (sampled.phase, sampled.value * scale)
        for sampled in values
        if sampled.measurand == DEFAULT_MEASURAND
        and sampled.value is not None
        and (scale := scales.get(sampled.unit) or _odd_scale(sampled.unit, scales)) is not None
    ]
    return _register([(phase, wh) for phase, wh in told if 0.0 <= wh <= MAX_ENERGY_WH])


def read_sample(
    meter_value: MeterValue, evse: Evse, line_to_line_v: float, received_at: datetime, phases_used: int | None = None
) -> tuple[EvseSample | None, int]:
    """One sample of an EVSE from the newest values of a message, and how many values were dropped as impossible.

    `line_to_line_v` is the supply's nominal voltage; `phases_used` is 2.x's numberOfPhasesUsed (E02.FR.18). None where
    nothing readable was told. Current is the largest over the lines, or the overall value; without any it is derived
    from power: P / (V_LN n), and P / V_LL for a two-leg EVSE, whose two legs carry one and the same current.
    """
    plain = _overall(meter_value.values, evse, line_to_line_v)
    if plain is not None:
        told = plain.get
        current_a, power_w = told("Current.Import"), told("Power.Active.Import")
        if current_a is not None or power_w is None:
            return EvseSample(
                meter_value.stamp or received_at,
                received_at,
                current_a,
                (),
                told("Voltage"),
                power_w,
                told(DEFAULT_MEASURAND),
                told("Current.Offered"),
                told("SoC"),
            ), 0
    return read_any_sample(meter_value, evse, line_to_line_v, received_at, phases_used)


def read_any_sample(
    meter_value: MeterValue, evse: Evse, line_to_line_v: float, received_at: datetime, phases_used: int | None
) -> tuple[EvseSample | None, int]:
    """`read_sample` of any values."""
    kept, dropped = _believable(meter_value.values, evse, line_to_line_v)
    if not kept:
        return None, dropped
    told = kept.get
    currents, powers = told("Current.Import", _NONE), told("Power.Active.Import", _NONE)
    volts, offered, soc = told("Voltage", _NONE), told("Current.Offered", _NONE), told("SoC", _NONE)
    current_a, power_w = _current(currents), _power(powers)
    if current_a is None and power_w is not None:
        current_a = _from_power(power_w, _line_powers(powers), volts, evse, line_to_line_v, phases_used)
    sample = EvseSample(
        meter_value.stamp or received_at,
        received_at,
        current_a,
        _lines(currents),
        max([value for _, value in volts]) if volts else None,
        power_w,
        _register(told(DEFAULT_MEASURAND, _NONE)),
        max([value for _, value in offered]) if offered else None,
        soc[-1][1] if soc else None,
    )
    return sample, dropped


_Told = tuple[str | None, float]
"""Phase and value in SI."""
_NONE: Sequence[_Told] = ()


class _Rule(NamedTuple):
    """How a measurand is read: its units, and between which values in SI it may be true."""

    scales: _Scales
    low: float
    high: float


@lru_cache(maxsize=256)
def _rules(max_a: float, line_to_line_v: float) -> Mapping[str, _Rule]:
    most_a = ABSURD * max_a
    bounds = {
        "Current": (-NOISE_A, most_a),
        "Power": (-NOISE_A * line_to_line_v, most_a * line_to_line_v * math.sqrt(3.0)),
        "Voltage": (0.0, ABSURD * line_to_line_v),
        "Energy": (0.0, MAX_ENERGY_WH),
        "SoC": (0.0, 100.0),
    }
    return {measurand: _Rule(_SCALES[kind], *bounds[kind]) for measurand, kind in _READ.items()}


def _overall(values: Sequence[SampledValue], evse: Evse, line_to_line_v: float) -> dict[str, float] | None:
    """What most chargers say: overall values alone, each once and none of them impossible. None for all others."""
    rules = _rules(evse.max_a, line_to_line_v)
    kept: dict[str, float] = {}
    for sampled in values:
        measurand = sampled.measurand
        rule = rules.get(measurand)
        if rule is None:
            continue
        scales, low, high = rule
        value, scale = sampled.value, scales.get(sampled.unit)
        if (
            value is None
            or scale is None
            or sampled.phase is not None
            or sampled.location == "Inlet"
            or measurand in kept
            or not low <= (value := value * scale) <= high
        ):
            return None
        kept[measurand] = value if value > 0.0 else 0.0
    return kept or None


def _believable(
    values: Sequence[SampledValue], evse: Evse, line_to_line_v: float
) -> tuple[dict[str, list[_Told]], int]:
    """The values that may be true, per measurand, and how many of those that we read were not."""
    rules = _rules(evse.max_a, line_to_line_v)
    outlets: set[str] | None = None
    kept: dict[str, list[_Told]] = {}
    dropped = 0
    for sampled in values:
        measurand = sampled.measurand
        rule = rules.get(measurand)
        if rule is None:
            continue
        if sampled.location == "Inlet":
            if outlets is None:
                outlets = {v.measurand for v in values if v.location not in ("Inlet", "EV")}
            if measurand in outlets:
                continue
        scales, low, high = rule
        value = sampled.value
        scale = scales.get(sampled.unit) or _odd_scale(sampled.unit, scales)
        if value is None or scale is None or not low <= (value := value * scale) <= high:
            dropped += 1
        elif measurand in kept:
            kept[measurand].append((sampled.phase, value if value > 0.0 else 0.0))
        else:
            kept[measurand] = [(sampled.phase, value if value > 0.0 else 0.0)]
    return kept, dropped


def _odd_scale(unit: str | None, scales: _Scales) -> float | None:
    return None if unit is None else scales.get(unit.strip().lower())


def _register(told: Sequence[_Told]) -> float | None:
    lines: dict[str, float] = {}
    for phase, wh in reversed(told):
        if phase is None:
            return wh
        if phase in _LINES:
            lines.setdefault(phase, wh)
    return sum(lines.values()) if lines else None


def _current(currents: Sequence[_Told]) -> float | None:
    """The largest current that any conductor is told to carry.

    A neutral's current counts only where the lines say nothing: some single-phase chargers report under "N".
    """
    if not currents:
        return None
    lines = [value for phase, value in currents if phase != "N"]
    return max(lines) if any(lines) else max([value for _, value in currents])


def _lines(currents: Sequence[_Told]) -> tuple[float, ...]:
    """Per-line currents where the charger reports them without a gap from its L1 on."""
    by_line: dict[int, float] = {}
    for phase, value in currents:
        if phase in _LINES:
            line = _LINES[phase]
            by_line[line] = max(value, by_line.get(line, 0.0))
    if not by_line or max(by_line) != len(by_line) - 1:
        return ()
    return tuple([by_line[line] for line in range(len(by_line))])


def _line_powers(powers: Sequence[_Told]) -> dict[int, float]:
    return {_LINES[phase]: value for phase, value in powers if phase in _LINES}


def _power(powers: Sequence[_Told]) -> float | None:
    """Total active power: the larger of the overall value and the sum over lines."""
    if not powers:
        return None
    told = [value for phase, value in powers if phase not in _LINES]
    if len(told) < len(powers):
        told.append(sum(_line_powers(powers).values()))
    return max(told)


def _from_power(
    total_w: float,
    line_w: Mapping[int, float],
    volts: Sequence[_Told],
    evse: Evse,
    line_to_line_v: float,
    phases_used: int | None,
) -> float:
    if evse.conductors == 2:
        return total_w / _measured(volts, line_to_line_v)
    line_v = _measured(volts, line_to_line_v / math.sqrt(3.0))
    phases = evse.conductors
    if phases_used is not None and 1 <= phases_used <= phases:
        phases = phases_used
    even_a = total_w / (line_v * phases)
    return max(even_a, max(line_w.values()) / line_v) if line_w else even_a


def _measured(volts: Sequence[_Told], nominal_v: float) -> float:
    """The lowest measured voltage within 20 % of the nominal one (lower means more current), else the nominal."""
    near = [value for _, value in volts if 0.8 * nominal_v <= value <= 1.2 * nominal_v]
    return min(near, default=nominal_v)
