"""The stretch of time that a question is about: `?since=&until=&points=`, within bounds."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from typing import Annotated

from fastapi import Query

from headroom.api.problems import ApiError

Points = Annotated[int, Query(ge=1, le=500, description="how many steps at most", examples=[240])]

_MINUTE_S = 60
_USUAL, _LONGEST = timedelta(hours=24), timedelta(days=31)


@dataclass(frozen=True, slots=True)
class Stretch:
    """[since, until) in steps of `step_s`, whole minutes."""

    since: datetime
    until: datetime
    step_s: int


def stretch(since: datetime | None, until: datetime | None, points: int, now: datetime) -> Stretch:
    """The last 24 hours where nothing is said; `ApiError` 422 for one that ends before it begins or is too long."""
    try:
        ends = until or now
        begins = since or ends - _USUAL
        if not timedelta(0) < ends - begins <= _LONGEST:
            raise OverflowError
    except OverflowError:
        raise ApiError(
            422, "Not a stretch of time", f"since, until: until must be after since, by {_LONGEST.days} days at most"
        ) from None
    span_s = (ends - begins).total_seconds()
    # One step more than asked for begins where `since` is within a step.
    step_s = _MINUTE_S * max(1, ceil(span_s / _MINUTE_S / max(1, points - 1)))
    return Stretch(begins, ends, step_s)
