"""The judge of waits: its bound follows from the panel, nothing is promised without room, and a turn ends a wait."""

from dataclasses import replace

import numpy as np

from inventory.site_file import parse_site
from simulators.demo_site import demo_site
from simulators.wait_judge import ROUND_S, SLACK_S, TURN_S, WaitJudge

SITE = parse_site(demo_site(12), "site.yaml")
GARAGE = [evse for evse in SITE.evses if evse.feeder == "p2"]
"""Six EVSEs on 25 A, of which 20 may be used: three minima on each phase, which is loaded by four."""
IDLE = np.zeros((len(SITE.feeders), 3))
TWO_SLICES_S = 2 * (SITE.scheduler.quantum_s / 2 + ROUND_S) + SLACK_S


def waits(judge: WaitJudge, seconds: float, *, base=IDLE, served=(), step_s: float = 10.0) -> list[str]:
    on = {evse.id: evse.id in served for evse in GARAGE}
    for _ in range(int(seconds / step_s)):
        judge.observe(step_s, base, GARAGE, on)
    return judge.complaints


def test_nobody_waits_longer_than_the_slices_of_those_before() -> None:
    judge = WaitJudge(SITE)
    others = {evse.id for evse in GARAGE[1:]}
    assert waits(judge, TWO_SLICES_S, served=others) == []
    assert len(waits(judge, 20.0, served=others)) == 1
    assert GARAGE[0].id in judge.complaints[0]
    assert len(waits(judge, 600.0, served=others)) == 1, "each wait is told once"


def test_an_offer_that_is_taken_back_at_once_is_no_turn() -> None:
    judge = WaitJudge(SITE)
    everybody = {evse.id for evse in GARAGE}
    others = everybody - {GARAGE[0].id}
    for _ in range(4):
        waits(judge, TWO_SLICES_S / 4, served=others)
        waits(judge, TURN_S - 10.0, served=everybody)
    assert judge.complaints == []
    assert len(waits(judge, 60.0, served=others)) == 1


def test_a_turn_ends_a_wait() -> None:
    judge = WaitJudge(SITE)
    everybody = {evse.id for evse in GARAGE}
    for _ in range(4):
        waits(judge, TWO_SLICES_S, served=everybody - {GARAGE[0].id})
        waits(judge, TURN_S, served=everybody)
    assert judge.complaints == []


def test_a_turn_ends_a_wait_also_while_something_is_wrong() -> None:
    judge = WaitJudge(SITE)
    others = {evse.id for evse in GARAGE[1:]}
    waits(judge, TWO_SLICES_S - 100.0, served=others)
    judge.observe(0.0, IDLE, GARAGE, {evse.id: True for evse in GARAGE})
    assert waits(judge, TWO_SLICES_S, served=others) == []


def test_time_that_is_excused_does_not_count_nor_end_a_wait() -> None:
    judge = WaitJudge(SITE)
    others = {evse.id for evse in GARAGE[1:]}
    waits(judge, TWO_SLICES_S, served=others)
    for _ in range(1000):
        judge.observe(0.0, IDLE, GARAGE, {evse.id: evse.id in others for evse in GARAGE})
    assert judge.complaints == []
    assert len(waits(judge, 20.0, served=others)) == 1


def test_without_room_for_a_minimum_nothing_is_promised() -> None:
    full = IDLE.copy()
    full[0] = SITE.feeders[0].usable_a
    assert waits(WaitJudge(SITE), 10 * TWO_SLICES_S, base=full) == []


def test_a_wait_is_longer_where_slices_may_not_be_short() -> None:
    slow = replace(SITE, scheduler=replace(SITE.scheduler, min_on_s=3600.0))
    judge = WaitJudge(slow)
    assert waits(judge, 2 * 3600.0, served={evse.id for evse in GARAGE[1:]}) == []
