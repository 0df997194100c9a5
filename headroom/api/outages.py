"""What outages of a CSMS left for a person to look at."""

from datetime import datetime

from fastapi import APIRouter
from pydantic import BaseModel, Field

from domain.errors import StorageError
from domain.ids import SiteId
from headroom.service import Service
from proxy.spool_book import SpoolBook


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


class OutageDocument(BaseModel):
    """What there is to look at. Empty at a site that does not hold (`csms: {outage: hold}`)."""

    starts_in_doubt: list[DoubtDocument]
    waiting: dict[str, int] = Field(description="per charger: messages that wait for the CSMS")
    set_aside: list[SetAsideDocument]


def router(service: Service) -> APIRouter:
    """`/sites/{site}/outages`."""
    routes = APIRouter(tags=["alarms"])

    @routes.get("/sites/{site}/outages")
    async def outages(site: SiteId) -> OutageDocument:
        """Starts that the CSMS may hold twice or not at all, and what waits for it or could not be brought to it."""
        ours = {str(charger.id) for charger in service.controller(site).site.chargers}
        office = service.proxy.office
        if office is None:
            return OutageDocument(starts_in_doubt=[], waiting={}, set_aside=[])
        try:
            return await office.ask(lambda book: _document(book, ours))
        except OSError as error:
            raise StorageError(str(error)) from error

    return routes


def _document(book: SpoolBook, chargers: set[str]) -> OutageDocument:
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
            for one in book.doubts()
            if one.charger in chargers
        ],
        waiting={charger: count for charger, count in book.waiting().items() if charger in chargers},
        set_aside=[
            SetAsideDocument(charger=charger, action=one.entry.action, at=one.entry.at)
            for charger, one in book.aside()
            if charger in chargers
        ],
    )
