"""The only place that wires: live service and twin differ in what is passed in here, and nowhere else."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from domain.events import OcppVersion
from domain.ids import ChargerId, SiteId
from domain.ports import Clock
from domain.site import Charger, Site
from forecasting.live import LiveForecast
from headroom.bus import Bus, InProcessBus
from headroom.charger_gate import SiteGate, ungated_place
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


async def build(sites: Sequence[Site], deciders: Mapping[SiteId, Decider], outside: Outside) -> Service:
    """Wire a service for `sites`, as the store remembers them. Nothing runs yet and nobody is let in.

    Raises:
        StorageError: the store cannot be read.
    """
    bus, feed = InProcessBus(), Feed(first_id=int(outside.clock.now().timestamp() * 1000))
    controllers: dict[SiteId, SiteController] = {}
    messages = MessageLog(outside.store, outside.clock) if outside.keeps_messages else None
    service = Service(
        clock=outside.clock,
        bus=bus,
        feed=feed,
        store=outside.store,
        proxy=_proxy(outside, bus, controllers, messages),
        controllers=controllers,
        messages=messages,
    )
    for site in sites:
        restored = await _restored(outside, site)
        if messages is not None:
            messages.add_site(site.id, restored.salt)
        live = LiveState(site, restored=restored)
        picture = SitePicture(live, LiveForecast(site.timezone), outside.clock.now())
        ahead = Lookahead(picture, outside.planner, outside.store, outside.clock)
        around = Surroundings(
            clock=outside.clock,
            mono=outside.mono,
            store=outside.store,
            decider=deciders[site.id],
            send=service.proxy.apply,
            feed=feed,
            new_id=outside.new_id,
            plans=ahead,
        )
        controller = SiteController(picture, around)
        await resume(controller)
        bus.subscribe(controller.handle)
        bus.subscribe(ahead.handle)
        controllers[site.id] = controller
    return service


async def _restored(outside: Outside, site: Site) -> RestoredState:
    now = outside.clock.now()
    await outside.store.transact(lambda conn: save_site(conn, site, now))
    return await outside.store.query(lambda conn: load_state(conn, site))


def _proxy(
    outside: Outside, bus: Bus, controllers: Mapping[SiteId, SiteController], messages: MessageLog | None
) -> ProxyServer:
    """The proxy; it asks the controllers, which come later, where a charger belongs and what is known of it."""
    guards: dict[ChargerId, CutOffGuard] = {}

    def controller_of(charger: ChargerId) -> SiteController | None:
        known = (one for one in controllers.values() if any(listed.id == charger for listed in one.site.chargers))
        return next(known, None)

    def place(charger: ChargerId) -> ChargerPlace | None:
        controller = controller_of(charger)
        if controller is None:
            return None
        site = controller.site
        gate = outside.gates.get(site.id)
        found = ungated_place(site, charger)
        if gate is not None:

            def let_in(visitor: Visitor) -> None:
                guards[charger].leg = gate.leg(charger, visitor.profile)

            found = replace(gate.place(charger), let_in=let_in)
        return found if messages is None else replace(found, recorder=messages.recorder(site, charger))

    def desk(charger: Charger, version: OcppVersion) -> Desk:
        controller = controller_of(charger.id)
        assert controller is not None, "only chargers of a site are let in"
        line_to_line_v = controller.site.electrical.line_to_line_v
        inner = ChargerDesk(
            charger,
            version,
            outside.new_id,
            transactions=controller.picture.transactions(charger.id),
            line_to_line_v=line_to_line_v,
            csms_profiles=controller.picture.live.csms_profiles(charger.id, version),
            notify_limits=controller.site.csms.notify_limits,
        )
        guards[charger.id] = inner.guard
        known = controller.picture.live.quirks
        ask = controller.site.control.meter_asks
        return AttentiveDesk(inner, charger, version, outside.new_id, known, line_to_line_v, ask)

    return ProxyServer(
        network=outside.network,
        clock=outside.clock,
        directory=place,
        publish=bus.publish,
        desk=desk,
        settings=ProxySettings(),
        new_id=outside.new_id,
        mono=outside.mono,
        spool=outside.spool,
        durable=outside.store.flush,
    )
