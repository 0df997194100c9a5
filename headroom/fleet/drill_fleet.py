"""The processes of a drill: two proxies behind HAProxy, two controllers and an API process."""

import asyncio
import contextlib
import shutil
import signal
import socket
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import httpx

from domain.errors import HeadroomError
from headroom.clock import FastClock
from headroom.fleet.drill_troubles import OwnServers
from headroom.fleet.forward import HOP_HEADER
from headroom.settings import child_environment

ROLES = ("proxy", "proxy", "controller", "controller", "api")
STARTS_WITHIN_S = 120.0

_HAPROXY = """\
global
  maxconn 4000
defaults
  mode http
  timeout connect 2s
  timeout client 1h
  timeout server 1h
  timeout tunnel 1h
  option redispatch
  retries 3
frontend chargers
  bind 127.0.0.1:{port}
  default_backend workers
backend workers
  balance uri
  hash-type consistent
{servers}
"""


@dataclass(frozen=True, slots=True)
class DrillOptions:
    """`kills` processes at random, or one of each of `victims` in turn: of the kind of a controller, the one that
    reigns. `pauses`: how often the one that reigns is stopped until another does, and woken. `upgrade`: end every
    process in order and start it again, one after the other. `rest_s`: how long the fleet is left alone in between.
    `troubles`: what happens to the `servers` around the fleet, each for `trouble_s`; `outage`: the site's mode.
    """

    database: str
    redis: str
    prefix: str
    folder: Path
    kills: int = 50
    chargers: int = 6
    speed: float = 10.0
    rest_s: float = 3.0
    seed: int = 1
    victims: Sequence[str] = ()
    pauses: int = 0
    upgrade: bool = False
    servers: OwnServers | None = None
    troubles: Sequence[str] = ()
    trouble_s: float = 8.0
    outage: Literal["close", "hold"] = "close"


class Member:
    """One process of the fleet, started again on the same ports after it was killed."""

    def __init__(
        self, name: str, role: str, arguments: Sequence[str], environment: Mapping[str, str], log: Path
    ) -> None:
        self.name, self.role = name, role
        self.api_port, self.ocpp_port = free_port(), free_port()
        self._arguments, self._environment, self._log = arguments, environment, log
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it and wait until it serves; `HeadroomError` where it does not."""
        ports = ("--api-port", str(self.api_port), "--ocpp-port", str(self.ocpp_port))
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "headroom", "serve", "--json", "--access", "open", "--role", self.role),
                *self._arguments,
                *ports,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env=child_environment(**self._environment),
                start_new_session=True,
            )
        assert self._process.stdout is not None
        try:
            line = await asyncio.wait_for(self._process.stdout.readline(), STARTS_WITHIN_S)
        except TimeoutError:
            line = b""
        if not line:
            raise HeadroomError(f"{self.name} did not start; its last words: {self._log.read_text()[-1500:]}")

    async def end(self, number: int) -> int | None:
        """End it by a signal, and wait for that; its exit code."""
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)
            await self._process.wait()
        return None if self._process is None else self._process.returncode

    def signal(self, number: int) -> None:
        """Send it a signal: to stop for a while, or to go on."""
        assert self._process is not None
        self._process.send_signal(number)


class Fleet:
    """The processes of a drill and the HAProxy before them."""

    def __init__(self, options: DrillOptions, site_file: Path, clock: FastClock) -> None:
        self.port = free_port()
        self._options = options
        arguments = ("--site", str(site_file), "--database", options.database, "--redis", options.redis)
        counts: dict[str, int] = {}
        self.members: list[Member] = []
        for role in ROLES:
            counts[role] = counts.get(role, 0) + 1
            name = f"{role}-{counts[role]}"
            environment = {
                "HEADROOM_CLOCK": str(clock),
                "HEADROOM_REDIS_PREFIX": options.prefix,
                "HEADROOM_SPOOL": str(options.folder / f"{name}.spool.db"),
            }
            self.members.append(Member(name, role, arguments, environment, options.folder / f"{name}.log"))
        self._haproxy: asyncio.subprocess.Process | None = None

    def of(self, role: str) -> list[Member]:
        """The processes of a role."""
        return [member for member in self.members if member.role == role]

    async def start(self) -> None:
        """Start all, and let chargers come. `HeadroomError` where HAProxy is missing or something does not start."""
        haproxy = shutil.which("haproxy")
        if haproxy is None:
            raise HeadroomError("haproxy is not installed: apt-get install haproxy")
        await self.members[0].start()
        async with asyncio.TaskGroup() as group:
            for member in self.members[1:]:
                group.create_task(member.start())
        servers = "\n".join(
            f"  server {m.name} 127.0.0.1:{m.ocpp_port} check inter 500 fall 1 rise 1 on-marked-down shutdown-sessions"
            for m in self.of("proxy")
        )
        file = self._options.folder / "haproxy.cfg"
        file.write_text(_HAPROXY.format(port=self.port, servers=servers))
        with (self._options.folder / "haproxy.log").open("ab") as log:
            self._haproxy = await asyncio.create_subprocess_exec(
                haproxy, "-db", "-f", str(file), stdout=log, stderr=log
            )

    async def stop(self) -> None:
        """End all at once."""
        for member in self.members:
            await member.end(signal.SIGKILL)
        if self._haproxy is not None and self._haproxy.returncode is None:
            self._haproxy.kill()
            await self._haproxy.wait()

    async def ready(self) -> bool:
        """Whether every process says that it does its part."""
        async with httpx.AsyncClient(timeout=2.0, trust_env=False) as client:
            for member in self.members:
                try:
                    if (await client.get(f"http://127.0.0.1:{member.api_port}/readyz")).status_code != 200:
                        return False
                except httpx.HTTPError:
                    return False
        return True

    async def in_charge(self, site: str) -> Member | None:
        """The controller that decides on the site now."""
        async with httpx.AsyncClient(timeout=1.0, trust_env=False, headers={HOP_HEADER: "1"}) as client:
            for member in self.of("controller"):
                with contextlib.suppress(httpx.HTTPError):
                    found = await client.get(f"http://127.0.0.1:{member.api_port}/api/v1/sites/{site}/statistics")
                    if found.status_code == 200:
                        return member
        return None


def free_port() -> int:
    """A port that nobody has at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as one:
        return int(one.getsockname()[1])
