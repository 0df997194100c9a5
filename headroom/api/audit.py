"""The audit trail."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from headroom.access.roles import Caller
from headroom.api.access_models import AuditDocument
from headroom.api.entry import caller_of
from headroom.api.models import Page
from headroom.api.paging import Cursor, Limit
from headroom.service import Service


def router(service: Service) -> APIRouter:
    """`/audit`."""
    routes = APIRouter(tags=["access"])

    @routes.get("/audit")
    async def audit(
        caller: Annotated[Caller, Depends(caller_of)],
        by: Annotated[str | None, Query(max_length=255, description="this caller, such as token:4f7k2m9q")] = None,
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> Page[AuditDocument]:
        """Every write but meter readings, newest first: who, from where, what, and how it was answered."""
        page = await service.history.audit(caller.sites, by, limit, cursor)
        return Page(items=[AuditDocument.model_validate(one) for one in page.items], next=page.next)

    return routes
