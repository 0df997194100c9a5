"""Reigns over a site: taken over, lost, handed over; two never command together."""

import asyncio
import dataclasses
from pathlib import Path

import pytest
from fleet_world import SITE, a_site, a_town, until

from domain.events import ChargerDisconnected, SessionStarted
from domain.ids import ChargerId
from domain.site import Site
from headroom.charger_lore import SiteBook
from headroom.control_loop import SiteController
from headroom.decider import InlineDecider
from headroom.fleet import controllers as controllers_module
from headroom.fleet.codec import Announced, Command, encode_order
from headroom.fleet.lease import LEASE_S

NAMES = ("ash", "birch", "elm", "fir", "oak", "pine", "yew")


class Sleeping:
    """A monotonic clock that can be stopped, as that of a paused process."""

    def __init__(self) -> None:
        self.stopped_s: float | None = None

    def __call__(self) -> float:
        return asyncio.get_running_loop().time() if self.stopped_s is None else self.stopped_s


async def test_a_worker_and_a_controller_bring_a_limit_to_a_charger(tmp_path: Path) -> None:
    async with a_town(tmp_path) as town:
        _, wires = await town.worker("w1")
        controllers = await town.controllers("c1")
        town.start(controllers.run)
        await wires.connect("CP001")
        await until(lambda: wires.applied)
        assert wires.applied[0].evse == "e1"
        site = controllers.controllers[town.site.id]
        await until(lambda: site.picture.entry("e1").acknowledged_at is not None)


async def test_a_site_is_handed_over_with_its_sessions_and_limits(tmp_path: Path) -> None:
    async with a_town(tmp_path) as town:
        _, wires = await town.worker("w1")
        worker = wires.worker
        first, second = await town.controllers("c1"), await town.controllers("c2")
        town.start(first.run)
        await wires.connect("CP001")
        worker.publish(SessionStarted(ChargerId("CP001"), 1, town.clock.now(), "t1", "tag", 100.0))
        await until(lambda: wires.applied and wires.applied[-1].limit_a > 6.0)
        limit_a = wires.applied[-1].limit_a
        old = first.reigns[town.site.id].lease
        town.start(second.run)
        await first.hand_over(5.0)
        await until(lambda: town.site.id in second.controllers)
        assert second.reigns[town.site.id].lease.token > old.token
        assert not old.valid
        picture = second.controllers[town.site.id].picture
        assert picture.transactions(ChargerId("CP001")) == {1: "t1"}
        assert picture.entry("e1").limit_a == limit_a  # nothing was lowered for the sake of a hand-over
        assert picture.linked("e1")


async def test_a_paused_controller_that_wakes_commands_nobody(tmp_path: Path) -> None:
    """Its own clock stood still, so by its own lights it reigns; Redis, the worker and the database know better."""
    async with a_town(tmp_path) as town:
        worker, wires = await town.worker("w1")
        clock = Sleeping()
        paused, awake = await town.controllers("c1", clock), await town.controllers("c2")
        town.start(paused.run)
        await wires.connect("CP001")
        await until(lambda: wires.applied)
        old = paused.reigns[town.site.id]
        clock.stopped_s = clock()
        fleet = town.fleets[0]
        await fleet.client.delete(fleet.keys.lease(town.site.id))  # as when it has run out meanwhile
        paused.leases.held.clear()  # a process that is paused renews nothing
        town.start(awake.run)
        await until(lambda: town.site.id in awake.controllers)
        newer = awake.reigns[town.site.id].lease.token
        assert worker.tokens[town.site.id] == newer > old.lease.token
        # The database has told it so by now; were it still at the sending of an order, Redis would not take that,
        await until(old.over.is_set)
        told, before = wires.applied[-1], len(wires.applied)
        old.lease.held_until_s = float("inf")
        town.start(old.orders.run)
        old.orders.send(told)
        await until(lambda: old.orders.counts["fenced"])
        # and where one has got through all the same, as when Redis forgot who reigns, the worker refuses it.
        stray = Command(town.site.id, old.lease.token, old.order.places[ChargerId("CP001")].epoch, told)
        for order in (Announced(town.site.id, old.lease.token), stray):
            await fleet.client.xadd(fleet.keys.commands("w1"), {**encode_order(order)})
        await until(lambda: worker.counts["fenced"] == 2)
        assert all(command.decision != told.decision for command in wires.applied[before:])


async def test_a_charger_that_moves_is_cut_where_it_was_and_commanded_where_it_is(tmp_path: Path) -> None:
    async with a_town(tmp_path) as town:
        _, here = await town.worker("w1")
        _, there = await town.worker("w2")
        controllers = await town.controllers("c1")
        town.start(controllers.run)
        await here.connect("CP001")
        await until(lambda: here.applied)
        await there.connect("CP001")
        await until(lambda: here.cut_off == ["CP001"] and there.applied)
        reign = controllers.reigns[town.site.id]
        assert reign.order.places[ChargerId("CP001")].worker == "w2"
        # What the half-open link still says of its end is not believed.
        here.worker.publish(ChargerDisconnected(ChargerId("CP001"), town.clock.now(), "half open"))
        await until(lambda: here.worker.outbox.counts.written and not len(here.worker.outbox))
        await asyncio.sleep(0.3)
        assert controllers.controllers[town.site.id].picture.linked("e1")


async def test_the_chargers_of_a_worker_that_died_count_as_gone(tmp_path: Path) -> None:
    async with a_town(tmp_path) as town:
        worker, wires = await town.worker("w1")
        controllers = await town.controllers("c1")
        town.start(controllers.run)
        await wires.connect("CP001")
        await until(lambda: wires.applied)
        picture = controllers.controllers[town.site.id].picture
        assert picture.linked("e1")
        town.kill(worker)
        await until(lambda: not picture.linked("e1"))
        registered = await town.fleets[0].client.hgetall(town.fleets[0].keys.links(town.site.id))
        assert registered == {}


async def test_many_sites_are_taken_over_some_at_a_time(tmp_path: Path) -> None:
    async with a_town(tmp_path) as town:
        sites = _sites()
        town.book = SiteBook(sites)
        controllers = await town.controllers("c1")
        controllers._deciders = {one.id: InlineDecider(one) for one in sites}
        town.start(controllers.run)
        most = 0

        def all_taken() -> bool:
            nonlocal most
            most = max(most, len(controllers.reigns) - len(controllers.controllers))
            return len(controllers.controllers) == len(sites)

        await until(all_taken, 20 * LEASE_S)
        assert 0 < most <= 4


async def test_take_overs_that_hang_are_given_up_and_keep_no_other_site_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(controllers_module, "TAKE_OVER_WITHIN_S", 3.0)
    async with a_town(tmp_path) as town:
        sites = _sites()
        town.book = SiteBook(sites)
        controllers = await town.controllers("c1")
        controllers._deciders = {one.id: InlineDecider(one) for one in sites}
        hanging, answers, hung = {one.id for one in sites[:4]}, asyncio.Event(), set()

        async def parts(controller: SiteController, *_: object) -> list[object]:
            if controller.site.id in hanging and not answers.is_set():
                hung.add(controller.site.id)
                await answers.wait()
            return []

        controllers._throne = dataclasses.replace(controllers._throne, parts=parts)  # type: ignore[arg-type]
        town.start(controllers.run)
        await until(lambda: hung == hanging)
        first = {site: reign.lease for site, reign in controllers.reigns.items()}
        assert set(first) == hanging, "all that are taken over at a time"
        await until(lambda: set(controllers.controllers) == {one.id for one in sites[4:]}, 10 * LEASE_S)
        assert not any(lease.valid for lease in first.values())
        others = dict(controllers.controllers)
        answers.set()
        await until(lambda: len(controllers.controllers) == len(sites), 20 * LEASE_S)
        assert all(controllers.reigns[site].lease.token > lease.token for site, lease in first.items())
        await asyncio.sleep(controllers_module.TAKE_OVER_WITHIN_S)
        assert others.items() <= controllers.controllers.items(), "a reign may last longer than a take-over"


async def test_a_site_whose_take_over_failed_is_tried_after_all_others(tmp_path: Path) -> None:
    async with a_town(tmp_path) as town:
        town.book = SiteBook(_sites())
        controllers = await town.controllers("c1")
        first = (await controllers._due())[0]
        controllers._not_before[first] = asyncio.get_running_loop().time()
        found = await controllers._due()
        assert len(found) == len(NAMES)
        assert found[-1] == first


def _sites() -> list[Site]:
    return [a_site(SITE.replace("cedar", name).replace("CP", name).replace("id: e", f"id: {name}")) for name in NAMES]


async def test_redis_restarted_empty_and_everything_is_known_again(tmp_path: Path) -> None:
    async with a_town(tmp_path) as town:
        worker, wires = await town.worker("w1")
        controllers = await town.controllers("c1")
        town.start(controllers.run)
        await wires.connect("CP001")
        await until(lambda: wires.applied)
        fleet = town.fleets[0]
        for key in [key async for key in fleet.client.scan_iter(f"{fleet.keys.prefix}:*", count=1000)]:
            await fleet.client.delete(key)
        worker.publish(SessionStarted(ChargerId("CP001"), 1, town.clock.now(), "t1", "tag", 100.0))
        await until(lambda: town.site.id in controllers.controllers, 10 * LEASE_S)
        await until(
            lambda: controllers.controllers[town.site.id].picture.transactions(ChargerId("CP001")), 10 * LEASE_S
        )
        found = controllers.controllers[town.site.id].picture
        await until(lambda: found.linked("e1"))
        assert found.transactions(ChargerId("CP001")) == {1: "t1"}
