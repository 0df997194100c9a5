"""Alarms, with what to do."""

from typing import Annotated

from fastapi import APIRouter, Query

from domain.ids import SiteId
from headroom.api.documents import alarm_document
from headroom.api.models import AlarmDocument, Page
from headroom.api.paging import Cursor, Limit
from headroom.service import Service


def router(service: Service) -> APIRouter:
    """`/sites/{site}/alarms`."""
    routes = APIRouter(tags=["alarms"])

    @routes.get("/sites/{site}/alarms")
    async def alarms(
        site: SiteId,
        standing: Annotated[bool, Query(description="those that have not been cleared")] = False,
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> Page[AlarmDocument]:
        """Alarms, newest first, each with what it means and what to do."""
        page = await service.history.alarms(site, limit, cursor, standing_only=standing)
        return Page(items=[alarm_document(one) for one in page.items], next=page.next)

    return routes
