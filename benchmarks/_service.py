"""`headroom serve` as a benchmark's subject: many buildings in one process, and what it and its children use."""

import json
import os
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml
from prometheus_client.parser import text_string_to_metric_families

PER_SITE: Final = 100
"""Chargers behind one panel: a large garage."""
_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_PHASES: Final = (["A", "B"], ["B", "C"], ["C", "A"])


def site_document(number: int, chargers: int, csms_url: str = "ws://127.0.0.1:9/ocpp") -> dict[str, object]:
    """A garage of so many chargers (`CP00000` on, counted over all garages) behind a main panel and panels of ten."""
    panels = range(0, chargers, 10)
    feeders: list[dict[str, object]] = [{"id": f"s{number}-main", "rating_a": 12 * chargers, "usable": 0.8}]
    feeders += [{"id": f"s{number}-p{n}", "parent": f"s{number}-main", "rating_a": 160, "usable": 0.8} for n in panels]
    listed = [
        {
            "id": f"CP{number * PER_SITE + index:05d}",
            "evses": [
                {
                    "id": f"s{number}-e{index}",
                    "connector": 1,
                    "feeder": f"s{number}-p{10 * (index // 10)}",
                    "phases": _PHASES[index % 3],
                    "failsafe_a": 6,
                    "failsafe_proven": True,
                }
            ],
        }
        for index in range(chargers)
    ]
    csms = {"url": csms_url, "outage": "hold"}
    electrical = {"line_to_line_v": 208, "model": "phasor"}
    named = {"site": f"garage-{number}", "timezone": "UTC", "csms": csms, "electrical": electrical}
    return {**named, "strategy": "milp", "feeders": feeders, "chargers": listed, "meters": []}


@dataclass(frozen=True)
class Running:
    """A service that runs."""

    pid: int
    ocpp_port: int
    api_port: int
    token: str

    def metric(self, name: str) -> float:
        """The sum of a metric's samples."""
        return sum(self.samples(name))

    def samples(self, name: str) -> list[float]:
        """A metric's samples."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.api_port}/metrics")
        if self.token:
            request.add_header("Authorization", f"Bearer {self.token}")
        with urllib.request.urlopen(request, timeout=30) as answer:
            families = text_string_to_metric_families(answer.read().decode())
        return [one.value for family in families for one in family.samples if one.name == name]

    def children(self) -> list[int]:
        """Its solvers and planner."""
        found = []
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                fields = stat.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[1]) == self.pid:
                found.append(int(stat.parent.name))
        return found

    def cpu_s(self, *pids: int) -> float:
        """Processor time of the processes, of the service itself where none is named."""
        total = 0.0
        for pid in pids or (self.pid,):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += (int(fields[11]) + int(fields[12])) / _TICKS_PER_S
        return total

    def memory_bytes(self) -> int:
        """What the service itself has of the machine's memory."""
        rollup = Path(f"/proc/{self.pid}/smaps_rollup").read_text()
        return sum(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Private_")) * 1024


@contextmanager
def serving(chargers: int, csms_port: int, per_site: int = PER_SITE) -> Iterator[Running]:
    """The service for so many chargers, in garages of `per_site`, on an SQLite database of its own."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "headroom", "serve", "--json", "--ocpp-port=0", "--api-port=0"]
        command += [f"--csms=ws://127.0.0.1:{csms_port}/ocpp", f"--database=sqlite+aiosqlite:///{folder}/h.db"]
        for number, first in enumerate(range(0, chargers, per_site)):
            path = Path(folder, f"site-{number}.yaml")
            path.write_text(yaml.safe_dump(site_document(number, min(per_site, chargers - first))))
            command += ["--site", str(path)]
        environment = {**os.environ, "HEADROOM_LOG": "error"}
        with (
            Path(folder, "log").open("w") as log,
            subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env=environment) as process,
        ):
            try:
                assert process.stdout is not None
                line = process.stdout.readline()
                if not line:
                    raise RuntimeError(f"the service did not start: {Path(folder, 'log').read_text()[-2000:]}")
                told = json.loads(line)
                yield Running(process.pid, told["ocpp_port"], told["api_port"], told["token"])
            finally:
                process.terminate()
                try:
                    process.wait(12)
                except subprocess.TimeoutExpired:
                    process.kill()
