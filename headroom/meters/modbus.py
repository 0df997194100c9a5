"""Meters that are polled over Modbus TCP: one connection per gateway, one question at a time."""

import asyncio
from collections.abc import Callable, Sequence

from pymodbus.client import AsyncModbusTcpClient
from pymodbus.exceptions import ModbusException

from domain.site import Meter, ModbusSource
from headroom.meters.backoff import Backoff
from headroom.meters.desk import MeterDesk
from headroom.meters.values import Conversion

_TIMEOUT_S = 3.0


class GatewayPoller:
    """Asks the meters behind one host and port in turn: many gateways take a single connection."""

    def __init__(self, desk: MeterDesk, meters: Sequence[Meter], backoff: Callable[[], Backoff] = Backoff) -> None:
        """`meters` all have the same `gateway_of`."""
        self._desk, self._backoff = desk, backoff()
        self._meters = [
            (meter, meter.modbus, Conversion.of(desk.site, meter)) for meter in meters if meter.modbus is not None
        ]

    async def run(self) -> None:
        """Until cancelled; a gateway that is away is tried again."""
        source = self._meters[0][1]
        while True:
            # Reconnecting is ours: the library's own would go on behind our back.
            client = AsyncModbusTcpClient(
                source.host, port=source.port, timeout=_TIMEOUT_S, retries=0, reconnect_delay=0
            )
            try:
                await self._poll(client)
            except (ModbusException, OSError, TimeoutError, asyncio.CancelledError) as problem:
                if isinstance(problem, asyncio.CancelledError):
                    raise
                for meter, one, _ in self._meters:
                    self._desk.lost(meter.id, f"{one.host}:{one.port}: {problem or type(problem).__name__}")
            finally:
                client.close()
            await self._backoff.wait()

    async def _poll(self, client: AsyncModbusTcpClient) -> None:
        if not await client.connect():
            raise OSError("does not answer")
        loop = asyncio.get_running_loop()
        due = dict.fromkeys((meter.id for meter, _, _ in self._meters), loop.time())
        while True:
            for meter, source, conversion in self._meters:
                if due[meter.id] > loop.time():
                    continue
                due[meter.id] = max(due[meter.id] + source.interval_s, loop.time())
                await self._read(client, meter, source, conversion)
            await asyncio.sleep(max(0.0, min(due.values()) - loop.time()))

    async def _read(
        self, client: AsyncModbusTcpClient, meter: Meter, source: ModbusSource, conversion: Conversion
    ) -> None:
        """A device's own refusal costs this reading; a broken connection is raised."""
        wanted = source.registers if source.total_register is None else {None: source.total_register}
        numbers: dict[object, float] = {}
        for phase, address in wanted.items():
            number = await _number(client, source, address)
            if isinstance(number, str):
                self._desk.refuse(meter.id, f"register {address}: {number}")
                return
            numbers[phase] = number
        self._backoff.succeeded()
        if source.total_register is not None:
            self._desk.take(meter.id, None, conversion.of_total(numbers[None]))
        else:
            self._desk.take(meter.id, None, conversion.per_phase({p: numbers[p] for p in source.registers}))


async def _number(client: AsyncModbusTcpClient, source: ModbusSource, address: int) -> float | str:
    """The register's number, or why there is none."""
    kind = client.DATATYPE[source.encoding.upper()]
    read = client.read_holding_registers if source.table == "holding" else client.read_input_registers
    answer = await read(address, count=kind.value[1], device_id=source.unit)
    if answer.isError():
        return f"the device answers {answer}"
    if len(answer.registers) != kind.value[1]:
        return f"the device sent {len(answer.registers)} registers of {kind.value[1]}"
    value = client.convert_from_registers(answer.registers, kind, word_order=source.word_order)
    return float(value) if isinstance(value, int | float) else "is no number"


def pollers(desk: MeterDesk, meters: Sequence[Meter]) -> list[GatewayPoller]:
    """One for each gateway of these meters."""
    groups: dict[tuple[str, int], list[Meter]] = {}
    for meter in meters:
        if meter.modbus is not None:
            groups.setdefault((meter.modbus.host, meter.modbus.port), []).append(meter)
    return [GatewayPoller(desk, group) for group in groups.values()]
