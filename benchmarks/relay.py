"""What relaying a message costs: our proxy against a plain relay on `websockets` and uvloop.

Each relay is a process of its own between 200 chargers and a CSMS, which are this process. Rounds are interleaved; the
figure is the relay's processor time per relayed message, replies included. Every CALL is a MeterValues, which is what
our desk takes longest to read; "relay alone" is the same proxy with a desk that listens to nothing.
"""

import asyncio
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

import uvloop

from benchmarks._relay_load import Charger, Csms
from benchmarks.report import Line, Measured

CHARGERS = 200
ROUNDS = 6
WARM_UP_S = 2.0
ROUND_S = 2.0
PACED_FRAMES_PER_S = 1000.0


def run() -> list[Line]:
    """Saturated, and at a steady 1,000 frames a second."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_measure())


class _Field:
    """200 chargers behind one relay."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout is not None
        self._pid = process.pid
        self._port = int(process.stdout.readline())
        self._chargers: list[Charger] = []
        self._idle: list[Charger] = []
        self._replies = 0
        self._saturating = False

    async def connect(self) -> None:
        """Let every charger connect and its fall-back limit settle."""
        loop = asyncio.get_running_loop()
        for number in range(CHARGERS):
            charger = Charger(f"CP{number:04d}", self._replied)
            await loop.create_connection(partial(_just, charger), "127.0.0.1", self._port)
            self._chargers.append(charger)
        async with asyncio.timeout(20):
            await asyncio.gather(*(charger.connected for charger in self._chargers))
        self._idle = list(self._chargers)
        await asyncio.sleep(0.5)

    def _replied(self, charger: Charger) -> None:
        self._replies += 1
        if self._saturating:
            charger.send()
        else:
            self._idle.append(charger)

    async def saturated(self, seconds: float) -> float:
        """Every charger sends as soon as it is answered; microseconds of the relay per message."""
        self._saturating = True
        cpu_s, replies = self._cpu_s(), self._replies
        idle, self._idle = self._idle, []
        for charger in idle:
            charger.send()
        await asyncio.sleep(seconds)
        figure = (self._cpu_s() - cpu_s) / (2 * (self._replies - replies)) * 1e6
        self._saturating = False
        await self._quiet()
        return figure

    async def paced(self, seconds: float) -> float:
        """Chargers take turns at a steady rate; microseconds of the relay per message."""
        loop = asyncio.get_running_loop()
        cpu_s, replies, began_s = self._cpu_s(), self._replies, loop.time()
        total = int(seconds * PACED_FRAMES_PER_S / 2)
        for number in range(total):
            due_s = began_s + 2 * number / PACED_FRAMES_PER_S
            if due_s > loop.time():
                await asyncio.sleep(due_s - loop.time())
            self._idle.pop(0).send()
        await self._quiet()
        return (self._cpu_s() - cpu_s) / (2 * (self._replies - replies)) * 1e6

    async def _quiet(self) -> None:
        async with asyncio.timeout(10):
            while len(self._idle) < CHARGERS:  # noqa: ASYNC110 (polled after the figure is taken)
                await asyncio.sleep(0.01)

    def _cpu_s(self) -> float:
        # Linux's name for the processor clock of another process (clock_getcpuclockid).
        return time.clock_gettime_ns((~self._pid << 3) | 2) / 1e9


def _just(charger: Charger) -> Charger:
    return charger


async def _measure() -> list[Line]:
    csms = await asyncio.get_running_loop().create_server(Csms, "127.0.0.1", 0, backlog=4096)
    port = str(csms.sockets[0].getsockname()[1])
    with ExitStack() as processes:
        commands = (("_relay_rival", port), ("_relay_subject", port, "desk"), ("_relay_subject", port, "deaf"))
        fields = [_Field(processes.enter_context(_process(*command))) for command in commands]
        for field in fields:
            await field.connect()
            await field.saturated(WARM_UP_S)
        saturated = [[await field.saturated(ROUND_S) for field in fields] for _ in range(ROUNDS)]
        paced = [[await field.paced(ROUND_S) for field in fields] for _ in range(ROUNDS)]
    csms.close()
    return [
        *_lines("saturated", saturated),
        *_lines(f"{PACED_FRAMES_PER_S:.0f} frames/s", paced),
    ]


def _lines(load: str, rounds: list[list[float]]) -> Iterator[Line]:
    plain, with_desk, alone = (Measured(tuple(figures)) for figures in zip(*rounds, strict=True))
    for what, ours in (("with desk", with_desk), ("relay alone", alone)):
        yield Line(f"CPU per message, {CHARGERS} chargers, {load}, {what}", ours, plain, "us", bar=1.0)


@contextmanager
def _process(module: str, *arguments: str) -> "Iterator[subprocess.Popen[str]]":
    command = [sys.executable, "-m", f"benchmarks.{module}", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()
