"""Clock, bus, feed, statistics and log redaction."""

import asyncio
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import HeadroomError
from domain.events import ChargerDisconnected, Event
from domain.ids import ChargerId, DecisionId
from headroom.bus import InProcessBus
from headroom.clock import FastClock
from headroom.feed import Feed
from headroom.logs import redact
from headroom.statistics import Statistics, summarise
from simulators import virtual_time

START = datetime(2026, 3, 1, 17, 0, tzinfo=UTC)


def gone(name: str) -> Event:
    return ChargerDisconnected(ChargerId(name), START, "test")


def test_processes_that_share_a_fast_clock_agree_on_the_time() -> None:
    clock = FastClock.starting(60, START)
    copy = FastClock.parse(str(clock))
    assert copy == clock
    assert abs((copy.now() - clock.now()).total_seconds()) < 60


async def test_a_fast_clock_sleeps_shorter() -> None:
    clock = FastClock.starting(1000, START)
    before = clock.now()
    await clock.sleep(20)
    assert (clock.now() - before).total_seconds() >= 20


@pytest.mark.parametrize(
    "text", ["", "60", "x,2026-03-01T17:00:00+00:00,0", "0,2026-03-01T17:00:00+00:00,0", "1,2026-03-01,0"]
)
def test_a_bad_clock_is_named(text: str) -> None:
    with pytest.raises(HeadroomError, match="HEADROOM_CLOCK"):
        FastClock.parse(text)


def test_a_handler_that_raises_keeps_the_event_from_nobody() -> None:
    bus = InProcessBus()
    seen: list[Event] = []

    def broken(event: Event) -> None:
        raise KeyError(event)

    bus.subscribe(broken)
    bus.subscribe(seen.append)
    for name in ("a", "b"):
        bus.publish(gone(name))
    assert seen == [gone("a"), gone("b")]


def test_an_event_published_by_a_handler_comes_after_the_one_in_hand() -> None:
    bus = InProcessBus()
    seen: list[tuple[str, str]] = []

    def first(event: Event) -> None:
        assert isinstance(event, ChargerDisconnected)
        seen.append(("first", event.charger))
        if event.charger == "a":
            bus.publish(gone("b"))

    def second(event: Event) -> None:
        assert isinstance(event, ChargerDisconnected)
        seen.append(("second", event.charger))

    bus.subscribe(first)
    bus.subscribe(second)
    bus.publish(gone("a"))
    assert seen == [("first", "a"), ("second", "a"), ("first", "b"), ("second", "b")]


async def test_a_watcher_resumes_where_it_stopped_and_sees_its_site_only() -> None:
    feed = Feed()
    feed.publish("cedar", "decision", {"n": 1})
    feed.publish("oak", "decision", {"n": 2})
    feed.publish("cedar", "decision", {"n": 3})
    watch = feed.watch("cedar", after=1)
    assert (await anext(watch)).data == {"n": 3}
    feed.close()
    with pytest.raises(StopAsyncIteration):
        await anext(watch)


async def test_a_watcher_that_does_not_keep_up_is_ended_and_holds_nobody_up() -> None:
    feed = Feed()
    slow = feed.watch("cedar", after=None)
    first = asyncio.ensure_future(anext(slow))  # noqa: TID251 - the test needs a reader that has begun
    await asyncio.sleep(0)
    for number in range(5000):
        feed.publish("cedar", "evse", {"n": number})
    assert (await first).data == {"n": 0}
    assert [notice async for notice in slow][-1].data["n"] != 4999


def test_a_listener_is_told_at_once_after_a_quiet_while_and_then_no_more_often() -> None:
    async def main() -> None:
        feed, loop = Feed(), asyncio.get_running_loop()
        at_s: list[float] = []
        counts: list[int] = []

        async def listen() -> None:
            async for batch in feed.batches("a", gather_s=0.25):
                at_s.append(round(loop.time() - begun_s, 2))
                counts.append(len(batch))

        task = loop.create_task(listen())
        await asyncio.sleep(1.0)
        begun_s = loop.time()
        for number in range(10):
            feed.publish("a", "evse", {"n": number})
            await asyncio.sleep(0.08)
        await asyncio.sleep(0.5)
        feed.publish("a", "evse", {"n": 10})
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        task.cancel()
        assert at_s == [0.0, 0.25, 0.5, 0.75, 1.3]
        assert counts == [1, 3, 3, 3, 1]

    virtual_time.run(main, start=datetime(2026, 3, 1, tzinfo=UTC))


async def test_a_change_is_written_as_json_once_for_all_who_watch() -> None:
    feed, told = Feed(), {"at": datetime(2026, 3, 1, tzinfo=UTC)}
    one, other = feed.batches("a"), feed.batches("a")
    first, second = asyncio.gather(anext(one)), asyncio.gather(anext(other))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    feed.publish("a", "evse", told)
    ((seen,),), ((again,),) = await first, await second
    assert seen.json == '{"at": "2026-03-01 00:00:00+00:00"}'
    assert seen.json is again.json
    await one.aclose()
    await other.aclose()


@given(st.lists(st.floats(0, 1e4), min_size=1, max_size=300))
def test_percentiles_are_values_that_were_seen(values: list[float]) -> None:
    summary = summarise(values)
    ordered = sorted(values)
    assert summary["max"] == ordered[-1]
    assert summary["p99"] in ordered
    below = sum(1 for value in ordered if value <= (summary["p50"] or 0.0))
    assert below >= len(ordered) / 2


def test_only_the_first_frame_of_a_decision_ends_its_start_to_limit_time() -> None:
    statistics = Statistics()
    statistics.triggered_by_start(DecisionId("d1"), 10.0)
    statistics.sent(DecisionId("d1"), 9.0, 10.004)
    statistics.sent(DecisionId("d1"), 12.0, 10.9)
    statistics.sent(DecisionId("d2"), 12.0, 11.0)
    assert list(statistics.start_to_limit_ms.values_ms) == [pytest.approx(4.0)]
    assert statistics.setpoints_sent == 3


def test_secrets_do_not_reach_the_log() -> None:
    line = redact(None, "info", {"event": "charger_connected", "authorization": "Basic abc", "id_tag": "04AB"})
    assert line == {"event": "charger_connected", "authorization": "[redacted]", "id_tag": "[redacted]"}
