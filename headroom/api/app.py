"""The FastAPI application over a running service."""

from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Body, FastAPI, Header, Query, Response
from fastapi.responses import HTMLResponse, StreamingResponse

from domain.ids import DecisionId, EvseId, MeterId, SiteId
from headroom.api import problems
from headroom.api.documents import (
    decision_document,
    decision_summary,
    evse_document,
    session_document,
    site_document,
    site_summary,
)
from headroom.api.events import as_server_sent_events
from headroom.api.models import (
    DecisionDocument,
    DecisionSummaryDocument,
    EvseDocument,
    Page,
    Reading,
    SessionDocument,
    SiteDocument,
    SiteSummary,
    Taken,
)
from headroom.api.readings import take_readings
from headroom.service import Service

_PAGE = """<!doctype html><html lang="en"><title>Headroom</title>
<p>Headroom is running. Its REST API is described at <a href="/openapi.json">/openapi.json</a>.
The page is not built here."""

Limit = Annotated[int, Query(ge=1, le=500, description="how many items at most")]
Cursor = Annotated[str | None, Query(max_length=200, description="`next` of the page before")]


def create_app(service: Service) -> FastAPI:
    """The application; it starts and stops nothing, the supervisor does."""
    app = FastAPI(title="Headroom", version="1", docs_url=None, redoc_url=None)
    problems.install(app)
    app.include_router(_health(service))
    app.include_router(_sites(service), prefix="/api/v1", tags=["sites"])
    app.include_router(_meters(service), prefix="/api/v1", tags=["meters"])
    return app


def _health(service: Service) -> APIRouter:
    router = APIRouter(tags=["health"])

    @router.get("/", response_class=HTMLResponse, include_in_schema=False)
    async def page() -> str:
        return _PAGE

    @router.get("/healthz")
    async def healthz() -> dict[str, str]:
        """Whether the process answers at all."""
        return {"status": "ok"}

    @router.get("/readyz")
    async def readyz(response: Response) -> dict[str, object]:
        """Whether chargers are let in and decisions are being made; 503 with what is missing otherwise."""
        missing = service.missing()
        response.status_code = 503 if missing else 200
        return {"status": "waiting" if missing else "ready", "missing": missing}

    return router


def _meters(service: Service) -> APIRouter:
    router = APIRouter()

    @router.post("/meters/{meter}/readings", status_code=202)
    async def push(meter: MeterId, body: Annotated[Reading | list[Reading], Body()]) -> Taken:
        """Push one reading or several; an older one than the newest is kept for history and not used."""
        readings = body if isinstance(body, list) else [body]
        take_readings(service, meter, readings)
        return Taken(accepted=len(readings))

    return router


def _sites(service: Service) -> APIRouter:  # one table of routes: long, and flat
    router = APIRouter()

    @router.get("/sites")
    async def sites() -> Page[SiteSummary]:
        """Every site of this service."""
        return Page(items=[site_summary(one.site) for one in service.controllers.values()], next=None)

    @router.get("/sites/{site}")
    async def site(site: SiteId) -> SiteDocument:
        """The panel tree with rating, usable, load and headroom per phase."""
        return site_document(service.controller(site), service.clock.now())

    @router.get("/sites/{site}/evses")
    async def evses(site: SiteId) -> Page[EvseDocument]:
        """Every EVSE as it is now, and why."""
        controller, now = service.controller(site), service.clock.now()
        views = controller.snapshot(now).evses.values()
        return Page(items=[evse_document(controller, view, now) for view in views], next=None)

    @router.get("/evses/{evse}")
    async def evse(evse: EvseId) -> EvseDocument:
        """One EVSE as it is now, and why."""
        controller, now = service.controller_of_evse(evse), service.clock.now()
        return evse_document(controller, controller.snapshot(now).evses[evse], now)

    @router.get("/sites/{site}/sessions")
    async def sessions(site: SiteId, limit: Limit = 100, cursor: Cursor = None) -> Page[SessionDocument]:
        """Sessions, newest first, the running ones among them."""
        page = await service.sessions(site, limit, cursor)
        return Page(items=[session_document(row.session) for row in page.items], next=page.next)

    @router.get("/sites/{site}/decisions")
    async def decisions(site: SiteId, limit: Limit = 100, cursor: Cursor = None) -> Page[DecisionSummaryDocument]:
        """Decisions, newest first: what triggered them and which rung answered."""
        page = await service.decisions(site, limit, cursor)
        return Page(items=[decision_summary(summary) for summary in page.items], next=page.next)

    @router.get("/sites/{site}/decisions/{decision}")
    async def decision(site: SiteId, decision: DecisionId) -> DecisionDocument:
        """One decision with every set-point and its reason."""
        return decision_document(await service.decision(site, decision))

    @router.get("/sites/{site}/statistics")
    async def statistics(site: SiteId) -> dict[str, object]:
        """Counts and latencies since the service started."""
        return service.statistics(site)

    @router.get("/schema/site", tags=["schema"])
    async def schema() -> dict[str, object]:
        """The JSON schema of a site file."""
        return service.site_schema()

    @router.get("/sites/{site}/events")
    async def events(site: SiteId, last_event_id: Annotated[str | None, Header()] = None) -> StreamingResponse:
        """Server-sent events: everything that changes at a site; resumes after `Last-Event-ID`."""
        after = int(last_event_id) if last_event_id is not None and last_event_id.isdigit() else None
        controller = service.controller(site)
        stream: AsyncIterator[str] = as_server_sent_events(service.feed, controller.site.id, after)
        return StreamingResponse(stream, media_type="text/event-stream", headers={"Cache-Control": "no-store"})

    return router
