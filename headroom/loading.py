"""How loaded the feeders are counted, and how much of that is measured."""

from collections.abc import Callable, Mapping
from datetime import datetime

from domain.ids import FeederId
from domain.site import Evse, Phase, PhaseAmps
from domain.snapshot import EvseView, SiteSnapshot
from ems.ledger import counted_a


def counted_loads_a(snapshot: SiteSnapshot) -> Mapping[FeederId, PhaseAmps]:
    """The EVSEs below each feeder at what they count for, added up per phase (arithmetic), in A."""
    return _added_up(snapshot, lambda view, evse: counted_a(view.ledger, evse, snapshot.at))


def measured_loads_a(snapshot: SiteSnapshot) -> Mapping[FeederId, PhaseAmps]:
    """What the EVSEs below each feeder are measured to draw, added up as `counted_loads_a` adds; never above it."""
    return _added_up(snapshot, lambda view, evse: measured_part_a(view, evse, snapshot.at))


def measured_part_a(view: EvseView, evse: Evse, now: datetime) -> float:
    """The part of what an EVSE counts for that is measured, A: none where it is not linked, or was never measured."""
    if not view.linked or view.ledger.measured_a is None:
        return 0.0
    return min(view.ledger.measured_a, counted_a(view.ledger, evse, now))


def _added_up(snapshot: SiteSnapshot, amps_of: Callable[[EvseView, Evse], float]) -> Mapping[FeederId, PhaseAmps]:
    site = snapshot.site
    total: dict[FeederId, dict[Phase, float]] = {one.id: dict.fromkeys(one.phases, 0.0) for one in site.feeders}
    paths = {one.id: tuple(above.id for above in site.path(one.id)) for one in site.feeders}
    for evse in site.evses:
        amps = amps_of(snapshot.evses[evse.id], evse)
        for feeder in paths[evse.feeder]:
            for phase in evse.phases:
                total[feeder][phase] += amps
    return total
