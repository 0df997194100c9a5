"""The process that plays the chargers of the page's benchmark (`benchmarks._page_load`), as that talks to it."""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

_LONGEST_LINE: Final = 2**24
_ANSWERS_WITHIN_S: Final = 10.0
_READY_WITHIN_S: Final = 150.0


@dataclass(frozen=True, slots=True)
class Passed:
    """What came through since it was asked for last, and what that took."""

    relayed_ms: list[float]
    """Of each message, from its charger's socket to the CSMS's."""
    seconds: float

    @property
    def per_s(self) -> float:
        """Messages a second: the rate of changes that was reached."""
        return len(self.relayed_ms) / self.seconds


class Chargers:
    """The running process. Raises `TimeoutError` where it does not answer in time."""

    def __init__(self, process: Process, csms_port: int) -> None:
        self.csms_port = csms_port
        self._process = process
        self._asked_s = asyncio.get_running_loop().time()

    async def connect(self, ocpp_port: int) -> None:
        """Until every charger has its transaction and its limit, and sends its meter values."""
        self._say(str(ocpp_port))
        await _line(self._process, "every charger has its transaction, and a limit to charge at", _READY_WITHIN_S)

    async def passed(self) -> Passed:
        """What was relayed since this was asked last."""
        self._say("")
        told = await _line(self._process, "the chargers tell what was relayed", _ANSWERS_WITHIN_S)
        before_s, self._asked_s = self._asked_s, asyncio.get_running_loop().time()
        return Passed(json.loads(told), self._asked_s - before_s)

    def _say(self, text: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{text}\n".encode())


async def _line(process: Process, what: str, seconds: float) -> str:
    assert process.stdout is not None
    try:
        async with asyncio.timeout(seconds):
            line = await process.stdout.readline()
    except TimeoutError:
        raise TimeoutError(f"{what}: not within {seconds:g} s") from None
    if not line:
        raise RuntimeError(f"{what}: the process that plays them has ended")
    return line.decode()


@asynccontextmanager
async def chargers_that_charge(count: int) -> AsyncIterator[Chargers]:
    """So many chargers and their CSMS, in a process of their own."""
    command = [sys.executable, "-m", "benchmarks._page_load", str(count)]
    process = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE, limit=_LONGEST_LINE)
    try:
        yield Chargers(process, int(await _line(process, "the chargers' CSMS listens", _ANSWERS_WITHIN_S)))
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
