"""Which strategy decides, and which scheduler admits: switched live, and kept over a restart."""

from concurrent.futures.process import BrokenProcessPool

from fastapi import APIRouter

from domain.ids import SiteId
from headroom import switching
from headroom.api.documents import site_summary
from headroom.api.models import SiteSummary, StrategyRequest
from headroom.api.problems import ApiError
from headroom.service import Service


def router(service: Service) -> APIRouter:
    """`/sites/{site}/strategy`."""
    routes = APIRouter(tags=["sites"])

    @routes.post("/sites/{site}/strategy")
    async def switch(site: SiteId, body: StrategyRequest) -> SiteSummary:
        """Switch strategy or scheduler; the next decision is made by it. Null goes back to the site file."""
        controller = service.controller(site)
        before = controller.picture.live.override
        given = body.model_fields_set
        try:
            await switching.switch(
                controller,
                strategy=body.strategy if "strategy" in given else before.strategy,
                scheduler=body.scheduler if "scheduler" in given else before.scheduler,
            )
        except (TimeoutError, OSError, BrokenProcessPool) as error:
            why = str(error) or type(error).__name__
            raise ApiError(503, "Not switched", f"the solver's process cannot be started: {why}. Try again.") from None
        await service.store.flush()
        service.feed.publish(site, "site", site_summary(controller.site).model_dump())
        return site_summary(controller.site)

    return routes
