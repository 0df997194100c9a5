"""The words of every list: `?limit=&cursor=`, and of those with times `?since=&until=`."""

from datetime import UTC, datetime
from typing import Annotated

from fastapi import Query
from pydantic import AfterValidator, AwareDatetime

Limit = Annotated[int, Query(ge=1, le=500, description="how many items at most", examples=[100])]
Cursor = Annotated[str | None, Query(max_length=400, description="`next` of the page before")]


def _in_utc(at: datetime | None) -> datetime | None:
    try:
        return None if at is None else at.astimezone(UTC)
    except OverflowError:
        raise ValueError(f"{at} is no time in UTC") from None


Since = Annotated[
    AwareDatetime | None, AfterValidator(_in_utc), Query(description="not before; RFC 3339 with its offset")
]
Until = Annotated[AwareDatetime | None, AfterValidator(_in_utc), Query(description="before this instant")]


def cut(items: list[str], limit: int, cursor: str | None) -> tuple[list[str], str | None]:
    """A page of a list of ids that is in memory: those after the cursor, in the list's own order."""
    start = 0
    if cursor is not None:
        start = items.index(cursor) + 1 if cursor in items else len(items)
    found = items[start : start + limit]
    return found, found[-1] if start + limit < len(items) else None
