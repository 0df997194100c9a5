"""The relays that are compared, each a process of its own on one core, and what such a process uses."""

import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

NODE_RELAY: Final = Path(__file__).parent / "node_relay"
_ALLOWED: Final = sorted(os.sched_getaffinity(0))
_HAPROXY: Final = """
global
  nbthread 1
  maxconn 9000
defaults
  mode http
  timeout connect 10s
  timeout client 1h
  timeout server 1h
  timeout tunnel 1h
frontend chargers
  bind fd@{listening} {tls}
  default_backend csms
backend csms
  server csms 127.0.0.1:{csms_port}
"""


@dataclass
class RelayProcess:
    """A relay that runs; `port` is for chargers."""

    name: str
    pid: int
    port: int

    def cpu_s(self) -> float:
        """Processor time of all its threads."""
        # Linux's name for the processor clock of another process (clock_getcpuclockid).
        return time.clock_gettime_ns((~self.pid << 3) | 2) / 1e9

    def signal(self) -> None:
        """Ask ours to bring every charger a new limit."""
        os.kill(self.pid, signal.SIGUSR1)

    def memory_bytes(self) -> int:
        """What it has for itself of the machine's memory."""
        rollup = Path(f"/proc/{self.pid}/smaps_rollup").read_text()
        return sum(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Private_")) * 1024


def take_own_core() -> None:
    """The load has one core, and every relay the other."""
    os.sched_setaffinity(0, {_ALLOWED[-1]})


def free_all_descriptors() -> None:
    """Let this process, and those that it starts, have as many sockets open as they are allowed to."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def listen_overflows() -> int:
    """Connections that this machine had no room for, since its start."""
    names, values = (line.split() for line in Path("/proc/net/netstat").read_text().splitlines()[:2])
    return int(values[names.index("ListenOverflows")])


@contextmanager
def relay(name: str, csms_port: int, chargers: int, certificate: str = "") -> Iterator[RelayProcess]:
    """Start the relay of that name: haproxy, node, websockets; or ours: alone, tap. With a `certificate` (PEM with its
    key) it speaks TLS with chargers: not all can.

    Raises:
        ModuleNotFoundError: the rival is not installed; `name` says how to get it.
    """
    if name == "haproxy":
        with _haproxy(csms_port, certificate) as started:
            yield started
        return
    with _printing(name, _command(name, csms_port, chargers, certificate)) as started:
        yield started


def _command(name: str, csms_port: int, chargers: int, certificate: str) -> list[str]:
    if name == "node":
        if not (NODE_RELAY / "node_modules" / "ws").is_dir():
            raise _missing(f"ws (npm ci --prefix {NODE_RELAY})")
        return [program("node", "apt-get install nodejs npm"), str(NODE_RELAY / "relay.mjs"), str(csms_port)]
    if name == "websockets":
        return [sys.executable, "-m", "benchmarks._relay_rival", str(csms_port), certificate]
    return [sys.executable, "-m", "benchmarks._relay_subject", str(csms_port), name, str(chargers), certificate]


@contextmanager
def _printing(name: str, command: list[str]) -> Iterator[RelayProcess]:
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            os.sched_setaffinity(process.pid, {_ALLOWED[0]})
            assert process.stdout is not None
            yield RelayProcess(name, process.pid, int(process.stdout.readline()))
        finally:
            process.kill()


@contextmanager
def _haproxy(csms_port: int, certificate: str) -> Iterator[RelayProcess]:
    haproxy = program("haproxy", "apt-get install haproxy")
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as listening, tempfile.NamedTemporaryFile("w") as file:
        tls = f"ssl crt {certificate}" if certificate else ""
        file.write(_HAPROXY.format(listening=listening.fileno(), csms_port=csms_port, tls=tls))
        file.flush()
        command = [haproxy, "-db", "-q", "-f", file.name]
        with subprocess.Popen(command, pass_fds=(listening.fileno(),)) as process:
            try:
                os.sched_setaffinity(process.pid, {_ALLOWED[0]})
                time.sleep(0.5)
                if process.poll() is not None:
                    raise RuntimeError(f"haproxy ended with {process.returncode}: see above")
                yield RelayProcess("haproxy", process.pid, listening.getsockname()[1])
            finally:
                process.kill()


def program(name: str, how: str) -> str:
    """Where a program lies; `ModuleNotFoundError` with how to get it where it does not."""
    found = shutil.which(name)
    if found is None:
        raise _missing(f"{name} ({how})")
    return found


def _missing(rival: str) -> ModuleNotFoundError:
    return ModuleNotFoundError(f"the rival {rival} is missing", name=rival)
