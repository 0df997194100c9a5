"""Processes in virtual time: what belongs together can be paused and killed, as an operating system does it.

All that a coroutine started in a process's `context()` schedules belongs to that process, and so do the callbacks of
the sockets that it opens. A paused process runs nothing: what comes for it waits, and its timers are late. A killed one
never runs again: no `finally`, no last word.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, ContextVar, copy_context
from enum import StrEnum
from typing import Any, Protocol

_CURRENT: ContextVar["VirtualProcess | None"] = ContextVar("virtual_process", default=None)


class State(StrEnum):
    """Of a process."""

    RUNNING = "running"
    PAUSED = "paused"
    KILLED = "killed"


class Socket(Protocol):
    """What a process holds open; the operating system closes it when the process is gone."""

    def owner_died(self, *, silently: bool) -> None:
        """Its owner is gone: tell the peer, unless the whole machine went with it."""
        ...


class VirtualProcess:
    """One process. Make it inside virtual time; start coroutines with `start`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.state = State.RUNNING
        self._parked: deque[tuple[Context, Callable[..., object], tuple[Any, ...]]] = deque()
        self._sockets: dict[int, Socket] = {}
        self._tasks: list[asyncio.Task[Any]] = []
        self._cut_short: list[tuple[asyncio.Task[Any], Context, Callable[..., object], tuple[Any, ...]]] = []

    def context(self) -> Context:
        """A context in which everything that is scheduled belongs to this process."""
        context = copy_context()
        context.run(_CURRENT.set, self)
        return context

    def start(self, work: Coroutine[Any, Any, Any]) -> "asyncio.Task[Any]":
        """Run a coroutine in this process. It is held for ever, so that a killed one's remains disturb nobody."""
        task = asyncio.get_running_loop().create_task(work, context=self.context())
        self._tasks.append(task)
        return task

    def hold(self, socket: Socket) -> None:
        """A socket is open in this process."""
        self._sockets[id(socket)] = socket

    def drop(self, socket: Socket) -> None:
        """A socket is closed."""
        self._sockets.pop(id(socket), None)

    def pause(self) -> None:
        """Stop where it is (SIGSTOP); nothing happens to one that is killed."""
        if self.state is State.RUNNING:
            self.state = State.PAUSED

    def resume(self) -> None:
        """Go on (SIGCONT), with all that has come meanwhile in the order in which it came."""
        if self.state is State.PAUSED:
            self.state = State.RUNNING
            self._unpark()

    def kill(self, *, silently: bool = False) -> None:
        """End it at once (SIGKILL); its peers see their sockets closed, or nothing if it went `silently` (power)."""
        self.state = State.KILLED
        self._parked.clear()
        sockets, self._sockets = self._sockets, {}
        for socket in sockets.values():
            socket.owner_died(silently=silently)

    def bury(self) -> None:
        """The run is over: let what is left of it be cancelled like everything else."""
        self.state = State.RUNNING
        self._unpark()
        cut_short, self._cut_short = self._cut_short, []
        for task, context, callback, args in cut_short:
            # Its next step was due when the process was killed: only that step can end it.
            task.cancel()
            asyncio.get_running_loop().call_soon(callback, *args, context=context)

    def run(self, context: Context, callback: Callable[..., object], args: tuple[Any, ...]) -> None:
        """Call back if the process runs; later if it is paused; never if it was killed. To be called in `context`."""
        if self.state is State.RUNNING:
            callback(*args)
        elif self.state is State.PAUSED:
            self._parked.append((context, callback, args))
        elif isinstance(task := getattr(callback, "__self__", None), asyncio.Task):
            self._cut_short.append((task, context, callback, args))

    def _unpark(self) -> None:
        loop = asyncio.get_running_loop()
        while self._parked:
            context, callback, args = self._parked.popleft()
            loop.call_soon(callback, *args, context=context)


def process_of(context: Context | None) -> VirtualProcess | None:
    """The process that a context (without one: the present one) belongs to."""
    return _CURRENT.get() if context is None else context.get(_CURRENT)
