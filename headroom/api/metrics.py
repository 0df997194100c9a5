"""`/metrics`: Prometheus' text, read at scrape."""

from typing import Annotated

from fastapi import APIRouter, Depends, Response

from headroom.access.roles import Caller
from headroom.api.entry import caller_of
from headroom.metrics import exposition
from headroom.service import Service


def router(service: Service) -> APIRouter:
    """`/metrics`."""
    routes = APIRouter(tags=["health"])

    @routes.get(
        "/metrics",
        response_class=Response,
        responses={200: {"description": "metrics", "content": {"text/plain": {"schema": {"type": "string"}}}}},
    )
    async def metrics(caller: Annotated[Caller, Depends(caller_of)]) -> Response:
        """Links, frames, decisions by rung, loading, staleness, alarms, of the sites that the caller may see."""
        content, media_type = await exposition(service, caller.sites)
        return Response(content, media_type=media_type)

    return routes
