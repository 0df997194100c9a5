"""A CSMS that stops reading a part of its chargers: memory, those chargers, and the others."""

from collections.abc import Iterator

from benchmarks._relay_fleet import Fleet, Wire
from benchmarks._relay_frames import METERS
from benchmarks._relay_processes import RelayProcess, relay
from benchmarks.report import Line, Measured

STALLED, OTHERS = 20, 20
_SECONDS = 8.0
"""Shorter than what a stalled CSMS is given before it counts as gone: until then everything is kept for it."""
_ASKS_PER_S = 500
"""Of each stalled charger: no charger says so much."""


def stalled() -> Iterator[Line]:
    """Chargers whose CSMS reads no more go on asking, without waiting for answers."""
    wire = Wire()
    fleet = Fleet(wire, METERS)
    with relay("tap", fleet.csms_port, STALLED + OTHERS) as process:
        fleet.connect(process.port, STALLED + OTHERS)
        wire.until(lambda: fleet.entered >= STALLED + OTHERS, 30, "all chargers are in")
        wire.rest(1.0)
        fleet.saturate(1.0)
        fleet.quiet()
        yield from _stall(wire, fleet, process)
    fleet.close()


def _stall(wire: Wire, fleet: Fleet, process: RelayProcess) -> Iterator[Line]:
    silent = fleet.chargers[:STALLED]
    for charger in silent:
        fleet.csms_ends[charger.number].stall()
    before, most = process.memory_bytes(), 0
    replies = fleet.replies
    fleet.begin(without=set(silent))
    for _ in range(int(_SECONDS * 10)):
        for charger in silent:
            for _ in range(_ASKS_PER_S // 10):
                charger.ask()
        wire.rest(0.1)
        most = max(most, process.memory_bytes())
    fleet.saturating = False
    process.signal()
    wire.rest(1.0)
    inside = sum(charger.is_open for charger in fleet.chargers)
    controlled = sum(charger.limits > 1 for charger in silent)
    yield Line("stalled CSMS, memory per charger", Measured(((most - before) / STALLED / 2**20,)), None, "MB", 1.0)
    case = "stalled CSMS, chargers that keep their link"
    yield Line(case, Measured((float(inside),)), None, "", STALLED + OTHERS, at_least=True)
    case = "stalled CSMS, its chargers that get a new limit"
    yield Line(case, Measured((float(controlled),)), None, "", STALLED, at_least=True)
    others = (fleet.replies - replies) / _SECONDS
    yield Line("stalled CSMS, answers a second to the others", Measured((others,)), None, "/s")
