"""How the demo runs: the simulated world in this process, the service in a child, REST and sockets between them."""

import asyncio
import contextlib
import signal
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil
from pathlib import Path
from zoneinfo import ZoneInfo

import structlog

from domain.metering import MeterReading
from domain.site import Site
from headroom.clock import FastClock
from headroom.demo_link import DecisionLines, ReadingPusher, StatisticsWatch
from headroom.demo_progress import ProgressLine
from headroom.service_child import ChildOptions, ServiceChild
from headroom.twin import Surroundings, Twin
from inventory.site_file import parse_site
from proxy.network import LoopNetwork
from simulators.arrivals import demo_arrivals
from simulators.demo_site import demo_site

log = structlog.get_logger()

_OPENS_AT = datetime(2026, 3, 2, 17, 0)  # noqa: DTZ001 - the building's own wall clock, made aware below
_WARM_UP_S = 5.0
"""Real seconds between start and 17:00, in which the service starts and the chargers connect."""
_FOR_EVER_HOURS = 24 * 28
_CONNECT_LIMIT_S = 60.0


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """The command's options. `quiet`: nothing for people."""

    seconds: float | None
    speed: float
    chargers: int
    strategy: str
    api_port: int
    ocpp_port: int
    quiet: bool


async def run_demo(options: DemoOptions, folder: Path) -> dict[str, object]:
    """Run until the time is over, Ctrl-C or SIGTERM; the report in the words of the contract."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    site_text = demo_site(options.chargers, strategy=options.strategy)
    timezone = ZoneInfo(parse_site(site_text, "demo").timezone)
    opens_at = _OPENS_AT.replace(tzinfo=timezone).astimezone(UTC)
    clock = FastClock.starting(options.speed, opens_at - timedelta(seconds=_WARM_UP_S * options.speed))
    network = LoopNetwork()
    twin = Twin(parse_site(site_text, "demo"), Surroundings(clock, network, validate=0.05), csms=("127.0.0.1", 0))
    await twin.csms.start()
    site_file = folder / "site.yaml"
    site_file.write_text(demo_site(options.chargers, strategy=options.strategy, csms_url=twin.csms.url))
    child = ServiceChild(
        ChildOptions(
            site_file,
            folder / "headroom.db",
            str(clock),
            folder / "service.log",
            ocpp_port=options.ocpp_port,
            api_port=options.api_port,
        )
    )
    try:
        await child.start()
        return await _Demo(options, twin, child, clock, opens_at, stop).run()
    finally:
        await child.stop()
        twin.csms.stop()


class _Demo:
    def __init__(
        self,
        options: DemoOptions,
        twin: Twin,
        child: ServiceChild,
        clock: FastClock,
        opens_at: datetime,
        stop: asyncio.Event,
    ) -> None:
        self._options, self._twin, self._child, self._clock = options, twin, child, clock
        self._opens_at, self._stop = opens_at, stop
        self._site: Site = twin.site
        self._progress = ProgressLine(enabled=not options.quiet)
        base = f"http://127.0.0.1:{child.api_port}/api/v1"
        self._pusher = ReadingPusher(base)
        self._statistics = StatisticsWatch(base, self._site.id)
        self._lines = DecisionLines(base, self._site, self._progress.say)

    async def run(self) -> dict[str, object]:
        ports = f"page and API http://127.0.0.1:{self._child.api_port}  chargers ws://127.0.0.1:{self._child.ocpp_port}/ocpp"
        self._progress.say(f"{len(self._site.chargers)} chargers, {self._options.speed:g} times real time; {ports}")
        self._twin.charge_points(f"ws://127.0.0.1:{self._child.ocpp_port}/ocpp")
        parts = [
            self._twin.run_chargers(),
            self._child.keep_alive(self._on_death),
            self._pusher.run(),
            self._statistics.run(),
            *([] if self._options.quiet else [self._lines.run()]),
        ]
        with self._progress:
            async with asyncio.TaskGroup() as group:
                running = [group.create_task(part) for part in parts]
                await self._evening(group)
                for task in running:
                    task.cancel()
        await self._statistics.look()
        return {
            **self._statistics.total(),
            **self._twin.report(),
            "service_starts": self._child.starts,
            "speed": self._options.speed,
            "api_port": self._child.api_port,
            "ocpp_port": self._child.ocpp_port,
        }

    async def _evening(self, group: asyncio.TaskGroup) -> None:
        """Wait for the chargers, open the world at 17:00 and let the time pass."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._twin.connected(), _CONNECT_LIMIT_S)
        await self._clock.sleep((self._opens_at - self._clock.now()).total_seconds())
        hours = (
            _FOR_EVER_HOURS
            if self._options.seconds is None
            else ceil(self._options.seconds * self._options.speed / 3600)
        )
        world = self._twin.open_world(demo_arrivals(self._site, self._clock.now(), hours), self._read)
        running = group.create_task(world.run())
        showing = group.create_task(self._progress.follow(world, self._site, self._clock))
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), self._options.seconds)
        running.cancel()
        showing.cancel()

    def _read(self, reading: MeterReading) -> None:
        self._pusher.put(reading)

    def _on_death(self, code: int) -> None:
        log.warning("service_died", exit_code=code)
        self._progress.say(
            f"the service ended with {code}; it is started again, limits hold by their dead-man schedule"
        )
