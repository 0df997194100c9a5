"""Virtual time passes without waiting, in the same order every time, and refuses what it cannot play."""

import asyncio
import random
import signal
import threading
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta, timezone

import pytest

from simulators.virtual_time import VirtualClock, VirtualTimeError, run

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_a_year_passes_at_once_and_the_clock_shows_it() -> None:
    async def main() -> tuple[datetime, datetime]:
        clock = VirtualClock()
        before = clock.now()
        await clock.sleep(365 * 86400)
        return before, clock.now()

    assert run(main, start=START) == (START, START + timedelta(days=365))


def test_the_clock_shows_utc_whatever_the_start_is_written_in() -> None:
    async def main() -> datetime:
        return VirtualClock().now()

    written = datetime(2026, 3, 1, 13, tzinfo=timezone(timedelta(hours=1)))
    assert run(main, start=written) == START
    assert run(main, start=written).tzinfo is UTC


def test_time_does_not_pass_while_there_is_work() -> None:
    async def main() -> float:
        for _ in range(1000):
            await asyncio.sleep(0)
        return asyncio.get_running_loop().time()

    assert run(main, start=START) == 0.0


def test_timers_fire_at_their_own_instant_in_order() -> None:
    async def main() -> list[tuple[float, str]]:
        loop = asyncio.get_running_loop()
        seen: list[tuple[float, str]] = []
        for delay, name in ((3.0, "c"), (1.0, "a"), (2.0, "b"), (1.0, "a2")):
            loop.call_later(delay, lambda name=name: seen.append((loop.time(), name)))
        loop.call_later(1.5, lambda: seen.append((0.0, "never"))).cancel()
        await asyncio.sleep(5)
        return seen

    assert run(main, start=START) == [(1.0, "a"), (1.0, "a2"), (2.0, "b"), (3.0, "c")]


def test_time_outs_work_in_virtual_time() -> None:
    async def main() -> float:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3600):
                await asyncio.get_running_loop().create_future()
        return asyncio.get_running_loop().time()

    assert run(main, start=START) == 3600.0


def test_a_stand_still_is_an_error_that_names_who_waits() -> None:
    async def main() -> None:
        await asyncio.sleep(60)
        await asyncio.get_running_loop().create_future()

    with pytest.raises(VirtualTimeError, match=r"stands still at 2026-03-01 12:01:00.*wait for ever.*main"):
        run(main, start=START)


async def _signal() -> None:
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, print)


@pytest.mark.parametrize(
    ("use", "what"),
    [
        (lambda: asyncio.to_thread(print), "threads"),
        (lambda: asyncio.open_connection("127.0.0.1", 9), "sockets.*MemoryNetwork"),
        (lambda: asyncio.start_server(lambda r, w: None, "127.0.0.1", 0), "sockets.*MemoryNetwork"),
        (lambda: asyncio.create_subprocess_exec("true"), "processes"),
        (_signal, "signal handlers"),
    ],
)
def test_what_needs_the_outside_world_is_refused(use: Callable[[], Awaitable[object]], what: str) -> None:
    async def main() -> None:
        await use()

    with pytest.raises(VirtualTimeError, match=what):
        run(main, start=START)


def test_a_call_from_another_thread_is_refused_there() -> None:
    errors: list[Exception] = []

    async def main() -> None:
        loop = asyncio.get_running_loop()

        def elsewhere() -> None:
            try:
                loop.call_soon_threadsafe(print)
            except VirtualTimeError as error:
                errors.append(error)

        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        loop.call_soon_threadsafe(errors.append, ValueError("from our own thread it is fine"))
        await asyncio.sleep(1)

    run(main, start=START)
    assert [type(error) for error in errors] == [VirtualTimeError, ValueError]


def test_a_callback_that_fails_ends_the_run() -> None:
    async def main() -> None:
        asyncio.get_running_loop().call_later(5, lambda: 1 / 0)
        await asyncio.sleep(10**9)

    with pytest.raises(VirtualTimeError, match="callback failed") as failure:
        run(main, start=START)
    assert isinstance(failure.value.__cause__, ZeroDivisionError)


def test_a_naive_start_and_a_clock_outside_are_refused() -> None:
    async def main() -> None:
        await asyncio.sleep(0)

    with pytest.raises(VirtualTimeError, match="no time zone"):
        run(main, start=START.replace(tzinfo=None))

    async def real() -> None:
        VirtualClock()

    with pytest.raises(VirtualTimeError, match=r"virtual_time\.run"):
        asyncio.run(real())


def test_the_same_program_runs_in_the_same_order_each_time() -> None:
    def once() -> list[tuple[float, int]]:
        journal: list[tuple[float, int]] = []
        rng = random.Random(7)

        async def worker(number: int) -> None:
            try:
                while True:
                    await asyncio.sleep(rng.choice([0.0, 0.5, 1.0, 1.0]))
                    journal.append((asyncio.get_running_loop().time(), number))
            finally:  # a group cancels out of a set: its order must not come from memory addresses
                journal.append((-1.0, number))

        async def main() -> None:
            async with asyncio.TaskGroup() as group:
                for number in range(40):
                    group.create_task(worker(number))
                group.create_task(_fail_after(30))

        with pytest.raises(ExceptionGroup):
            run(main, start=START)
        return journal

    clutter = [object() for _ in range(1000)]
    first = once()
    clutter.extend([object() for _ in range(12345)])
    assert len(first) > 1000
    assert once() == first


async def _fail_after(seconds: float) -> None:
    await asyncio.sleep(seconds)
    raise RuntimeError("enough")
