"""Many chargers, their CSMS and a proxy that holds and is killed, in virtual time."""

import itertools

from proxy_world import Notebook, charger_named

from domain.events import Event
from proxy.places import ChargerPlace
from proxy.server import ProxyServer
from proxy.settings import ProxySettings
from proxy.spool import InlineSpool
from simulators import virtual_time
from simulators.charge_point import SimulatedChargePoint
from simulators.csms import SimulatedCsms
from simulators.network import MemoryNetwork
from simulators.processes import VirtualProcess

STEP_S = 20.0
CSMS_PORT, OCPP_PORT = 9100, 9000


class Fan:
    """A load that takes what it is offered."""

    wants = True

    def step(self, offered_a: float, dt_s: float, conductors: int, voltage_v: float) -> float:
        return offered_a if offered_a >= 6.0 else 0.0


class Fleet:
    """The chargers, their CSMS and a proxy between them that lives several lives on one spool."""

    def __init__(self, *, chargers: int = 200, recognises_repeats: bool = True) -> None:
        self.clock, self.network, self.spool = (
            virtual_time.VirtualClock(),
            MemoryNetwork(gives_up_s=60.0),
            InlineSpool(),
        )
        self.csms = SimulatedCsms(self.network, self.clock, port=CSMS_PORT)
        self.csms.ledger.recognises_repeats = recognises_repeats
        self.events: list[Event] = []
        self.lives: list[VirtualProcess] = []
        self.proxy: ProxyServer
        self.remains: list[ProxyServer] = []  # held for ever, so that a killed one's tasks disturb nobody
        self._recognises_repeats = recognises_repeats
        self._ids = itertools.count(1)
        names = [f"CP{number:03}" for number in range(chargers)]
        url = f"ws://127.0.0.1:{CSMS_PORT}/ocpp"
        self.places = {
            name: ChargerPlace(charger_named(name), url, "hold", recognises_repeats=recognises_repeats)
            for name in names
        }
        self.chargers = [
            SimulatedChargePoint(
                name,
                "ocpp1.6" if number % 4 else "ocpp2.0.1",
                f"ws://127.0.0.1:{OCPP_PORT}/ocpp",
                network=self.network,
                clock=self.clock,
                password="secret-of-" + name,
                meter_interval_s=60,
                validate=0.02,
            )
            for number, name in enumerate(names)
        ]
        for charger in self.chargers:
            charger.outbox.attempts, charger.outbox.interval_s = 10_000, 10.0

    def start_proxy(self) -> None:
        life = VirtualProcess(f"proxy {len(self.lives) + 1}")
        self.lives.append(life)
        life.start(self._live())

    async def _live(self) -> None:
        self.proxy = ProxyServer(
            network=self.network,
            clock=self.clock,
            directory=self.places.get,
            publish=self.events.append,
            desk=lambda _, __: Notebook(),
            settings=ProxySettings(),
            new_id=lambda: f"own-{next(self._ids)}",
            spool=self.spool,
        )
        self.remains.append(self.proxy)
        await self.proxy.listen("127.0.0.1", OCPP_PORT)

    async def proxy_dies(self, *, silently: bool) -> None:
        self.lives[-1].kill(silently=silently)
        await self.clock.sleep(7.0)
        self.start_proxy()

    async def let_pass(self, seconds: float) -> None:
        for _ in range(int(seconds / STEP_S)):
            await self.clock.sleep(STEP_S)
            for charger in self.chargers:
                charger.evses[1].step(self.clock.now(), STEP_S)

    def cars(self, chargers: slice, *, come: bool) -> None:
        for number, charger in list(enumerate(self.chargers))[chargers]:
            if come:
                charger.evses[1].plug(Fan(), f"TAG{number}")
            else:
                charger.evses[1].unplug()

    def bury(self) -> None:
        for life in self.lives:
            life.bury()
