"""The only place that wires: live service and twin differ in what is passed in here, and nowhere else."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from domain.commands import Command
from domain.events import Event, OcppVersion
from domain.ids import ChargerId, SiteId
from domain.ports import Clock
from domain.quirks import KnownQuirks
from domain.site import Charger, Site
from forecasting.live import LiveForecast
from headroom.bus import Bus, InProcessBus
from headroom.charger_gate import SiteGate, ungated_place
from headroom.charger_lore import ChargerLore
from headroom.control_loop import SiteController, Surroundings
from headroom.decider import Decider
from headroom.feed import Feed
from headroom.lookahead import Lookahead
from headroom.message_log import MessageLog
from headroom.planner import InlinePlanner, Planner
from headroom.service import Service
from headroom.site_picture import SitePicture
from headroom.switching import resume
from inventory.live import LiveState
from inventory.records import RestoredState
from inventory.repository import load_state, save_site
from inventory.store import Store
from proxy.entrance import Visitor
from proxy.network import Network
from proxy.protocol.attentive import AttentiveDesk
from proxy.protocol.cut_off import CutOffGuard
from proxy.protocol.desk import ChargerDesk
from proxy.protocol.desks import Desk
from proxy.server import ChargerPlace, ProxyServer
from proxy.settings import ProxySettings
from proxy.spool import Spool


@dataclass(frozen=True)
class Outside:
    """What the service gets from outside: real in service, virtual in the twin.

    `gates`: what the chargers of each site have to prove; nothing at a site without one. `spool`: the disk of sites
    that hold in an outage; without it they close. `keeps_messages`: whether the sites' message logs are written.
    """

    clock: Clock
    network: Network
    store: Store
    mono: Callable[[], float]
    new_id: Callable[[], str]
    gates: Mapping[SiteId, SiteGate] = field(default_factory=dict)
    spool: Spool | None = None
    keeps_messages: bool = False
    planner: Planner = field(default_factory=InlinePlanner)
    """Who plans the coming hours of sites whose strategy takes that."""


@dataclass(frozen=True)
class Commanding:
    """What a site's controller is given: `store` takes its records, `send` brings its limits to the chargers."""

    decider: Decider
    store: Store
    send: Callable[[Command], None]
    bus: Bus
    feed: Feed


async def build(sites: Sequence[Site], deciders: Mapping[SiteId, Decider], outside: Outside) -> Service:
    """Wire a service for `sites`, as the store remembers them. Nothing runs yet and nobody is let in.

    Raises:
        StorageError: the store cannot be read.
    """
    bus, feed = InProcessBus(), Feed(first_id=first_notice_id(outside.clock))
    controllers: dict[SiteId, SiteController] = {}
    messages = MessageLog(outside.store, outside.clock) if outside.keeps_messages else None
    service = Service(
        clock=outside.clock,
        bus=bus,
        feed=feed,
        store=outside.store,
        proxy=proxy_of(outside, bus.publish, _OwnLore(controllers), messages),
        controllers=controllers,
        messages=messages,
    )
    for site in sites:
        restored = await _restored(outside, site)
        if messages is not None:
            messages.add_site(site.id, restored.salt)
        commanding = Commanding(deciders[site.id], outside.store, service.proxy.apply, bus, feed)
        controllers[site.id] = await controller_of(site, restored, outside, commanding)
    return service


def first_notice_id(clock: Clock) -> int:
    """Above every id of an earlier run (`Feed`)."""
    return int(clock.now().timestamp() * 1000)


async def controller_of(
    site: Site, restored: RestoredState, outside: Outside, commanding: Commanding
) -> SiteController:
    """A site's controller as the store remembers the site; it hears the bus from now on."""
    live = LiveState(site, restored=restored)
    picture = SitePicture(live, LiveForecast(site.timezone), outside.clock.now())
    ahead = Lookahead(picture, outside.planner, commanding.store, outside.clock)
    around = Surroundings(
        clock=outside.clock,
        mono=outside.mono,
        store=commanding.store,
        decider=commanding.decider,
        send=commanding.send,
        feed=commanding.feed,
        new_id=outside.new_id,
        plans=ahead,
    )
    controller = SiteController(picture, around)
    await resume(controller)
    commanding.bus.subscribe(controller.handle)
    commanding.bus.subscribe(ahead.handle)
    return controller


async def _restored(outside: Outside, site: Site) -> RestoredState:
    now = outside.clock.now()
    await outside.store.transact(lambda conn: save_site(conn, site, now))
    return await outside.store.query(lambda conn: load_state(conn, site))


class _OwnLore:
    """A `ChargerLore` where the controllers are in the same process. They come later."""

    def __init__(self, controllers: Mapping[SiteId, SiteController]) -> None:
        self._controllers = controllers

    def _of(self, charger: ChargerId) -> SiteController | None:
        known = (one for one in self._controllers.values() if any(o.id == charger for o in one.site.chargers))
        return next(known, None)

    def _picture(self, charger: ChargerId) -> SitePicture:
        controller = self._of(charger)
        assert controller is not None, "only chargers of a site are let in"
        return controller.picture

    def site_of(self, charger: ChargerId) -> Site | None:
        controller = self._of(charger)
        return None if controller is None else controller.site

    def transactions(self, charger: ChargerId) -> Mapping[int, str]:
        return self._picture(charger).transactions(charger)

    def csms_profiles(self, charger: ChargerId, version: OcppVersion) -> Sequence[Mapping[str, Any]]:
        return self._picture(charger).live.csms_profiles(charger, version)

    def quirks_at(self, site: Site) -> KnownQuirks:
        return self._controllers[site.id].picture.live.quirks


def proxy_of(
    outside: Outside,
    publish: Callable[[Event], None],
    lore: ChargerLore,
    messages: MessageLog | None,
    prepare: Callable[[ChargerId], Awaitable[None]] | None = None,
) -> ProxyServer:
    """The proxy; it asks `lore` where a charger belongs and what is known of it, once `prepare` has returned."""
    guards: dict[ChargerId, CutOffGuard] = {}

    def place(charger: ChargerId) -> ChargerPlace | None:
        site = lore.site_of(charger)
        if site is None:
            return None
        gate = outside.gates.get(site.id)
        found = ungated_place(site, charger)
        if gate is not None:

            def let_in(visitor: Visitor) -> None:
                guards[charger].leg = gate.leg(charger, visitor.profile)

            found = replace(gate.place(charger), let_in=let_in)
        if prepare is not None:
            found = replace(found, prepare=partial(prepare, charger))
        return found if messages is None else replace(found, recorder=messages.recorder(site, charger))

    def desk(charger: Charger, version: OcppVersion) -> Desk:
        site = lore.site_of(charger.id)
        assert site is not None, "only chargers of a site are let in"
        line_to_line_v = site.electrical.line_to_line_v
        inner = ChargerDesk(
            charger,
            version,
            outside.new_id,
            transactions=lore.transactions(charger.id),
            line_to_line_v=line_to_line_v,
            csms_profiles=lore.csms_profiles(charger.id, version),
            notify_limits=site.csms.notify_limits,
        )
        guards[charger.id] = inner.guard
        known, ask = lore.quirks_at(site), site.control.meter_asks
        return AttentiveDesk(inner, charger, version, outside.new_id, known, line_to_line_v, ask)

    return ProxyServer(
        network=outside.network,
        clock=outside.clock,
        directory=place,
        publish=publish,
        desk=desk,
        settings=ProxySettings(),
        new_id=outside.new_id,
        mono=outside.mono,
        spool=outside.spool,
        durable=outside.store.flush,
    )
