"""A charger that charges, and what it is told."""

from bench_site import Bench, HungryCar


async def charging(table: Bench) -> None:
    await table.online()
    table.evse.plug(HungryCar(), "tag-1")
    await table.until(lambda: table.evse.transaction_id is not None)
    await table.live(2)


async def told(table: Bench, amps: float) -> None:
    assert (await table.limit(amps)).payload["status"] == "Accepted"
