"""The running service: its sites, and what the API asks of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from domain.errors import UnknownIdError
from domain.ids import DecisionId, EvseId, MeterId, SiteId
from domain.ports import Clock
from domain.setpoint import Decision
from headroom.bus import Bus
from headroom.control_loop import SiteController
from headroom.feed import Feed
from inventory import queries
from inventory.site_model import site_schema
from inventory.store import Store
from proxy.server import ProxyServer


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

    def missing(self) -> list[str]:
        """What keeps the service from being ready."""
        waiting = [f"no decision yet for {site}" for site, one in self.controllers.items() if one.latest is None]
        return waiting if "ocpp_port" in self.ports else ["not listening for chargers", *waiting]

    async def sessions(self, site: SiteId, limit: int, cursor: str | None) -> queries.Page[queries.SessionRow]:
        """A page of a site's sessions, newest first."""
        name = self.controller(site).site.id
        return await self.store.query(lambda conn: queries.sessions(conn, name, limit=limit, cursor=cursor))

    async def decisions(self, site: SiteId, limit: int, cursor: str | None) -> queries.Page[queries.DecisionSummary]:
        """A page of a site's decisions, newest first, without their set-points."""
        name = self.controller(site).site.id
        return await self.store.query(lambda conn: queries.decisions(conn, name, limit=limit, cursor=cursor))

    async def decision(self, site: SiteId, decision: DecisionId) -> Decision:
        """One decision of a site, with set-points and reasons; `UnknownIdError` if there is none."""
        name = self.controller(site).site.id
        record = await self.store.query(lambda conn: queries.decision(conn, decision))
        if record is None or record.site != name:
            raise UnknownIdError("decision", decision)
        return record.decision

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

    def site_schema(self) -> dict[str, object]:
        """The JSON schema of a site file."""
        return site_schema()
