"""A worker whose sign of life came too late tells again of the links that Redis has forgotten, and of no other."""

import asyncio
from pathlib import Path

from fleet_world import a_town, until

from headroom.fleet.worker import Worker


async def forgotten(worker: Worker, key: str) -> int:
    """How many events the worker tells after its sign of life is gone, until it has given another."""
    client = worker._fleet.client
    before = worker.outbox.counts.written
    await client.delete(key)
    async with asyncio.timeout(20):
        while not await client.exists(key):
            await asyncio.sleep(0.02)
    await asyncio.sleep(0.2)  # what follows the sign in the same round
    await worker.outbox.flushed()
    return worker.outbox.counts.written - before


async def test_only_what_redis_forgot_is_told_again(tmp_path: Path) -> None:
    async with a_town(tmp_path) as town:
        worker, wires = await town.worker("w1")
        await wires.connect("CP001")
        await wires.connect("CP002")
        await until(lambda: worker.outbox.counts.written >= 2 and not len(worker.outbox))
        keys = town.fleets[0].keys
        sign = keys.worker("w1")
        assert await forgotten(worker, sign) == 0
        await town.fleets[0].client.hdel(keys.links(town.site.id), "CP002")
        assert await forgotten(worker, sign) == 1
        links = await town.fleets[0].client.hgetall(keys.links(town.site.id))
        assert set(links) == {b"CP001", b"CP002"}
