"""How much a fleet carries: the run behind `capacity --workers N`."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks._fleet_load import Load, loads, shares
from benchmarks._fleet_service import Servants, serving_fleet
from benchmarks._relay_processes import listen_overflows
from benchmarks._service import PER_SITE, Running
from benchmarks.report import Line, Measured
from headroom.console import err

_CONNECTED_WITHIN_S = 300.0
_WARM_S, _MEASURED_S = 60.0, 60.0
_MOST_COMPLAINTS = 12


def fleet_lines(chargers: int, workers: int, controllers: int, server: str, calls_per_s: float) -> list[Line]:
    """One size. `server`: a PostgreSQL; `calls_per_s`: of a charger."""
    case, began_s = f"{chargers} chargers, {workers} + {controllers}", time.monotonic()
    with loads(shares(chargers, PER_SITE)) as played:
        urls = [f"ws://127.0.0.1:{one.csms_port}/ocpp" for one in played for _ in range(0, one.share.count, PER_SITE)]
        err.print(f"{case}: {len(played)} processes play chargers; the fleet starts")
        with serving_fleet(chargers, urls, workers, controllers, server) as servants:
            started = Line(
                f"{case}: until all sites are controlled", Measured((time.monotonic() - began_s,)), None, "s"
            )
            return [started, *_Run(case, chargers, servants, played).lines(calls_per_s)]


@dataclass
class _Run:
    case: str
    chargers: int
    servants: Servants
    played: Sequence[Load]

    def lines(self, calls_per_s: float) -> Iterator[Line]:
        """Connect, warm, measure."""
        servants = self.servants
        empty = [sum(one.memory_bytes() for one in kind) for kind in (servants.proxies, servants.controllers)]
        ports = [one.ocpp_port for one in servants.proxies]
        began_s, overflows = time.monotonic(), listen_overflows()
        for load in self.played:
            load.connect(ports)
        self._wait("first replies", lambda: self._total("replies"), self.chargers, _CONNECTED_WITHIN_S)
        all_in_s = time.monotonic() - began_s
        yield self._line("connected", self._total("open"), "chargers")
        yield self._line("with their first reply", min(self._total("replies"), self.chargers), "chargers")
        yield self._line("until all had it", all_in_s, "s")
        yield self._line("listen overflows", listen_overflows() - overflows, "")
        self._pace("warming", _WARM_S, calls_per_s)
        yield from self._measured(calls_per_s)
        yield self._line("connected at the end", self._total("open"), "chargers")
        yield self._line("with a limit of ours", self._total("limits"), "chargers")
        yield self._line("links that ended and came again", self._total("ended"), "")
        yield self._line("refused at the handshake", self._total("refused"), "")
        for name, kind, before in zip(
            ("proxies", "controllers"), (servants.proxies, servants.controllers), empty, strict=True
        ):
            now = [one.memory_bytes() for one in kind]
            yield self._line(f"memory of one of the {name}", max(now) / 1e6, "MB")
            yield self._line(f"memory of a charger in the {name}", (sum(now) - before) / self.chargers / 1024, "KB")
        yield self._line("memory of Redis", float(servants.redis.info("memory")["used_memory"]) / 1e6, "MB")
        for what, count in list(servants.complaints().items())[:_MOST_COMPLAINTS]:
            yield self._line(f"logged: {what}", count, "times")

    def _measured(self, calls_per_s: float) -> Iterator[Line]:
        servants = self.servants
        solvers = [pid for one in servants.controllers for pid in one.children()]
        groups: dict[str, list[int]] = {
            "a proxy": [one.pid for one in servants.proxies],
            "a controller": [one.pid for one in servants.controllers],
            "all solvers": solvers,
            "PostgreSQL": servants.postgres.backends(),
            "Redis": [servants.redis_process.pid],
            "what plays the chargers": [load.pid for load in self.played],
        }
        began_s, used_s = time.monotonic(), {pid: _cpu_s(pid) for pids in groups.values() for pid in pids}
        rows, commands, events = servants.postgres.rows(), self._commands(), self._events()
        told = self._pace("measuring", _MEASURED_S, calls_per_s)
        seconds = time.monotonic() - began_s
        for name, pids in groups.items():
            share = 100 * sum(max(0.0, _cpu_s(pid) - used_s[pid]) for pid in pids) / seconds
            each = len(pids) if name in {"a proxy", "a controller"} else 1
            yield self._line(f"CPU of {name}", share / each, "% of a core")
        yield self._line("frames relayed", sum(one["relayed"] / one["seconds"] for one in told), "1/s")
        yield self._line("a frame through a proxy, median", max(one["hop_ms"] for one in told), "ms")
        yield self._line("a frame through a proxy, 99 of 100", max(one["slow_hop_ms"] for one in told), "ms")
        yield self._line("events told by the proxies", (self._events() - events) / seconds, "1/s")
        yield self._line("rows written in PostgreSQL", (servants.postgres.rows() - rows) / seconds, "1/s")
        yield self._line("Redis commands", (self._commands() - commands) / seconds, "1/s")
        yield self._line("load of the machine, a minute", os.getloadavg()[0], "")

    def _pace(self, what: str, seconds: float, calls_per_s: float) -> list[dict[str, float]]:
        for load in self.played:
            load.begin(seconds, load.share.count * calls_per_s)
        began_s = time.monotonic()
        self._wait(what, lambda: round(time.monotonic() - began_s), round(seconds), seconds)
        return [load.ended() for load in self.played]

    def _wait(self, what: str, done: Callable[[], int], total: int, within_s: float) -> None:
        """Until it is done or `within_s` have passed, with a bar."""
        end_s = time.monotonic() + within_s
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=err, transient=True) as bars:
            task = bars.add_task(f"{self.case}: {what}", total=total)
            while done() < total and time.monotonic() < end_s:
                bars.update(task, completed=done())
                time.sleep(0.1)

    def _total(self, name: str) -> int:
        return sum(load.count(name) for load in self.played)

    def _events(self) -> float:
        return sum(one.metric("headroom_events_total") for one in self.servants.proxies)

    def _commands(self) -> int:
        return int(self.servants.redis.info("stats")["total_commands_processed"])

    def _line(self, what: str, value: float, unit: str) -> Line:
        return Line(f"{self.case}: {what}", Measured((float(value),)), None, unit)


def _cpu_s(pid: int) -> float:
    """Processor time of a process; none where it has ended."""
    try:
        return Running(pid, 0, 0, "").cpu_s()
    except FileNotFoundError:
        return 0.0
