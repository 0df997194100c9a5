"""What all links of a site that holds share: the spool, the pace of replays, the tags, and who was let in before."""

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from typing import Final, TypeVar

import structlog

from domain.ids import ChargerId
from domain.ports import Clock
from proxy.pace import Pace
from proxy.protocol.held import Doubt, Remembered, TagInfo
from proxy.settings import Counters, HoldSettings
from proxy.spool import Spool, Work

T = TypeVar("T")

_AWAY_FOR_S: Final = 10.0

_log = structlog.get_logger()


class HoldOffice:
    """One for a server. `without_csms` are the chargers of which it was told last that their CSMS is gone."""

    def __init__(self, spool: Spool, clock: Clock, settings: HoldSettings, counters: Counters) -> None:
        self.spool, self.clock, self.settings, self.counters = spool, clock, settings, counters
        self.pace = Pace(settings.replay_per_s)
        self._loop = asyncio.get_running_loop()
        self._tags: dict[str, dict[str, TagInfo]] = {}
        self._away_until_s: dict[str, float] = {}
        self.without_csms: set[ChargerId] = set()
        self._secret = secrets.token_bytes(32)
        self._remembered: dict[ChargerId, tuple[bytes, str | None]] = {}
        now = clock.now()
        spool.do(lambda book: book.prune(now), lambda _: None)

    async def ask(self, work: Work[T]) -> T:
        """The result of a step on the spool; `OSError` where the disk does not do it."""
        answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()

        def tell(result: T | Exception) -> None:
            if answer.cancelled():
                return
            if isinstance(result, Exception):
                answer.set_exception(OSError(f"the spool of outages: {result}"))
            else:
                answer.set_result(result)

        self.spool.do(work, tell)
        return await answer

    def seems_away(self, scope: str) -> bool:
        """Whether this CSMS could not be reached a moment ago: chargers that all come at once after a crash of ours do
        not each wait for it in vain. They dial again from within.
        """
        return self._away_until_s.get(scope, 0.0) > self._loop.time()

    def reached(self, scope: str, there: bool) -> None:
        """Whether this CSMS could be reached just now."""
        self._away_until_s[scope] = 0.0 if there else self._loop.time() + _AWAY_FOR_S

    async def load(self, charger: ChargerId) -> Remembered:
        """What is known of a charger."""
        now = self.clock.now()
        return await self.ask(lambda book: book.load(charger, now))

    async def tags(self, scope: str) -> dict[str, TagInfo]:
        """The cache of a CSMS's tags, shared by its chargers."""
        known = self._tags.get(scope)
        if known is None:
            found = await self.ask(lambda book: book.tags(scope))
            known = self._tags.setdefault(scope, found)
        return known

    async def doubts(self) -> list[Doubt]:
        """The starts that a CSMS may hold twice, or not at all."""
        return await self.ask(lambda book: book.doubts())

    async def admits(self, charger: ChargerId, authorization: Sequence[str]) -> tuple[bool, str | None]:
        """Whether the CSMS let this charger in with this header before, and the subprotocol that it chose."""
        header = _header(authorization)
        return await self.ask(lambda book: book.admits(charger, header))

    def let_in(self, charger: ChargerId, authorization: Sequence[str], protocol: str | None) -> None:
        """The CSMS has let it in: remember how, unless that is known."""
        header = _header(authorization)
        known = (hmac.digest(self._secret, header, hashlib.sha256), protocol)
        if self._remembered.get(charger) != known:
            self._remembered[charger] = known
            self.write(lambda book: book.remember(charger, header, protocol))

    def refused(self, charger: ChargerId, authorization: Sequence[str]) -> None:
        """The CSMS does not want it with this header any more."""
        header = _header(authorization)
        self._remembered.pop(charger, None)
        self.write(lambda book: book.forget(charger, header))

    def write(self, work: Work[None]) -> None:
        """A step that nobody waits for."""
        self.spool.do(work, self._written)

    def _written(self, result: Exception | None) -> None:
        if isinstance(result, Exception):
            self.failed(result)

    def failed(self, error: Exception) -> None:
        """The disk does not do what it has to."""
        self.counters.spool_errors += 1
        _log.error("spool_failed", error=f"{type(error).__name__}: {error}")


def _header(authorization: Sequence[str]) -> bytes:
    return "\n".join(authorization).encode("utf-8", "surrogateescape")
