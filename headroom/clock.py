"""The only reader of time. Everything else is handed a `Clock` and, for latencies, `monotonic_s`."""

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from domain.errors import HeadroomError

monotonic_s = time.perf_counter
"""Real seconds, for latencies within one process; never scaled."""


def lease_clock_s() -> float:
    """Real seconds within one process, for leases: they go on while the machine sleeps, where its system has such a
    clock.
    """
    return time.clock_gettime(_LEASE_CLOCK)


_LEASE_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


class WallClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """The present instant, aware, UTC."""
        return datetime.fromtimestamp(time.time(), UTC)

    async def sleep(self, seconds: float) -> None:
        """Wait in real time."""
        await asyncio.sleep(max(0.0, seconds))


@dataclass(frozen=True)
class FastClock:
    """A clock that runs `speed` times as fast as the machine's.

    It reads `opened_at` when the machine reads `opened_wall_s` (Unix seconds), so that processes that share the three
    numbers agree on the time, also after one of them was restarted.
    """

    speed: float
    opened_at: datetime
    opened_wall_s: float

    @classmethod
    def starting(cls, speed: float, opened_at: datetime) -> "FastClock":
        """A clock that shows `opened_at` now."""
        return cls(speed=speed, opened_at=opened_at, opened_wall_s=time.time())

    @classmethod
    def parse(cls, text: str) -> "FastClock":
        """Read what `str()` wrote; `HeadroomError` names what is wrong."""
        try:
            speed, opened_at, opened_wall_s = text.split(",")
            clock = cls(float(speed), datetime.fromisoformat(opened_at), float(opened_wall_s))
        except ValueError as error:
            raise HeadroomError(f"HEADROOM_CLOCK={text!r}: expected SPEED,ISO-TIME,UNIX-SECONDS ({error})") from None
        if clock.speed <= 0 or clock.opened_at.tzinfo is None:
            raise HeadroomError(f"HEADROOM_CLOCK={text!r}: the speed must be above 0 and the time have a zone")
        return clock

    def __str__(self) -> str:
        return f"{self.speed!r},{self.opened_at.isoformat()},{self.opened_wall_s!r}"

    def now(self) -> datetime:
        """The present instant on the fast clock, aware, UTC."""
        return self.opened_at + timedelta(seconds=(time.time() - self.opened_wall_s) * self.speed)

    async def sleep(self, seconds: float) -> None:
        """Wait until `now()` has advanced by `seconds`."""
        await asyncio.sleep(max(0.0, seconds) / self.speed)
