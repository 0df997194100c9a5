"""What relaying costs: our proxy, HAProxy in HTTP mode, and plain relays on `websockets` with uvloop and Node's `ws`.

Each relay is a process of its own on one core; chargers and CSMS are this process, on the other. Rounds are interleaved
and figures are medians over them. CPU is the relay's processor time, its kernel's part included, per relayed message.
"Added" latency is that of a message from its sender's socket to its receiver's, less that without a relay. "With the
tap" are the desks of the service and the inventory's live state; "relay alone" is the same proxy, listening to nothing.
What chargers say is in `_relay_frames`.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median, quantiles
from typing import Final

from benchmarks._relay_fleet import Fleet, Wire
from benchmarks._relay_frames import DAY, METERS, Mix
from benchmarks._relay_processes import RelayProcess, free_all_descriptors, relay, take_own_core
from benchmarks._relay_stall import stalled
from benchmarks.report import Line, Measured

FEW, MANY = 200, 2000
ROUNDS = 7
WARM_UP_S = 0.5
ROUND_S = 0.8
PACED_FRAMES_PER_S = 1000.0
KB: Final = 1024.0
_RIVALS: Final = ("haproxy", "websockets", "node")
_CPU_BARS: Final[Mapping[int, Mapping[str, float]]] = {
    FEW: {"haproxy": 1.8, "websockets": 0.75, "node": 1.25},
    MANY: {"haproxy": 2.2, "websockets": 0.75, "node": 1.25},
}
_Figures = dict[str, list[float]]


def run() -> list[Line]:
    """At 200 and at 2,000 chargers; a CSMS that stops reading."""
    free_all_descriptors()
    take_own_core()
    return [*_at_few(), *_at_many(), *stalled()]


@dataclass
class _Field:
    """One relay between its chargers and their CSMS."""

    name: str
    fleet: Fleet
    process: RelayProcess
    pair_kb: float = 0.0

    def connect(self, count: int) -> None:
        """Let every charger connect and say a little."""
        before = self.process.memory_bytes()
        self.fleet.connect(self.process.port, count)
        self.fleet.wire.until(lambda: self.fleet.entered >= count, 60, f"{self.name} lets all chargers in")
        self.fleet.wire.rest(0.5)
        self.fleet.saturate(WARM_UP_S)
        self.fleet.quiet()
        self.pair_kb = (self.process.memory_bytes() - before) / count / KB

    def saturated_us(self, mix: Mix) -> float:
        """Every charger asks as soon as it is answered; microseconds of the relay per message."""
        self.fleet.speak(mix)
        cpu_s, relayed = self.process.cpu_s(), self.fleet.relayed
        self.fleet.saturate(ROUND_S)
        per_message = (self.process.cpu_s() - cpu_s) / (self.fleet.relayed - relayed)
        self.fleet.quiet()
        return per_message * 1e6

    def paced(self) -> tuple[float, float, float]:
        """Chargers take turns; microseconds of the relay per message, and latency at the median and at 99 of 100."""
        self.fleet.speak(DAY)
        cpu_s, relayed = self.process.cpu_s(), self.fleet.relayed
        p50_us, p99_us = latencies_us(self.fleet)
        per_message = (self.process.cpu_s() - cpu_s) / (self.fleet.relayed - relayed)
        return per_message * 1e6, p50_us, p99_us


def latencies_us(fleet: Fleet) -> tuple[float, float]:
    """At a steady pace: median and 99 of 100, from a sender's socket to its receiver's."""
    fleet.latencies = []
    fleet.pace(ROUND_S, PACED_FRAMES_PER_S)
    fleet.quiet()
    taken, fleet.latencies = fleet.latencies, None
    return median(taken) * 1e6, quantiles(taken, n=100)[98] * 1e6


def _fields(stack: ExitStack, wire: Wire, names: Sequence[str], count: int) -> list[_Field]:
    found = []
    for name in names:
        fleet = Fleet(wire)
        stack.callback(fleet.close)
        found.append(_Field(name, fleet, stack.enter_context(relay(name, fleet.csms_port, count))))
    for field in found:
        field.connect(count)
    return found


def _figures(fields: Sequence[_Field]) -> _Figures:
    return {field.name: [] for field in fields}


def _at_few() -> Iterator[Line]:
    wire, names = Wire(), (*_RIVALS, "alone", "tap")
    with ExitStack() as stack:
        fields = _fields(stack, wire, names, FEW)
        mixed, meters = _figures(fields), _figures(fields)
        for _ in range(ROUNDS):
            for field in fields:
                mixed[field.name].append(field.saturated_us(DAY))
            for field in fields:
                meters[field.name].append(field.saturated_us(METERS))
        yield from _cpu(f"{FEW} chargers, mixed", mixed, _CPU_BARS[FEW])
        yield from _cpu(f"{FEW} chargers, all MeterValues", meters, {})
        yield from _at_a_pace(stack, wire, fields)


def _at_a_pace(stack: ExitStack, wire: Wire, fields: Sequence[_Field]) -> Iterator[Line]:
    direct = Fleet(wire)
    stack.callback(direct.close)
    direct.connect(direct.csms_port, FEW)
    wire.until(lambda: direct.entered >= FEW, 20, "chargers connect without a relay")
    cpu, p50, p99 = _figures(fields), _figures(fields), _figures(fields)
    for _ in range(ROUNDS):
        floor_us = latencies_us(direct)
        for field in fields:
            cpu_us, p50_us, p99_us = field.paced()
            cpu[field.name].append(cpu_us)
            p50[field.name].append(p50_us - floor_us[0])
            p99[field.name].append(p99_us - floor_us[1])
    where = f"{PACED_FRAMES_PER_S:.0f} frames/s, mixed"
    yield from _cpu(f"{FEW} chargers, {where}", cpu, {})
    for what, figures, bar in (("median", p50, 1.25), ("99 of 100", p99, 1.5)):
        for name in ("websockets", "node", "alone", "tap"):
            case = f"added latency, {where}, {what}, {_NAMES[name]} over HAProxy"
            yield Line(
                case, _measured(figures[name]), _measured(figures["haproxy"]), "us", bar if name == "tap" else None
            )


def _at_many() -> Iterator[Line]:
    wire, names = Wire(), (*_RIVALS, "tap")
    with ExitStack() as stack:
        fields = _fields(stack, wire, names, MANY)
        mixed = _figures(fields)
        for _ in range(ROUNDS):
            for field in fields:
                mixed[field.name].append(field.saturated_us(DAY))
        yield from _cpu(f"{MANY} chargers, mixed", mixed, _CPU_BARS[MANY])
        kb = {field.name: field.pair_kb for field in fields}
    with ExitStack() as stack:
        (alone,) = _fields(stack, wire, ("alone",), MANY)
        kb["alone"] = alone.pair_kb
    bars = {"alone": 30.0, "tap": 50.0}
    for name in (*_RIVALS, "alone", "tap"):
        yield Line(
            f"memory per charger pair, {MANY} chargers, {_NAMES[name]}",
            Measured((kb[name],)),
            None,
            "KB",
            bars.get(name),
        )


_NAMES: Final = {
    "haproxy": "HAProxy",
    "websockets": "websockets",
    "node": "Node ws",
    "alone": "relay alone",
    "tap": "with the tap",
}


def _cpu(case: str, figures: _Figures, bars: Mapping[str, float]) -> Iterator[Line]:
    for ours in ("alone", "tap"):
        for rival in _RIVALS:
            if ours in figures:
                bar = bars.get(rival) if ours == "tap" else None
                named = f"CPU per message, {case}, {_NAMES[ours]} over {_NAMES[rival]}"
                yield Line(named, _measured(figures[ours]), _measured(figures[rival]), "us", bar)


def _measured(values: Sequence[float]) -> Measured:
    return Measured(tuple(values))
