"""The FastAPI application over a running service."""

from uuid import uuid4

from fastapi import FastAPI

from headroom.api import (
    alarms,
    analysis,
    audit,
    commissioning,
    decisions,
    driver,
    events,
    evses,
    forecast,
    health,
    limits,
    load,
    login,
    messages,
    meters,
    metrics,
    openapi,
    outages,
    page,
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


def create_app(service: Service, authority: Authority) -> FastAPI:
    """The application; it starts and stops nothing, the supervisor does.

    Every path must have its row in `headroom.api.permissions`; one without it is not served, and `ValueError` says so.
    """
    app = FastAPI(title="Headroom", version="1", docs_url=None, redoc_url=None)
    problems.install(app)
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
        load.router(service),
        analysis.router(service),
        outages.router(service),
        limits.router(service),
        strategy.router(service),
        alarms.router(service),
        quirks.router(service),
        commissioning.router(service),
        events.router(service, authority),
        tokens.router(service, authority),
        login.router(authority),
        audit.router(service),
        driver.router(service),
    ):
        app.include_router(routes, prefix="/api/v1")
    app.include_router(page.router())
    openapi.install(app)
    writes = Writes(service.store, service.clock, lambda: str(uuid4()))
    app.add_middleware(Gate, authority=authority, writes=writes, table=PermissionTable())
    return app
