"""Chargers of a fleet's benchmark, and their CSMS, in processes of their own: as many as their descriptors ask for.

Each takes a share of the chargers, has one source address in 127.0.0.0/8, so that ports do not run out, and keeps its
chargers coming: one whose link ended comes again a second later, as real ones do.
"""

import multiprocessing
import resource
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from statistics import quantiles
from typing import Final

from benchmarks._relay_fleet import Fleet, Wire
from benchmarks._relay_processes import free_all_descriptors

FIELDS: Final = ("entered", "replies", "relayed", "refused", "ended", "open", "limits")
_OTHER_DESCRIPTORS: Final = 300
_AT_ONCE: Final = 50
_AGAIN_AT_MOST: Final = 200


@dataclass(frozen=True)
class Share:
    """The chargers of one process."""

    first: int
    count: int
    source: str


@dataclass
class Load:
    """A process that plays a share. `csms_port` is where its chargers' CSMS listens."""

    share: Share
    csms_port: int
    pid: int
    _told: Connection
    _counts: "multiprocessing.sharedctypes.SynchronizedArray[int]"

    def connect(self, ports: Sequence[int]) -> None:
        """All chargers come at once, each to one of the proxies' ports, and ask; they go on being served."""
        self._told.send(list(ports))

    def begin(self, seconds: float, calls_per_s: float) -> None:
        """Chargers take turns to ask; `ended` says what came of it."""
        self._told.send((seconds, calls_per_s))

    def ended(self) -> dict[str, float]:
        """What came of it: `seconds`, `relayed` frames, `hop_ms` and `slow_hop_ms` (99 of 100 are faster) of one."""
        return dict(self._told.recv())

    def count(self, name: str) -> int:
        """One of `FIELDS`, as it was a moment ago."""
        return int(self._counts[FIELDS.index(name)])


def shares(chargers: int, sites_of: int) -> list[Share]:
    """As few as the allowed descriptors carry (two a charger), none of which divides a site of `sites_of` chargers."""
    free_all_descriptors()
    allowed = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    each = (allowed - _OTHER_DESCRIPTORS) // 2 // sites_of * sites_of
    if each <= 0:
        raise RuntimeError(f"{allowed} open files are too few for {sites_of} chargers: raise the limit (ulimit -Hn)")
    return [
        Share(first, min(each, chargers - first), f"127.0.1.{number + 1}")
        for number, first in enumerate(range(0, chargers, each))
    ]


@contextmanager
def loads(listed: Sequence[Share]) -> Iterator[list[Load]]:
    """The processes; each has its CSMS listening already."""
    context = multiprocessing.get_context("spawn")
    started, found = [], []
    try:
        for share in listed:
            ours, theirs = context.Pipe()
            counts = context.Array("q", len(FIELDS), lock=True)
            process = context.Process(target=_play, args=(share, theirs, counts), daemon=True)
            process.start()
            started.append(process)
            theirs.close()
            found.append(Load(share, int(ours.recv()), process.pid or 0, ours, counts))
        yield found
    finally:
        for process in started:
            process.kill()
            process.join()


class _Player:
    """One process's share."""

    def __init__(self, share: Share, told: Connection, counts: Sequence[int]) -> None:
        free_all_descriptors()
        self._share, self._told, self._counts = share, told, counts
        self._wire = Wire()
        self._fleet = Fleet(self._wire, first=share.first)
        self._ended = 0
        self._ports: list[int] = []
        told.send(self._fleet.csms_port)

    def play(self) -> None:
        """Until the process is killed."""
        self._ports = self._told.recv()
        fleet, share = self._fleet, self._share
        fleet.asks_when_in = True
        for number in range(share.first, share.first + share.count):
            self._dial(number)
            if number % _AT_ONCE == 0:
                self._wire.turn(0.0)
        due_s = 0.0
        while True:
            self._wire.turn(0.05)
            if (now_s := time.perf_counter()) >= due_s:
                self._every_second()
                due_s = now_s + 1.0
            self._say()
            if self._told.poll():
                self._pace(*self._told.recv())

    def _dial(self, number: int) -> None:
        self._fleet.dial(number, self._ports[number % len(self._ports)], self._share.source)

    def _every_second(self) -> None:
        """Those whose links ended come again, some at a time."""
        gone = [charger.number for charger in self._fleet.chargers if not charger.is_open]
        for number in gone[:_AGAIN_AT_MOST]:
            self._ended += 1
            self._dial(number)

    def _pace(self, seconds: float, calls_per_s: float) -> None:
        fleet = self._fleet
        fleet.latencies, relayed, began_s = [], fleet.relayed, time.perf_counter()
        while time.perf_counter() - began_s < seconds:
            fleet.pace(1.0, 2 * calls_per_s)
            self._every_second()
            self._say()
        hops = [1000 * hop for hop in fleet.latencies] or [0.0, 0.0]
        fleet.latencies = None
        cuts = quantiles(hops, n=100)
        elapsed_s = time.perf_counter() - began_s
        rates = {"seconds": elapsed_s, "relayed": float(fleet.relayed - relayed)}
        self._told.send(rates | {"hop_ms": cuts[49], "slow_hop_ms": cuts[98]})

    def _say(self) -> None:
        fleet = self._fleet
        is_in = sum(charger.is_open and charger.is_in for charger in fleet.chargers)
        limits = sum(charger.limits > 0 for charger in fleet.chargers)
        values = (fleet.entered, fleet.replies, fleet.relayed, fleet.refused, self._ended, is_in, limits)
        self._counts[:] = values  # type: ignore[index]


def _play(share: Share, told: Connection, counts: Sequence[int]) -> None:
    _Player(share, told, counts).play()
