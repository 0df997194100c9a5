"""A controller process: it seeks sites that nobody controls, reigns over them, and hands them over when it ends."""

import asyncio
import hashlib
from collections.abc import Mapping
from functools import partial

import structlog

from domain.errors import StorageError
from domain.ids import SiteId
from headroom.control_loop import SiteController
from headroom.decider import Decider
from headroom.fleet.connection import TROUBLE, text
from headroom.fleet.lease import RENEW_EVERY_S, Lease, Leases
from headroom.fleet.reign import Reign, Throne
from headroom.waiting import unless_cancelled
from inventory.fencing import newest_token

log = structlog.get_logger()

_SEEK_EVERY_S = 0.25
_PATIENCE_S = 0.4
"""So much longer than the candidate before it does each wait, so that sites spread over the processes."""
_AT_ONCE = 4
"""So many sites are taken over at the same time: many at once would keep the process from renewing what it has."""
TAKE_OVER_WITHIN_S = 60.0
"""A take-over that has not come to its end by then hangs, and is given up: `_AT_ONCE` of them would keep this process
from all other sites. Under load one takes some seconds; a wait for the database counts as failed after half of this."""
_SIGN_OF_LIFE_S = 3.0
_AFTER_FAILURE_S = 1.0


class Controllers:
    """One process's. `controllers` is what the API asks: those of the sites that are under control here now."""

    def __init__(self, leases: Leases, deciders: Mapping[SiteId, Decider], throne: Throne) -> None:
        self.leases = leases
        self.reigns: dict[SiteId, Reign] = {}
        self.controllers: dict[SiteId, SiteController] = {}
        self.take_overs = 0
        self.reaches = False
        """Whether Redis answered when it was asked last."""
        self._deciders, self._throne = deciders, throne
        self._sites = throne.book.sites
        self._others: list[str] = [leases.name]
        self._free_since: dict[SiteId, float] = {}
        self._not_before: dict[SiteId, float] = {}
        self._switched: set[SiteId] = set()
        self._ending = False
        self._none_left = asyncio.Event()

    async def run(self) -> None:
        """Reign until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._renew())
            group.create_task(self._be_seen())
            group.create_task(self._seek(group))

    async def hand_over(self, within_s: float) -> None:
        """Seek no more, and leave every site to whoever comes next: limits in force stay."""
        self._ending = True
        for reign in self.reigns.values():
            reign.hand_over()
        if self.reigns:
            try:
                async with asyncio.timeout(within_s):
                    await self._none_left.wait()
            except TimeoutError:
                log.warning("sites_not_handed_over", sites=list(self.reigns))
        for lease in tuple(self.leases.held.values()):
            await self.leases.release(lease)

    async def _renew(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            begun_s = loop.time()
            for lost in await self.leases.renew():
                log.warning("lease_lost", site=lost.site, number=lost.token)
                reign = self.reigns.get(lost.site)
                if reign is not None and reign.lease is lost:
                    reign.over.set()
            await asyncio.sleep(max(0.05, begun_s + RENEW_EVERY_S - loop.time()))

    async def _be_seen(self) -> None:
        """Tell the other candidates that there is one more, and learn who they are."""
        client, keys = self._throne.fleet.client, self._throne.fleet.keys
        while True:
            try:
                await client.set(keys.candidate(self.leases.name), self.leases.url, px=round(_SIGN_OF_LIFE_S * 1000))
                await client.sadd(keys.candidates, self.leases.name)
                names = sorted(text(name) for name in await client.smembers(keys.candidates))
                signs = await client.mget([keys.candidate(name) for name in names])
                gone = [name for name, sign in zip(names, signs, strict=True) if sign is None]
                if gone:
                    await client.srem(keys.candidates, *gone)
                self._others = [name for name in names if name not in gone]
                self.reaches = True
            except TROUBLE as error:
                unless_cancelled()
                if self.reaches:
                    log.error("controller_cannot_reach_redis", error=f"{type(error).__name__}: {error}")
                self.reaches = False
            await asyncio.sleep(_SIGN_OF_LIFE_S / 3)

    async def _seek(self, group: asyncio.TaskGroup) -> None:
        while not self._ending:
            try:
                for site in (await self._due())[: max(0, _AT_ONCE - len(self.reigns) + len(self.controllers))]:
                    lease = await self._acquire(site)
                    if lease is not None:
                        group.create_task(self._reign(lease), name=f"reign over {site}")
            except TROUBLE:
                unless_cancelled()
                await asyncio.sleep(_SEEK_EVERY_S)
            except StorageError as error:
                log.error("sites_not_sought", error=str(error))
                await asyncio.sleep(_AFTER_FAILURE_S)
            await asyncio.sleep(_SEEK_EVERY_S)

    async def _due(self) -> list[SiteId]:
        """Free sites that it is this candidate's turn to take."""
        now_s = asyncio.get_running_loop().time()
        sought = [site for site in self._sites if site not in self.reigns and self._not_before.get(site, 0.0) <= now_s]
        free = set(await self.leases.free(sought))
        self._free_since = {site: self._free_since.get(site, now_s) for site in sought if site in free}
        due = [site for site, since in self._free_since.items() if now_s - since >= _PATIENCE_S * self._rank(site)]
        return sorted(due, key=lambda site: self._not_before.get(site, 0.0))  # those that failed last come last

    def _rank(self, site: SiteId) -> int:
        """Which turn is ours: by a draw that is another for every site, and the same in every process."""

        def drawn(name: str) -> bytes:
            return hashlib.blake2b(f"{site}\n{name}".encode(), digest_size=8).digest()

        mine = drawn(self.leases.name)
        return sum(1 for name in self._others if name != self.leases.name and drawn(name) < mine)

    async def _acquire(self, site: SiteId) -> Lease | None:
        above = await self._throne.outside.store.query(lambda conn: newest_token(conn, site))
        if self._ending:
            return None
        lease = await self.leases.acquire(site, above)
        self._free_since.pop(site, None)
        if lease is None:
            return None
        self.reigns[site] = Reign(self._sites[site], lease, self._deciders[site], self._throne)
        return lease

    async def _reign(self, lease: Lease) -> None:
        """One reign; whatever ends it costs this site alone, and somebody takes it over again."""
        site = lease.site
        reign, limit = self.reigns[site], asyncio.timeout(TAKE_OVER_WITHIN_S)
        try:
            async with limit:
                if site in self._switched:
                    await self._deciders[site].switch(self._sites[site])
                    self._switched.discard(site)
                await reign.run(partial(self._in_charge, site, limit))
        except* (StorageError, *TROUBLE) as failed:
            if limit.expired():
                log.error("take_over_given_up", site=site, number=lease.token, after_s=TAKE_OVER_WITHIN_S)
            else:
                log.error("reign_ended", site=site, number=lease.token, error=str(failed.exceptions[0]))
        except* Exception:
            log.exception("reign_failed", site=site, number=lease.token)
        finally:
            controller = self.controllers.pop(site, None)
            if controller is not None and controller.site != controller.filed:
                self._switched.add(site)
            del self.reigns[site]
            self._not_before[site] = asyncio.get_running_loop().time() + _AFTER_FAILURE_S
            if not self.reigns:
                self._none_left.set()
        await self.leases.release(lease)

    def _in_charge(self, site: SiteId, limit: asyncio.Timeout, controller: SiteController) -> None:
        limit.reschedule(None)  # the take-over is done, and the reign may last
        self.controllers[site] = controller
        self.take_overs += 1
