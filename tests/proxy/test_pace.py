"""Turns for all: as many a second as are allowed, and as many for each, however much one has to say."""

from datetime import UTC, datetime
from itertools import pairwise

from proxy.pace import Pace
from simulators import virtual_time


def test_turns_are_rate_fair():
    async def main() -> tuple[list[str], list[float]]:
        clock = virtual_time.VirtualClock()
        pace, order, times = Pace(10.0), [], []
        left = {"much": 50, "little": 3, "also": 3}

        def ask(who: str) -> None:
            def go() -> None:
                order.append(who)
                times.append((clock.now() - began).total_seconds())
                left[who] -= 1
                if left[who]:
                    ask(who)

            pace.ask(who, go)

        began = clock.now()
        for who in left:
            ask(who)
        pace.ask("gone", lambda: order.append("gone"))
        pace.leave("gone")
        await clock.sleep(60.0)
        return order, times

    order, times = virtual_time.run(main, start=datetime(2026, 3, 1, tzinfo=UTC))
    assert order[:9] == ["much", "little", "also"] * 3
    assert order[9:] == ["much"] * 47
    assert all(later - sooner >= 0.0999 for sooner, later in pairwise(times))
    assert times[-1] < 6.0
