"""The running service: its sites, and what the API asks of them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from prometheus_client.core import Metric

from domain.errors import UnknownIdError
from domain.ids import ChargerId, EvseId, MeterId, SiteId
from domain.ports import Clock
from domain.site import Site
from headroom.bus import Bus
from headroom.control_loop import SiteController
from headroom.feed import Feed
from headroom.history import History
from headroom.message_log import MessageLog
from headroom.notifications.webhooks import WebhookCounts
from headroom.spool_look import SpoolLook, look
from inventory.site_model import site_schema
from inventory.store import Store
from proxy.server import ProxyServer

_LATE_S = 60.0
_LATE_INTERVALS = 4
"""A decision is made every interval: after so many without one, and so many seconds, control has stopped."""


@dataclass
class Service:
    """All parts that outlive a request. Built by `headroom.bootstrap`."""

    clock: Clock
    bus: Bus
    feed: Feed
    store: Store
    proxy: ProxyServer
    controllers: Mapping[SiteId, SiteController]
    ports: dict[str, int] = field(default_factory=dict)
    messages: MessageLog | None = None
    webhooks: dict[str, WebhookCounts] = field(default_factory=dict)
    """What became of the messages to each webhook, by its name."""
    keys: dict[str, bytes] = field(default_factory=dict, repr=False)
    """Signing keys of this installation, as far as they were needed."""

    def more_metrics(self) -> Iterator[Metric]:
        """What this kind of service measures beyond what all do."""
        return iter(())

    async def listed(self) -> Sequence[Site]:
        """The sites, as they are decided on now."""
        return [one.site for one in self.controllers.values()]

    def controller(self, site: SiteId) -> SiteController:
        """The site's controller; `UnknownIdError` if there is no such site."""
        try:
            return self.controllers[site]
        except KeyError:
            raise UnknownIdError("site", site) from None

    def controller_of_evse(self, evse: EvseId) -> SiteController:
        """The controller of the site that has this EVSE; `UnknownIdError` if none has."""
        for controller in self.controllers.values():
            if any(one.id == evse for one in controller.site.evses):
                return controller
        raise UnknownIdError("EVSE", evse)

    def controller_of_meter(self, meter: MeterId) -> SiteController:
        """The controller of the site that has a feeder with this meter; `UnknownIdError` if none has."""
        for controller in self.controllers.values():
            if any(feeder.meter == meter for feeder in controller.site.feeders):
                return controller
        raise UnknownIdError("meter", meter)

    def controller_of_charger(self, charger: ChargerId) -> SiteController:
        """The controller of the site that has this charger; `UnknownIdError` if none has."""
        for controller in self.controllers.values():
            if any(one.id == charger for one in controller.site.chargers):
                return controller
        raise UnknownIdError("charger", charger)

    def site_of(self, kind: str, name: str) -> SiteId:
        """The site of an `evse`, `meter` or `charger`; `UnknownIdError` if there is no such thing."""
        find = {
            "evse": lambda: self.controller_of_evse(EvseId(name)),
            "meter": lambda: self.controller_of_meter(MeterId(name)),
            "charger": lambda: self.controller_of_charger(ChargerId(name)),
        }
        return find[kind]().site.id

    @cached_property
    def history(self) -> History:
        """What was."""
        return History(self.store, self.controllers)

    def missing(self) -> list[str]:
        """What keeps the service from doing its work: nobody let in, no decisions, a database that takes nothing."""
        found = [] if "ocpp_port" in self.ports else ["not listening for chargers"]
        found += self.late()
        if self.store.trouble is not None:
            found.append(f"the database does not take records: {self.store.trouble}")
        return found

    def late(self) -> list[str]:
        """The sites that are not decided on as they should be."""
        found: list[str] = []
        now = self.clock.now()
        for site, one in self.controllers.items():
            if one.latest is None:
                found.append(f"no decision yet for {site}")
            elif (now - one.latest.at).total_seconds() > max(_LATE_S, _LATE_INTERVALS * one.site.control.interval_s):
                found.append(f"no decision for {site} since {one.latest.at.isoformat(timespec='seconds')}")
        return found

    def statistics(self, site: SiteId) -> dict[str, object]:
        """Counts and latencies of a site since the start, and the frames of the whole service."""
        counters = self.proxy.counters
        return {
            **self.controller(site).statistics.as_json(),
            "frames_relayed": counters.to_csms + counters.to_charger,
            "frames_injected": counters.injected,
            "frames_malformed": counters.malformed,
            "desk_errors": counters.desk_errors,
            "links": len(self.proxy.links),
        }

    async def spools(self) -> Sequence[SpoolLook]:
        """The spools of outages: this process's own, where a site holds. `StorageError` where a disk does not say."""
        office = self.proxy.office
        return [] if office is None else [await look(office, "", self.clock)]

    def site_schema(self) -> dict[str, object]:
        """The JSON schema of a site file."""
        return site_schema()
