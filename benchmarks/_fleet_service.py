"""A whole fleet as a benchmark's subject: proxies, controllers, an API process, a Redis and a database of their own."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import psycopg
import redis
import yaml

from benchmarks._relay_processes import program
from benchmarks._service import PER_SITE, Running, site_document

_STARTS_WITHIN_S = 180.0


@dataclass(frozen=True)
class Postgres:
    """A database for the run, on a server of this machine."""

    url: str

    def rows(self) -> int:
        """Rows that were inserted, changed or deleted since the start."""
        asked = (
            "select tup_inserted + tup_updated + tup_deleted from pg_stat_database where datname = current_database()"
        )
        return int(self._ask(asked)[0])

    def backends(self) -> list[int]:
        """The processes that serve this database."""
        return self._ask(
            "select pid from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
        )

    def _ask(self, query: str) -> list[int]:
        with psycopg.connect(self.url, autocommit=True) as one:
            return [row[0] for row in one.execute(query.encode())]


@dataclass
class Servants:
    """Everything that runs. `logs` are of the processes by their names."""

    proxies: list[Running]
    controllers: list[Running]
    postgres: Postgres
    redis: "redis.Redis"
    redis_process: Running
    folder: Path
    names: dict[int, str] = field(default_factory=dict)

    def complaints(self) -> Counter[str]:
        """What the processes logged as warnings and errors, by kind of process, in the order of the first of each."""
        said: list[tuple[str, str]] = []
        for log in self.folder.glob("*.log"):
            role = log.stem.rpartition("-")[0]
            for line in log.read_text().splitlines():
                try:
                    event = json.loads(line)
                except ValueError:
                    event = {"event": line[:60]} if line.strip() and not line[0].isspace() else {}
                if "event" in event:
                    said.append((str(event.get("at", "")), f"{role}: {event['event']}"))
        return Counter(what for _, what in sorted(said))


@contextmanager
def own_database(server: str) -> Iterator[Postgres]:
    """A new database on a server, gone afterwards; `SystemExit` where none can be made there."""
    name = f"headroom_bench_{uuid4().hex}"
    try:
        with psycopg.connect(server, autocommit=True) as admin:
            admin.execute(f"create database {name}".encode())
    except psycopg.Error as error:
        raise SystemExit(f"--database: {error}. Name a PostgreSQL on which a database may be made.") from None
    try:
        yield Postgres(f"{server.rpartition('/')[0]}/{name}")
    finally:
        with psycopg.connect(server, autocommit=True) as admin:
            admin.execute(f"drop database {name} with (force)".encode())


@contextmanager
def own_redis(folder: Path) -> Iterator[tuple[str, Running]]:
    """A Redis that keeps nothing, and its URL."""
    port = _free_port()
    options = ["--save", "", "--appendonly", "no", "--dir", str(folder), "--logfile", "redis.txt"]
    command = [program("redis-server", "apt-get install redis-server"), "--port", str(port), *options]
    with subprocess.Popen(command) as process:
        try:
            yield f"redis://127.0.0.1:{port}/0", Running(process.pid, 0, 0, "")
        finally:
            process.kill()


@contextmanager
def serving_fleet(
    chargers: int, csms_urls: Sequence[str], workers: int, controllers: int, server: str
) -> Iterator[Servants]:
    """A fleet for so many chargers in garages of 100; `csms_urls` has the CSMS of each garage. Every site is under
    control when this begins.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="headroom-bench-")))
        postgres = stack.enter_context(own_database(server))
        url, redis_process = stack.enter_context(own_redis(folder))
        arguments = ["--database", postgres.url, "--redis", url]
        for number, csms_url in enumerate(csms_urls):
            path = folder / f"site-{number}.yaml"
            document = site_document(number, min(PER_SITE, chargers - number * PER_SITE), csms_url)
            path.write_text(yaml.safe_dump(document))
            arguments += ["--site", str(path)]
        roles = ["proxy"] * workers + ["controller"] * controllers + ["api"]
        first = _started(stack, "proxy-1", "proxy", arguments, folder)
        found = {"proxy": [_ready(first, "proxy-1", folder)], "controller": [], "api": []}
        rest = [(role, f"{role}-{index}") for index, role in enumerate(roles[1:], 2)]
        begun = [(role, name, _started(stack, name, role, arguments, folder)) for role, name in rest]
        for role, name, process in begun:
            found[role].append(_ready(process, name, folder))
        client = stack.enter_context(redis.Redis.from_url(url))
        servants = Servants(found["proxy"], found["controller"], postgres, client, redis_process, folder)
        _until_controlled(servants, len(csms_urls))
        yield servants


def _started(stack: ExitStack, name: str, role: str, arguments: Sequence[str], folder: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "headroom", "serve", "--json", "--access", "open", "--role", role]
    command += ["--ocpp-port=0", "--api-port=0", "--drain-seconds=0", *arguments]
    own = {"HEADROOM_LOG": "warning", "HEADROOM_SPOOL": str(folder / f"{name}.spool.db")}
    log = stack.enter_context((folder / f"{name}.log").open("w"))
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True, env={**os.environ, **own})
    stack.callback(_end, process)
    return process


def _ready(process: "subprocess.Popen[str]", name: str, folder: Path) -> Running:
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"{name} did not start: {(folder / f'{name}.log').read_text()[-2000:]}")
    told = json.loads(line)
    return Running(process.pid, told.get("ocpp_port", 0), told["api_port"], "")


def _end(process: "subprocess.Popen[str]") -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()
    if process.stdout is not None:
        process.stdout.close()


def _until_controlled(servants: Servants, sites: int) -> None:
    end_s = time.monotonic() + _STARTS_WITHIN_S
    while sum(len(one.samples("headroom_take_over_seconds")) for one in servants.controllers) < sites:
        if time.monotonic() > end_s:
            told = ", ".join(f"{what} {count}x" for what, count in servants.complaints().items())
            raise RuntimeError(f"not all of {sites} sites are under control after {_STARTS_WITHIN_S:g} s; {told}")
        time.sleep(0.5)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as one:
        return int(one.getsockname()[1])
