"""What runs beside the control of a live service: meters that are fetched, forecasts that are kept and renewed."""

from collections.abc import Callable, Mapping

from domain.events import Event
from domain.ids import SiteId
from domain.ports import Clock
from headroom.control_loop import SiteController
from headroom.forecast_keeper import ForecastKeeper, KeeperOptions
from headroom.meters.sources import Part, source_parts
from inventory.store import Store


async def outer_parts(
    controllers: Mapping[SiteId, SiteController],
    store: Store,
    clock: Clock,
    publish: Callable[[Event], None],
    options: KeeperOptions,
) -> list[Part]:
    """Restores the forecasts of these sites, and gives what is to run as long as they are under control here.

    Raises:
        HeadroomError: a site's meters need a library that is not installed.
    """
    parts: list[Part] = []
    forecasts = {}
    for name, controller in controllers.items():
        picture = controller.picture
        parts += source_parts(controller.site, picture.live.meters, clock, publish)
        if picture.base.live_forecast is not None:
            forecasts[name] = (controller.site, picture.base.live_forecast)
    keeper = ForecastKeeper(forecasts, store, clock, options)
    await keeper.restore()
    return [*parts, keeper.run]
