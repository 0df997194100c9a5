"""The simulated world around the live service: CSMS, chargers, cars, load and meters, for `demo` and `simulate`."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from domain.ids import ChargerId, EvseId
from domain.metering import MeterReading
from domain.ports import Clock
from domain.site import Site
from proxy.protocol.policy import INTERCEPTED
from simulators.arrivals import Arrival
from simulators.behaviour import STANDARD, Behaviour
from simulators.charge_point import SimulatedChargePoint
from simulators.csms import SimulatedCsms
from simulators.evse import EvseSpec, SimulatedEvse
from simulators.frame_judge import FrameJudge
from simulators.frame_schemas import Version
from simulators.homes import building_load
from simulators.network import Network
from simulators.phasors import evse_voltage_v
from simulators.world import World

VERSIONS: tuple[Version, ...] = ("ocpp1.6", "ocpp2.0.1")
"""Chargers speak them in turn."""

_UNCHANGED = frozenset({"MeterValues"})
"""Kept from the CSMS where they were ours to ask for, which the judge of frames knows; never changed."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Where the simulated world lives. `validate`: the share of the chargers' frames checked against the schemas.

    `samples_withheld`: some chargers report so little that samples are asked for, which the CSMS then does not see.
    `sample_interval_s` is that of the chargers' MeterValues, `meter_interval_s` that of the feeders' meters.
    """

    clock: Clock
    network: Network
    seed: int = 0
    validate: float = 0.01
    step_s: float = 1.0
    sample_interval_s: int = 10
    meter_interval_s: float = 10.0
    meter_noise: float = 0.0


class Twin:
    """A site's simulated surroundings. `wired`: the same site as its cables really run, where that is another thing.

    Start the CSMS (at host and port `csms`) first: the service dials it.
    """

    def __init__(self, site: Site, around: Surroundings, *, csms: tuple[str, int], wired: Site | None = None) -> None:
        self.site = site
        self._wired = wired or site
        self.judge = FrameJudge(INTERCEPTED - _UNCHANGED, holds=site.csms.outage == "hold")
        self.judge.when = lambda: f"{around.clock.now():%Y-%m-%d %H:%M:%S} "
        self.csms = SimulatedCsms(
            around.network, around.clock, host=csms[0], port=csms[1], judge=self.judge, validate=around.validate
        )
        self.chargers: dict[ChargerId, SimulatedChargePoint] = {}
        self.world: World | None = None
        self._around = around
        self.load = building_load(site, seed=around.seed)

    def charge_points(
        self, url: str, behaviours: Mapping[ChargerId, Behaviour] = MappingProxyType({})
    ) -> Iterable[SimulatedChargePoint]:
        """Make the site's chargers, 1.6 and 2.0.1 in turn, to be connected to `url`; some with a character."""
        around = self._around
        for number, charger in enumerate(self.site.chargers):
            self.chargers[charger.id] = SimulatedChargePoint(
                charger.id,
                VERSIONS[number % len(VERSIONS)],
                url,
                network=around.network,
                clock=around.clock,
                evses=[
                    EvseSpec(
                        connector=evse.connector,
                        max_a=evse.max_a,
                        min_a=evse.min_a,
                        conductors=evse.conductors,
                        voltage_v=evse_voltage_v(self.site, evse),
                    )
                    for evse in charger.evses
                ],
                behaviour=behaviours.get(charger.id, STANDARD),
                seed=around.seed,
                judge=self.judge,
                validate=around.validate,
                meter_interval_s=around.sample_interval_s,
            )
        return self.chargers.values()

    def open_world(self, arrivals: Iterable[Arrival], on_reading: Callable[[MeterReading], None]) -> World:
        """The physical world from now on, with these cars to come."""
        self.world = World(
            self._wired,
            self._around.clock,
            self._power_sides(),
            self.load,
            on_reading,
            self._around.seed,
            arrivals=arrivals,
            meter_interval_s=self._around.meter_interval_s,
            step_s=self._around.step_s,
            meter_noise=self._around.meter_noise,
        )
        return self.world

    def _power_sides(self) -> dict[EvseId, SimulatedEvse]:
        return {evse.id: self.chargers[evse.charger].evses[evse.connector] for evse in self.site.evses}

    async def connected(self) -> None:
        """Return when every charger is online."""
        while not all(charger.online for charger in self.chargers.values()):
            await self._around.clock.sleep(1.0)

    async def run_chargers(self) -> None:
        """Run every charger until cancelled."""
        async with asyncio.TaskGroup() as group:
            for charger in self.chargers.values():
                group.create_task(charger.run())

    @property
    def violations(self) -> list[str]:
        """What the simulated ends sent against the official schemas, as far as it was checked."""
        found = [text for charger in self.chargers.values() for text in charger.watch.violations]
        return [*found, *self.csms.violations]

    def report(self) -> dict[str, object]:
        """What the simulated ends and the simulated world measured."""
        measured = {} if self.world is None else self.world.report().as_json()
        return {
            "chargers": len(self.site.chargers),
            **measured,
            "frames_relayed": self.judge.relayed(),
            "frames_altered": self.judge.altered(),
            "frames_leaked": self.judge.leaked(),
            "schema_violations": len(self.violations),
        }
