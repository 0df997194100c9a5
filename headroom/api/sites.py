"""Sites, their panel trees and chargers as they are now."""

from typing import Annotated

from fastapi import APIRouter, Depends

from domain.ids import ChargerId, SiteId
from headroom.access.roles import Caller
from headroom.api.documents import charger_document, site_document, site_summary
from headroom.api.entry import caller_of
from headroom.api.models import (
    ChargerDocument,
    Page,
    SiteDocument,
    SiteSummary,
)
from headroom.api.paging import Cursor, Limit, cut
from headroom.service import Service


def router(service: Service) -> APIRouter:
    """`/sites`, and the schema of a site file."""
    routes = APIRouter(tags=["sites"])

    @routes.get("/schema/site", tags=["schema"])
    async def schema() -> dict[str, object]:
        """The JSON schema of a site file."""
        return service.site_schema()

    @routes.get("/sites")
    async def sites(
        caller: Annotated[Caller, Depends(caller_of)], limit: Limit = 100, cursor: Cursor = None
    ) -> Page[SiteSummary]:
        """The sites of this service that the caller may see."""
        known = {one.id: one for one in await service.listed() if caller.sees_site(one.id)}
        ids, following = cut(list(known), limit, cursor)
        return Page(items=[site_summary(known[SiteId(one)]) for one in ids], next=following)

    @routes.get("/sites/{site}")
    async def site(site: SiteId) -> SiteDocument:
        """The panel tree with rating, usable, load and headroom per phase."""
        return site_document(service.controller(site), service.clock.now())

    @routes.get("/sites/{site}/chargers")
    async def chargers(site: SiteId, limit: Limit = 500, cursor: Cursor = None) -> Page[ChargerDocument]:
        """What the chargers have told of themselves, in the order of the site file."""
        controller = service.controller(site)
        ids, following = cut([one.id for one in controller.site.chargers], limit, cursor)
        return Page(items=[charger_document(controller, ChargerId(one)) for one in ids], next=following)

    @routes.get("/sites/{site}/statistics")
    async def statistics(site: SiteId) -> dict[str, object]:
        """Counts and latencies since the service started."""
        return service.statistics(site)

    return routes
