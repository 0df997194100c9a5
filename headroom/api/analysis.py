"""Monthly figures: how full, how much, how fair, who waited, what was held back; and what Headroom's ways add."""

import asyncio
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field

from domain.ids import SiteId
from ems.capacity_gain import capacity_gain
from headroom.api.documents import capacity_document
from headroom.api.models import CapacityDocument
from headroom.api.tables import CSV_ANSWER, csv_response
from headroom.monthly import MonthFigures, last_months
from headroom.service import Service

Months = Annotated[int, Query(ge=1, le=24, description="this month and those before it", examples=[6])]


class FeederMonth(BaseModel):
    """A feeder over a month, on its most loaded phase."""

    feeder: str
    mean_frac: float = Field(description="mean load, as a part of what may be used")
    peak_frac: float = Field(description="highest load, as a part of the rating")


class MonthDocument(BaseModel):
    """A calendar month at the site's own time zone. Sessions count where they began."""

    month: str = Field(examples=["2026-03"])
    since: datetime
    until: datetime
    seen_h: float = Field(description="how long the loads were seen")
    sessions: int
    energy_kwh: float
    curtailed_kwh: float = Field(description="what EVSEs and cars could have taken beyond their limits")
    jain_index: float = Field(
        description="Jain's index of the parts that sessions got of what they could have taken; 1: all the same"
    )
    waited: int = Field(description="sessions that were held at 0 A for a while")
    mean_wait_min: float = Field(description="of those that waited")
    longest_wait_min: float = Field(description="without a break")
    feeders: list[FeederMonth]


class Analysis(BaseModel):
    """A site month by month, oldest first."""

    site: str
    timezone: str
    capacity: CapacityDocument = Field(description="beside the design load")
    capacity_now: CapacityDocument = Field(description="beside what the building draws at present")
    months: list[MonthDocument]


_HEAD = (
    *("month", "seen_h", "sessions", "energy_kwh", "curtailed_kwh", "jain_index", "waited", "mean_wait_min"),
    *("longest_wait_min", "feeder", "mean_frac", "peak_frac"),
)


def router(service: Service) -> APIRouter:
    """`/sites/{site}/analysis`."""
    routes = APIRouter(tags=["analysis"])

    async def found(site: SiteId, months: int) -> list[MonthDocument]:
        timezone = service.controller(site).site.timezone
        asked = last_months(timezone, service.clock.now(), months)
        return [_month(one) for one in await service.history.months(site, asked)]

    @routes.get("/sites/{site}/analysis")
    async def analysis(site: SiteId, months: Months = 6) -> Analysis:
        """Utilisation, energy, fairness, waits and curtailment per month, and the capacity that is gained."""
        controller = service.controller(site)
        feeders = controller.snapshot(service.clock.now()).feeders
        base_a = {feeder: view.base_likely_a for feeder, view in feeders.items()}
        return Analysis(
            site=site,
            timezone=controller.site.timezone,
            capacity=capacity_document(controller.picture.capacity),
            capacity_now=capacity_document(await asyncio.to_thread(capacity_gain, controller.site, base_a)),
            months=await found(site, months),
        )

    @routes.get("/sites/{site}/analysis.csv", response_class=Response, responses=CSV_ANSWER)
    async def as_table(site: SiteId, months: Months = 6) -> Response:
        """The same as a table: a row per month and feeder."""
        rows = [
            [*(getattr(month, name) for name in _HEAD[:9]), feeder.feeder, feeder.mean_frac, feeder.peak_frac]
            for month in await found(site, months)
            for feeder in month.feeders
        ]
        return csv_response(f"{site}-analysis", _HEAD, rows)

    return routes


def _month(figures: MonthFigures) -> MonthDocument:
    return MonthDocument(
        month=figures.month.name,
        since=figures.month.since,
        until=figures.month.until,
        seen_h=round(figures.seen_s / 3600, 2),
        sessions=figures.sessions,
        energy_kwh=round(figures.energy_wh / 1000, 3),
        curtailed_kwh=round(figures.curtailed_wh / 1000, 3),
        jain_index=round(figures.jain_index, 4),
        waited=figures.waited,
        mean_wait_min=round(figures.mean_wait_s / 60, 2),
        longest_wait_min=round(figures.longest_wait_s / 60, 2),
        feeders=[
            FeederMonth(feeder=one.feeder, mean_frac=round(one.mean_frac, 4), peak_frac=round(one.peak_frac, 4))
            for one in figures.feeders
        ],
    )
