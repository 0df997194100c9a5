"""The FastAPI application over a running service."""

from uuid import uuid4

from fastapi import APIRouter, FastAPI
from fastapi.responses import HTMLResponse

from headroom.api import (
    alarms,
    audit,
    decisions,
    driver,
    events,
    evses,
    forecast,
    health,
    limits,
    login,
    messages,
    meters,
    metrics,
    openapi,
    problems,
    quirks,
    sessions,
    sites,
    strategy,
    tokens,
)
from headroom.api.authority import Authority
from headroom.api.gate import Gate
from headroom.api.permissions import PermissionTable
from headroom.api.writes import Writes
from headroom.service import Service

_PAGE = """<!doctype html><html lang="en"><title>Headroom</title>
<p>Headroom is running. Its REST API is described at <a href="/openapi.json">/openapi.json</a>.
The page is not built here."""


def create_app(service: Service, authority: Authority) -> FastAPI:
    """The application; it starts and stops nothing, the supervisor does.

    Every path must have its row in `headroom.api.permissions`; one without it is not served, and `ValueError` says so.
    """
    app = FastAPI(title="Headroom", version="1", docs_url=None, redoc_url=None)
    problems.install(app)
    app.include_router(_page())
    app.include_router(health.router(service))
    app.include_router(metrics.router(service))
    for routes in (
        sites.router(service),
        evses.router(service),
        sessions.router(service),
        decisions.router(service),
        messages.router(service),
        meters.router(service),
        forecast.router(service),
        limits.router(service),
        strategy.router(service),
        alarms.router(service),
        quirks.router(service),
        events.router(service, authority),
        tokens.router(service, authority),
        login.router(authority),
        audit.router(service),
        driver.router(service),
    ):
        app.include_router(routes, prefix="/api/v1")
    openapi.install(app)
    writes = Writes(service.store, service.clock, lambda: str(uuid4()))
    app.add_middleware(Gate, authority=authority, writes=writes, table=PermissionTable())
    return app


def _page() -> APIRouter:
    routes = APIRouter()

    @routes.get("/", response_class=HTMLResponse, include_in_schema=False)
    async def page() -> str:
        return _PAGE

    return routes
