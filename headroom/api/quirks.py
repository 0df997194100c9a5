"""What was found out about chargers, and a person's word on it."""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Response
from pydantic import BaseModel, Field

from domain.ids import ChargerId, SiteId
from domain.quirks import Model
from headroom.access.roles import Caller
from headroom.api.entry import caller_of
from headroom.api.models import Page
from headroom.api.paging import Cursor, Limit, cut
from headroom.api.problems import ApiError
from headroom.control_loop import SiteController
from headroom.quirk_report import as_csv, as_markdown, charger_document
from headroom.service import Service
from inventory.live import Records
from inventory.quirk_book import EDITABLE, QuirkError, allowed
from inventory.quirk_queries import model_text


class ModelDocument(BaseModel):
    """A kind of charger, as it names itself."""

    vendor: str
    model: str
    firmware: str


class QuirksDocument(BaseModel):
    """A charger's record. `quirks` counts; the others say where it is from."""

    charger: str
    model: ModelDocument | None
    quirks: dict[str, Any] = Field(description="what counts; a quirk that is not known is left out")
    learned: dict[str, Any] = Field(description="what the charger itself showed")
    written: dict[str, Any] = Field(description="a person's word on this charger; it stands above everything")
    written_of_model: dict[str, Any] = Field(description="a person's word on all chargers of the model and firmware")
    at: datetime


class Written(BaseModel):
    """A person's word: quirks by name; it replaces all that was written before."""

    written: dict[str, Any] = Field(
        description="quirk and value; one of: " + "; ".join(f"{name}: {allowed(name)}" for name in EDITABLE),
        json_schema_extra={"example": {"after_zero": "stays_paused", "write_budget_per_day": 25}},
        max_length=len(EDITABLE),
    )


def router(service: Service) -> APIRouter:
    """`/chargers/{charger}/quirks`, `/chargers/{charger}/quirks/model`, `/sites/{site}/quirks`."""
    routes = APIRouter(tags=["chargers"])

    @routes.get("/sites/{site}/quirks")
    async def all_of_site(site: SiteId, limit: Limit = 500, cursor: Cursor = None) -> Page[QuirksDocument]:
        """The record of every charger of a site, in the order of the site file."""
        controller = service.controller(site)
        ids, following = cut([one.id for one in controller.site.chargers], limit, cursor)
        return Page(items=[_document(service, controller, ChargerId(one)) for one in ids], next=following)

    @routes.get("/sites/{site}/quirks.csv", response_class=Response)
    async def as_table(site: SiteId) -> Response:
        """The record as a table: a row per charger."""
        text = as_csv(service.controller(site).picture.live.quirks)
        return Response(text, media_type="text/csv; charset=utf-8")

    @routes.get("/sites/{site}/quirks.md", response_class=Response)
    async def as_report(site: SiteId) -> Response:
        """The record as a report: a section per model and firmware."""
        text = as_markdown(service.controller(site).picture.live.quirks)
        return Response(text, media_type="text/markdown; charset=utf-8")

    @routes.get("/chargers/{charger}/quirks")
    async def quirks(charger: ChargerId) -> QuirksDocument:
        """What is known of a charger, and from where."""
        return _document(service, service.controller_of_charger(charger), charger)

    @routes.put("/chargers/{charger}/quirks")
    async def write(charger: ChargerId, body: Written) -> QuirksDocument:
        """Write what you know of a charger: it stands above what was found out, from the next set-point on."""
        controller = service.controller_of_charger(charger)
        try:
            records = controller.picture.live.edit_quirks(charger, body.written)
        except QuirkError as error:
            raise ApiError(422, "Not a quirk", str(error)) from error
        controller.change(records, f"quirks of {charger} were written")
        await service.store.flush()
        return _document(service, controller, charger)

    @routes.put("/chargers/{charger}/quirks/model")
    async def write_of_model(
        charger: ChargerId, body: Written, caller: Annotated[Caller, Depends(caller_of)]
    ) -> QuirksDocument:
        """Write what you know of all chargers of this one's model and firmware, at every site of the service."""
        controller = service.controller_of_charger(charger)
        if not all(caller.sees_site(site) for site in service.controllers):
            raise ApiError(
                403, "Not for this scope", "this is for chargers of every site, and the token is not: write a charger's"
            )
        model = controller.picture.live.quirks.model_of(charger)
        if model is None:
            raise ApiError(409, "No model", f"{charger} has not said what it is: write its own quirks instead")
        for one in service.controllers.values():
            records = _written_of_model(one, model, body.written)
            # All sites know it; one of them stores it, with what its own chargers of the model showed.
            one.change(records if one is controller else (), f"quirks of {model_text(model)} were written")
        await service.store.flush()
        return _document(service, controller, charger)

    return routes


def _written_of_model(controller: SiteController, model: Model, written: dict[str, Any]) -> Records:
    try:
        return controller.picture.live.edit_model_quirks(model, written)
    except QuirkError as error:
        raise ApiError(422, "Not a quirk", str(error)) from error


def _document(service: Service, controller: SiteController, charger: ChargerId) -> QuirksDocument:
    document = charger_document(controller.picture.live.quirks, charger)
    return QuirksDocument(**document, at=service.clock.now())
