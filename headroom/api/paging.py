"""The words of every list: `?limit=&cursor=`."""

from typing import Annotated

from fastapi import Query

Limit = Annotated[int, Query(ge=1, le=500, description="how many items at most", examples=[100])]
Cursor = Annotated[str | None, Query(max_length=400, description="`next` of the page before")]


def cut(items: list[str], limit: int, cursor: str | None) -> tuple[list[str], str | None]:
    """A page of a list of ids that is in memory: those after the cursor, in the list's own order."""
    start = 0
    if cursor is not None:
        start = items.index(cursor) + 1 if cursor in items else len(items)
    found = items[start : start + limit]
    return found, found[-1] if start + limit < len(items) else None
