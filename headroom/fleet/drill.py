"""Kills processes of a whole fleet at random, under load, and looks what became of limits and transactions.

    python -m headroom.fleet.drill --kills 50 --database postgresql://... --redis redis://...

Two proxies behind HAProxy, two controllers and an API process; a simulated building, its chargers and their CSMS are
outside and are not killed. The last line is a JSON document; exit 1 where something was lost, doubled or overloaded.
"""

import argparse
import asyncio
import contextlib
import json
import random
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import httpx

from domain.errors import HeadroomError
from headroom.clock import FastClock, monotonic_s
from headroom.console import print_json
from headroom.demo_link import ReadingPusher
from headroom.fleet.forward import HOP_HEADER
from headroom.settings import child_environment
from headroom.twin import Surroundings, Twin
from inventory.site_file import parse_site
from proxy.network import LoopNetwork
from simulators.arrivals import demo_arrivals
from simulators.demo_site import demo_site
from simulators.transaction_judge import judged

ROLES = ("proxy", "proxy", "controller", "controller", "api")
_STARTS_WITHIN_S = 120.0
_TAKEN_OVER_WITHIN_S = 60.0
_TOLD_WITHIN_S = 120.0
_OPENS_AT = datetime(2026, 3, 3, 1, 0, tzinfo=UTC)

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
  balance roundrobin
{servers}
"""


@dataclass(frozen=True, slots=True)
class DrillOptions:
    """`kills` processes at random, or one of each of `victims` in turn: of the kind of a controller, the one that
    reigns. `pauses`: how often the one that reigns is stopped until another does, and woken. `upgrade`: end every
    process in order and start it again, one after the other. `rest_s`: how long the fleet is left alone in between.
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
            line = await asyncio.wait_for(self._process.stdout.readline(), _STARTS_WITHIN_S)
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

    async def in_charge(self, site: str) -> Member | None:
        """The controller that decides on the site now."""
        async with httpx.AsyncClient(timeout=1.0, trust_env=False, headers={HOP_HEADER: "1"}) as client:
            for member in self.of("controller"):
                with contextlib.suppress(httpx.HTTPError):
                    found = await client.get(f"http://127.0.0.1:{member.api_port}/api/v1/sites/{site}/statistics")
                    if found.status_code == 200:
                        return member
        return None


class Drill:
    """One run. `take_overs_s` are the seconds from a controller's death to the next one's being in charge."""

    def __init__(self, options: DrillOptions) -> None:
        self.killed: list[str] = []
        self.paused: list[Mapping[str, bool]] = []
        self.ended: list[int | None] = []
        self.went_on = 0
        self.take_overs_s: list[float] = []
        self._options = options
        self._random = random.Random(options.seed)
        self._clock = FastClock.starting(options.speed, _OPENS_AT)
        self._site = parse_site(demo_site(options.chargers), "drill")
        self._twin = Twin(self._site, Surroundings(self._clock, LoopNetwork(), validate=0.0), csms=("127.0.0.1", 0))

    async def run(self) -> dict[str, object]:
        """Start everything, kill, and report."""
        twin, options = self._twin, self._options
        await twin.csms.start()
        file = options.folder / "site.yaml"
        file.write_text(demo_site(options.chargers, csms_url=twin.csms.url))
        fleet = Fleet(options, file, self._clock)
        try:
            await fleet.start()
            pusher = ReadingPusher(f"http://127.0.0.1:{fleet.of('api')[0].api_port}/api/v1")
            for charger in twin.charge_points(f"ws://127.0.0.1:{fleet.port}/ocpp"):
                charger.outbox.attempts = 10_000  # a charger may give a message up; that would hide what we lose
            async with asyncio.TaskGroup() as group:
                running = [group.create_task(part) for part in (twin.run_chargers(), pusher.run())]
                await asyncio.wait_for(twin.connected(), _STARTS_WITHIN_S)
                world = twin.open_world(demo_arrivals(self._site, self._clock.now(), 48), pusher.put)
                opened = group.create_task(world.run())
                for victim in options.victims or [""] * options.kills:
                    await asyncio.sleep(options.rest_s)
                    await self._kill(fleet, await self._victim(fleet, victim))
                for _ in range(options.pauses):
                    await asyncio.sleep(options.rest_s)
                    await self._pause(fleet)
                if options.upgrade:
                    await self._upgrade(fleet)
                await asyncio.sleep(options.rest_s)
                opened.cancel()
                books = await self._until_told()
                for task in running:
                    task.cancel()
        finally:
            await fleet.stop()
            twin.csms.stop()
        return {**self._report(), "transactions": books}

    async def _victim(self, fleet: Fleet, role: str) -> Member:
        if not role:
            return self._random.choice(fleet.members)
        return await self._reigning(fleet) if role == "controller" else self._random.choice(fleet.of(role))

    async def _reigning(self, fleet: Fleet, besides: Member | None = None) -> Member:
        """Who controls the site, as soon as somebody does."""
        async with asyncio.timeout(_TAKEN_OVER_WITHIN_S):
            while (found := await fleet.in_charge(self._site.id)) is None or found is besides:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        return found

    async def _pause(self, fleet: Fleet) -> None:
        """Stop who reigns, as a machine does that is overloaded, and wake it once another does."""
        asleep = await self._reigning(fleet)
        asleep.signal(signal.SIGSTOP)
        awake = await self._reigning(fleet, besides=asleep)
        asleep.signal(signal.SIGCONT)
        await asyncio.sleep(self._options.rest_s)
        now = await self._reigning(fleet)
        self.paused.append({"stood_back": now is awake, "woke_to_reign": now is asleep})

    async def _upgrade(self, fleet: Fleet) -> None:
        """As a new version is rolled out; which transactions ran through it all is told."""
        async with asyncio.timeout(_STARTS_WITHIN_S):
            while not (before := {one.transaction_id for one in self._twin.csms.ledger.running()}):  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        for member in fleet.members:
            self.ended.append(await member.end(signal.SIGTERM))
            await member.start()
            await asyncio.sleep(self._options.rest_s)
        after = {entry.transaction_id for entry in self._twin.csms.ledger.running()}
        self.went_on = len(before & after)

    async def _kill(self, fleet: Fleet, victim: Member) -> None:
        reigned = victim.role == "controller" and await fleet.in_charge(self._site.id) is victim
        begun_s = monotonic_s()
        await victim.end(signal.SIGKILL)
        self.killed.append(victim.name)
        if reigned:
            await self._reigning(fleet, besides=victim)
            self.take_overs_s.append(monotonic_s() - begun_s)
        print(f"{len(self.killed)}: {victim.name} was killed", *self.take_overs_s[-1:] * reigned, file=sys.stderr)
        await victim.start()

    async def _until_told(self) -> Mapping[str, object]:
        """What the CSMS's books say, once the chargers have told all they had, or cannot."""
        chargers = self._twin.chargers.values()
        books = judged(chargers, self._twin.csms.ledger)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_TOLD_WITHIN_S):
                while not books.clean or any(len(charger.outbox) > 0 for charger in chargers):
                    await asyncio.sleep(0.5)
                    books = judged(chargers, self._twin.csms.ledger)
        return {"total": books.transactions, "lost": books.lost, "doubled": books.doubled, "wrong": books.wrong}

    def _report(self) -> dict[str, object]:
        measured = self._twin.report()
        kept = ("sessions", "max_loading", "overload_seconds", "breaker_trips", "frames_relayed", "frames_altered")
        times = sorted(self.take_overs_s)
        return {
            "kills": len(self.killed),
            "paused": self.paused,
            "ended": self.ended,
            "went_on": self.went_on,
            "killed": {name: self.killed.count(name) for name in sorted(set(self.killed))},
            "take_over_s": {"count": len(times), "median": median(times), "max": times[-1]} if times else None,
            **{name: measured.get(name) for name in kept},
        }


def passed(report: Mapping[str, object]) -> bool:
    """Whether nothing was overloaded, lost, doubled, wrong or altered."""
    books = report["transactions"]
    assert isinstance(books, Mapping)
    unwanted = ("overload_seconds", "breaker_trips", "frames_altered")
    return not any(report[name] for name in unwanted) and not any(books[name] for name in ("lost", "doubled", "wrong"))


def free_port() -> int:
    """A port that nobody has at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as one:
        return int(one.getsockname()[1])


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--database", required=True, help="postgresql://... of a database that may be filled")
    parser.add_argument("--redis", default="redis://127.0.0.1:6379/0")
    parser.add_argument("--chargers", type=int, default=6)
    parser.add_argument("--speed", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="headroom-drill-") as folder:
        options = DrillOptions(
            given.database,
            given.redis,
            f"drill-{free_port()}",
            Path(folder),
            given.kills,
            given.chargers,
            given.speed,
            seed=given.seed,
        )
        report = asyncio.run(Drill(options).run())
    print_json(json.loads(json.dumps(report)))
    sys.exit(0 if passed(report) else 1)


if __name__ == "__main__":
    main()
