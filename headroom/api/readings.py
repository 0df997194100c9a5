"""Readings that a building's meter pushes: refused whole when one of them cannot be right."""

from collections.abc import Sequence

from domain.events import FeederMetered
from domain.ids import MeterId
from domain.metering import MeterReading
from headroom.api.models import Reading
from headroom.api.problems import ApiError
from headroom.service import Service

_MOST = 10_000


def take_readings(service: Service, meter: MeterId, readings: Sequence[Reading]) -> None:
    """Publish the readings in the order of their time, or raise and take none."""
    controller = service.controller_of_meter(meter)
    if len(readings) > _MOST:
        raise ApiError(413, "Too many readings", f"{len(readings)} readings; send at most {_MOST} at once")
    now = service.clock.now()
    taken = [MeterReading(meter, reading.at, reading.current_a) for reading in readings]
    for index, reading in enumerate(taken):
        problem = controller.picture.live.meters.problem(reading, now)
        if problem is not None:
            raise ApiError(422, "The reading cannot be right", f"reading {index}: {problem}")
    for reading in sorted(taken, key=lambda one: one.at):
        service.bus.publish(FeederMetered(at=now, reading=reading))
