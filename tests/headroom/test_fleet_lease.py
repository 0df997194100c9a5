"""Leases and fencing on a real Redis: one holder, tokens that only grow, nothing sent without the lease."""

import asyncio
from datetime import UTC, datetime

from fleet_world import a_fleet, until

from domain.commands import ApplySetpoint
from domain.events import Event
from domain.ids import ChargerId, DecisionId, EvseId, SiteId
from headroom.clock import WallClock, lease_clock_s
from headroom.fleet.codec import Command, decode_order
from headroom.fleet.connection import Fleet
from headroom.fleet.lease import HELD_S, LEASE_S, RENEW_EVERY_S, Lease, Leases
from headroom.fleet.orders import Orders
from headroom.fleet.registry import Place

SITE = SiteId("cedar")
LIMIT = ApplySetpoint(
    ChargerId("c"), 1, EvseId("e"), 16.0, 6.0, 300.0, DecisionId("d"), datetime(2026, 3, 3, tzinfo=UTC), urgent=True
)


class Told:
    """A reign's ears."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.fenced = False

    def tell(self, event: Event) -> None:
        self.events.append(event)

    def fenced_off(self) -> None:
        self.fenced = True


class Clock:
    """A monotonic clock that a test winds."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


async def commands(fleet: Fleet, worker: str) -> list[Command]:
    found = await fleet.client.xrange(fleet.keys.commands(worker))
    orders = [decode_order(fields) for _, fields in found]
    return [order for order in orders if isinstance(order, Command)]


def orders_of(fleet: Fleet, lease: Lease, told: Told) -> Orders:
    return Orders(fleet, lease, WallClock(), lambda _: Place("w", 5), told)


def test_a_holder_lets_go_before_redis_forgets_it() -> None:
    assert HELD_S < LEASE_S
    assert HELD_S > 3 * RENEW_EVERY_S


async def test_one_holds_a_site_and_the_next_gets_a_higher_token() -> None:
    async with a_fleet() as fleet:
        one, other = (Leases(fleet, name, f"http://{name}", lease_clock_s) for name in ("one", "other"))
        first = await one.acquire(SITE, 0)
        assert first is not None
        assert await other.acquire(SITE, 0) is None
        assert await other.free([SITE]) == []
        await one.release(first)
        assert not first.valid
        second = await other.acquire(SITE, 0)
        assert second is not None
        assert second.token > first.token
        await one.release(first)
        assert await one.free([SITE]) == []  # what is not one's own is not released


async def test_tokens_go_on_above_what_the_database_knows_when_redis_forgets() -> None:
    async with a_fleet() as fleet:
        leases = Leases(fleet, "one", "http://one", lease_clock_s)
        lease = await leases.acquire(SITE, 41)
        assert lease is not None
        assert (lease.token, lease.after_loss) == (42, True)
        await leases.release(lease)
        again = await leases.acquire(SITE, 42)
        assert again is not None
        assert (again.token, again.after_loss) == (43, False)


async def test_a_holder_counts_on_its_own_clock_alone_and_from_before_it_asked() -> None:
    async with a_fleet() as fleet:
        clock = Clock()
        leases = Leases(fleet, "one", "http://one", clock)
        lease = await leases.acquire(SITE, 0)
        assert lease is not None
        clock.now_s = HELD_S - 0.01
        assert lease.valid
        assert await leases.renew() == []
        clock.now_s = 2 * HELD_S - 0.02
        assert lease.valid
        clock.now_s = 2 * HELD_S
        assert not lease.valid
        assert await leases.renew() == [lease]  # what ran out is not taken up again
        assert leases.held == {}


async def test_a_lease_that_redis_forgot_is_taken_up_again_unless_there_was_another() -> None:
    async with a_fleet() as fleet:
        one, other = (Leases(fleet, name, f"http://{name}", lease_clock_s) for name in ("one", "other"))
        lease = await one.acquire(SITE, 0)
        assert lease is not None
        await fleet.client.delete(fleet.keys.lease(SITE), fleet.keys.token(SITE))
        assert await one.renew() == []
        assert lease.valid
        assert await other.acquire(SITE, 0) is None
        await fleet.client.delete(fleet.keys.lease(SITE), fleet.keys.token(SITE))
        newer = await other.acquire(SITE, lease.token)
        assert newer is not None
        assert await one.renew() == [lease]
        assert not lease.valid


async def test_an_order_leaves_with_the_lease_and_not_without() -> None:
    async with a_fleet() as fleet:
        leases, told = Leases(fleet, "one", "http://one", lease_clock_s), Told()
        lease = await leases.acquire(SITE, 0)
        assert lease is not None
        orders = orders_of(fleet, lease, told)
        sending = asyncio.get_running_loop().create_task(orders.run())
        orders.send(LIMIT)
        await until(lambda: orders.counts["sent"] == 1)
        assert await commands(fleet, "w") == [Command(SITE, lease.token, 5, LIMIT)]
        lease.end()
        orders.send(LIMIT)
        assert orders.counts["fenced"] == 1
        assert len(await commands(fleet, "w")) == 1
        assert len(told.events) == 1
        sending.cancel()


async def test_redis_takes_no_order_of_one_who_still_believes_in_a_lost_lease() -> None:
    """As after a pause: by its own clock, which stood still, the lease holds."""
    async with a_fleet() as fleet:
        asleep, told = Clock(), Told()
        one, other = Leases(fleet, "one", "http://one", asleep), Leases(fleet, "other", "http://other", lease_clock_s)
        old = await one.acquire(SITE, 0)
        assert old is not None
        await fleet.client.delete(fleet.keys.lease(SITE))  # as when it has run out
        assert await other.acquire(SITE, 0) is not None
        assert old.valid
        orders = orders_of(fleet, old, told)
        sending = asyncio.get_running_loop().create_task(orders.run())
        orders.send(LIMIT)
        await until(lambda: told.fenced)
        assert await commands(fleet, "w") == []
        assert len(told.events) == 1  # the refusal, so that nothing counts as in force
        sending.cancel()
