"""The OCPP message log: what a charger, its CSMS and the proxy said, without secrets."""

from datetime import datetime
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from domain.ids import ChargerId
from headroom.api.models import Page
from headroom.api.paging import Cursor, Limit, Since, Until
from headroom.service import Service
from inventory.message_log import Direction, Kind, MessageRow, messages_of


class MessageDocument(BaseModel):
    """One message."""

    id: str
    at: datetime = Field(description="when it was read, or written where the proxy made it")
    direction: Direction = Field(
        description="from_charger and from_csms: as its sender wrote it; to_charger and to_csms: made by the proxy, "
        "or changed on its way"
    )
    kind: Kind
    action: str | None = Field(description="of a reply: that of the call which it answers; null where nobody knows it")
    message_id: str | None
    size: int = Field(description="bytes of the original")
    payload: Any = Field(
        description="without secrets, id tags as marks that are the same for the same tag; of an error code, "
        "description and details; null where it could not be read or was not kept"
    )


def router(service: Service) -> APIRouter:
    """`/chargers/{charger}/messages`."""
    routes = APIRouter(tags=["chargers"])

    @routes.get("/chargers/{charger}/messages")
    async def messages(
        charger: ChargerId,
        action: Annotated[str | None, Query(max_length=64, description="of this action only")] = None,
        direction: Annotated[Direction | None, Query(description="of this direction only")] = None,
        since: Since = None,
        until: Until = None,
        limit: Limit = 100,
        cursor: Cursor = None,
    ) -> Page[MessageDocument]:
        """Messages, the newest first. The newest of all appear within a second."""
        service.controller_of_charger(charger)
        page = await service.store.query(
            lambda conn: messages_of(
                conn,
                charger,
                limit=limit,
                cursor=cursor,
                action=action,
                direction=direction,
                since=since,
                until=until,
            )
        )
        return Page(items=[_document(row) for row in page.items], next=page.next)

    return routes


def _document(row: MessageRow) -> MessageDocument:
    return MessageDocument(
        id=row.id,
        at=row.at,
        direction=row.direction,
        kind=row.kind,
        action=row.action,
        message_id=row.message_id,
        size=row.size,
        payload=msgspec.json.decode(row.payload) if row.payload is not None else None,
    )
