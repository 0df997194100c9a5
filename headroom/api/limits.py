"""Temporary limits on feeders: by staff, and by grid operators."""

from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import uuid4

from fastapi import APIRouter, Depends, Response

from domain.ids import FeederId, SiteId
from domain.snapshot import TemporaryLimit
from headroom import whatif
from headroom.access.roles import Caller
from headroom.api.documents import limit_document
from headroom.api.entry import caller_of
from headroom.api.models import EvseEffect, LimitDocument, LimitPreview, LimitRequest, Page
from headroom.api.paging import Cursor, Limit
from headroom.api.problems import ApiError
from headroom.service import Service

_MOST_STANDING = 200
_EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
_LONGEST_AHEAD = timedelta(days=3660)
"""Times near the ends of the calendar cannot be told in every zone: decisions would fail on them."""


def router(service: Service) -> APIRouter:
    """`/sites/{site}/limits`."""
    routes = APIRouter(tags=["limits"])

    @routes.get("/sites/{site}/limits")
    async def limits(site: SiteId, limit: Limit = 100, cursor: Cursor = None) -> Page[LimitDocument]:
        """Temporary limits, the latest start first; past ones too, lifted ones not."""
        page = await service.history.limits(site, limit, cursor)
        now = service.clock.now()
        return Page(items=[limit_document(one, now) for one in page.items], next=page.next)

    @routes.post("/sites/{site}/limits", status_code=201)
    async def put(
        site: SiteId, body: LimitRequest, response: Response, caller: Annotated[Caller, Depends(caller_of)]
    ) -> LimitDocument:
        """Limit a feeder for a while; it is durable, and decided on, when this is answered."""
        controller, now = service.controller(site), service.clock.now()
        if len(controller.snapshot(now).limits) >= _MOST_STANDING:
            raise ApiError(409, "Too many limits", f"{_MOST_STANDING} limits stand already: lift one")
        limit = asked(body, caller, now)
        controller.change(controller.picture.live.put_limit(limit), f"limit on {limit.feeder}")
        await service.store.flush()
        service.feed.publish(site, "limit", {"id": limit.id, "feeder": limit.feeder, "lifted": False})
        response.headers["Location"] = f"/api/v1/sites/{site}/limits/{limit.id}"
        return limit_document(limit, now)

    @routes.post("/sites/{site}/limits/preview")
    async def preview(site: SiteId, body: LimitRequest, caller: Annotated[Caller, Depends(caller_of)]) -> LimitPreview:
        """What a limit would do if it began now; nothing is changed."""
        controller, now = service.controller(site), service.clock.now()
        limit = asked(body, caller, now)
        controller.site.feeder(limit.feeder)
        return _preview(limit, await whatif.preview(controller.snapshot(now), limit))

    @routes.delete("/sites/{site}/limits/{limit}", status_code=204)
    async def lift(site: SiteId, limit: str) -> None:
        """Lift a limit before its end."""
        controller = service.controller(site)
        records = controller.picture.live.withdraw_limit(limit, service.clock.now())
        controller.change(records, "a limit was lifted")
        await service.store.flush()
        service.feed.publish(site, "limit", {"id": limit, "lifted": True})

    return routes


def asked(body: LimitRequest, caller: Caller, now: datetime) -> TemporaryLimit:
    """The limit that a request asks for; `ApiError` 422 where its times cannot be."""
    starts_at = body.starts_at or now
    for name, at in (("from", starts_at), ("until", body.ends_at)):
        if at is not None and not _EARLIEST <= at <= now + _LONGEST_AHEAD:
            allowed = f"{_EARLIEST.date()} to {(now + _LONGEST_AHEAD).date()}"
            raise ApiError(422, "Not a time", f"{name}: {at.isoformat()} is not within {allowed}")
    if body.ends_at is not None and body.ends_at <= max(starts_at, now):
        raise ApiError(422, "Not a time", f"until: {body.ends_at.isoformat()} is not after its start, or is past")
    return TemporaryLimit(
        id=str(uuid4()),
        feeder=FeederId(body.feeder),
        limit_a=body.limit_a,
        starts_at=starts_at.astimezone(UTC),
        ends_at=None if body.ends_at is None else body.ends_at.astimezone(UTC),
        reason=body.reason,
        author=caller.name,
    )


def _preview(limit: TemporaryLimit, effect: whatif.Effect) -> LimitPreview:
    return LimitPreview(
        feeder=limit.feeder,
        limit_a=limit.limit_a,
        before={phase: round(amps, 2) for phase, amps in effect.feeder_before_a.items()},
        after={phase: round(amps, 2) for phase, amps in effect.feeder_after_a.items()},
        evses=[
            EvseEffect(evse=evse, before_a=amps, after_a=effect.after_a[evse])
            for evse, amps in effect.before_a.items()
            if whatif.differs(amps, effect.after_a[evse])
        ],
        held=effect.held,
    )
