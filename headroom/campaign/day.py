"""One run of a building under a schedule of faults, and what the judges say of it."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from domain.site import Site
from headroom import logs
from headroom.campaign.failing_store import Disk
from headroom.campaign.incarnations import OCPP_PORT, Incarnations
from headroom.campaign.stage import Stage
from headroom.twin import Surroundings, Twin
from simulators import virtual_time
from simulators.arrivals import replayed_arrivals
from simulators.faults import Fault
from simulators.network import MemoryNetwork
from simulators.transaction_judge import Books, judged

OPENS_AT = datetime(2026, 3, 2, 12, 0)  # noqa: DTZ001 - the site's own wall clock, made aware below
GIVES_UP_S = 60.0
"""How soon a charger notices that its link is dead (WebSocketPingInterval's usual value)."""
ATTEMPTS = 10_000
"""How often chargers try a transaction message: one that gives up soon, as the specification lets it, loses it whether
or not there is a proxy, and would hide what the proxy loses."""
TELL_ALL_S = 3600.0
"""How long after the last car came the chargers have to tell the CSMS all they know."""


@dataclass(frozen=True, slots=True)
class Run:
    """What is run. `seed` is that of the world (cars, load, noise); the faults are `faults`."""

    site: Site
    faults: Sequence[Fault]
    days: float = 1.0
    seed: int = 0
    meter_interval_s: float = 10.0
    sample_interval_s: int = 60


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the judges found. `violations` is empty where nothing went wrong that must not."""

    days: float
    faults: int
    by_kind: dict[str, int]
    violations: tuple[str, ...]
    max_loading: float
    overload_s: float
    calm_overload_s: float
    sessions: int
    transactions: int
    frames: int
    energy_kwh: float
    longest_wait_s: float

    @property
    def clean(self) -> bool:
        """Whether no promise was broken."""
        return not self.violations


def run(run: Run, on_progress: Callable[[float], object] = lambda _: None) -> Verdict:
    """Run it in virtual time; the same `Run` gives the same verdict. `on_progress` is told the days done."""
    opened_at = OPENS_AT.replace(tzinfo=ZoneInfo(run.site.timezone))

    async def main() -> Verdict:
        return await _Day(run, on_progress).play()

    return virtual_time.run(main, start=opened_at)


class _Day:
    def __init__(self, run: Run, on_progress: Callable[[float], object]) -> None:
        self._run, self._on_progress = run, on_progress
        self._clock, self._network, self._disk = (
            virtual_time.VirtualClock(),
            MemoryNetwork(gives_up_s=GIVES_UP_S),
            Disk(),
        )
        logs.configure("critical", self._clock)
        csms = urlsplit(run.site.csms.url)
        around = Surroundings(
            self._clock,
            self._network,
            run.seed,
            sample_interval_s=run.sample_interval_s,
            meter_interval_s=run.meter_interval_s,
        )
        self._twin = Twin(run.site, around, csms=(csms.hostname or "127.0.0.1", csms.port or 80))
        self._service = Incarnations(run.site, self._clock, self._network, self._disk, run.seed)
        self._stage = Stage(self._twin, self._network, self._service, self._disk, self._clock)
        self._calm_overload_s = 0.0

    async def play(self) -> Verdict:
        run, twin = self._run, self._twin
        await twin.csms.start()
        self._service.start()
        await self._service.listening()
        for charger in twin.charge_points(f"ws://127.0.0.1:{OCPP_PORT}/ocpp"):
            charger.outbox.attempts, charger.outbox.interval_s = ATTEMPTS, 10.0
        arrivals = replayed_arrivals(run.site, self._clock.now(), run.days, seed=run.seed)
        world = twin.open_world(arrivals, self._service.metered)
        ends_at = self._clock.now() + timedelta(days=run.days)
        async with asyncio.TaskGroup() as group:
            running = [group.create_task(part) for part in (twin.run_chargers(), world.run(), self._watch_calm())]
            faults = group.create_task(self._stage.play(run.faults))
            while self._clock.now() < ends_at:
                await self._clock.sleep(600.0)
                left = (ends_at - self._clock.now()).total_seconds() / 86400
                self._on_progress(run.days - max(0.0, left))
            await faults
            await self._clock.sleep(TELL_ALL_S)
            for task in running:
                task.cancel()
        verdict = self._judge()
        self._service.kill()
        self._service.bury()
        return verdict

    async def _watch_calm(self) -> None:
        """Overload in which no fault is in force, and none was for a while, has no excuse at all."""
        assert self._twin.world is not None
        judge, before_s, last_fault = self._twin.world.judge, 0.0, self._clock.now() - timedelta(days=1)
        while True:
            await self._clock.sleep(10.0)
            now = self._clock.now()
            if self._stage.in_force:
                last_fault = now
            if (now - last_fault).total_seconds() > 300.0:
                self._calm_overload_s += judge.overload_s - before_s
            before_s = judge.overload_s

    def _judge(self) -> Verdict:
        run, twin = self._run, self._twin
        assert twin.world is not None
        report = twin.world.report()
        books = judged(twin.chargers.values(), twin.csms.ledger)
        violations = [*_of_books(books), *(f"frame: {text}" for text in twin.judge.complaints)]
        if report.breaker_trips:
            violations.append(f"breaker trips: {report.breaker_trips}; the highest loading was at {report.worst}")
        if self._calm_overload_s > 0:
            where = report.first_overload
            violations.append(f"overload without a fault: {self._calm_overload_s:g} s; the first was at {where}")
        return Verdict(
            days=run.days,
            faults=len(run.faults),
            by_kind=dict(Counter(str(fault.kind) for fault in run.faults)),
            violations=tuple(violations),
            max_loading=report.max_loading,
            overload_s=report.overload_seconds,
            calm_overload_s=self._calm_overload_s,
            sessions=report.sessions,
            transactions=books.transactions,
            frames=twin.judge.relayed(),
            energy_kwh=report.energy_delivered_kwh,
            longest_wait_s=report.longest_wait_s,
        )


def _of_books(books: Books) -> list[str]:
    return [
        *(f"transaction lost: {text}" for text in books.lost),
        *(f"transaction doubled: {text}" for text in books.doubled),
        *(f"transaction wrong: {text}" for text in books.wrong),
    ]
