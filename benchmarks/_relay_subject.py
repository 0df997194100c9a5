"""Our proxy in a process of its own: `python -m benchmarks._relay_subject CSMS_PORT alone|tap CHARGERS CERTIFICATE`,
prints its port. Without a certificate ('') it speaks no TLS. At SIGUSR1 every charger is brought a new limit.

"alone": its desks listen to nothing. "tap": the desks of the service, whose events the inventory's live state takes up.
"""

import asyncio
import itertools
import signal
import ssl
import sys
import uuid
from datetime import datetime
from functools import partial

import uvloop

from domain.commands import ApplySetpoint
from domain.events import Event, OcppVersion
from domain.ids import ChargerId, DecisionId, EvseId, FeederId, SiteId
from domain.site import PHASES, Charger, CsmsSettings, Evse, Feeder, Site
from headroom import logs
from headroom.bus import InProcessBus
from headroom.clock import WallClock, monotonic_s
from headroom.collecting import collect_seldom
from inventory.live import LiveState
from proxy.network import LoopNetwork
from proxy.protocol.attentive import AttentiveDesk
from proxy.protocol.desk import ChargerDesk
from proxy.protocol.desks import Desk
from proxy.protocol.exchange import Call, Exchange, OwnCall, OwnOutcome
from proxy.protocol.interception import Heard, PassesAll
from proxy.server import ChargerPlace, ProxyServer
from proxy.settings import ProxySettings


class Deaf(PassesAll):
    """A desk that listens to nothing: what is left is the relay."""

    heard = Heard(frozenset(), frozenset())

    def connected(self, now: datetime) -> list[OwnCall]:  # noqa: ARG002
        """Nothing to inject."""
        return []

    def on_call(self, call: Call) -> list[Event]:  # noqa: ARG002
        """Nothing to tell."""
        return []

    def on_exchange(self, exchange: Exchange) -> list[Event]:  # noqa: ARG002
        """Nothing to tell."""
        return []

    def apply(self, command: ApplySetpoint) -> list[OwnCall]:  # noqa: ARG002
        """Nothing to inject."""
        return []

    def on_outcome(self, outcome: OwnOutcome) -> tuple[list[Event], list[OwnCall]]:  # noqa: ARG002
        """Nothing to tell or inject."""
        return [], []


def site(chargers: int, csms_url: str) -> Site:
    """A building with so many chargers behind one panel."""
    feeder = FeederId("main")
    names = [ChargerId(f"CP{number:05d}") for number in range(chargers)]
    evses = [Evse(EvseId(f"{name}-1"), name, 1, feeder, PHASES, failsafe_a=6.0) for name in names]
    listed = tuple(Charger(evse.charger, (evse,)) for evse in evses)
    panel = Feeder(feeder, 8.0 * chargers)
    return Site(SiteId("garage"), "UTC", CsmsSettings(csms_url), (panel,), listed)


def server(where: Site, kind: str) -> ProxyServer:
    """A proxy for the building's chargers, each with its desk."""
    tokens = itertools.count(1)
    clock, bus = WallClock(), InProcessBus()
    live = LiveState(where)

    def place(name: ChargerId) -> ChargerPlace:
        return ChargerPlace(where.charger(name), where.csms.url)

    def token() -> str:
        return str(next(tokens))

    def desk(charger: Charger, version: OcppVersion) -> Desk:
        if kind == "alone":
            return Deaf()
        return AttentiveDesk(ChargerDesk(charger, version, token), charger, version, token, live.quirks)

    def hear(event: Event) -> None:
        live.apply(event, clock.now())

    if kind == "tap":
        bus.subscribe(hear)
    return ProxyServer(
        network=LoopNetwork(),
        clock=clock,
        directory=place,
        publish=bus.publish,
        desk=desk,
        settings=ProxySettings(),
        new_id=lambda: str(uuid.uuid4()),
        mono=monotonic_s,
    )


def limit_all(proxy: ProxyServer, where: Site, at: datetime) -> None:
    """Bring every charger a limit."""
    for evse in where.evses:
        proxy.apply(
            ApplySetpoint(evse.charger, evse.connector, evse.id, 8.0, 6.0, 300.0, DecisionId("new"), at, urgent=True)
        )


async def main(csms_port: int, kind: str, chargers: int, certificate: str) -> None:
    """Serve until killed."""
    logs.configure("error", WallClock())
    where = site(chargers, f"ws://127.0.0.1:{csms_port}/csms")
    proxy = server(where, kind)
    limit = partial(limit_all, proxy, where, WallClock().now())
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, limit)
    context = None
    if certificate:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(certificate)
    collect_seldom()
    print(await proxy.listen("127.0.0.1", 0, ssl=context), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4]))
