"""What runs beside the control of a live service: meters that are fetched, forecasts that are kept and renewed."""

from headroom.forecast_keeper import ForecastKeeper, KeeperOptions
from headroom.meters.sources import Part, source_parts
from headroom.service import Service


async def outer_parts(service: Service, options: KeeperOptions) -> list[Part]:
    """Restores the forecasts, and gives what is to run until the service ends.

    Raises:
        HeadroomError: a site's meters need a library that is not installed.
    """
    parts: list[Part] = []
    forecasts = {}
    for name, controller in service.controllers.items():
        picture = controller.picture
        parts += source_parts(controller.site, picture.live.meters, service.clock, service.bus.publish)
        if picture.base.live_forecast is not None:
            forecasts[name] = (controller.site, picture.base.live_forecast)
    keeper = ForecastKeeper(forecasts, service.store, service.clock, options)
    await keeper.restore()
    return [*parts, keeper.run]
