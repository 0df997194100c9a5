"""What is known of a charger when it connects: for its desk, and for where it belongs."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from domain import events as e
from domain.events import Event, OcppVersion
from domain.ids import ChargerId, EvseId, MeterId, SiteId
from domain.quirks import KnownQuirks
from domain.site import Site


class ChargerLore(Protocol):
    """Answers from memory, at once."""

    def site_of(self, charger: ChargerId) -> Site | None:
        """The site of a charger; None where nobody knows it."""
        ...

    def transactions(self, charger: ChargerId) -> Mapping[int, str]:
        """Its running transactions, per connector."""
        ...

    def csms_profiles(self, charger: ChargerId, version: OcppVersion) -> Sequence[Mapping[str, Any]]:
        """The CSMS's profiles there, as they were told last in this version's words."""
        ...

    def quirks_at(self, site: Site) -> KnownQuirks:
        """Where the records of a site's chargers are looked up."""
        ...


class SiteBook:
    """Which site a charger, an EVSE or a meter belongs to, by the site files."""

    def __init__(self, sites: Iterable[Site]) -> None:
        self.sites: dict[SiteId, Site] = {site.id: site for site in sites}
        self._chargers: dict[ChargerId, SiteId] = {}
        self._evses: dict[EvseId, tuple[SiteId, ChargerId]] = {}
        self._meters: dict[MeterId, SiteId] = {}
        for site in self.sites.values():
            self._chargers |= {charger.id: site.id for charger in site.chargers}
            self._evses |= {evse.id: (site.id, evse.charger) for evse in site.evses}
            self._meters |= {meter.id: site.id for meter in site.meters}
            self._meters |= {feeder.meter: site.id for feeder in site.feeders if feeder.meter is not None}

    def of_charger(self, charger: ChargerId) -> SiteId | None:
        """The site of a charger."""
        return self._chargers.get(charger)

    def of_evse(self, evse: EvseId) -> SiteId | None:
        """The site of an EVSE."""
        found = self._evses.get(evse)
        return None if found is None else found[0]

    def of_meter(self, meter: MeterId) -> SiteId | None:
        """The site of a meter."""
        return self._meters.get(meter)

    def of_event(self, event: Event) -> SiteId | None:
        """The site that an event is about; None where it names nothing that is known."""
        if isinstance(event, e.FeederMetered):
            return self.of_meter(event.reading.meter)
        charger = self.charger_of(event)
        return None if charger is None else self.of_charger(charger)

    def charger_of(self, event: Event) -> ChargerId | None:
        """The charger that an event comes from; None for a meter's, and for an EVSE that nobody knows."""
        if isinstance(event, e.FeederMetered):
            return None
        if isinstance(event, OF_SETPOINT):
            found = self._evses.get(event.evse)
            return None if found is None else found[1]
        return event.charger


OF_SETPOINT = (e.SetpointSent, e.SetpointAccepted, e.SetpointRefused, e.SetpointConfirmed, e.SetpointIgnored)
