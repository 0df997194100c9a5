"""What runs along at the bottom of the demo's terminal."""

from types import TracebackType
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.live import Live
from rich.text import Text

from domain.ports import Clock
from domain.site import Site
from simulators.world import World

_EVERY_S = 30.0


class ProgressLine:
    """One line that is kept current on a terminal, and lines that stay; in a pipe only the latter."""

    def __init__(self, *, enabled: bool) -> None:
        self._console = Console(highlight=False, soft_wrap=True, quiet=not enabled)
        self._live = Live(Text(""), console=self._console, auto_refresh=False, transient=True)
        self._showing = enabled and self._console.is_terminal

    def __enter__(self) -> "ProgressLine":
        if self._showing:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._showing:
            self._live.stop()

    def say(self, line: str) -> None:
        """A line that stays."""
        self._console.print(line, markup=False)

    async def follow(self, world: World, site: Site, clock: Clock) -> None:
        """Keep the line current for ever."""
        zone = ZoneInfo(site.timezone)
        while True:
            await clock.sleep(_EVERY_S)
            if self._showing:
                self._live.update(Text(self._line(world, site, clock, zone), style="dim"), refresh=True)

    @staticmethod
    def _line(world: World, site: Site, clock: Clock, zone: ZoneInfo) -> str:
        """Time, each panel's fullest phase as a share of what is usable, and how many cars do what."""
        parts = [f"{clock.now().astimezone(zone):%H:%M}"]
        for row, feeder in enumerate(site.feeders):
            parts.append(f"{feeder.id} {max(world.total_a[row]) / feeder.usable_a:4.0%}")
        cars = sum(1 for amps in world.ev_a if amps > 1.0)
        wanting = sum(1 for evse in site.evses if (car := world.car_at(evse.id)) is not None and car.wants)
        parts.append(f"{cars} cars charging, {max(0, wanting - cars)} waiting")
        return "  ".join(parts)
