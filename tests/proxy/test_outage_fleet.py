"""200 chargers in session, their CSMS away for 10 minutes, a proxy that is killed twice meanwhile; in virtual time."""

import asyncio
import logging
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import structlog
from hypothesis import given, settings
from hypothesis import strategies as st
from outage_fleet import Fleet

from domain.events import StartInDoubt
from proxy.protocol.replay import PROVISIONAL_FROM
from simulators import virtual_time
from simulators.transaction_judge import judged

CHARGERS = 200
FEW = 6


async def play(fleet: Fleet) -> None:
    """Sessions begin, run and end before, during and after the outage; some are just beginning when it begins."""
    await fleet.csms.start()
    fleet.start_proxy()
    async with asyncio.TaskGroup() as group:
        running = [group.create_task(charger.run()) for charger in fleet.chargers]
        await fleet.let_pass(60)
        fleet.cars(slice(0, 200), come=True)
        await fleet.let_pass(180)
        assert len(fleet.csms.ledger.running()) == CHARGERS
        fleet.cars(slice(0, 40), come=False)
        await fleet.let_pass(60)
        fleet.csms.loses_replies_to = frozenset({"StartTransaction"})  # it books what begins now, and falls
        fleet.cars(slice(0, 40), come=True)
        await fleet.clock.sleep(1.37)
        fleet.csms.stop(crash=True)
        fleet.csms.loses_replies_to = frozenset()
        await fleet.let_pass(200)
        fleet.cars(slice(20, 80), come=False)
        await fleet.let_pass(20)
        await fleet.proxy_dies(silently=False)
        await fleet.let_pass(100)
        fleet.cars(slice(20, 50), come=True)
        await fleet.let_pass(100)
        await fleet.proxy_dies(silently=True)
        await fleet.let_pass(160)
        fleet.csms.loses_replies_to = frozenset({"StartTransaction"})  # and again, as soon as it is back
        await fleet.csms.start()
        await fleet.clock.sleep(10.37)
        fleet.csms.stop(crash=True)
        fleet.csms.loses_replies_to = frozenset()
        await fleet.let_pass(20)
        await fleet.csms.start()
        await fleet.let_pass(180)
        fleet.cars(slice(0, 200, 3), come=False)
        await fleet.let_pass(240)
        fleet.doubts = await fleet.proxy.office.doubts()
        fleet.lives[-1].kill()
        await fleet.clock.sleep(0.37)
        for task in running:
            task.cancel()


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.configure(**before)


def played(*, recognises_repeats: bool) -> Fleet:
    async def main() -> Fleet:
        fleet = Fleet(chargers=CHARGERS, recognises_repeats=recognises_repeats)
        try:
            await play(fleet)
        finally:
            fleet.bury()
        return fleet

    return virtual_time.run(main, start=datetime(2026, 3, 3, 1, 0, tzinfo=UTC))


def test_a_csms_that_recognises_repeats_holds_each_transaction_once():
    fleet = played(recognises_repeats=True)
    books = judged(fleet.chargers, fleet.csms.ledger)
    assert books.clean, (books.lost[:3], books.doubled[:3], books.wrong[:3])
    assert books.transactions == CHARGERS + 40 + 30
    assert not [entry for entry in fleet.csms.ledger.entries.values() if entry.missing_seq_nos]
    booked = {(entry.identity, entry.transaction_id): entry.energy_wh for entry in fleet.csms.ledger.running()}
    for charger in fleet.chargers:
        if (here := charger.evses[1].transaction) is not None:
            # What is booked of a session that goes on is the newest sample: at most a minute old.
            ((told, wh),) = [(told, wh) for (name, told), wh in booked.items() if name == charger.identity]
            assert int(told) < PROVISIONAL_FROM if charger.version == "ocpp1.6" else told
            assert 0 <= charger.evses[1].register_wh - wh <= 16 * 240 / 60 * 3, (charger.identity, here)
    assert not [found for charger in fleet.chargers for found in charger.watch.violations]
    assert not fleet.csms.violations


def test_the_starts_in_doubt_are_all_that_another_csms_may_hold_twice_or_not_at_all():
    fleet = played(recognises_repeats=False)
    ledger = fleet.csms.ledger
    starts = Counter(
        (entry.identity, entry.connector, entry.id_tag, entry.started_at) for entry in ledger.entries.values()
    )
    listed = {(doubt.charger, doubt.connector, doubt.id_tag, doubt.started_at) for doubt in fleet.doubts}
    doubled = {key for key, count in starts.items() if count > 1}
    assert doubled
    assert doubled <= listed
    assert max(starts.values()) == 2
    books = judged(fleet.chargers, ledger)
    given_up = {doubt.charger for doubt in fleet.doubts if doubt.real is None}
    assert given_up
    assert {text.split(",")[0] for text in books.lost} <= given_up
    assert not books.wrong
    assert {event.charger for event in fleet.events if isinstance(event, StartInDoubt)} == {key[0] for key in listed}


async def play_briefly(fleet: Fleet, kills: list[tuple[float, bool]], away_s: float) -> None:
    """Sessions begin before and during an outage; the proxy dies at these instants after its beginning."""
    await fleet.csms.start()
    fleet.start_proxy()
    async with asyncio.TaskGroup() as group:
        running = [group.create_task(charger.run()) for charger in fleet.chargers]
        await fleet.let_pass(40)
        fleet.cars(slice(0, FEW), come=True)
        await fleet.let_pass(60)
        fleet.cars(slice(4, FEW), come=False)
        await fleet.let_pass(20)
        fleet.csms.stop(crash=True)
        living = group.create_task(fleet.let_pass(away_s + 20))
        changes = group.create_task(change_cars(fleet))
        passed_s = 0.0
        for at_s, silently in sorted(kills):
            await fleet.clock.sleep(max(0.0, at_s - passed_s))
            await fleet.proxy_dies(silently=silently)
            passed_s = max(at_s, passed_s) + 7.0
        await fleet.clock.sleep(max(0.0, away_s - passed_s))
        await fleet.csms.start()
        await living
        await changes
        await fleet.let_pass(400)
        fleet.lives[-1].kill()
        await fleet.clock.sleep(0.37)
        for task in running:
            task.cancel()


async def change_cars(fleet: Fleet) -> None:
    await fleet.clock.sleep(20.3)
    fleet.cars(slice(4, FEW), come=True)
    await fleet.clock.sleep(30.0)
    fleet.cars(slice(0, 2), come=False)
    await fleet.clock.sleep(20.0)
    fleet.cars(slice(0, 1), come=True)


@settings(max_examples=25, deadline=None)
@given(
    kills=st.lists(st.tuples(st.floats(0.001, 120.0), st.booleans()), min_size=1, max_size=3),
    away_s=st.floats(60.0, 140.0),
)
def test_whenever_it_is_killed_nothing_is_lost_or_doubled(kills, away_s):
    async def main() -> Fleet:
        fleet = Fleet(chargers=FEW)
        try:
            await play_briefly(fleet, kills, away_s)
        finally:
            fleet.bury()
        return fleet

    fleet = virtual_time.run(main, start=datetime(2026, 3, 3, 1, 0, tzinfo=UTC))
    books = judged(fleet.chargers, fleet.csms.ledger)
    assert books.clean, (books.lost[:3], books.doubled[:3], books.wrong[:3])
    assert books.transactions == FEW + 3
