"""What outages of a CSMS left for a person to look at."""

from collections import Counter
from collections.abc import Container, Sequence
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends
from msgspec.structs import replace
from pydantic import BaseModel, Field

from domain.ids import SiteId
from headroom.access.roles import Caller
from headroom.api.entry import caller_of
from headroom.service import Service
from headroom.spool_look import SpoolLook


class DoubtDocument(BaseModel):
    """A start that the CSMS may hold twice, or not at all where it has no transaction of the CSMS."""

    charger: str
    connector: int | None
    id_tag: str | None = Field(description="as the CSMS has it in its books")
    started_at: str | None = Field(description="in the charger's words")
    csms_transaction: int | None
    sends: int = Field(description="how often it was sent")
    noted_at: datetime


class SetAsideDocument(BaseModel):
    """A message that could not be brought to the CSMS."""

    charger: str
    action: str
    at: datetime


class SpoolDocument(BaseModel):
    """A spool that was looked at: the file of a process that holds messages in an outage."""

    name: str = Field(
        description="machine and file, in a fleet; empty: this process's own, or the caller is confined to some sites"
    )
    told_at: datetime
    answers: bool = Field(description="false: its proxy is gone; this is what it told last, and on its disk still")


class OutageDocument(BaseModel):
    """What there is to look at, in the spools of all proxies. Empty at a site that does not hold (`csms: {outage:
    hold}`).
    """

    starts_in_doubt: list[DoubtDocument]
    waiting: dict[str, int] = Field(description="per charger: messages that wait for the CSMS")
    set_aside: list[SetAsideDocument]
    spools: list[SpoolDocument] = Field(
        description="what this was read from; a caller confined to some sites sees those with something of this site"
    )


def router(service: Service) -> APIRouter:
    """`/sites/{site}/outages`."""
    routes = APIRouter(tags=["alarms"])

    @routes.get("/sites/{site}/outages")
    async def outages(site: SiteId, caller: Annotated[Caller, Depends(caller_of)]) -> OutageDocument:
        """Starts that the CSMS may hold twice or not at all, and what waits for it or could not be brought to it."""
        ours = {str(charger.id) for charger in service.controller(site).site.chargers}
        return _document(_seen_by(caller, ours, await service.spools()))

    return routes


def _seen_by(caller: Caller, chargers: Container[str], spools: Sequence[SpoolLook]) -> list[SpoolLook]:
    """The parts of the spools about some chargers. Which machines and files there are, and that there are others at
    all, is the business of who runs the service, not of a tenant: many tenants' messages may lie in one file.
    """
    parts = [spool.of(chargers) for spool in spools]
    return [replace(one, name="") for one in parts if not one.is_empty] if caller.is_confined else parts


def _document(spools: Sequence[SpoolLook]) -> OutageDocument:
    waiting: Counter[str] = Counter()
    for spool in spools:
        waiting.update(spool.waiting)
    return OutageDocument(
        starts_in_doubt=[
            DoubtDocument(
                charger=one.charger,
                connector=one.connector,
                id_tag=one.id_tag,
                started_at=one.started_at,
                csms_transaction=one.real,
                sends=one.sends,
                noted_at=one.noted_at,
            )
            for spool in spools
            for one in spool.doubts
        ],
        waiting=dict(waiting),
        set_aside=[
            SetAsideDocument(charger=one.charger, action=one.action, at=one.at)
            for spool in spools
            for one in spool.aside
        ],
        spools=[SpoolDocument(name=one.name, told_at=one.at, answers=one.answers) for one in spools],
    )
