"""What a drill does to everything around a fleet that works: the database, Redis and the CSMS slow, gone or empty."""

import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

from headroom.fleet.drill_servers import OwnServer, own_postgresql, own_redis
from simulators.csms import SimulatedCsms

TROUBLES = ("database-slow", "database-gone", "redis-slow", "redis-gone", "all-gone")


@dataclass(frozen=True)
class OwnServers:
    """The servers of a drill, and their URLs."""

    postgresql: OwnServer
    redis: OwnServer

    @property
    def database_url(self) -> str:
        """What `--database` takes."""
        return f"postgresql://headroom@127.0.0.1:{self.postgresql.port}/postgres"

    @property
    def redis_url(self) -> str:
        """What `--redis` takes."""
        return f"redis://127.0.0.1:{self.redis.port}/0"

    def trouble(self, name: str, csms: SimulatedCsms) -> AbstractAsyncContextManager[None]:
        """One of `TROUBLES`, as long as it is entered. A Redis that was gone comes back empty."""
        made: dict[str, Callable[[], AbstractAsyncContextManager[None]]] = {
            "database-slow": self.postgresql.slowed,
            "database-gone": lambda: _gone(self.postgresql),
            "redis-slow": self.redis.slowed,
            "redis-gone": lambda: _gone(self.redis),
            "all-gone": lambda: self._all_gone(csms),
        }
        return made[name]()

    @contextlib.asynccontextmanager
    async def _all_gone(self, csms: SimulatedCsms) -> AsyncIterator[None]:
        """The CSMS too: what chargers tell of transactions is on the proxies' disks alone."""
        async with _gone(self.postgresql), _gone(self.redis):
            csms.stop(crash=True)
            try:
                yield
            finally:
                await csms.start()


@contextlib.asynccontextmanager
async def own_servers(folder: Path, free_port: Callable[[], int]) -> AsyncIterator[OwnServers]:
    """Both, started, with their files in `folder`; ended afterwards."""
    servers = OwnServers(await own_postgresql(folder, free_port()), own_redis(folder, free_port()))
    try:
        await servers.postgresql.start()
        await servers.redis.start()
        yield servers
    finally:
        await servers.postgresql.kill()
        await servers.redis.kill()


@contextlib.asynccontextmanager
async def _gone(server: OwnServer) -> AsyncIterator[None]:
    await server.kill()
    try:
        yield
    finally:
        await server.start()
