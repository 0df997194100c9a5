"""The newest readings of a site's meters: what may be used of what they say, and what is kept for history only."""

import math
from collections import Counter, deque
from collections.abc import Mapping
from datetime import UTC, datetime

from domain.ids import MeterId
from domain.metering import MeterReading
from domain.site import Phase, Site

READINGS_S = 180.0
MAX_READINGS = 512
FUTURE_S = 60.0
"""A stamp further ahead than clocks differ would stay the newest, and fresh, long after the meter had died."""
EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
"""A clock that was never set; in the year 1 a time east of Greenwich has no place in UTC, and no database takes it."""
ABSURD = 20.0
"""Times the feeder's rating: a unit error, for a breaker would not have waited."""


class MeterBook:
    """The last minutes of every meter of a site."""

    def __init__(self, site: Site, restored: Mapping[MeterId, MeterReading]) -> None:
        self._phases: dict[MeterId, tuple[Phase, ...]] = {}
        self._absurd_a: dict[MeterId, float] = {}
        for feeder in site.feeders:
            if feeder.meter is not None:
                self._phases[feeder.meter] = feeder.phases
                self._absurd_a[feeder.meter] = ABSURD * feeder.rating_a
        self._readings: dict[MeterId, deque[MeterReading]] = {
            meter: deque(maxlen=MAX_READINGS) for meter in self._phases
        }
        self.refused: Counter[str] = Counter()
        for meter, reading in restored.items():
            if meter in self._readings:
                self._readings[meter].append(reading)

    def problem(self, reading: MeterReading, now: datetime) -> str | None:
        """Why a reading cannot be used, as a sentence; None if it can.

        A phase that is missing is not a phase without load: unknown is full.
        """
        if reading.meter not in self._phases:
            return f"unknown meter '{reading.meter}'"
        missing = [phase.value for phase in self._phases[reading.meter] if phase not in reading.current_a]
        if missing:
            return f"current_a has no phase {', '.join(missing)}, which the meter's feeder carries"
        for phase, value in reading.current_a.items():
            if not (math.isfinite(value) and 0 <= value <= self._absurd_a[reading.meter]):
                allowed = f"must be from 0 to {self._absurd_a[reading.meter]:g} A"
                return f"current_a.{phase.value} is {value:g}, {allowed}"
        if reading.at < EARLIEST:
            return f"at is {reading.at.isoformat()}, before there were meters that tell the time: set the clock"
        if (reading.at - now).total_seconds() > FUTURE_S:
            return f"at is {reading.at.isoformat()}, more than {FUTURE_S:g} s after {now.isoformat()}: set the clock"
        return None

    def take(self, reading: MeterReading, now: datetime) -> bool:
        """Takes a reading; False where it cannot be stored at all. One that is older than the newest is not used."""
        problem = self.problem(reading, now)
        if problem is not None:
            self.refused[reading.meter if reading.meter in self._phases else "unknown"] += 1
            return False
        kept = self._readings[reading.meter]
        if not kept or reading.at > kept[-1].at:
            kept.append(reading)
            while (reading.at - kept[0].at).total_seconds() > READINGS_S:
                kept.popleft()
        return True

    def readings(self, meter: MeterId) -> tuple[MeterReading, ...]:
        """The last minutes of a meter, oldest first; the last one is the newest. Empty where nothing is known."""
        return tuple(self._readings.get(meter, ()))

    def newest(self) -> dict[MeterId, MeterReading]:
        """The newest reading of every meter that has one."""
        return {meter: kept[-1] for meter, kept in self._readings.items() if kept}
