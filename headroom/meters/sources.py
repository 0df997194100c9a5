"""The sources that a site file names, as parts that run for ever; a library is loaded only where one needs it."""

from collections.abc import Awaitable, Callable

from domain.errors import HeadroomError
from domain.events import FeederMetered
from domain.ports import Clock
from domain.site import Site
from headroom.meters.desk import MeterDesk
from headroom.meters.values import meters_of
from inventory.meters import MeterBook

Part = Callable[[], Awaitable[None]]


def source_parts(site: Site, book: MeterBook, clock: Clock, publish: Callable[[FeederMetered], None]) -> list[Part]:
    """What is to run for the meters of a site that are fetched.

    Raises:
        HeadroomError: the site file names a source whose library is not installed.
    """
    meters = list(meters_of(site).values())
    mqtt, modbus = [one for one in meters if one.mqtt], [one for one in meters if one.modbus]
    desk = MeterDesk(site, book, clock, publish)
    parts: list[Part] = []
    try:
        if mqtt:
            from headroom.meters.mqtt import listeners

            parts += [one.run for one in listeners(desk, mqtt)]
        if modbus:
            from headroom.meters.modbus import pollers

            parts += [one.run for one in pollers(desk, modbus)]
    except ModuleNotFoundError as missing:
        raise HeadroomError(
            f"{site.id}: its meters need '{missing.name}', which is not installed: pip install 'headroom[meters]'"
        ) from None
    return parts
