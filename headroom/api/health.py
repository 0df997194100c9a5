"""Whether the service lives, and whether it does its work."""

from fastapi import APIRouter, Response

from headroom.api.models import Health, Readiness
from headroom.service import Service


def router(service: Service) -> APIRouter:
    """`/healthz` and `/readyz`."""
    routes = APIRouter(tags=["health"])

    @routes.get("/healthz")
    async def healthz() -> Health:
        """Whether the process answers at all."""
        return Health(status="ok")

    @routes.get("/readyz", responses={503: {"model": Readiness, "description": "something is missing"}})
    async def readyz(response: Response) -> Readiness:
        """Whether chargers are let in, decisions are made and the database takes them; 503 with what is missing."""
        missing = service.missing()
        response.status_code = 503 if missing else 200
        return Readiness(status="waiting" if missing else "ready", missing=missing)

    return routes
