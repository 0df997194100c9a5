"""Campaigns: building-days under drawn faults, one after another on every core, until the time is up."""

import csv
import os
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path

from domain.site import Site
from headroom.campaign.day import Run, Verdict, run
from headroom.clock import monotonic_s
from headroom.collecting import collect_seldom
from inventory.site_file import parse_site
from simulators.demo_site import demo_site
from simulators.faults import Drawing, drawn

CHARGERS = 20
METER_NOISE = 0.005
"""A meter of class 0.5."""
DRAWING = 2
"""Of which kinds faults, chargers and cars are drawn: a seed gives the same run only with the same drawing and code."""
_DAYS_A_PROCESS = 8
"""A day leaves some 150 MB behind, of which a process gives little back before it ends."""
LEDGER_FIELDS = (
    "drawing",
    "seed",
    "days",
    "faults",
    "violations",
    "overload_s",
    "max_loading",
    "possible_trips",
    "transactions",
    "frames",
)


@dataclass(frozen=True, slots=True)
class Day:
    """One run of a campaign and its verdict."""

    seed: int
    verdict: Verdict


@dataclass(slots=True)
class Tally:
    """What a campaign has come to."""

    days: float = 0.0
    faults: int = 0
    violations: int = 0

    def add(self, day: Day) -> None:
        """One more run."""
        self.days += day.verdict.days
        self.faults += day.verdict.faults
        self.violations += len(day.verdict.violations)

    def __str__(self) -> str:
        """The campaign's last line."""
        return f"{self.days:g} building-days, {self.faults} faults, {self.violations} violations"


def building(seed: int = 0) -> Site:
    """The campaigns' building: 20 EVSEs behind a panel that is too small for them.

    Its chargers lose their link with the CSMS at even seeds (`outage: close`), and are stood in for at odd ones. Two
    in four stand in Europe: three phases at 400 V.
    """
    return _building(holds=seed % 2 == 1, three_phase=seed % 4 in (2, 3))


@cache
def _building(*, holds: bool, three_phase: bool) -> Site:
    outage = "hold, recognises_repeats: true" if holds else "close"
    return parse_site(demo_site(CHARGERS, outage=outage, three_phase=three_phase), "campaign.yaml")


def day_of(seed: int, days: float = 1.0, at_once: int = 1) -> Run:
    """The run of a seed: its cars, its load and its faults."""
    site = building(seed)
    faults = drawn(site, days, seed, Drawing(at_once=at_once))
    return Run(site, faults, days, seed, meter_noise=METER_NOISE, characters=True)


def campaign(seconds: float, first_seed: int, *, days: float = 1.0, workers: int | None = None) -> Iterator[Day]:
    """Runs from `first_seed` on, in the order in which they end; those under way when the time is up are finished."""
    ends_s = monotonic_s() + seconds
    workers = workers or os.cpu_count() or 1
    seed = first_seed
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn"), max_tasks_per_child=_DAYS_A_PROCESS) as pool:
        running: dict[Future[Verdict], int] = {}
        while True:
            while len(running) < workers and monotonic_s() < ends_s:
                running[pool.submit(_run_seed, seed, days)] = seed
                seed += 1
            if not running:
                return
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                yield Day(running.pop(future), future.result())


def _run_seed(seed: int, days: float) -> Verdict:
    collect_seldom()
    return run(day_of(seed, days))


def kinds_of(runs: list[Day]) -> Counter[str]:
    """Faults by kind over all runs."""
    total: Counter[str] = Counter()
    for day in runs:
        total.update(day.verdict.by_kind)
    return total


def note(ledger: Path, day: Day) -> None:
    """Add a run to the ledger of seeds, a CSV file; it is made where there is none."""
    fresh = not ledger.exists()
    ledger.parent.mkdir(parents=True, exist_ok=True)
    with ledger.open("a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        if fresh:
            writer.writerow(LEDGER_FIELDS)
        found = day.verdict
        counted = (len(found.violations), round(found.overload_s, 1), round(found.max_loading, 4), found.possible_trips)
        writer.writerow((DRAWING, day.seed, found.days, found.faults, *counted, found.transactions, found.frames))


def total_of(ledger: Path) -> Tally:
    """What all the runs in a ledger have come to."""
    with ledger.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return Tally(
        sum(float(row["days"]) for row in rows),
        sum(int(row["faults"]) for row in rows),
        sum(int(row["violations"]) for row in rows),
    )


def seeds_in(ledger: Path) -> set[int]:
    """The seeds that a ledger has already."""
    if not ledger.exists():
        return set()
    with ledger.open(newline="", encoding="utf-8") as file:
        return {int(row["seed"]) for row in csv.DictReader(file)}
