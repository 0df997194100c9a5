"""Runs the service's parts under one TaskGroup, owns the signals, and shuts down under one deadline."""

import asyncio
import contextlib
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator, Sequence

import structlog
import uvicorn

from domain.errors import HeadroomError

log = structlog.get_logger()

SHUTDOWN_LIMIT_S = 8.0
"""SIGTERM ends the process within 10 s; this leaves room for the interpreter."""


class ApiServer(uvicorn.Server):
    """uvicorn without its signal handling: signals are the supervisor's alone. `answering` is set when it serves."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.answering = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to serve."""
        await super().startup(sockets)
        self.answering.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals where they are."""
        yield


class _StopError(Exception):
    """Ends the TaskGroup."""


async def supervise(
    parts: Sequence[Callable[[], Awaitable[object]]],
    *,
    shut_down: Callable[[], Awaitable[None]],
    stop: asyncio.Event,
    limit_s: float = SHUTDOWN_LIMIT_S,
) -> None:
    """Run `parts` until `stop` is set, a signal arrives or one of them fails; then `shut_down` within `limit_s`.

    A part that returns is not missed; one that raises ends the service with its exception.
    """
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        async with asyncio.TaskGroup() as group:
            for part in parts:
                group.create_task(_run(part))
            await _until_stopped(stop, shut_down, limit_s)
            raise _StopError
    except BaseExceptionGroup as group:
        _, failures = group.split(_StopError)
        if failures is not None:
            raise _told_to_people(failures) from None
        log.info("service_stopped")
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


def _told_to_people(failures: BaseExceptionGroup) -> BaseException:
    """An error that tells what to do, if one is among them; else all of them."""
    ours = failures.subgroup(HeadroomError)
    while ours is not None and isinstance(ours, BaseExceptionGroup):
        first = ours.exceptions[0]
        if not isinstance(first, BaseExceptionGroup):
            return first
        ours = first
    return failures


async def _run(part: Callable[[], Awaitable[object]]) -> None:
    await part()


async def _until_stopped(stop: asyncio.Event, shut_down: Callable[[], Awaitable[None]], limit_s: float) -> None:
    try:
        await stop.wait()
    finally:
        try:
            async with asyncio.timeout(limit_s):
                await shut_down()
        except TimeoutError:
            log.warning("shutdown_cut_short", limit_s=limit_s)
