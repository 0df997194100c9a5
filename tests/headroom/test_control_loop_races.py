"""What changes while a decision is thought out, or while the disk is slow: nothing rises on old knowledge."""

import asyncio
from datetime import timedelta

import pytest
from loop_world import IDS, SITE, START, Loop, Scripted

from domain.commands import ApplySetpoint
from domain.events import SessionEnded
from headroom import waiting
from inventory.records import LedgerRecord, Record
from simulators import virtual_time


async def held_at(amps: float, decider: Scripted) -> Loop:
    """A control loop, not running, whose EVSEs all obey this limit."""
    loop = Loop(decider)
    await loop.open()
    await loop.settled_at(amps)
    return loop


async def ended(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def test_the_ledger_is_durable_before_the_frame() -> None:
    """Whatever was sent as an increase stands in the database when it is sent."""

    async def main() -> None:
        loop = Loop(Scripted(dict.fromkeys(IDS, 6.0)))
        await loop.open()
        written: list[LedgerRecord] = []
        put = loop.store.put

        def noting(*records: Record) -> None:
            written.extend(record for record in records if isinstance(record, LedgerRecord))
            put(*records)

        loop.store.put = noting  # type: ignore[method-assign]
        await loop.live(1)
        sent = {command.evse: command.limit_a for command in loop.commands()}
        newest = {record.evse: record.entry.limit_a for record in written}
        assert sent == newest
        assert START + timedelta(seconds=1) >= loop.clock.now()

    virtual_time.run(main, start=START)


def test_a_slow_disk_delays_no_reduction() -> None:
    async def main() -> None:
        limits = dict.fromkeys(IDS, 6.0)
        loop = await held_at(6.0, Scripted(limits))
        loop.store.moving.clear()
        task = asyncio.get_running_loop().create_task(loop.controller.run())
        limits[IDS[0]] = 12.0
        loop.controller.trigger("test")
        await asyncio.sleep(0.1)
        limits[IDS[1]] = 0.0
        loop.controller.trigger("test")
        await asyncio.sleep(0.1)
        assert [(c.evse, c.limit_a) for c in loop.commands()] == [(IDS[1], 0.0)]
        loop.store.moving.set()
        await asyncio.sleep(0.1)
        assert [(c.evse, c.limit_a) for c in loop.commands()[1:]] == [(IDS[0], 12.0)]
        await ended(task)

    virtual_time.run(main, start=START)


def test_an_increase_that_a_newer_decision_takes_back_is_not_sent_when_the_disk_is_done() -> None:
    async def main() -> None:
        limits = dict.fromkeys(IDS, 6.0)
        loop = await held_at(6.0, Scripted(limits))
        loop.store.moving.clear()
        task = asyncio.get_running_loop().create_task(loop.controller.run())
        for amps in (12.0, 6.0):
            limits[IDS[0]] = amps
            loop.controller.trigger("test")
            await asyncio.sleep(0.1)
        loop.store.moving.set()
        await asyncio.sleep(0.1)
        assert {(c.evse, c.limit_a) for c in loop.commands()} == {(IDS[0], 6.0)}
        await ended(task)

    virtual_time.run(main, start=START)


def test_an_increase_that_was_never_durable_is_not_repeated_either() -> None:
    async def main() -> None:
        limits = dict.fromkeys(IDS, 6.0)
        loop = await held_at(6.0, Scripted(limits))
        loop.store.broken = True
        limits[IDS[0]] = 12.0
        loop.controller.trigger("test")
        await loop.live(60)
        assert not [c for c in loop.commands() if c.limit_a > 6.0]
        loop.store.broken = False
        await loop.live(20)
        assert [c.limit_a for c in loop.commands() if c.evse == IDS[0]][-1] == 12.0
        assert loop.log.index("flushed") < next(
            at for at, c in enumerate(loop.log) if isinstance(c, ApplySetpoint) and c.limit_a == 12.0
        )

    virtual_time.run(main, start=START)


def test_load_that_comes_while_a_decision_is_thought_out_stops_its_increases_alone() -> None:
    async def main() -> None:
        limits = dict.fromkeys(IDS, 6.0)
        loop = await held_at(6.0, decider := Scripted(limits))
        decider.thinks_s = 0.5
        task = asyncio.get_running_loop().create_task(loop.controller.run())
        limits.update({IDS[0]: 30.0, IDS[3]: 0.0})
        loop.controller.trigger("test")
        await asyncio.sleep(0.2)
        loop.metered(150.0)
        await asyncio.sleep(0.4)
        await ended(task)
        assert [(c.evse, c.limit_a) for c in loop.commands()] == [(IDS[3], 0.0)]

    virtual_time.run(main, start=START)


def test_a_car_that_leaves_while_a_decision_is_thought_out_gets_no_increase() -> None:
    async def main() -> None:
        limits = dict.fromkeys(IDS, 6.0)
        loop = await held_at(6.0, decider := Scripted(limits))
        decider.thinks_s = 0.5
        task = asyncio.get_running_loop().create_task(loop.controller.run())
        limits.update({IDS[0]: 12.0, IDS[1]: 12.0})
        loop.controller.trigger("test")
        await asyncio.sleep(0.2)
        loop.controller.handle(SessionEnded(SITE.chargers[0].id, 1, loop.clock.now(), "t0"))
        await asyncio.sleep(0.4)
        await ended(task)
        assert [(c.evse, c.limit_a) for c in loop.commands()] == [(IDS[1], 12.0)]

    virtual_time.run(main, start=START)


def test_after_the_fall_back_nothing_rises_again() -> None:
    async def main() -> None:
        limits = dict.fromkeys(IDS, 12.0)
        loop = await held_at(12.0, decider := Scripted(limits))
        decider.thinks_s = 0.5
        task = asyncio.get_running_loop().create_task(loop.controller.run())
        limits[IDS[0]] = 20.0
        loop.controller.trigger("test")
        await asyncio.sleep(0.2)
        loop.controller.fall_back()
        loop.accept_all()
        await asyncio.wait_for(task, 5)
        assert [(c.evse, c.limit_a) for c in loop.commands()] == [(e.id, e.failsafe_a) for e in SITE.evses]

    virtual_time.run(main, start=START)


def test_limits_go_by_the_handful_and_none_after_the_hand_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "_HANDFUL", 1)

    async def main() -> None:
        for amps, sent in ((6.0, 4), (20.0, 4), (6.0, 1), (20.0, 1)):
            limits = dict.fromkeys(IDS, 12.0)
            loop = await held_at(12.0, Scripted(limits))
            task = asyncio.get_running_loop().create_task(loop.controller.run())
            limits.update(dict.fromkeys(IDS, amps))
            loop.controller.trigger("test")
            while not loop.commands():
                await asyncio.sleep(0)
            assert len(loop.commands()) == 1, "others have their turn after each"
            if sent == 1:
                loop.controller.hand_over()
            await asyncio.sleep(0.1)
            assert [(c.evse, c.limit_a) for c in loop.commands()] == [(evse, amps) for evse in IDS[:sent]]
            assert [loop.controller.picture.entry(evse).limit_a for evse in IDS[sent:]] == [12.0] * (4 - sent)
            await ended(task)

    virtual_time.run(main, start=START)
