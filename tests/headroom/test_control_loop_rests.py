"""A large site rests after a decision: samples wait for its end, whatever else happens does not."""

import asyncio

import pytest
from loop_world import IDS, SITE, START, Loop, Scripted

from domain.events import EvseMetered, SessionEnded
from domain.metering import EvseSample
from headroom import control_loop
from headroom.waiting import rest_s
from simulators import virtual_time

REST_S = 0.4


def test_a_site_rests_by_its_size_and_by_what_a_decision_takes() -> None:
    assert rest_s(20, 0.0) == 0.02
    assert rest_s(5_000, 0.0) == 0.5
    assert rest_s(20, 0.1) == 0.5
    assert rest_s(20, 9.0) == 2.0


def test_samples_wait_while_a_site_rests_and_what_else_happens_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_loop, "rest_s", lambda _evses, _took_s: REST_S)

    async def main() -> None:
        loop = Loop(decider := Scripted(dict.fromkeys(IDS, 12.0)))
        await loop.open()
        await loop.settled_at(12.0)

        def sampled(number: int, amps: float) -> None:
            charger, now = SITE.chargers[number], loop.clock.now()
            sample = EvseSample(at=now, received_at=now, current_a=amps)
            loop.controller.handle(EvseMetered(charger.id, 1, now, sample, f"t{number}"))

        for number in range(len(SITE.chargers)):
            sampled(number, 12.0)
        running = asyncio.get_running_loop().create_task(loop.controller.run())
        loop.controller.trigger("test")
        await asyncio.sleep(0.01)
        asked = len(decider.triggers)
        for number in range(2):
            sampled(number, 3.0 + number)
            await asyncio.sleep(0.1)
        assert len(decider.triggers) == asked
        await asyncio.sleep(REST_S)
        assert len(decider.triggers) == asked + 1, "both samples are answered by one decision"
        loop.controller.handle(SessionEnded(SITE.chargers[3].id, 1, loop.clock.now(), "t3"))
        await asyncio.sleep(0.01)
        assert len(decider.triggers) == asked + 2, "a car that leaves is answered at once"
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    virtual_time.run(main, start=START)
