"""The half of the bus that tells: events of this process, each numbered, on their way to their site's stream."""

from collections.abc import Callable

from domain.events import Event
from domain.ids import SiteId
from headroom.fleet.codec import Told
from headroom.fleet.outbox import Outbox

SiteOfEvent = Callable[[Event], SiteId | None]
EpochOf = Callable[[Event], int | None]


class Publisher:
    """`epoch_of` names the link that an event comes from; `site_of` whose business it is."""

    def __init__(self, outbox: Outbox, worker: str, site_of: SiteOfEvent, epoch_of: EpochOf = lambda _: None) -> None:
        self._outbox, self._worker, self._site_of, self._epoch_of = outbox, worker, site_of, epoch_of

    def publish(self, event: Event, *, repeated: bool = False) -> None:
        """Put an event on its way; never blocks and never raises. One of no site is nobody's business."""
        site = self._site_of(event)
        if site is None:
            return
        number = self._outbox.next_number(site)
        self._outbox.put(site, Told(event, self._worker, number, self._epoch_of(event), repeated))
