"""Sessions, and what drivers wish."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Query

from domain.errors import UnknownIdError
from domain.ids import EvseId, SiteId
from headroom.access.roles import Caller, Role
from headroom.api.documents import session_document
from headroom.api.entry import caller_of
from headroom.api.models import Page, SessionDocument, SessionWishes
from headroom.api.paging import Cursor, Limit
from headroom.api.problems import ApiError
from headroom.service import Service

_LATEST = timedelta(days=31)


def router(service: Service) -> APIRouter:
    """`/sites/{site}/sessions`."""
    routes = APIRouter(tags=["sessions"])

    @routes.get("/sites/{site}/sessions")
    async def sessions(
        site: SiteId,
        evse: Annotated[EvseId | None, Query(description="of this EVSE only")] = None,
        running: Annotated[bool, Query(description="those that have not ended")] = False,
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> Page[SessionDocument]:
        """Sessions, newest first, the running ones among them."""
        page = await service.history.sessions(site, limit, cursor, evse=evse, open_only=running)
        return Page(items=[session_document(row.session) for row in page.items], next=page.next)

    @routes.get("/sites/{site}/sessions/{session}")
    async def session(site: SiteId, session: str) -> SessionDocument:
        """One session."""
        return session_document((await service.history.session(site, session)).session)

    @routes.patch("/sites/{site}/sessions/{session}")
    async def amend(
        site: SiteId, session: str, body: SessionWishes, caller: Annotated[Caller, Depends(caller_of)]
    ) -> SessionDocument:
        """Set when a running session's car leaves, how much it is to get, and its priority."""
        found = service.controller(site).picture.live.open_session(session)
        if not caller.sees_evse(found.evse):
            raise UnknownIdError("session", session)
        if caller.role is Role.DRIVER and "priority" in body.model_fields_set:
            raise ApiError(403, "Not for this role", "a driver cannot set the priority: leave it out")
        await amend_session(service, site, found.evse, body)
        return session_document(service.controller(site).picture.live.open_session(session))

    return routes


async def amend_session(service: Service, site: SiteId, evse: EvseId, body: SessionWishes) -> None:
    """Set a running session's wishes, durably; `ApiError` 422 for a departure that cannot be."""
    controller, now = service.controller(site), service.clock.now()
    wishes: dict[str, object] = {name: getattr(body, name) for name in body.model_fields_set}
    leaves = body.departure_at
    if leaves is not None and not now < leaves <= now + _LATEST:
        raise ApiError(
            422,
            "Not a departure",
            f"departure_at: {leaves.isoformat()} is not within the {_LATEST.days} days after {now.isoformat()}",
        )
    if "energy_wanted_kwh" in wishes:
        wanted = wishes.pop("energy_wanted_kwh")
        wishes["energy_wanted_wh"] = None if wanted is None else 1000 * float(str(wanted))
    if wishes:
        controller.change(controller.picture.live.amend_session(evse, **wishes), f"a wish at {evse}")
        await service.store.flush()
        service.feed.publish(site, "session", {"evse": evse})
