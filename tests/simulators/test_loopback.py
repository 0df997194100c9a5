"""The same charger and CSMS over real sockets, with a clock that runs sixty times as fast."""

import asyncio
import gc
from datetime import datetime, timedelta

import pytest
from bench_site import START, VERSIONS, Bench, HungryCar, bench

from proxy.network import LoopNetwork


class FastClock:
    """Runs at `speed` times the loop's time."""

    def __init__(self, speed: float) -> None:
        self._loop, self._speed = asyncio.get_running_loop(), speed
        self._zero = self._loop.time()

    def now(self) -> datetime:
        return START + timedelta(seconds=(self._loop.time() - self._zero) * self._speed)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self._speed)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_session_with_an_outage_over_real_sockets(version: str) -> None:
    async def scene(table: Bench) -> None:
        await table.until(lambda: table.charger.online)
        await table.limit(12)
        table.evse.plug(HungryCar(), "tag-1")
        await table.until(lambda: table.evse.transaction_id is not None)
        await table.live(3)
        assert table.evse.current_a == 12.0
        table.csms.stop(crash=True)
        await table.until(lambda: not table.charger.online)
        table.evse.unplug()
        await table.csms.start()
        await table.until(lambda: bool(table.csms.ledger.entries) and not table.csms.ledger.running())
        (entry,) = table.csms.ledger.entries.values()
        assert (entry.reason, entry.missing_seq_nos) == ("EVDisconnected", ())
        await table.until(lambda: len(table.charger.outbox) == 0)
        table.clean()

    async def main() -> None:
        async with asyncio.timeout(30):
            settings = {"passwords": {"CP 001": "secret"}, "identities": ["CP 001"]}
            network, clock = LoopNetwork(), FastClock(60)
            async with bench(version, network=network, clock=clock, csms=settings, password="secret") as table:
                await scene(table)
        await asyncio.sleep(0.05)

    asyncio.run(main())
    gc.collect()
