"""Waiting for an event or for the clock, whichever comes first; how long to rest, and when others have a turn."""

import asyncio
from collections.abc import AsyncGenerator, Iterable
from typing import Final, TypeVar

from domain.ports import Clock

T = TypeVar("T")

_REST_S: Final = 0.001
"""For each EVSE."""
_LONGEST_REST_S: Final = 0.5
"""Of a site whose decisions are quick."""
_RESTS: Final = 5.0
"""So many times what the decision took."""
_SLOWEST_REST_S: Final = 2.0
_HANDFUL: Final = 16
"""Limits that are sent in one go: some 5 ms."""


class Bell:
    """Rung by anybody, waited for by one: what `asyncio.Event` is, without a task for each wait."""

    def __init__(self) -> None:
        self._rung = False
        self._waiting: asyncio.Future[None] | None = None

    def ring(self) -> None:
        """It has rung, until `clear`."""
        self._rung = True
        self._let_go()

    def clear(self) -> None:
        """It has not rung."""
        self._rung = False

    async def wait_at_most(self, clock: Clock, seconds: float) -> bool:
        """Wait until it has rung or `clock` has advanced by `seconds`; whether it has rung."""
        if self._rung or seconds <= 0:
            await asyncio.sleep(0)  # a loop around this must let others run
            return self._rung
        alarm = asyncio.get_running_loop().create_task(clock.sleep(seconds))
        alarm.add_done_callback(self._let_go)
        try:
            await self._until_let_go()
        finally:
            alarm.remove_done_callback(self._let_go)
            alarm.cancel()
        return self._rung

    async def wait(self) -> None:
        """Wait until it has rung."""
        if not self._rung:
            await self._until_let_go()

    async def _until_let_go(self) -> None:
        self._waiting = asyncio.get_running_loop().create_future()
        try:
            await self._waiting
        finally:
            self._waiting = None

    def _let_go(self, _: object = None) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(None)


def unless_cancelled() -> None:
    """Go on as cancelled where this task was: what waits for another machine may tell of its trouble instead.

    To be called wherever trouble is survived.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def rest_s(evses: int, took_s: float) -> float:
    """How long a site of so many EVSEs rests after a decision that took so long, unless more than a sample comes.

    All by the site's clock, so that virtual time plays alike each time. Samples wait for the end of it: a large site is
    sampled all the time, and a slow machine must not decide all the time.
    """
    return max(min(_LONGEST_REST_S, _REST_S * evses), min(_SLOWEST_REST_S, _RESTS * took_s))


async def in_handfuls(work: Iterable[T]) -> AsyncGenerator[T, None]:
    """The pieces of work one by one; between handfuls of them everybody else has a turn."""
    for number, piece in enumerate(work, 1):
        yield piece
        if number % _HANDFUL == 0:
            await asyncio.sleep(0)
