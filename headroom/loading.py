"""How loaded the feeders are counted."""

from collections.abc import Mapping

from domain.ids import FeederId
from domain.site import Phase, PhaseAmps
from domain.snapshot import SiteSnapshot
from ems.ledger import counted_a


def counted_loads_a(snapshot: SiteSnapshot) -> Mapping[FeederId, PhaseAmps]:
    """The EVSEs below each feeder at what they count for, added up per phase (arithmetic), in A."""
    site = snapshot.site
    total: dict[FeederId, dict[Phase, float]] = {one.id: dict.fromkeys(one.phases, 0.0) for one in site.feeders}
    paths = {one.id: tuple(above.id for above in site.path(one.id)) for one in site.feeders}
    for evse in site.evses:
        amps = counted_a(snapshot.evses[evse.id].ledger, evse, snapshot.at)
        for feeder in paths[evse.feeder]:
            for phase in evse.phases:
                total[feeder][phase] += amps
    return total
