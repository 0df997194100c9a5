"""The hub: reductions first, increases only when durable, bursts merged, limits renewed before their dead-man step."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

from loop_world import IDS, SITE, START, Loop, Scripted

from domain.commands import ApplySetpoint
from domain.events import ChargerConnected, SessionStarted
from domain.ids import ChargerId
from inventory.repository import save_site
from simulators import virtual_time


def test_reductions_go_first_and_increases_only_once_they_are_durable() -> None:
    async def main() -> None:
        limits = dict.fromkeys(IDS, 6.0)
        decider = Scripted(limits)
        loop = Loop(decider)
        await loop.open()
        await loop.live(1)
        loop.accept_all()
        loop.log.clear()
        limits.update({IDS[0]: 16.0, IDS[1]: 0.0, IDS[2]: 20.0})
        loop.controller.trigger("test")
        await loop.live(1)
        sent = [(c.evse, c.urgent) if isinstance(c, ApplySetpoint) else c for c in loop.log]
        assert sent.index((IDS[1], True)) < sent.index("flushed") < sent.index((IDS[0], False))
        assert sent.index("flushed") < sent.index((IDS[2], False))
        restored = await loop.store.query(lambda conn: conn.exec_driver_sql("select count(*) from ledger").scalar())
        assert restored == len(IDS)

    virtual_time.run(main, start=START)


def test_without_a_database_nothing_rises_and_everything_may_fall() -> None:
    async def main() -> None:
        limits = dict.fromkeys(IDS, 10.0)
        loop = Loop(Scripted(limits))
        await loop.open()
        await loop.live(1)
        loop.accept_all()
        loop.log.clear()
        loop.store.broken = True
        limits.update({IDS[0]: 20.0, IDS[1]: 6.0})
        loop.controller.trigger("test")
        await loop.live(1)
        assert [(c.evse, c.limit_a) for c in loop.commands()] == [(IDS[1], 6.0)]

    virtual_time.run(main, start=START)


def test_a_burst_of_events_is_answered_by_one_decision() -> None:
    async def main() -> None:
        decider = Scripted(dict.fromkeys(IDS, 6.0), thinks_s=0.5)
        loop = Loop(decider)
        await loop.open()
        task = asyncio.get_running_loop().create_task(loop.controller.run())
        await asyncio.sleep(0.1)
        asked = len(decider.triggers)
        for number, charger in enumerate(SITE.chargers):
            loop.controller.handle(SessionStarted(charger.id, 1, loop.clock.now(), f"t{number}"))
        await asyncio.sleep(0.6)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert len(decider.triggers) == asked + 1
        assert all(charger.id in decider.triggers[-1] for charger in SITE.chargers)

    virtual_time.run(main, start=START)


def test_a_limit_above_its_fall_back_is_renewed_in_time_and_one_at_it_is_left_alone() -> None:
    async def main() -> None:
        limits = dict.fromkeys(IDS, 0.0) | {IDS[0]: 12.0}
        assert SITE.evses[0].failsafe_a < 12.0
        loop = Loop(Scripted(limits))
        await loop.open()
        await loop.live(1)
        loop.accept_all()
        loop.log.clear()
        await loop.live(SITE.control.deadman_s)
        renewed = [c.at for c in loop.commands() if c.evse == IDS[0]]
        assert len(renewed) >= 2
        apart = [(b - a).total_seconds() for a, b in pairwise(renewed)]
        assert max(apart, default=0.0) <= SITE.control.deadman_s / 2
        assert all(c.evse == IDS[0] and c.limit_a == 12.0 for c in loop.commands())

    virtual_time.run(main, start=START)


def test_a_charger_without_a_link_is_sent_nothing_and_an_unknown_one_is_nobodys_business() -> None:
    async def main() -> None:
        loop = Loop(Scripted(dict.fromkeys(IDS, 6.0)))
        await loop.store.transact(lambda conn: save_site(conn, SITE, START))
        loop.controller.handle(ChargerConnected(ChargerId("stranger"), loop.clock.now(), "ocpp1.6"))
        loop.controller.handle(ChargerConnected(SITE.chargers[1].id, loop.clock.now(), "ocpp1.6"))
        await loop.live(1)
        assert {c.charger for c in loop.commands()} == {SITE.chargers[1].id}

    virtual_time.run(main, start=START)


def test_at_the_end_every_limit_is_lowered_to_its_fall_back() -> None:
    async def main() -> None:
        loop = Loop(Scripted(dict.fromkeys(IDS, 14.0)))
        await loop.open()
        await loop.live(1)
        loop.accept_all()
        loop.log.clear()
        loop.controller.fall_back()
        assert [(c.evse, c.limit_a, c.urgent) for c in loop.commands()] == [
            (evse.id, evse.failsafe_a, True) for evse in SITE.evses
        ]

    virtual_time.run(main, start=START)


def test_a_fault_of_control_lowers_to_the_fall_backs_and_control_goes_on() -> None:
    async def main() -> None:
        decider = Scripted(dict.fromkeys(IDS, 12.0))
        loop = Loop(decider)
        await loop.open()
        await loop.settled_at(12.0)
        decider.faults = 2
        loop.controller.trigger("test")
        await loop.live(0.1)
        assert {(c.evse, c.limit_a) for c in loop.commands()} == {(e.id, e.failsafe_a) for e in SITE.evses}
        await loop.live(30)
        assert {c.limit_a for c in loop.commands()[len(IDS) :]} == {12.0}

    virtual_time.run(main, start=START)


def test_a_limit_below_its_fall_back_is_renewed_too_for_the_dead_man_step_would_raise_it() -> None:
    async def main() -> None:
        evses = {e.id: replace(e, failsafe_a=6.0) for e in SITE.evses}
        chargers = tuple(replace(c, evses=tuple(evses[e.id] for e in c.evses)) for c in SITE.chargers)
        loop = Loop(Scripted(dict.fromkeys(IDS, 6.0) | {IDS[0]: 0.0}), replace(SITE, chargers=chargers))
        await loop.open()
        await loop.live(1)
        loop.accept_all()
        loop.log.clear()
        await loop.live(SITE.control.deadman_s)
        assert len(loop.commands()) >= 2
        assert {(c.evse, c.limit_a) for c in loop.commands()} == {(IDS[0], 0.0)}

    virtual_time.run(main, start=START)


def test_a_clock_that_is_set_back_stops_neither_decisions_nor_renewals() -> None:
    async def main() -> None:
        decider = Scripted(dict.fromkeys(IDS, 12.0))
        loop = Loop(decider)
        await loop.open()
        await loop.settled_at(12.0)
        asked = len(decider.triggers)
        loop.clock.behind = timedelta(hours=1)
        await loop.live(2 * SITE.control.interval_s + 1)
        assert len(decider.triggers) > asked
        assert {c.evse for c in loop.commands()} == set(IDS)

    virtual_time.run(main, start=START)
