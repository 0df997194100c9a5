"""Time that costs nothing: an event loop that never waits, and the clock that reads it.

When nothing is ready, the loop's time jumps to the next timer. All asyncio code that takes its time from `loop.time()`
or from a `Clock` runs unchanged and in the same order every time; what needs the outside world (threads, sockets,
processes) is refused, because the world's time does not pass here.
"""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextvars import Context, copy_context
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, NoReturn, TypeVar, TypeVarTuple, Unpack

from domain.errors import HeadroomError
from simulators.processes import process_of

T = TypeVar("T")
Args = TypeVarTuple("Args")

_REFUSED = {
    "run_in_executor": "threads",
    "create_connection": "sockets (dial through a MemoryNetwork)",
    "create_server": "sockets (listen through a MemoryNetwork)",
    "create_datagram_endpoint": "sockets",
    "create_unix_connection": "sockets",
    "create_unix_server": "sockets",
    "getaddrinfo": "name service",
    "subprocess_exec": "processes",
    "subprocess_shell": "processes",
    "add_reader": "file descriptors",
    "add_writer": "file descriptors",
    "add_signal_handler": "signal handlers",
}
"""What an event loop offers and this one cannot."""


class VirtualTimeError(HeadroomError):
    """Something that virtual time cannot do, or a run in which nothing can ever happen again."""


class VirtualTimeLoop(asyncio.BaseEventLoop):
    """An event loop whose `time()` starts at 0 and advances only by jumping to the next timer."""

    def __init__(self, start: datetime) -> None:
        super().__init__()
        self.start = start.astimezone(UTC)
        self._now_s = 0.0
        # After a year a float's last digit is 4 ns: with a finer resolution than that a due timer would never be due.
        self._clock_resolution = 1e-6
        self._selector = _NeverWaiting(self)
        self.set_task_factory(_numbered_tasks())
        for name, what in _REFUSED.items():
            setattr(self, name, partial(self._refuse, f"{what} ({name})"))

    def time(self) -> float:
        """Virtual seconds since the start."""
        return self._now_s

    def advance(self, seconds: float | None) -> None:
        """Let time pass until the next timer; None means that there is none, which is an error."""
        if seconds is None:
            raise VirtualTimeError(f"virtual time stands still at {self._instant()}: {self._who_waits()}")
        self._now_s += seconds

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """There is none."""

    def call_soon(
        self, callback: Callable[[Unpack[Args]], object], *args: *Args, context: Context | None = None
    ) -> asyncio.Handle:
        """As of any loop; what belongs to a `VirtualProcess` runs only while that does."""
        if (process := process_of(context)) is None:
            return super().call_soon(callback, *args, context=context)
        own = context or copy_context()
        return super().call_soon(process.run, own, callback, args, context=own)

    def call_at(
        self, when: float, callback: Callable[[Unpack[Args]], object], *args: *Args, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """As of any loop; what belongs to a `VirtualProcess` runs only while that does."""
        if (process := process_of(context)) is None:
            return super().call_at(when, callback, *args, context=context)
        own = context or copy_context()
        return super().call_at(when, process.run, own, callback, args, context=own)

    def call_soon_threadsafe(
        self, callback: Callable[[Unpack[Args]], object], *args: *Args, context: Context | None = None
    ) -> asyncio.Handle:
        """`call_soon`, from the loop's own thread (a signal handler); `VirtualTimeError` from any other."""
        if asyncio._get_running_loop() is not self:
            self._refuse("calls from another thread")
        return self.call_soon(callback, *args, context=context)

    def _process_events(self, event_list: list[Any]) -> None:
        """There are no file descriptors, hence no events."""

    def _refuse(self, what: str, *_: object, **__: object) -> NoReturn:
        raise VirtualTimeError(f"virtual time has no {what}: its time does not pass while the world's does")

    def _instant(self) -> str:
        return f"{self.start + timedelta(seconds=self._now_s):%Y-%m-%d %H:%M:%S}"

    def _who_waits(self) -> str:
        names = sorted(f"{task.get_name()} ({_where(task)})" for task in asyncio.all_tasks(self))
        return "nothing is scheduled, and these wait for ever: " + (", ".join(names) or "no task at all")


class _NeverWaiting:
    """What the loop takes for its selector: it lets virtual time pass instead of waiting."""

    def __init__(self, loop: VirtualTimeLoop) -> None:
        self._loop = loop

    def select(self, timeout: float | None) -> tuple[()]:
        if timeout != 0:
            self._loop.advance(timeout)
        return ()


class _NumberedTask(asyncio.Task[Any]):
    """A task that hashes by its number, so that asyncio's sets of tasks have the same order in every run."""

    def __init__(self, coro: Any, number: int, **kwargs: Any) -> None:
        self._number = number  # before the base registers the task, which hashes it
        super().__init__(coro, **kwargs)

    def __hash__(self) -> int:
        return self._number


def _numbered_tasks() -> Callable[..., "asyncio.Future[Any]"]:
    numbers = itertools.count()

    def make(
        loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, Any] | Generator[Any, None, Any], **kwargs: Any
    ) -> _NumberedTask:
        return _NumberedTask(coro, next(numbers), loop=loop, **kwargs)

    return make


def _where(task: asyncio.Task[Any]) -> str:
    waiting: Any = task.get_coro()
    while getattr(getattr(waiting, "cr_await", None), "cr_frame", None) is not None:
        waiting = waiting.cr_await
    if (frame := getattr(waiting, "cr_frame", None)) is None:
        return "ended"
    return f"{frame.f_code.co_qualname} line {frame.f_lineno}"


class VirtualClock:
    """The `Clock` of the virtual time that is running: make it inside `run`."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        if not isinstance(loop, VirtualTimeLoop):
            raise VirtualTimeError("a VirtualClock needs virtual time: make it inside simulators.virtual_time.run")
        self._loop = loop

    def now(self) -> datetime:
        """The present virtual instant, aware, UTC."""
        return self._loop.start + timedelta(seconds=self._loop.time())

    async def sleep(self, seconds: float) -> None:
        """Wait until `now()` has advanced by `seconds`, which takes no time outside."""
        await asyncio.sleep(seconds)


def run(main: Callable[[], Awaitable[T]], *, start: datetime) -> T:
    """Run `main()` to its end in virtual time, on a loop of its own.

    Args:
        main: makes the coroutine to run; everything it needs is to be made inside it.
        start: what `VirtualClock.now()` shows at the beginning, aware.

    Returns:
        what `main` returns.

    Raises:
        VirtualTimeError: nothing can happen any more, something asked for threads, sockets or processes, or a
            callback failed (its exception is the cause).
    """
    if start.tzinfo is None:
        raise VirtualTimeError(f"virtual time starts at {start}, which has no time zone: give an aware datetime")
    failures: list[dict[str, Any]] = []

    async def watched() -> T:
        loop = asyncio.get_running_loop()
        me = asyncio.current_task()

        def failed(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
            failures.append(context)
            if me is not None:
                me.cancel()

        loop.set_exception_handler(failed)
        return await main()

    with asyncio.Runner(loop_factory=lambda: VirtualTimeLoop(start)) as runner:
        try:
            return runner.run(watched())
        except asyncio.CancelledError:
            if not failures:
                raise
        first = failures[0]
        raise VirtualTimeError(f"a callback failed: {first.get('message')}") from first.get("exception")
