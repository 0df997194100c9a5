"""The page's login: a token is changed for a cookie that scripts cannot read."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response

from headroom.access.roles import GRANTS, Caller
from headroom.access.tokens import PAGE_SESSION, csrf_of
from headroom.api.access_models import LoginRequest, Me
from headroom.api.authority import Authority
from headroom.api.credentials import COOKIE, credentials
from headroom.api.entry import Entry, caller_of


def router(authority: Authority) -> APIRouter:
    """`/me`, `/login` and `/logout`."""
    routes = APIRouter(tags=["access"])

    @routes.get("/me")
    async def me(caller: Annotated[Caller, Depends(caller_of)]) -> Me:
        """Who the service takes the caller for, and what that allows."""
        return _me(caller, caller.csrf)

    @routes.post("/login")
    async def login(body: LoginRequest, request: Request, response: Response) -> Me:
        """Change a token for a cookie (HttpOnly, SameSite=Strict) that holds for 12 hours, or until the token ends."""
        entry: Entry = request.state.entry
        caller = await authority.caller_with(body.token, entry.client)
        request.state.acting = caller
        secret = await authority.book.log_in(caller)
        response.set_cookie(
            COOKIE,
            secret,
            max_age=int(PAGE_SESSION.total_seconds()),
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
        )
        return _me(caller, csrf_of(secret))

    @routes.post("/logout", status_code=204)
    async def logout(request: Request, response: Response) -> None:
        """End the cookie's session."""
        _, secret = credentials(request.headers)
        if secret is not None:
            await authority.book.log_out(secret)
        response.delete_cookie(COOKIE, httponly=True, samesite="strict", secure=request.url.scheme == "https")

    return routes


def _me(caller: Caller, csrf: str | None) -> Me:
    return Me(
        id=caller.id,
        name=caller.name,
        role=caller.role,
        via=caller.via,
        permissions=sorted(GRANTS[caller.role]) if caller.role is not None else [],
        sites=None if caller.sites is None else sorted(caller.sites),
        evses=None if caller.evses is None else sorted(caller.evses),
        csrf=csrf,
    )
