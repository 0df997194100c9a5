"""Events of one site in the order of its links: each once, and nothing of an older link that a newer one gainsays."""

from collections import Counter
from collections.abc import Callable

from domain import events as e
from domain.events import Event
from domain.ids import ChargerId
from headroom.fleet.codec import Told
from headroom.fleet.registry import Place

_OF_THE_LINK = (
    e.ChargerConnected,
    e.ChargerDisconnected,
    e.ChargerBooted,
    e.EvseStatusChanged,
    e.CsmsLost,
    e.CsmsReturned,
    e.CsmsLimitChanged,
    e.CsmsProfilesChanged,
    e.SetpointSent,
    e.SetpointAccepted,
    e.SetpointRefused,
    e.SetpointConfirmed,
    e.SetpointIgnored,
)
"""What only the newest link says of now. Transactions, samples and quirks are facts whichever link they came by."""


class LinkOrder:
    """What a controller takes up of what it reads, and where its chargers are."""

    def __init__(self, charger_of: Callable[[Event], ChargerId | None]) -> None:
        self.places: dict[ChargerId, Place] = {}
        """Where the links are, as far as it was told."""
        self.counts: Counter[str] = Counter()
        self._charger_of = charger_of
        self._epochs: dict[ChargerId, int] = {}
        self._numbers: dict[str, int] = {}

    def is_next(self, worker: str, number: int) -> bool:
        """Whether this is news; a message that was written twice is not."""
        last = self._numbers.get(worker)
        if last is not None and number <= last:
            self.counts["repeated"] += 1
            return False
        self._numbers[worker] = number
        return True

    def has_gap(self, worker: str, number: int) -> bool:
        """Whether something of this worker's was missed before this message. To be asked before `is_next`."""
        last = self._numbers.get(worker)
        return last is not None and number > last + 1

    def takes(self, told: Told) -> bool:
        """Whether the event is to be taken up."""
        charger = self._charger_of(told.event)
        if charger is None:
            return True
        newest = self._epochs.get(charger, -1)
        epoch = newest if told.epoch is None else told.epoch
        if epoch < newest and isinstance(told.event, _OF_THE_LINK):
            self.counts["of_older_link"] += 1
            return False
        self._epochs[charger] = max(newest, epoch)
        place = Place(told.worker, epoch)
        if isinstance(told.event, e.ChargerConnected):
            if self.places.get(charger) == place:
                return not told.repeated
            self.places[charger] = place
        elif isinstance(told.event, e.ChargerDisconnected):
            if self.places.get(charger) != place:
                return False
            del self.places[charger]
        return True

    def gone(self, charger: ChargerId) -> None:
        """A link is gone without a word."""
        self.places.pop(charger, None)
