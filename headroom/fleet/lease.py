"""Who controls a site: a lease in Redis with a fencing token that only grows.

A holder counts its lease on its own monotonic clock, from before it asked for the renewal, and lets go earlier than
Redis forgets it: no two machines' clocks are ever compared. What a paused holder may still believe when it wakes is
caught by the token: at Redis when a command is sent, at the worker when it arrives, at the database when state is
written.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import structlog

from domain.ids import SiteId
from headroom.fleet.connection import TROUBLE, Fleet, text
from headroom.waiting import unless_cancelled

log = structlog.get_logger()

LEASE_S = 3.0
"""So long Redis remembers a holder that says nothing."""
HELD_S = 2.4
"""So long a holder relies on its last renewal."""
RENEW_EVERY_S = 0.5

_ACQUIRE = """
if redis.call('EXISTS', KEYS[1]) == 1 then return {0, 0} end
local counted = tonumber(redis.call('GET', KEYS[2]) or '0')
local token = math.max(counted, tonumber(ARGV[3])) + 1
redis.call('SET', KEYS[2], string.format('%.0f', token))
redis.call('SET', KEYS[1], string.format('%.0f', token) .. ' ' .. ARGV[1], 'PX', ARGV[2])
return {token, counted < tonumber(ARGV[3]) and 1 or 0}
"""
# A lease that Redis forgot (it was restarted empty, or slow) is taken up again where nobody had a later one.
_RENEW = """
local held = redis.call('GET', KEYS[1])
if held == ARGV[1] then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
  return 1
end
if held then return 0 end
if tonumber(redis.call('GET', KEYS[2]) or '0') > tonumber(ARGV[3]) then return 0 end
redis.call('SET', KEYS[2], ARGV[3])
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
"""
_RELEASE = "if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end return 0"


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a lease, as others see it."""

    token: int
    name: str
    url: str

    @classmethod
    def parse(cls, value: bytes | str) -> "Holder | None":
        """What stands in Redis; None where that is none of ours."""
        token, _, rest = text(value).partition(" ")
        name, _, url = rest.partition(" ")
        return cls(int(token), name, url) if token.isdigit() and name else None


@dataclass(slots=True)
class Lease:
    """One reign over one site. `valid` is to be asked before anything leaves."""

    site: SiteId
    token: int
    value: str
    mono: Callable[[], float] = field(repr=False)
    held_until_s: float
    after_loss: bool = False
    """Whether Redis had forgotten older leases when it gave this one: their holder may not know yet."""

    @property
    def valid(self) -> bool:
        """Whether the lease surely holds at this moment, by this process's clock."""
        return self.mono() < self.held_until_s

    def end(self) -> None:
        """It holds no more."""
        self.held_until_s = float("-inf")


class Leases:
    """The leases of one process. `mono` must go on while the machine sleeps (`headroom.clock.lease_clock_s`)."""

    def __init__(self, fleet: Fleet, name: str, url: str, mono: Callable[[], float]) -> None:
        self.name, self.url = name, url
        self.held: dict[SiteId, Lease] = {}
        self._fleet, self._mono = fleet, mono

    async def free(self, sites: Sequence[SiteId]) -> list[SiteId]:
        """Those of the sites that nobody controls now. Raises what Redis does (`TROUBLE`)."""
        if not sites:
            return []
        values = await self._fleet.quick.mget([self._fleet.keys.lease(site) for site in sites])
        return [site for site, value in zip(sites, values, strict=True) if value is None]

    async def acquire(self, site: SiteId, above: int) -> Lease | None:
        """The lease of a site with a token above `above`; None where somebody else was faster.

        Raises what Redis does; a lease that was got although the answer was lost runs out by itself.
        """
        begun_s = self._mono()
        keys = (self._fleet.keys.lease(site), self._fleet.keys.token(site))
        token, forgot = await self._fleet.quick.eval(
            _ACQUIRE, 2, *keys, f"{self.name} {self.url}", _ms(LEASE_S), str(above)
        )
        if not token:
            return None
        value = f"{token} {self.name} {self.url}"
        lease = Lease(site, int(token), value, self._mono, begun_s + HELD_S, after_loss=bool(forgot))
        self.held[site] = lease
        return lease

    async def renew(self) -> list[Lease]:
        """Renew all that are held; those that are lost, by Redis's word or by the clock, are ended and returned."""
        asked = [lease for lease in self.held.values() if lease.valid]
        begun_s = self._mono()
        answers: list[object] = []
        if asked:
            try:
                async with self._fleet.quick.pipeline(transaction=False) as pipe:
                    for lease in asked:
                        keys = (self._fleet.keys.lease(lease.site), self._fleet.keys.token(lease.site))
                        pipe.eval(_RENEW, 2, *keys, lease.value, _ms(LEASE_S), str(lease.token))
                    answers = await pipe.execute(raise_on_error=False)
            except TROUBLE as error:
                unless_cancelled()
                log.warning("leases_not_renewed", error=f"{type(error).__name__}: {error}")
        for lease, answer in zip(asked, answers, strict=False):
            if answer == 1:
                lease.held_until_s = begun_s + HELD_S
            elif answer == 0:
                lease.end()
        lost = [lease for lease in self.held.values() if not lease.valid]
        for lease in lost:
            lease.end()
            del self.held[lease.site]
        return lost

    async def release(self, lease: Lease) -> None:
        """Let go, so that another may take over at once. Where Redis does not answer it runs out."""
        lease.end()
        if self.held.get(lease.site) is lease:
            del self.held[lease.site]
        try:
            await self._fleet.quick.eval(_RELEASE, 1, self._fleet.keys.lease(lease.site), lease.value)
        except TROUBLE as error:
            unless_cancelled()
            log.warning("lease_not_released", site=lease.site, error=f"{type(error).__name__}: {error}")


def _ms(seconds: float) -> str:
    return str(round(seconds * 1000))
