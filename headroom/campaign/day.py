"""One run of a building under a schedule of faults, and what the judges say of it."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import numpy as np

from domain.site import Evse, Site
from headroom import logs
from headroom.campaign.failing_store import Disk
from headroom.campaign.incarnations import OCPP_PORT, Incarnations
from headroom.campaign.stage import Stage
from headroom.twin import Surroundings, Twin
from simulators import virtual_time
from simulators.arrivals import Arrival, replayed_arrivals
from simulators.characters import characters_of, natures_of
from simulators.evse import SimulatedEvse
from simulators.faults import Fault
from simulators.network import MemoryNetwork
from simulators.transaction_judge import Books, judged
from simulators.wait_judge import WaitJudge

OPENS_AT = datetime(2026, 3, 2, 12, 0)  # noqa: DTZ001 - the site's own wall clock, made aware below
GIVES_UP_S = 60.0
"""How soon a charger notices that its link is dead (WebSocketPingInterval's usual value)."""
ATTEMPTS = 10_000
"""How often chargers try a transaction message: one that gives up soon, as the specification lets it, loses it whether
or not there is a proxy, and would hide what the proxy loses."""
TELL_ALL_S = 3600.0
"""How long after the last car came the chargers have to tell the CSMS all they know."""
LOOKS_EVERY_S = 30.0
SETTLED_S = 300.0
"""So long after a fault is over it excuses no overload: longer than limits hold without a link."""
FORGOTTEN_S = 900.0
"""So long after a fault is over it excuses no wait."""
STANDS_IN_FOR_S = 900.0
"""For so long after the CSMS, the service or its disk failed may a message be answered in the CSMS's place: kept ones
are told first."""


@dataclass(frozen=True, slots=True)
class Run:
    """What is run. `seed` is that of the world (cars, load, noise); the faults are `faults`.

    `characters`: some chargers and cars are peculiar (`simulators.characters`). `arrivals`: who comes; without it those
    who came to a housing cooperative.
    """

    site: Site
    faults: Sequence[Fault]
    days: float = 1.0
    seed: int = 0
    meter_interval_s: float = 10.0
    sample_interval_s: int = 60
    meter_noise: float = 0.0
    characters: bool = False
    arrivals: Sequence[Arrival] | None = None


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
    possible_trips: int = 0
    """How often the fastest breaker within its standard might have opened: told, not judged (docs/trust.md)."""
    report: Mapping[str, object] = field(default_factory=dict, compare=False)
    """What `headroom simulate` tells of a site."""

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
            meter_noise=run.meter_noise,
        )
        self._twin = Twin(run.site, around, csms=(csms.hostname or "127.0.0.1", csms.port or 80))
        self._service = Incarnations(run.site, self._clock, self._network, self._disk, run.seed)
        self._stage = Stage(self._twin, self._network, self._service, self._disk, self._clock)
        self._twin.judge.may_stand_in = lambda _: self._stage.recently(STANDS_IN_FOR_S, "csms", "service", "store")
        self._calm_overload_s = 0.0
        self._report: dict[str, object] = {}
        self._waits = WaitJudge(run.site)
        self._behaviours = characters_of(run.site, run.seed) if run.characters else {}

    async def play(self) -> Verdict:
        run, twin = self._run, self._twin
        await twin.csms.start()
        self._service.start()
        await self._service.listening()
        for charger in twin.charge_points(f"ws://127.0.0.1:{OCPP_PORT}/ocpp", self._behaviours):
            charger.outbox.attempts, charger.outbox.interval_s = ATTEMPTS, 10.0
        arrivals = run.arrivals
        if arrivals is None:
            arrivals = replayed_arrivals(run.site, self._clock.now(), run.days, seed=run.seed)
        if run.characters:
            arrivals = natures_of(arrivals, run.seed)
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
        if self._service.service is not None:
            self._report = {**self._service.service.statistics(run.site.id), **twin.report()}
        verdict = self._judge()
        self._service.kill()
        self._service.bury()
        return verdict

    async def _watch_calm(self) -> None:
        """Overload, or too long a wait, in which no fault is in force or was for a while, has no excuse."""
        assert self._twin.world is not None
        world, before_s, last_fault = self._twin.world, 0.0, self._clock.now() - timedelta(days=1)
        while True:
            await self._clock.sleep(LOOKS_EVERY_S)
            now = self._clock.now()
            if self._stage.in_force:
                last_fault = now
            calm_s, overload_s = (now - last_fault).total_seconds(), world.judge.overload_s
            if calm_s > SETTLED_S:
                self._calm_overload_s += overload_s - before_s
            self._watch_waits(now, LOOKS_EVERY_S if calm_s > FORGOTTEN_S else 0.0)
            before_s = overload_s

    def _watch_waits(self, now: datetime, counts_s: float) -> None:
        sides = {evse.id: self._twin.chargers[evse.charger].evses[evse.connector] for evse in self._run.site.evses}
        asking = [evse for evse in self._run.site.evses if self._asks(evse, sides[evse.id])]
        served = {evse.id: sides[evse.id].offered_a >= evse.min_a for evse in asking}
        self._waits.observe(counts_s, np.abs(self._twin.load.phasors(now)), asking, served)

    def _asks(self, evse: Evse, side: SimulatedEvse) -> bool:
        """An authorised car at a charger without peculiarities wants energy."""
        vehicle = side.vehicle
        usual = evse.charger not in self._behaviours and self._twin.chargers[evse.charger].online
        return usual and side.closed and vehicle is not None and vehicle.wants and not getattr(vehicle, "asleep", False)

    def _judge(self) -> Verdict:
        run, twin = self._run, self._twin
        assert twin.world is not None
        report = twin.world.report()
        books = judged(twin.chargers.values(), twin.csms.ledger)
        violations = [*_of_books(books), *(f"frame: {text}" for text in twin.judge.complaints)]
        violations += [f"kept message lost: {text}" for text in twin.judge.untold()]
        violations += [f"promise: {text}" for text in self._waits.complaints]
        if self._disk.late_writes:
            violations.append(f"fencing: {self._disk.late_writes} writes of a life after a newer one had begun")
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
            possible_trips=twin.world.judge.possible_trips,
            report=self._report,
        )


def _of_books(books: Books) -> list[str]:
    return [
        *(f"transaction lost: {text}" for text in books.lost),
        *(f"transaction doubled: {text}" for text in books.doubled),
        *(f"transaction wrong: {text}" for text in books.wrong),
    ]
