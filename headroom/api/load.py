"""What a feeder carried, step by step."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from domain.ids import FeederId, SiteId
from domain.site import Phase
from headroom.api.paging import Since, Until
from headroom.api.stretch import Points, stretch
from headroom.service import Service
from inventory.load_queries import LoadStep


class PhaseHistory(BaseModel):
    """One phase of a feeder, A, a number for each instant of `at`."""

    base_a: list[float] = Field(description="the building beside its EVs, mean")
    upper_a: list[float] = Field(description="the upper bound of it that decisions counted with, mean")
    ev_a: list[float] = Field(description="EV charging below the feeder, mean")
    largest_a: list[float] = Field(description="the highest of both together")


class LoadHistory(BaseModel):
    """A feeder over a stretch of time. Steps in which nothing was decided are left out."""

    feeder: str
    since: datetime
    until: datetime
    step_s: int = Field(description="how long each step is, s", examples=[360])
    rating_a: float
    usable_a: float
    at: list[datetime] = Field(description="where each step begins, oldest first")
    limit_a: list[float] = Field(description="the lowest limit of each step: usable, or a temporary limit below it")
    phases: dict[Phase, PhaseHistory]


def router(service: Service) -> APIRouter:
    """`/sites/{site}/load`."""
    routes = APIRouter(tags=["sites"])

    @routes.get("/sites/{site}/load")
    async def load(
        site: SiteId,
        feeder: Annotated[FeederId, Query(description="which feeder", examples=["main"])],
        since: Since = None,
        until: Until = None,
        points: Points = 240,
    ) -> LoadHistory:
        """What a feeder carried: the building, EVs on top, the limit; the last 24 hours where no time is said."""
        place = service.controller(site).site.feeder(feeder)
        asked = stretch(since, until, points, service.clock.now())
        steps = await service.history.loads(site, feeder, asked.since, asked.until, asked.step_s)
        return LoadHistory(
            feeder=feeder,
            since=asked.since,
            until=asked.until,
            step_s=asked.step_s,
            rating_a=place.rating_a,
            usable_a=place.usable_a,
            at=[step.at for step in steps],
            limit_a=[step.limit_a for step in steps],
            phases={phase: _phase(steps, phase) for phase in place.phases},
        )

    return routes


def _phase(steps: list[LoadStep], phase: Phase) -> PhaseHistory:
    return PhaseHistory(
        base_a=[round(step.base_a.get(phase, 0.0), 2) for step in steps],
        upper_a=[round(step.upper_a.get(phase, 0.0), 2) for step in steps],
        ev_a=[round(step.ev_a.get(phase, 0.0), 2) for step in steps],
        largest_a=[round(step.largest_a.get(phase, 0.0), 2) for step in steps],
    )
