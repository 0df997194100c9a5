"""What those who tell others look at."""

from collections.abc import Mapping
from dataclasses import dataclass

from domain.ids import SiteId
from domain.ports import Clock
from headroom.control_loop import SiteController
from headroom.feed import Feed
from inventory.store import Store


@dataclass(frozen=True)
class Watched:
    """What is told of: these sites, from the notice `after` of the feed on. In a fleet (`is_fleet`) it is one site."""

    controllers: Mapping[SiteId, SiteController]
    feed: Feed
    store: Store
    clock: Clock
    after: int
    is_fleet: bool = False
