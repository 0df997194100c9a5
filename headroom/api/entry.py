"""What an endpoint may know of its caller."""

from dataclasses import dataclass

from fastapi import Request

from headroom.access.roles import Caller
from headroom.api.permissions import Match


@dataclass(frozen=True, slots=True)
class Entry:
    """How a request came in. `match` is None for what is not the API's."""

    caller: Caller
    client: str
    match: Match | None


async def caller_of(request: Request) -> Caller:
    """The caller, for an endpoint: `Annotated[Caller, Depends(caller_of)]`. A coroutine: others cost a thread."""
    entry: Entry = request.state.entry
    return entry.caller
