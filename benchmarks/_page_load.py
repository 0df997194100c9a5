"""Chargers that charge, and their CSMS: `python -m benchmarks._page_load CHARGERS`, driven by lines on stdin.

Prints the CSMS's port; takes the proxy's; prints `ready` when every charger has its transaction, and has been given a
limit that its car can charge at. Each sends its meter values once a second, with a current of its own that never stays
and never passes its limit. For every line that comes it prints the round so far as JSON: the milliseconds of each
message from its charger's socket to the CSMS's, and begins a new one.
"""

import asyncio
import json
import random
import sys
import time
from contextlib import suppress

import uvloop
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosedError

from headroom.clock import WallClock

_ANSWERS: dict[str, dict[str, object]] = {
    "GetConfiguration": {"configurationKey": [], "unknownKey": []},
    "GetCompositeSchedule": {"status": "Rejected"},
    "TriggerMessage": {"status": "NotImplemented"},
}


_LEAST_A = 6.0
"""What every charger is given at least, once all are heard."""


class _Round:
    """What came through since somebody asked last."""

    def __init__(self) -> None:
        self.sent_s: dict[str, float] = {}
        self.taken_ms: list[float] = []

    def arrived(self, message_id: str) -> None:
        sent_s = self.sent_s.pop(message_id, None)
        if sent_s is not None:
            self.taken_ms.append((time.perf_counter() - sent_s) * 1000)

    def told(self) -> str:
        text, self.taken_ms = json.dumps(self.taken_ms), []
        return text


def _now() -> str:
    return WallClock().now().isoformat()


async def _csms(socket: ServerConnection, passed: _Round) -> None:
    with suppress(ConnectionClosedError):  # the benchmark is over, and the service ends before this process
        await _answer(socket, passed)


async def _answer(socket: ServerConnection, passed: _Round) -> None:
    async for text in socket:
        frame = json.loads(text)
        if frame[0] != 2:
            continue
        passed.arrived(frame[1])
        answer: dict[str, object] = {}
        if frame[2] == "BootNotification":
            answer = {"status": "Accepted", "currentTime": _now(), "interval": 3600}
        elif frame[2] == "StartTransaction":
            answer = {"transactionId": random.randrange(1, 1 << 30), "idTagInfo": {"status": "Accepted"}}
        await socket.send(json.dumps([3, frame[1], answer]))


class _Charger:
    def __init__(self, name: str, passed: _Round) -> None:
        self._name, self._passed = name, passed
        self._count = 0
        self._replies: asyncio.Queue[dict[str, object]] = asyncio.Queue()
        self._energy_wh = 0.0
        self._limit_a = 0.0
        self.may_charge = asyncio.Event()
        """It has been given enough."""

    async def begin(self, port: int) -> ClientConnection:
        """Connect, say what it is, and start a transaction."""
        socket = await connect(
            f"ws://127.0.0.1:{port}/ocpp/{self._name}",
            subprotocols=["ocpp1.6"],  # type: ignore[list-item]
            proxy=None,
            open_timeout=300,
        )
        self._listening = asyncio.get_running_loop().create_task(self._listen(socket))
        await self._ask(socket, "BootNotification", {"chargePointVendor": "Bench", "chargePointModel": "One"})
        status = {"connectorId": 1, "errorCode": "NoError", "status": "Charging"}
        await self._ask(socket, "StatusNotification", status)
        start = {"connectorId": 1, "idTag": self._name, "meterStart": 0, "timestamp": _now()}
        self._transaction = (await self._ask(socket, "StartTransaction", start))["transactionId"]
        return socket

    async def charge(self, socket: ClientConnection) -> None:
        """Meter values once a second, for ever."""
        await asyncio.sleep(random.random())
        due_s = time.perf_counter()
        while True:
            sample, sent_s = self._sample(), time.perf_counter()
            self._passed.sent_s[await self._send(socket, "MeterValues", sample)] = sent_s
            due_s += 1.0
            await asyncio.sleep(max(0.0, due_s - time.perf_counter()))

    def _sample(self) -> dict[str, object]:
        current_a = min(random.uniform(1.0, _LEAST_A), self._limit_a)
        self._energy_wh += current_a * 208 / 3600
        values = [
            {"value": f"{current_a:.1f}", "measurand": "Current.Import", "unit": "A", "phase": phase}
            for phase in ("L1", "L2")
        ]
        values.append({"value": f"{current_a * 208:.0f}", "measurand": "Power.Active.Import", "unit": "W"})
        values.append({"value": f"{self._energy_wh:.1f}", "measurand": "Energy.Active.Import.Register", "unit": "Wh"})
        sample = {"timestamp": _now(), "sampledValue": values}
        return {"connectorId": 1, "transactionId": self._transaction, "meterValue": [sample]}

    async def _ask(self, socket: ClientConnection, action: str, payload: dict[str, object]) -> dict[str, object]:
        await self._send(socket, action, payload)
        return await asyncio.wait_for(self._replies.get(), 300)

    async def _send(self, socket: ClientConnection, action: str, payload: dict[str, object]) -> str:
        self._count += 1
        message_id = f"{self._name}-{self._count}"
        await socket.send(json.dumps([2, message_id, action, payload]))
        return message_id

    async def _listen(self, socket: ClientConnection) -> None:
        async for text in socket:
            frame = json.loads(text)
            if frame[0] == 2:
                if frame[2] == "SetChargingProfile":
                    schedule = frame[3]["csChargingProfiles"]["chargingSchedule"]
                    self._limit_a = schedule["chargingSchedulePeriod"][0]["limit"]
                    if self._limit_a >= _LEAST_A:
                        self.may_charge.set()
                answer = _ANSWERS.get(frame[2], {"status": "Accepted"})
                await socket.send(json.dumps([3, frame[1], answer]))
            elif frame[0] == 3:
                self._replies.put_nowait(frame[2])


async def main(count: int) -> None:
    """Until stdin ends."""
    passed, loop = _Round(), asyncio.get_running_loop()

    async def line() -> str:
        return await loop.run_in_executor(None, sys.stdin.readline)

    async with serve(lambda socket: _csms(socket, passed), "127.0.0.1", 0, subprotocols=["ocpp1.6"]) as csms:  # type: ignore[list-item]
        print(next(iter(csms.sockets)).getsockname()[1], flush=True)
        port = int(await line())
        chargers = [_Charger(f"CP{number:05d}", passed) for number in range(count)]
        sockets = []
        for first in range(0, count, 25):
            sockets += await asyncio.gather(*(one.begin(port) for one in chargers[first : first + 25]))
        charging = [loop.create_task(one.charge(socket)) for one, socket in zip(chargers, sockets, strict=True)]
        for one in chargers:
            await one.may_charge.wait()
        print("ready", flush=True)
        while await line():
            print(passed.told(), flush=True)
        for task in charging:
            task.cancel()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
