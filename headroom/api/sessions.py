"""Sessions, and what drivers wish."""

from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Response

from domain.errors import UnknownIdError
from domain.ids import EvseId, SiteId
from headroom.access.roles import Caller, Role
from headroom.api.documents import session_document
from headroom.api.entry import caller_of
from headroom.api.models import Page, SessionDocument, SessionWishes
from headroom.api.paging import Cursor, Limit, Since, Until
from headroom.api.problems import ApiError
from headroom.api.tables import CSV_ANSWER, csv_response
from headroom.service import Service
from inventory.queries import MAX_PAGE, SessionOrder, SessionRow

_LATEST = timedelta(days=31)
_MOST_ROWS = 20_000
_HEAD = (
    *("id", "evse", "charger", "transaction_id", "started_at", "ended_at", "end_reason", "energy_kwh"),
    *("departure_at", "energy_wanted_kwh", "priority"),
)

OfEvse = Annotated[EvseId | None, Query(description="of this EVSE only")]
Running = Annotated[bool, Query(description="those that have not ended")]
Order = Annotated[SessionOrder, Query(description="by their start, or by their energy")]


def router(service: Service) -> APIRouter:
    """`/sites/{site}/sessions`."""
    routes = APIRouter(tags=["sessions"])

    @routes.get("/sites/{site}/sessions")
    async def sessions(
        site: SiteId,
        evse: OfEvse = None,
        running: Running = False,
        since: Since = None,
        until: Until = None,
        order: Order = "newest",
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> Page[SessionDocument]:
        """Sessions that began in [since, until), in an order, the running ones among them."""
        page = await service.history.sessions(
            site, limit, cursor, evse=evse, open_only=running, since=since, until=until, order=order
        )
        return Page(items=[session_document(row.session) for row in page.items], next=page.next)

    @routes.get("/sites/{site}/sessions.csv", response_class=Response, responses=CSV_ANSWER)
    async def as_table(
        site: SiteId,
        evse: OfEvse = None,
        running: Running = False,
        since: Since = None,
        until: Until = None,
        order: Order = "newest",
    ) -> Response:
        """The same as a table, of 20,000 sessions at most: ask for less time where there are more."""
        rows: list[SessionRow] = []
        cursor: str | None = None
        while len(rows) < _MOST_ROWS:
            page = await service.history.sessions(
                site, MAX_PAGE, cursor, evse=evse, open_only=running, since=since, until=until, order=order
            )
            rows += page.items
            cursor = page.next
            if cursor is None:
                break
        return csv_response(f"{site}-sessions", _HEAD, map(_cells, rows))

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


def _cells(row: SessionRow) -> list[object]:
    told = session_document(row.session)
    beside = {"charger": row.charger, "end_reason": row.end_reason}
    return [beside[name] if name in beside else getattr(told, name) for name in _HEAD]


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
