"""What is remembered of loads and of what sessions went without: for the timeline and the monthly figures.

A minute of a feeder is written again while it lasts. Means are over the `seconds` that were seen of it.
"""

from dataclasses import dataclass
from datetime import datetime

from domain.ids import FeederId, SiteId
from domain.site import PhaseAmps


@dataclass(frozen=True, slots=True)
class FeederMinute:
    """The minute of a feeder that begins at `at`, per phase in A.

    `base_a`, `upper_a` and `ev_a` are means: the likely non-EV load, its upper bound that decisions took, and the
    current of the EVSEs below (where a meter is heard the rest of what it reads, else added up in the site's electrical
    form). `largest_a` is the highest base and EV load together. `limit_a` is the lowest limit that held. `curtailed_w`
    is the mean power that EVSEs of this feeder itself (its children's not) could have taken and were not given,
    `waiting` the mean number of those at 0 A.
    """

    site: SiteId
    feeder: FeederId
    at: datetime
    seconds: float
    base_a: PhaseAmps
    upper_a: PhaseAmps
    ev_a: PhaseAmps
    largest_a: PhaseAmps
    limit_a: float
    curtailed_w: float
    waiting: float


@dataclass(frozen=True, slots=True)
class Shortfall:
    """What a session went without, seen since `since` (a restart begins a new count of the same session).

    `waited_s`: time at 0 A although the car would have taken current; `longest_wait_s`: without a break.
    `curtailed_wh`: energy that EVSE and car could have taken beyond their limit.
    """

    session: str
    since: datetime
    waited_s: float
    longest_wait_s: float
    curtailed_wh: float
