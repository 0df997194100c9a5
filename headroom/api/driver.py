"""The driver's view: whoever holds an EVSE's signed link sees that EVSE and may wish for its car. No account."""

from datetime import datetime, timedelta
from io import BytesIO

import segno
from fastapi import APIRouter, Request, Response

from domain.errors import UnknownIdError
from domain.ids import EvseId
from domain.snapshot import EvseView
from headroom.access.links import read_link, sign_link
from headroom.access.roles import Caller, Role
from headroom.api.access_models import DriverDocument, DriverWishes, LinkDocument
from headroom.api.models import SessionWishes
from headroom.api.problems import ApiError
from headroom.api.sessions import amend_session
from headroom.control_loop import SiteController
from headroom.service import Service
from inventory import access
from inventory.records import session_id

_KEY = "driver links"


def router(service: Service) -> APIRouter:
    """`/evses/{evse}/driver-link` for staff, `/driver/{link}` for whoever has the link."""
    routes = APIRouter(tags=["driver"])

    async def generation_of(evse: EvseId) -> int:
        return await service.store.query(lambda conn: access.link_generation(conn, evse), ())

    async def valid(link: str) -> EvseId:
        evse, generation = read_link(await signing_key(service), link) or ("", -1)
        if generation < 0 or generation != await generation_of(EvseId(evse)):
            raise UnknownIdError("link", "as it stands; it may have been revoked")
        service.controller_of_evse(EvseId(evse))
        return EvseId(evse)

    async def document(evse: EvseId, generation: int) -> LinkDocument:
        link = sign_link(await signing_key(service), evse, generation)
        return LinkDocument(evse=evse, link=link, path=f"/driver/{link}")

    @routes.get("/evses/{evse}/driver-link")
    async def link(evse: EvseId) -> LinkDocument:
        """The link to print at an EVSE; the same until it is revoked."""
        service.controller_of_evse(evse)
        return await document(evse, await generation_of(evse))

    @routes.get(
        "/evses/{evse}/driver-link.svg",
        response_class=Response,
        responses={200: {"description": "a QR code", "content": {"image/svg+xml": {"schema": {"type": "string"}}}}},
    )
    async def code(evse: EvseId, request: Request) -> Response:
        """The link as a QR code, below the address under which this is asked."""
        service.controller_of_evse(evse)
        found = await document(evse, await generation_of(evse))
        drawn = BytesIO()
        segno.make(f"{request.base_url}{found.path.lstrip('/')}", error="m", micro=False).save(
            drawn, kind="svg", scale=4, border=4, light="#fff", xmldecl=False
        )
        return Response(drawn.getvalue(), media_type="image/svg+xml")

    @routes.delete("/evses/{evse}/driver-link")
    async def revoke(evse: EvseId) -> LinkDocument:
        """Make an EVSE's link invalid; the answer is the new one."""
        service.controller_of_evse(evse)
        now = service.clock.now()
        return await document(evse, await service.store.transact(lambda conn: access.revoke_link(conn, evse, now)))

    @routes.get("/driver/{link}")
    async def look(link: str) -> DriverDocument:
        """The EVSE of a link: its state, why it has its limit, and when the car will be done."""
        evse = await valid(link)
        return driver_document(service.controller_of_evse(evse), evse, service.clock.now())

    @routes.patch("/driver/{link}")
    async def wish(link: str, body: DriverWishes, request: Request) -> DriverDocument:
        """Say when the car leaves and how much it is to get."""
        evse = await valid(link)
        controller = service.controller_of_evse(evse)
        request.state.site = controller.site.id
        request.state.acting = Caller(f"link:{evse}", f"the link at {evse}", Role.DRIVER, "link")
        if controller.picture.view(evse, service.clock.now()).session is None:
            raise ApiError(409, "No car", f"no car is charging at {evse}: plug in first")
        await amend_session(service, controller.site.id, evse, SessionWishes(**body.model_dump(exclude_unset=True)))
        return driver_document(controller, evse, service.clock.now())

    return routes


async def signing_key(service: Service) -> bytes:
    """What drivers' links are signed with in this installation."""
    if _KEY not in service.keys:
        service.keys[_KEY] = await service.store.transact(lambda conn: access.signing_key(conn, _KEY))
    return service.keys[_KEY]


def driver_document(controller: SiteController, evse: EvseId, now: datetime) -> DriverDocument:
    """What a driver sees of an EVSE."""
    view = controller.picture.view(evse, now)
    setpoint, session = controller.latest_setpoint(evse), view.session
    wanted_wh = None if session is None else session.energy_wanted_wh
    return DriverDocument(
        evse=evse,
        at=now,
        timezone=controller.site.timezone,
        state=view.state,
        connected=view.linked,
        reason=None if setpoint is None else setpoint.reason.text,
        setpoint_a=None if setpoint is None else setpoint.limit_a,
        measured_a=view.ledger.measured_a,
        power_kw=None if view.sample is None or view.sample.power_w is None else round(view.sample.power_w / 1000, 2),
        place=None if setpoint is None else setpoint.reason.place,
        next_turn_at=None if setpoint is None else setpoint.reason.next_turn_at,
        session=None if session is None else session_id(session),
        started_at=None if session is None else session.started_at,
        energy_kwh=None if session is None else round(session.energy_wh / 1000, 3),
        departure_at=None if session is None else session.departure_at,
        energy_wanted_kwh=None if wanted_wh is None else wanted_wh / 1000,
        done_at=done_at(view, now),
    )


def done_at(view: EvseView, now: datetime) -> datetime | None:
    """When the wanted energy is there at the present power; None where either is not known."""
    session, sample = view.session, view.sample
    if session is None or session.energy_wanted_wh is None:
        return None
    missing_wh = session.energy_wanted_wh - session.energy_wh
    if missing_wh <= 0:
        return now
    if sample is None or not sample.power_w or sample.power_w < 100:
        return None
    return now + timedelta(hours=min(missing_wh / sample.power_w, 24 * 31))
