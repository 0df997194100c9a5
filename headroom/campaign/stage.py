"""Carries out a schedule: what each kind of fault does to the simulated world and to the service."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from domain.ids import ChargerId, MeterId
from domain.ports import Clock
from headroom.campaign.failing_store import Disk
from headroom.campaign.incarnations import Incarnations
from headroom.twin import Twin
from simulators.charge_point import SimulatedChargePoint
from simulators.faults import KINDS, Fault, FaultKind, Victim
from simulators.feeder_meters import FeederMeters
from simulators.memory_link import MemoryLink
from simulators.network import MemoryNetwork

_DRIFT_EVERY_S = 60.0
_LIFT_TRIES = 200
_LIFT_PAUSE_S = 30.0

Act = Callable[[Fault], Awaitable[None]]


class Stage:
    """Where a schedule is played.

    Attributes:
        in_force: faults that have begun and are not over.
        over: when the others were.
    """

    def __init__(self, twin: Twin, network: MemoryNetwork, service: Incarnations, disk: Disk, clock: Clock) -> None:
        self.in_force: set[Fault] = set()
        self.over: dict[Fault, datetime] = {}
        self._twin, self._network, self._service, self._disk, self._clock = twin, network, service, disk, clock
        kind = FaultKind
        self._acts: Final[Mapping[FaultKind, Act]] = {
            kind.CABLE_PULLED: self._cable_pulled,
            kind.HALF_OPEN: self._half_open,
            kind.LINK_SLOW: self._link_slow,
            kind.LINK_FROZEN: self._link_frozen,
            kind.LINK_FLAPS: self._link_flaps,
            kind.LINK_OVERTAKEN: self._link_overtaken,
            kind.POWER_CYCLE: self._power_cycle,
            kind.CLOCK_STEP: self._clock_step,
            kind.CLOCK_DRIFT: self._clock_drift,
            kind.MUTE: lambda fault: self._misbehave(fault, "never_answers", wrong=True, right=False),
            kind.IGNORES_LIMITS: lambda fault: self._misbehave(fault, "obeys", wrong=False, right=True),
            kind.ANSWERS_LATE: lambda fault: self._misbehave(fault, "answers_late_s", wrong=fault.value, right=0.0),
            kind.STUCK: lambda fault: self._misbehave(fault, "stuck_at_a", wrong=fault.value, right=None),
            kind.FULL_AFTER_ZERO: lambda fault: self._misbehave(
                fault, "full_current_after_zero", wrong=True, right=False
            ),
            kind.CSMS_GONE: self._csms_gone,
            kind.CSMS_UNREACHABLE: self._csms_unreachable,
            kind.CSMS_SILENT: self._csms_silent,
            kind.CSMS_SLOW: self._csms_slow,
            kind.CSMS_REFUSES: self._csms_refuses,
            kind.CSMS_LIMITS: self._csms_limits,
            kind.CSMS_ERRORS: self._csms_errors,
            kind.CSMS_CLOCK: self._csms_clock,
            kind.METER_SILENT: lambda fault: self._meter_fails(fault, FeederMeters.silence),
            kind.METER_FROZEN: lambda fault: self._meter_fails(fault, FeederMeters.freeze),
            kind.METER_ZERO: lambda fault: self._meter_fails(fault, FeederMeters.zero),
            kind.METER_LATE: lambda fault: self._meter_fails(fault, partial(_delay, lag_s=fault.value)),
            kind.METER_NOISY: lambda fault: self._meter_fails(fault, partial(_scatter, noise=fault.value)),
            kind.SERVICE_KILLED: lambda fault: self._service_dies(fault, silently=False),
            kind.SERVICE_POWER: lambda fault: self._service_dies(fault, silently=True),
            kind.SERVICE_PAUSED: self._service_paused,
            kind.SERVICE_REPLACED: self._service_replaced,
            kind.SERVICE_CLOCK: self._service_clock,
            kind.STORE_FULL: self._store_full,
            kind.STORE_SLOW: self._store_slow,
            kind.STORE_LOCKED: self._store_locked,
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
            self.over[fault] = self._clock.now()

    def recently(self, within_s: float, *victims: Victim) -> bool:
        """Whether anything that hits one of them is in force, or was within `within_s` s."""
        if any(KINDS[fault.kind].victim in victims for fault in self.in_force):
            return True
        since = self._clock.now() - timedelta(seconds=within_s)
        return any(ended > since and KINDS[fault.kind].victim in victims for fault, ended in self.over.items())

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

    async def _link_overtaken(self, fault: Fault) -> None:
        link, charger = self._link(fault), self._charger(fault)
        if link is not None:
            link.freeze()
            charger.go_offline()
            charger.go_online()
            await self._clock.sleep(fault.for_s)
            link.thaw()

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

    async def _misbehave(self, fault: Fault, flag: str, *, wrong: object, right: object) -> None:
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

    async def _csms_errors(self, fault: Fault) -> None:
        self._twin.csms.refuses_calls = "InternalError"
        await self._clock.sleep(fault.for_s)
        self._twin.csms.refuses_calls = None

    async def _csms_clock(self, fault: Fault) -> None:
        self._twin.csms.clock_wrong_s = fault.value
        await self._clock.sleep(fault.for_s)
        self._twin.csms.clock_wrong_s = 0.0

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

    async def _meter_fails(self, fault: Fault, how: Callable[[FeederMeters, MeterId], object]) -> None:
        assert self._twin.world is not None
        meters, meter = self._twin.world.meters, MeterId(fault.target)
        how(meters, meter)
        await self._clock.sleep(fault.for_s)
        meters.restore(meter)

    # The service and its disk.

    async def _service_dies(self, fault: Fault, *, silently: bool) -> None:
        self._service.kill(silently=silently)
        await self._clock.sleep(fault.for_s)
        self._service.start()

    async def _service_paused(self, fault: Fault) -> None:
        self._service.pause()
        await self._clock.sleep(fault.for_s)
        self._service.resume()

    async def _service_replaced(self, fault: Fault) -> None:
        old = self._service.replace()
        await self._clock.sleep(fault.for_s)
        if old is not None:
            old.resume()

    async def _service_clock(self, fault: Fault) -> None:
        self._service.clock.wrong_s += fault.value
        await self._clock.sleep(fault.for_s)
        self._service.clock.wrong_s -= fault.value

    async def _store_full(self, fault: Fault) -> None:
        self._disk.full = True
        await self._clock.sleep(fault.for_s)
        self._disk.full = False

    async def _store_slow(self, fault: Fault) -> None:
        self._disk.slow_s = fault.value
        await self._clock.sleep(fault.for_s)
        self._disk.slow_s = 0.0

    async def _store_locked(self, fault: Fault) -> None:
        self._disk.locked = True
        await self._clock.sleep(fault.for_s)
        self._disk.locked = False


def _delay(meters: FeederMeters, meter: MeterId, *, lag_s: float) -> None:
    meters.delay(meter, lag_s)


def _scatter(meters: FeederMeters, meter: MeterId, *, noise: float) -> None:
    meters.scatter(meter, noise)
