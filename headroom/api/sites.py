"""Sites, their panel trees and EVSEs as they are now."""

from typing import Annotated

from fastapi import APIRouter, Depends

from domain.ids import ChargerId, EvseId, SiteId
from headroom.access.roles import Caller
from headroom.api.documents import charger_document, evse_document, site_document, site_summary
from headroom.api.entry import caller_of
from headroom.api.models import (
    ChargerDocument,
    EvseDocument,
    Page,
    SampleDocument,
    SetpointEventDocument,
    SiteDocument,
    SiteSummary,
)
from headroom.api.paging import Cursor, Limit, cut
from headroom.service import Service


def router(service: Service) -> APIRouter:
    """`/sites`, `/evses` and the schema of a site file."""
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
        ids, following = cut([site for site in service.controllers if caller.sees_site(site)], limit, cursor)
        return Page(items=[site_summary(service.controllers[SiteId(one)].site) for one in ids], next=following)

    @routes.get("/sites/{site}")
    async def site(site: SiteId) -> SiteDocument:
        """The panel tree with rating, usable, load and headroom per phase."""
        return site_document(service.controller(site), service.clock.now())

    @routes.get("/sites/{site}/evses")
    async def evses(site: SiteId, limit: Limit = 500, cursor: Cursor = None) -> Page[EvseDocument]:
        """Every EVSE as it is now, and why, in the order of the site file."""
        controller, now = service.controller(site), service.clock.now()
        ids, following = cut([one.id for one in controller.site.evses], limit, cursor)
        items = [evse_document(controller, controller.picture.view(EvseId(one), now), now) for one in ids]
        return Page(items=items, next=following)

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

    @routes.get("/evses/{evse}")
    async def evse(evse: EvseId) -> EvseDocument:
        """One EVSE as it is now, and why."""
        controller, now = service.controller_of_evse(evse), service.clock.now()
        return evse_document(controller, controller.picture.view(evse, now), now)

    @routes.get("/evses/{evse}/samples")
    async def samples(evse: EvseId, limit: Limit = 100, cursor: Cursor = None) -> Page[SampleDocument]:
        """What an EVSE drew, newest first."""
        page = await service.history.samples(evse, limit, cursor)
        return Page(items=[SampleDocument.model_validate(one) for one in page.items], next=page.next)

    @routes.get("/evses/{evse}/setpoints")
    async def setpoints(evse: EvseId, limit: Limit = 100, cursor: Cursor = None) -> Page[SetpointEventDocument]:
        """What became of an EVSE's limits, newest first: sent, accepted, refused, confirmed."""
        page = await service.history.setpoints(evse, limit, cursor)
        return Page(items=[SetpointEventDocument.model_validate(one) for one in page.items], next=page.next)

    return routes
