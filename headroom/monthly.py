"""What a month was like: how full the panels were, what was charged, how fairly, who waited, what was held back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from domain.ids import FeederId
from domain.site import Site
from inventory.load_queries import FeederUse, Stay
from scheduler.fairness import jain

_LEAST_WH = 100.0
"""Stays for which less than this was possible say nothing about fairness."""


@dataclass(frozen=True, slots=True)
class Month:
    """A calendar month of the site's own time zone: [since, until)."""

    name: str
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class FeederFigures:
    """A feeder over a month, on its most loaded phase: mean as a part of what may be used, peak of the rating."""

    feeder: FeederId
    mean_frac: float
    peak_frac: float


@dataclass(frozen=True, slots=True)
class MonthFigures:
    """A month of a site.

    Sessions count in the month in which they began. `jain_index`: Jain's index of the stays' x = energy received /
    (energy received + energy held back by the building); 1 where all had the same part. `seen_s`: how long loads were
    seen, of the feeder that was seen longest.
    """

    month: Month
    sessions: int
    energy_wh: float
    curtailed_wh: float
    jain_index: float
    waited: int
    mean_wait_s: float
    longest_wait_s: float
    seen_s: float
    feeders: tuple[FeederFigures, ...]


def last_months(timezone: str, now: datetime, count: int) -> list[Month]:
    """The present month and those before it, oldest first."""
    zone = ZoneInfo(timezone)
    local = now.astimezone(zone)
    newest = local.year * 12 + local.month - 1
    return [_month(zone, number) for number in range(newest - count + 1, newest + 1)]


def _month(zone: ZoneInfo, number: int) -> Month:
    since, until = (datetime(one // 12, one % 12 + 1, 1, tzinfo=zone) for one in (number, number + 1))
    return Month(f"{since:%Y-%m}", since.astimezone(UTC), until.astimezone(UTC))


def figures(site: Site, month: Month, use: Mapping[FeederId, FeederUse], stays: Sequence[Stay]) -> MonthFigures:
    """Put a month's sums together; feeders in the order of the site file, those never seen left out."""
    possible = [stay for stay in stays if stay.energy_wh + stay.curtailed_wh >= _LEAST_WH]
    waits_s = [stay.waited_s for stay in stays if stay.waited_s > 0.0]
    return MonthFigures(
        month=month,
        sessions=len(stays),
        energy_wh=sum(stay.energy_wh for stay in stays),
        curtailed_wh=sum(one.curtailed_wh for one in use.values()),
        jain_index=jain([stay.energy_wh / (stay.energy_wh + stay.curtailed_wh) for stay in possible]),
        waited=len(waits_s),
        mean_wait_s=sum(waits_s) / len(waits_s) if waits_s else 0.0,
        longest_wait_s=max((stay.longest_wait_s for stay in stays), default=0.0),
        seen_s=max((one.seconds for one in use.values()), default=0.0),
        feeders=tuple(
            FeederFigures(
                feeder.id,
                max(use[feeder.id].mean_a.values(), default=0.0) / feeder.usable_a,
                max(use[feeder.id].largest_a.values(), default=0.0) / feeder.rating_a,
            )
            for feeder in site.feeders
            if feeder.id in use
        ),
    )
