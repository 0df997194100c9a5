"""Our proxy in a process of its own: `python -m benchmarks._relay_subject CSMS_PORT desk|deaf`, prints its port."""

import asyncio
import itertools
import sys
import uuid
from datetime import datetime

import uvloop

from domain.commands import ApplySetpoint
from domain.events import Event, OcppVersion
from domain.ids import ChargerId, EvseId, FeederId
from domain.site import PHASES, Charger, Evse
from headroom.clock import WallClock, monotonic_s
from proxy.network import LoopNetwork
from proxy.protocol.desk import ChargerDesk
from proxy.protocol.desks import Desk
from proxy.protocol.exchange import Call, Exchange, OwnCall, OwnOutcome
from proxy.protocol.interception import PassesAll
from proxy.server import ChargerPlace, ProxyServer
from proxy.settings import ProxySettings


class Deaf(PassesAll):
    """A desk that listens to nothing: what is left is the relay."""

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


async def main(csms_port: int, kind: str) -> None:
    """Serve any identity until killed, every charger with its desk."""
    tokens = itertools.count(1)

    def place(name: ChargerId) -> ChargerPlace:
        evse = Evse(EvseId(f"{name}-1"), name, 1, FeederId("main"), PHASES, failsafe_a=6.0)
        return ChargerPlace(Charger(name, (evse,)), f"ws://127.0.0.1:{csms_port}/csms")

    def desk(charger: Charger, version: OcppVersion) -> Desk:
        return ChargerDesk(charger, version, lambda: str(next(tokens))) if kind == "desk" else Deaf()

    proxy = ProxyServer(
        network=LoopNetwork(),
        clock=WallClock(),
        directory=place,
        publish=lambda event: None,  # noqa: ARG005 (what a bus costs is not the relay's)
        desk=desk,
        settings=ProxySettings(),
        new_id=lambda: str(uuid.uuid4()),
        mono=monotonic_s,
    )
    print(await proxy.listen("127.0.0.1", 0), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(int(sys.argv[1]), sys.argv[2]))
