"""A charger, a CSMS and a hungry car on one bench: what the tests of the OCPP ends share."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

import pytest

from domain.ports import Clock
from simulators.behaviour import STANDARD, Behaviour
from simulators.charge_point import SimulatedChargePoint
from simulators.csms import SimulatedCsms
from simulators.evse import EvseSpec, SimulatedEvse
from simulators.frame_judge import FrameJudge
from simulators.network import MemoryNetwork, Network
from simulators.ocpp_line import Reply
from simulators.virtual_time import VirtualClock, run

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
VERSIONS = ("ocpp1.6", "ocpp2.0.1")
both = pytest.mark.parametrize("version", VERSIONS)
T = TypeVar("T")


class HungryCar:
    """Takes what it is offered, up to its limit, until it is told to stop wanting."""

    def __init__(self, max_a: float = 32.0) -> None:
        self.max_a = max_a
        self.wants = True
        self.offers: list[float] = []

    def step(self, offered_a: float, dt_s: float, conductors: int, voltage_v: float) -> float:
        self.offers.append(offered_a)
        return min(offered_a, self.max_a) if self.wants and offered_a >= 6.0 else 0.0


@dataclass
class Bench:
    """Everything on the table."""

    network: Network
    clock: Clock
    csms: SimulatedCsms
    charger: SimulatedChargePoint
    judge: FrameJudge
    extra: list[Any] = field(default_factory=list)

    @property
    def evse(self) -> SimulatedEvse:
        return self.charger.evses[1]

    async def live(self, seconds: float, *, dt_s: float = 1.0) -> None:
        """Let time pass, physics included."""
        left = seconds
        while left > 1e-9:
            step_s = min(dt_s, left)
            await self.clock.sleep(step_s)
            for evse in self.charger.evses.values():
                evse.step(self.clock.now(), step_s)
            left -= step_s

    async def until(self, true: Callable[[], bool], *, patience_s: float = 120.0, dt_s: float = 1.0) -> None:
        """Let time pass until something is so."""
        waited = 0.0
        while not true():
            assert waited < patience_s, "it never became so"
            await self.live(dt_s, dt_s=dt_s)
            waited += dt_s

    async def online(self) -> None:
        """Wait until the charger is accepted and has nothing left to say."""
        await self.until(lambda: self.charger.online and len(self.charger.outbox) == 0)

    async def ask(self, action: str, payload: dict[str, Any]) -> Reply:
        """A CALL from the CSMS."""
        return await self.csms.ask(self.charger.identity, action, payload)

    async def limit(self, amps: float, **more: Any) -> Reply:
        """A station cap from the CSMS."""
        return await self.csms.limit_station(self.charger.identity, amps, **more)

    def clean(self) -> None:
        """Nothing that was sent was against the schemas, nothing was changed on its way."""
        assert self.charger.watch.violations == []
        assert self.csms.violations == []
        assert self.judge.complaints == []
        assert (self.judge.altered(), self.judge.leaked()) == (0, 0)

    def heard(self, action: str) -> list[dict[str, Any]]:
        """Payloads of the CALLs of one action, as they came."""
        return [dict(one.payload) for one in self.csms.journal if one.action == action]


@asynccontextmanager
async def bench(
    version: str,
    *,
    network: Network,
    clock: Clock,
    behaviour: Behaviour = STANDARD,
    evses: Sequence[EvseSpec] = (EvseSpec(),),
    csms: dict[str, Any] | None = None,
    **charger: Any,
):
    """Start both; the charger is cancelled at the end."""
    judge = FrameJudge()
    server = SimulatedCsms(network, clock, judge=judge, validate=True, **(csms or {}))
    await server.start()
    settings = {"judge": judge, "validate": True, "meter_interval_s": 30, "seed": 1} | charger
    point = SimulatedChargePoint(
        "CP 001", version, server.url, network=network, clock=clock, evses=evses, behaviour=behaviour, **settings
    )
    async with asyncio.TaskGroup() as group:
        task = group.create_task(point.run())
        try:
            yield Bench(network, clock, server, point, judge)
        finally:
            task.cancel()
            server.stop()


def play(version: str, scene: Callable[[Bench], Awaitable[T]], **settings: Any) -> T:
    """Run one scene on a bench in virtual time."""

    async def main() -> T:
        network = settings.pop("network", None) or MemoryNetwork()
        async with bench(version, network=network, clock=VirtualClock(), **settings) as table:
            return await scene(table)

    return run(main, start=START)
