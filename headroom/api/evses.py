"""EVSEs as they are now, what they drew, and what became of their limits."""

from fastapi import APIRouter, Response

from domain.ids import EvseId, SiteId
from headroom.api.documents import evse_document, evse_fields
from headroom.api.models import EvseDocument, Page, SampleDocument, SetpointEventDocument
from headroom.api.paging import Cursor, Limit, cut
from headroom.service import Service
from inventory.spelling import dump_json


def router(service: Service) -> APIRouter:
    """`/evses`, and a site's list of them."""
    routes = APIRouter(tags=["evses"])

    @routes.get("/sites/{site}/evses", response_model=Page[EvseDocument])
    async def evses(site: SiteId, limit: Limit = 500, cursor: Cursor = None) -> Response:
        """Every EVSE as it is now, and why, in the order of the site file."""
        controller, now = service.controller(site), service.clock.now()
        ids, following = cut([one.id for one in controller.site.evses], limit, cursor)
        items = [evse_fields(controller, controller.picture.view(EvseId(one), now), now) for one in ids]
        # Checking and writing what we made ourselves, model by model, took the loop 30 ms for 500 EVSEs.
        return Response(dump_json({"items": items, "next": following}), media_type="application/json")

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
