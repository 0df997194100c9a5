"""Carries out a schedule: what each kind of fault does to the simulated world and to the service."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from domain.ids import ChargerId, MeterId
from domain.ports import Clock
from headroom.campaign.failing_store import Disk
from headroom.campaign.incarnations import Incarnations
from headroom.twin import Twin
from simulators.charge_point import SimulatedChargePoint
from simulators.faults import Fault, FaultKind
from simulators.memory_link import MemoryLink
from simulators.network import MemoryNetwork

_DRIFT_EVERY_S = 60.0
_LIFT_TRIES = 20
_LIFT_PAUSE_S = 30.0

Act = Callable[[Fault], Awaitable[None]]


class Stage:
    """Where a schedule is played. `in_force` are the faults that have begun and are not over."""

    def __init__(self, twin: Twin, network: MemoryNetwork, service: Incarnations, disk: Disk, clock: Clock) -> None:
        self.in_force: set[Fault] = set()
        self._twin, self._network, self._service, self._disk, self._clock = twin, network, service, disk, clock
        kind = FaultKind
        self._acts: Final[Mapping[FaultKind, Act]] = {
            kind.CABLE_PULLED: self._cable_pulled,
            kind.HALF_OPEN: self._half_open,
            kind.LINK_SLOW: self._link_slow,
            kind.LINK_FROZEN: self._link_frozen,
            kind.LINK_FLAPS: self._link_flaps,
            kind.POWER_CYCLE: self._power_cycle,
            kind.CLOCK_STEP: self._clock_step,
            kind.CLOCK_DRIFT: self._clock_drift,
            kind.MUTE: lambda fault: self._misbehave(fault, "never_answers", wrong=True, right=False),
            kind.IGNORES_LIMITS: lambda fault: self._misbehave(fault, "obeys", wrong=False, right=True),
            kind.CSMS_GONE: self._csms_gone,
            kind.CSMS_UNREACHABLE: self._csms_unreachable,
            kind.CSMS_SILENT: self._csms_silent,
            kind.CSMS_SLOW: self._csms_slow,
            kind.CSMS_REFUSES: self._csms_refuses,
            kind.CSMS_LIMITS: self._csms_limits,
            kind.METER_SILENT: self._meter_silent,
            kind.METER_FROZEN: self._meter_frozen,
            kind.METER_LATE: self._meter_late,
            kind.SERVICE_KILLED: lambda fault: self._service_dies(fault, silently=False),
            kind.SERVICE_POWER: lambda fault: self._service_dies(fault, silently=True),
            kind.SERVICE_PAUSED: self._service_paused,
            kind.STORE_FULL: self._store_full,
            kind.STORE_SLOW: self._store_slow,
        }

    async def play(self, faults: Sequence[Fault]) -> None:
        """Let everything go wrong that is to, from now on; returns when the last is over."""
        async with asyncio.TaskGroup() as group:
            for fault in faults:
                group.create_task(self._play_one(fault))

    async def _play_one(self, fault: Fault) -> None:
        await self._clock.sleep(fault.at_s)
        self.in_force.add(fault)
        try:
            await self._acts[fault.kind](fault)
        finally:
            self.in_force.discard(fault)

    # Links.

    def _charger(self, fault: Fault) -> SimulatedChargePoint:
        return self._twin.chargers[ChargerId(fault.target)]

    def _link(self, fault: Fault) -> MemoryLink | None:
        line = self._charger(fault).link.line
        found = None if line is None else line.end.transport.get_extra_info("link")
        return found if isinstance(found, MemoryLink) else None

    async def _cable_pulled(self, fault: Fault) -> None:
        charger = self._charger(fault)
        charger.go_offline()
        await self._clock.sleep(fault.for_s)
        charger.go_online()

    async def _half_open(self, fault: Fault) -> None:
        if (link := self._link(fault)) is not None:
            link.cut(tell=())

    async def _link_slow(self, fault: Fault) -> None:
        if (link := self._link(fault)) is not None:
            link.delay_s = fault.value
            await self._clock.sleep(fault.for_s)
            link.delay_s = 0.0

    async def _link_frozen(self, fault: Fault) -> None:
        if (link := self._link(fault)) is not None:
            link.freeze()
            await self._clock.sleep(fault.for_s)
            link.thaw()

    async def _link_flaps(self, fault: Fault) -> None:
        charger, left_s = self._charger(fault), fault.for_s
        while left_s > 0:
            charger.go_offline()
            await self._clock.sleep(fault.value)
            charger.go_online()
            await self._clock.sleep(fault.value)
            left_s -= 2 * fault.value

    # Chargers.

    async def _power_cycle(self, fault: Fault) -> None:
        self._charger(fault).power_cycle()

    async def _clock_step(self, fault: Fault) -> None:
        self._charger(fault).step_clock(fault.value)

    async def _clock_drift(self, fault: Fault) -> None:
        left_s = fault.for_s
        while left_s > 0:
            await self._clock.sleep(_DRIFT_EVERY_S)
            self._charger(fault).step_clock(fault.value * _DRIFT_EVERY_S)
            left_s -= _DRIFT_EVERY_S

    async def _misbehave(self, fault: Fault, flag: str, *, wrong: bool, right: bool) -> None:
        charger = self._charger(fault)
        charger.change(**{flag: wrong})
        await self._clock.sleep(fault.for_s)
        charger.change(**{flag: right})

    # The CSMS.

    async def _csms_gone(self, fault: Fault) -> None:
        self._twin.csms.stop(crash=True)
        await self._clock.sleep(fault.for_s)
        await self._twin.csms.start()

    async def _csms_unreachable(self, fault: Fault) -> None:
        port = self._twin.csms.port
        links = [one for one in self._network.links if one.server.get_extra_info("sockname")[1] == port]
        self._network.silence(port)
        for link in links:
            link.freeze()
        await self._clock.sleep(fault.for_s)
        self._network.restore(port)
        for link in links:
            link.thaw()

    async def _csms_silent(self, fault: Fault) -> None:
        self._twin.csms.silent = True
        await self._clock.sleep(fault.for_s)
        self._twin.csms.silent = False

    async def _csms_slow(self, fault: Fault) -> None:
        self._twin.csms.delay_s = fault.value
        await self._clock.sleep(fault.for_s)
        self._twin.csms.delay_s = 0.0

    async def _csms_refuses(self, fault: Fault) -> None:
        self._twin.csms.refuse_with = round(fault.value)
        for identity in self._twin.csms.connected:
            self._twin.csms.drop(identity)
        await self._clock.sleep(fault.for_s)
        self._twin.csms.refuse_with = None

    async def _csms_limits(self, fault: Fault) -> None:
        csms = self._twin.csms
        limit_a = fault.value if fault.value >= 6.0 else 0.0
        await csms.limit_station(fault.target, round(limit_a, 1))
        await self._clock.sleep(fault.for_s)
        for _ in range(_LIFT_TRIES):
            reply = await csms.limit_station(fault.target, 80.0)
            if reply.kind == "result":
                return
            await self._clock.sleep(_LIFT_PAUSE_S)

    # Meters.

    async def _meter_silent(self, fault: Fault) -> None:
        assert self._twin.world is not None
        self._twin.world.meters.silence(MeterId(fault.target))
        await self._meter_returns(fault)

    async def _meter_frozen(self, fault: Fault) -> None:
        assert self._twin.world is not None
        self._twin.world.meters.freeze(MeterId(fault.target))
        await self._meter_returns(fault)

    async def _meter_late(self, fault: Fault) -> None:
        assert self._twin.world is not None
        self._twin.world.meters.delay(MeterId(fault.target), fault.value)
        await self._meter_returns(fault)

    async def _meter_returns(self, fault: Fault) -> None:
        assert self._twin.world is not None
        await self._clock.sleep(fault.for_s)
        self._twin.world.meters.restore(MeterId(fault.target))

    # The service and its disk.

    async def _service_dies(self, fault: Fault, *, silently: bool) -> None:
        self._service.kill(silently=silently)
        await self._clock.sleep(fault.for_s)
        self._service.start()

    async def _service_paused(self, fault: Fault) -> None:
        self._service.pause()
        await self._clock.sleep(fault.for_s)
        self._service.resume()

    async def _store_full(self, fault: Fault) -> None:
        self._disk.full = True
        await self._clock.sleep(fault.for_s)
        self._disk.full = False

    async def _store_slow(self, fault: Fault) -> None:
        self._disk.slow_s = fault.value
        await self._clock.sleep(fault.for_s)
        self._disk.slow_s = 0.0
