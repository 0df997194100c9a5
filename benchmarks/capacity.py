"""How much one service carries, or a fleet: chargers per core, memory, writes. No bars: see docs/capacity.md.

    python -m benchmarks capacity --workers 2 --chargers 1000 5000 10000

Garages of 100 chargers, each behind a main panel and ten sub-panels (MILP, phasor), in one `headroom serve` on SQLite;
every charger sends a MeterValues of 500 bytes and a Heartbeat a minute, half of them inside a transaction, and answers
the limits it is sent. Both ends of the links are one process on the other core.

With `--workers` the same chargers come to a fleet: so many proxies, controllers, an API process, a Redis of its own and
a database of its own on a PostgreSQL of this machine. The chargers are divided among the proxies by their numbers, as a
balancer would, with none in between. Both ends of the links are processes of their own. Where a process may not have
enough files open it is said: `ulimit -n`, in systemd LimitNOFILE, in a container --ulimit nofile.
"""

import argparse
import os

from benchmarks._fleet_capacity import fleet_lines
from benchmarks._relay_fleet import Fleet, Wire
from benchmarks._service import Running, serving
from benchmarks.report import Line, Measured

_CHARGERS = (200, 1000)
_CALLS_PER_S = 1 / 30
"""Of a charger: 9 MeterValues, 9 Heartbeats and 2 StatusNotifications in ten minutes."""
_WARM_S, _MEASURED_S = 60.0, 30.0


def options(parser: argparse.ArgumentParser) -> None:
    """What this benchmark may be told."""
    parser.add_argument("--chargers", type=int, nargs="+", default=_CHARGERS, help="how many at once, one run for each")
    parser.add_argument("--workers", type=int, default=0, help="a fleet with so many proxies; 0: one process, SQLite")
    parser.add_argument("--controllers", type=int, default=2, help="of a fleet")
    parser.add_argument(
        "--database",
        default="postgresql://127.0.0.1/postgres",
        help="a PostgreSQL on which a database may be made, for a fleet",
    )


def run(given: argparse.Namespace) -> list[Line]:
    """Two sizes without options, about four minutes; a fleet takes about four for each size."""
    if given.workers == 0:
        return [line for chargers in given.chargers for line in _size(chargers)]
    return [
        line
        for chargers in given.chargers
        for line in fleet_lines(chargers, given.workers, given.controllers, given.database, _CALLS_PER_S)
    ]


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
