"""API tokens: made, listed and revoked by administrators, within their own scope."""

from datetime import timedelta
from typing import Annotated, Any

from fastapi import APIRouter, Depends

from domain.errors import UnknownIdError
from domain.ids import EvseId, SiteId
from headroom.access.roles import Caller, Role
from headroom.access.tokens import new_token
from headroom.api.access_models import NewTokenDocument, TokenDocument, TokenRequest
from headroom.api.authority import Authority
from headroom.api.entry import caller_of
from headroom.api.models import Page
from headroom.api.paging import Cursor, Limit, cut
from headroom.api.problems import ApiError
from headroom.service import Service
from inventory import access
from inventory.access import TokenRow


def router(service: Service, authority: Authority) -> APIRouter:
    """`/tokens`."""
    routes = APIRouter(tags=["access"])

    async def seen_by(caller: Caller) -> dict[str, TokenRow]:
        found = await service.store.query(access.tokens, ())
        return {row.id: row for row in found if _within(row, caller)}

    @routes.get("/tokens")
    async def tokens(
        caller: Annotated[Caller, Depends(caller_of)], limit: Limit = 100, cursor: Cursor = None
    ) -> Page[TokenDocument]:
        """Every token of the caller's scope, oldest first, revoked ones too."""
        rows = await seen_by(caller)
        ids, following = cut(list(rows), limit, cursor)
        return Page(items=[TokenDocument(**document(rows[one])) for one in ids], next=following)

    @routes.post("/tokens", status_code=201)
    async def create(body: TokenRequest, caller: Annotated[Caller, Depends(caller_of)]) -> NewTokenDocument:
        """Make a token. Its text is in this answer and nowhere else."""
        sites = body.sites if body.sites is not None else None if caller.sites is None else sorted(caller.sites)
        for site in sites or ():
            if not caller.sees_site(service.controller(SiteId(site)).site.id):
                raise UnknownIdError("site", site)
        for evse in body.evses or ():
            its_site = service.controller_of_evse(EvseId(evse)).site.id
            if sites is not None and its_site not in sites:
                raise ApiError(422, "Not a scope", f"evses: '{evse}' is at site '{its_site}', which is not in sites")
        if body.role is Role.DRIVER and body.evses is None:
            raise ApiError(422, "Not a scope", "evses: a driver's token names the EVSEs that it is for")
        if body.role is not Role.DRIVER and body.evses is not None:
            raise ApiError(422, "Not a scope", f"evses: is for drivers; a {body.role} sees whole sites: leave it out")
        lives = None if body.days is None else timedelta(days=body.days)
        text, row = new_token(body.role, body.name, service.clock.now(), sites=sites, evses=body.evses, lives=lives)
        await authority.book.change(lambda conn: access.add_token(conn, row))
        return NewTokenDocument(**document(row), token=text)

    @routes.delete("/tokens/{token}", status_code=204)
    async def revoke(token: str, caller: Annotated[Caller, Depends(caller_of)]) -> None:
        """End a token, and every login of the page that was made with it."""
        row = (await seen_by(caller)).get(token)
        if row is None or row.revoked_at is not None:
            raise UnknownIdError("token", token)
        now = service.clock.now()
        await authority.book.change(lambda conn: access.revoke_token(conn, token, now))

    return routes


def document(row: TokenRow) -> dict[str, Any]:
    """A stored token as the API tells it."""
    names = ("id", "name", "role", "created_at", "expires_at", "revoked_at")
    scope = {
        "sites": None if row.sites is None else list(row.sites),
        "evses": None if row.evses is None else list(row.evses),
    }
    return {**{name: getattr(row, name) for name in names}, **scope}


def _within(row: TokenRow, caller: Caller) -> bool:
    return caller.sites is None or (row.sites is not None and set(row.sites) <= caller.sites)
