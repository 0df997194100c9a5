"""Which strategy decides, and which scheduler admits: switched live, and kept over a restart."""

from fastapi import APIRouter

from domain.ids import SiteId
from headroom import switching
from headroom.api.documents import site_summary
from headroom.api.models import SiteSummary, StrategyRequest
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
        await switching.switch(
            controller,
            strategy=body.strategy if "strategy" in given else before.strategy,
            scheduler=body.scheduler if "scheduler" in given else before.scheduler,
        )
        await service.store.flush()
        return site_summary(controller.site)

    return routes
