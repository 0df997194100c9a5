"""Which worker holds which charger's link: the newest connection wins, and an older one is cut where it is."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from domain.ids import ChargerId, SiteId
from headroom.fleet.codec import Cut, encode_order
from headroom.fleet.connection import Fleet, text

SIGN_OF_LIFE_S = 3.0
"""A worker that gave none for so long is gone."""
_COMMANDS_KEPT = 10_000
_COMMANDS_EXPIRE_S = 60

# Epochs grow also when Redis was restarted empty: they are at least the microseconds of its clock.
_CLAIM = """
local time = redis.call('TIME')
local epoch = math.max(tonumber(redis.call('GET', KEYS[2]) or '0'), tonumber(time[1]) * 1000000 + tonumber(time[2])) + 1
epoch = string.format('%.0f', epoch)
redis.call('SET', KEYS[2], epoch)
local before = redis.call('HGET', KEYS[1], ARGV[1])
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. ' ' .. epoch)
return {epoch, before or ''}
"""
_CLAIM_AGAIN = """
local before = redis.call('HGET', KEYS[1], ARGV[1])
if before then
  if before == ARGV[2] .. ' ' .. ARGV[3] then return 'kept' end
  local epoch = string.match(before, ' (%d+)$')
  if tonumber(epoch) > tonumber(ARGV[3]) then return before end
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. ' ' .. ARGV[3])
return ''
"""
_LET_GO = """
if redis.call('HGET', KEYS[1], ARGV[1]) == ARGV[2] then return redis.call('HDEL', KEYS[1], ARGV[1]) end
return 0
"""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a charger's link is."""

    worker: str
    epoch: int

    @classmethod
    def parse(cls, value: bytes | str) -> "Place | None":
        """What stands in Redis; None where nothing does."""
        worker, _, epoch = text(value).rpartition(" ")
        return cls(worker, int(epoch)) if worker and epoch.isdigit() else None

    def __str__(self) -> str:
        return f"{self.worker} {self.epoch}"


class Registry:
    """Links and workers in Redis. Everything raises what Redis does (`TROUBLE`)."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet, self._keys = fleet, fleet.keys

    async def claim(self, site: SiteId, charger: ChargerId, worker: str) -> tuple[Place, Place | None]:
        """The charger's newest link is at `worker` from now on; where it was before. An older link there is cut."""
        epoch, before = await self._fleet.client.eval(
            _CLAIM, 2, self._keys.links(site), self._keys.epoch, charger, worker
        )
        place, older = Place(worker, int(epoch)), Place.parse(before)
        if older is not None and older.worker != worker:
            await self._tell(older.worker, encode_order(Cut(charger, place.epoch)))
        return place, older

    async def claim_again(
        self, links: Mapping[ChargerId, tuple[SiteId, Place]]
    ) -> tuple[set[ChargerId], set[ChargerId]]:
        """Say again where links are; returns those that Redis had forgotten, and those that are elsewhere meanwhile."""
        if not links:
            return set(), set()
        async with self._fleet.client.pipeline(transaction=False) as pipe:
            for charger, (site, place) in links.items():
                pipe.eval(_CLAIM_AGAIN, 1, self._keys.links(site), charger, place.worker, str(place.epoch))
            answers = await pipe.execute()
        told = dict(zip(links, map(text, answers), strict=True))
        forgotten = {charger for charger, answer in told.items() if not answer}
        return forgotten, {charger for charger, answer in told.items() if Place.parse(answer) is not None}

    async def let_go(self, site: SiteId, charger: ChargerId, place: Place) -> None:
        """The link is gone; a newer one is not touched."""
        await self._fleet.client.eval(_LET_GO, 1, self._keys.links(site), charger, str(place))

    async def links(self, site: SiteId) -> dict[ChargerId, Place]:
        """Where the chargers of a site are."""
        found = await self._fleet.client.hgetall(self._keys.links(site))
        places = {ChargerId(text(charger)): Place.parse(value) for charger, value in found.items()}
        return {charger: place for charger, place in places.items() if place is not None}

    async def alive(self, workers: Sequence[str]) -> set[str]:
        """Those of the workers that gave a sign of life."""
        if not workers:
            return set()
        values = await self._fleet.client.mget([self._keys.worker(worker) for worker in workers])
        return {worker for worker, value in zip(workers, values, strict=True) if value is not None}

    async def give_sign(self, worker: str, about: Mapping[str, object]) -> bool:
        """A worker's sign of life; whether Redis still had the last one."""
        async with self._fleet.client.pipeline(transaction=False) as pipe:
            pipe.set(self._keys.worker(worker), json.dumps(about), px=round(SIGN_OF_LIFE_S * 1000), get=True)
            pipe.expire(self._keys.commands(worker), _COMMANDS_EXPIRE_S)
            before, _ = await pipe.execute()
        return before is not None

    async def leave(self, worker: str) -> None:
        """A worker has ended in order."""
        await self._fleet.client.delete(self._keys.worker(worker), self._keys.commands(worker))

    async def _tell(self, worker: str, fields: Mapping[Any, Any]) -> None:
        await self._fleet.client.xadd(self._keys.commands(worker), {**fields}, maxlen=_COMMANDS_KEPT, approximate=True)
