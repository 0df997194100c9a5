"""How much one service carries: chargers per core, memory, writes. No bars: what docs/capacity.md calculates with.

Garages of 100 chargers, each behind a main panel and ten sub-panels (MILP, phasor), in one `headroom serve` on SQLite;
every charger sends a MeterValues of 500 bytes and a Heartbeat a minute, half of them inside a transaction, and answers
the limits it is sent. Both ends of the links are one process on the other core.
"""

import os

from benchmarks._relay_fleet import Fleet, Wire
from benchmarks._service import Running, serving
from benchmarks.report import Line, Measured

_CHARGERS = (200, 1000)
_CALLS_PER_S = 1 / 30
"""Of a charger: 9 MeterValues, 9 Heartbeats and 2 StatusNotifications in ten minutes."""
_WARM_S, _MEASURED_S = 60.0, 30.0


def run() -> list[Line]:
    """Two sizes, about four minutes."""
    return [line for chargers in _CHARGERS for line in _size(chargers)]


def _size(chargers: int) -> list[Line]:
    wire = Wire()
    fleet = Fleet(wire)
    try:
        with serving(chargers, fleet.csms_port) as service:
            empty_bytes = service.memory_bytes()
            fleet.connect(service.ocpp_port, chargers)
            wire.until(lambda: fleet.entered == chargers, 120, f"{chargers} chargers let in")
            fleet.pace(_WARM_S, 2 * chargers * _CALLS_PER_S)
            return _measured(service, fleet, chargers, empty_bytes)
    finally:
        fleet.close()


def _measured(service: Running, fleet: Fleet, chargers: int, empty_bytes: int) -> list[Line]:
    children = service.children()
    own_s, solving_s = service.cpu_s(), service.cpu_s(*children)
    written, relayed, began = service.metric("headroom_store_records_total"), fleet.relayed, os.times().elapsed
    fleet.pace(_MEASURED_S, 2 * chargers * _CALLS_PER_S)
    seconds = os.times().elapsed - began
    own_s, solving_s = service.cpu_s() - own_s, service.cpu_s(*children) - solving_s
    written = service.metric("headroom_store_records_total") - written
    kilobytes = (service.memory_bytes() - empty_bytes) / chargers / 1024
    case = f"{chargers} chargers"

    def line(what: str, value: float, unit: str) -> Line:
        return Line(f"{case}: {what}", Measured((value,)), None, unit)

    return [
        line("service", 100 * own_s / seconds, "% of a core"),
        line("solvers", 100 * solving_s / seconds, "% of a core"),
        line("chargers a core, by the service alone", chargers * seconds / own_s, "chargers"),
        line("frames relayed", (fleet.relayed - relayed) / seconds, "1/s"),
        line("records written", written / seconds, "1/s"),
        line("memory of a charger", kilobytes, "KB"),
    ]
