"""The one way in for readings that are fetched: checked as pushed ones are, counted, told once, published."""

from collections import Counter
from collections.abc import Callable
from datetime import datetime

import structlog

from domain.events import FeederMetered
from domain.ids import MeterId
from domain.metering import MeterReading
from domain.ports import Clock
from domain.site import PhaseAmps, Site
from inventory.meters import MeterBook

log = structlog.get_logger()


class MeterDesk:
    """Of one site. Nothing here raises: a reading that cannot be right is as good as none."""

    def __init__(self, site: Site, book: MeterBook, clock: Clock, publish: Callable[[FeederMetered], None]) -> None:
        self.site, self.clock = site, clock
        self.taken: Counter[MeterId] = Counter()
        self.refused: Counter[MeterId] = Counter()
        self._book, self._publish = book, publish
        self._complained: dict[MeterId, str] = {}

    def take(self, meter: MeterId, at: datetime | None, current_a: PhaseAmps) -> None:
        """One reading; without a time it is of now."""
        now = self.clock.now()
        reading = MeterReading(meter, at or now, current_a)
        problem = self._book.problem(reading, now)
        if problem is not None:
            self.refuse(meter, problem)
            return
        late_s = (now - reading.at).total_seconds()
        if late_s > self.site.meter(meter).stale_after_s:
            self._complain(meter, "meter_late", "its time is behind by more than stale_after_s: set its clock")
        elif self._complained.pop(meter, None) is not None:
            log.info("meter_fine_again", meter=meter)
        self.taken[meter] += 1
        self._publish(FeederMetered(at=now, reading=reading))

    def refuse(self, meter: MeterId, why: str) -> None:
        """Something that is no reading; told once until the meter is fine again."""
        self.refused[meter] += 1
        self._complain(meter, "meter_reading_refused", why)

    def lost(self, meter: MeterId, why: str) -> None:
        """Its source does not answer; told once until the meter is fine again."""
        self._complain(meter, "meter_source_lost", why)

    def _complain(self, meter: MeterId, event: str, why: str) -> None:
        if self._complained.get(meter) != event:
            self._complained[meter] = event
            log.warning(event, meter=meter, why=why)
