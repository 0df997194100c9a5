"""Storms are let in gradually, in a fair line; nobody is forgotten inside or outside."""

import asyncio

from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.back_off import BackOff
from proxy.turnstile import Turnstile


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def turnstile(at_once: int = 2, most_waiting: int = 100, patience_s: float = 5.0) -> tuple[Turnstile, Clock]:
    clock = Clock()
    return Turnstile(at_once, most_waiting, patience_s, clock), clock


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def waiting(gate: Turnstile, *names: str) -> "dict[str, asyncio.Task]":
    tasks = {}
    for name in names:
        tasks[name] = asyncio.get_running_loop().create_task(gate.enter(name))
        await settle()
    return tasks


async def test_so_many_at_once_and_the_rest_in_the_order_of_arrival():
    gate, _ = turnstile()
    tasks = await waiting(gate, "a", "b", "c", "d")
    assert [name for name, task in tasks.items() if task.done()] == ["a", "b"]
    gate.leave("a", False)
    await settle()
    assert tasks["c"].result() == ("in", False)
    assert not tasks["d"].done()
    gate.leave("b", False)
    assert (await tasks["d"])[0] == "in"


async def test_a_newer_connection_takes_the_place_of_the_one_that_waits():
    gate, _ = turnstile(at_once=1)
    tasks = await waiting(gate, "a", "b")
    again = asyncio.get_running_loop().create_task(gate.enter("b"))
    await settle()
    assert tasks["b"].result()[0] == "overtaken"
    assert gate.waiting == 1
    gate.leave("a", False)
    assert (await again)[0] == "in"


async def test_who_waits_too_long_or_finds_no_room_is_told():
    gate, _ = turnstile(at_once=1, most_waiting=1, patience_s=0.01)
    tasks = await waiting(gate, "a", "b", "c")
    assert tasks["c"].result()[0] == "full"
    assert (await tasks["b"])[0] == "late"
    assert gate.waiting == 0


async def test_those_that_reconnect_all_the_time_delay_no_neighbour():
    """They fill the line as fast as they can, and still the calm ones behind them go first."""
    gate, clock = turnstile(at_once=4)
    hammering = ("h1", "h2", "h3", "h4")
    for _ in range(3):
        for name in hammering:
            assert await gate.enter(name) == ("in", False)
            gate.leave(name, False)
        clock.now_s += 1
    restless = await waiting(gate, *hammering)
    assert [task.done() for task in restless.values()] == [True, True, True, False]  # a quarter stays free
    again = (await waiting(gate, "h1"))["h1"]
    calm = await waiting(gate, "a", "b")
    assert [task.done() for task in calm.values()] == [True, False]
    gate.leave("h1", True)
    await settle()
    assert calm["b"].result() == ("in", False)
    assert not restless["h4"].done()
    gate.leave("a", False)
    await settle()
    assert not again.done()
    assert restless["h4"].result() == ("in", True)
    gate.leave("b", False)
    gate.leave("h2", True)
    assert (await again) == ("in", True)
    for name in ("h1", "h3", "h4"):
        gate.leave(name, True)
    clock.now_s += 1000
    assert await gate.enter("h1") == ("in", False)  # it has calmed down


STEPS = st.lists(st.tuples(st.sampled_from(["enter", "leave", "cancel"]), st.integers(0, 5)), max_size=60)


@settings(max_examples=100, deadline=None)
@given(STEPS, st.integers(1, 3))
def test_room_is_never_exceeded_and_never_lost(steps, at_once):
    async def run() -> None:
        gate, clock = turnstile(at_once=at_once, most_waiting=3)
        tasks: list[asyncio.Task] = []
        inside: list[tuple[str, bool]] = []
        names: dict[asyncio.Task, str] = {}

        def gather() -> None:
            for task in [task for task in tasks if task.done()]:
                tasks.remove(task)
                if not task.cancelled() and task.result()[0] == "in":
                    inside.append((names[task], task.result()[1]))
            assert len(inside) <= at_once
            restless = [name for name, is_restless in inside if is_restless]
            assert len(restless) == len(set(restless)) <= max(1, at_once - max(1, at_once // 4))

        for step, number in steps:
            clock.now_s += 0.1
            if step == "enter":
                tasks.append(asyncio.get_running_loop().create_task(gate.enter(f"CP{number}")))
                names[tasks[-1]] = f"CP{number}"
            elif step == "leave" and inside:
                gate.leave(*inside.pop())
            elif step == "cancel" and tasks:
                tasks[number % len(tasks)].cancel()
            if number % 2:  # else several things happen before anybody runs
                await settle()
                gather()
        await settle()
        gather()
        for _ in range(100):
            while inside:
                gate.leave(*inside.pop())
            await settle()
            gather()
            if not tasks and not inside:
                break
        assert gate.waiting == 0
        clock.now_s += 1000
        for number in range(at_once):
            assert await gate.enter(f"new{number}") == ("in", False)

    asyncio.run(run())


def test_failures_cost_more_each_time_and_are_forgotten():
    back_off = BackOff(free=3, base_s=1.0, most_s=60.0)
    for _ in range(2):
        back_off.failed("a", 0.0)
    assert back_off.wait_s("a", 0.0) == 0.0
    waits = []
    for _ in range(10):
        back_off.failed("a", 0.0)
        waits.append(back_off.wait_s("a", 0.0))
    assert waits[:4] == [1.0, 2.0, 4.0, 8.0]
    assert waits[-1] == 60.0
    assert back_off.wait_s("b", 0.0) == 0.0
    assert back_off.wait_s("a", 61.0) == 0.0
    back_off.failed("a", 61.0)
    assert back_off.wait_s("a", 61.0) == 0.0
    for _ in range(5):
        back_off.failed("a", 61.0)
    back_off.succeeded("a")
    assert back_off.wait_s("a", 61.0) == 0.0


def test_a_flood_of_names_does_not_fill_the_memory():
    back_off = BackOff(free=1, base_s=1.0, most_s=60.0, capacity=10)
    for number in range(100):
        back_off.failed(number, 0.0)
    assert back_off.wait_s(0, 0.0) == 0.0
    assert back_off.wait_s(99, 0.0) == 1.0
