"""Building meters: readings in, and what they were."""

from typing import Annotated

from fastapi import APIRouter, Body

from domain.ids import MeterId, SiteId
from headroom.api.documents import meter_document
from headroom.api.models import MeterDocument, Page, Reading, Taken
from headroom.api.paging import Cursor, Limit, Since, Until, cut
from headroom.api.readings import take_readings
from headroom.service import Service


def router(service: Service) -> APIRouter:
    """`/meters`."""
    routes = APIRouter(tags=["meters"])

    @routes.post("/meters/{meter}/readings", status_code=202)
    async def push(meter: MeterId, body: Annotated[Reading | list[Reading], Body()]) -> Taken:
        """Push one reading or several; an older one than the newest is kept for history and not used."""
        readings = body if isinstance(body, list) else [body]
        take_readings(service, meter, readings)
        return Taken(accepted=len(readings))

    @routes.get("/meters/{meter}/readings")
    async def readings(
        meter: MeterId,
        since: Since = None,
        until: Until = None,
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> Page[Reading]:
        """A meter's readings in [since, until), newest first."""
        page = await service.history.readings(meter, since, until, limit, cursor)
        return Page(items=[Reading(at=one.at, current_a=dict(one.current_a)) for one in page.items], next=page.next)

    @routes.get("/sites/{site}/meters")
    async def meters(site: SiteId, limit: Limit = 100, cursor: Cursor = None) -> Page[MeterDocument]:
        """A site's meters with their newest reading, and whether it is too old to be used."""
        controller, now = service.controller(site), service.clock.now()
        ids, following = cut([one.id for one in controller.site.meters], limit, cursor)
        return Page(items=[meter_document(controller, MeterId(one), now) for one in ids], next=following)

    return routes
