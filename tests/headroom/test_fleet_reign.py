"""Reigns over a site: taken over, lost, handed over; two never command together."""

import asyncio
from pathlib import Path

from fleet_world import a_town, until


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


async def test_a_lease_that_is_lost_ends_the_reign_and_the_next_one_begins(tmp_path: Path) -> None:
    async with a_town(tmp_path) as town:
        _, wires = await town.worker("w1")
        controllers = await town.controllers("c1")
        town.start(controllers.run)
        await wires.connect("CP001")
        await until(lambda: wires.applied)
        first = controllers.reigns[town.site.id]
        first.lease.end()
        await until(lambda: town.site.id in controllers.reigns and controllers.reigns[town.site.id] is not first)
        await until(lambda: town.site.id in controllers.controllers)
        assert controllers.reigns[town.site.id].lease.token > first.lease.token
