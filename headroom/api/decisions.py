"""Decisions: what was decided when, why, and what else might have been."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from domain.ids import DecisionId, SiteId
from domain.site import Strategy
from headroom import whatif
from headroom.api.documents import decision_document, decision_summary
from headroom.api.models import Alternative, AlternativeSetpoint, DecisionDocument, DecisionSummaryDocument, Page
from headroom.api.paging import Cursor, Limit, Since, Until
from headroom.api.stretch import Points, stretch
from headroom.service import Service


class DecisionMarkDocument(BaseModel):
    """The last decision of a step of time."""

    model_config = ConfigDict(from_attributes=True)
    id: str
    at: datetime
    trigger: str
    rung: str
    decisions: int = Field(description="how many there were in the step")
    prompted: int = Field(description="how many of them something prompted that had happened")
    fell: int = Field(description="how many of them a simpler rung than the strategy answered")


def router(service: Service) -> APIRouter:
    """`/sites/{site}/decisions`."""
    routes = APIRouter(tags=["decisions"])

    @routes.get("/sites/{site}/decisions")
    async def decisions(
        site: SiteId, since: Since = None, until: Until = None, limit: Limit = 100, cursor: Cursor = None
    ) -> Page[DecisionSummaryDocument]:
        """Decisions, newest first: what triggered them and which rung answered."""
        page = await service.history.decisions(site, limit, cursor, since, until)
        return Page(items=[decision_summary(summary) for summary in page.items], next=page.next)

    @routes.get("/sites/{site}/decisions/marks")
    async def marks(
        site: SiteId, since: Since = None, until: Until = None, points: Points = 240
    ) -> list[DecisionMarkDocument]:
        """The last decision of every step of a stretch of time, and how many it stands for; oldest first."""
        asked = stretch(since, until, points, service.clock.now())
        found = await service.history.decision_marks(site, asked.since, asked.until, asked.step_s)
        return [DecisionMarkDocument.model_validate(one) for one in found]

    @routes.get("/sites/{site}/decisions/{decision}")
    async def decision(site: SiteId, decision: DecisionId) -> DecisionDocument:
        """One decision with every set-point, its reason, and what was looked at."""
        return decision_document(await service.history.decision(site, decision))

    @routes.get("/sites/{site}/decisions/{decision}/alternatives")
    async def alternatives(
        site: SiteId,
        decision: DecisionId,
        strategy: Annotated[list[Strategy], Query(min_length=1, max_length=4)] = ["equal", "fcfs"],  # noqa: B006
    ) -> list[Alternative]:
        """What other strategies would have decided at the same instant, recomputed from the stored inputs."""
        record = await service.history.decision(site, decision)
        rotation = await service.history.rotation_before(record)
        was_a = whatif.targets(record.decision)
        found = await whatif.alternatives(service.controller(site).site, record, rotation, strategy)
        documents = []
        for name, other in found:
            points = [
                AlternativeSetpoint(
                    evse=evse,
                    target_a=amps,
                    instead_of_a=was_a[evse],
                    text=whatif.sentence(name, evse, amps, was_a[evse]),
                )
                for evse, amps in whatif.targets(other).items()
                if evse in was_a and whatif.differs(amps, was_a[evse])
            ]
            documents.append(
                Alternative(
                    strategy=name,
                    rung=other.rung,
                    total_a=round(sum(whatif.targets(other).values()), 2),
                    instead_of_a=round(sum(was_a.values()), 2),
                    setpoints=points,
                )
            )
        return documents

    return routes
