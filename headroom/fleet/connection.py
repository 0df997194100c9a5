"""How Redis is reached: bounded waits, no retries of the client's own, and what counts as trouble."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

import redis.asyncio as redis
from redis.asyncio.client import Pipeline
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from domain.errors import HeadroomError
from headroom.fleet.keys import Keys
from headroom.waiting import unless_cancelled

T = TypeVar("T")

TROUBLE = (RedisError, OSError, TimeoutError)
"""What a call to Redis may raise when Redis is slow, gone or starting."""

QUICK_S = 0.8
"""How long an answer is waited for where a lease depends on it."""
ANSWER_S = 2.0
"""The same for everything else."""
BLOCK_MS = 1000
"""How long a reader waits in Redis for something new."""


@dataclass(frozen=True, slots=True)
class Fleet:
    """Where the other processes are met. `quick` is for leases, `client` for the rest, `blocking` for readers."""

    keys: Keys
    quick: "redis.Redis"
    client: "redis.Redis"
    blocking: "redis.Redis"
    boot: str

    @classmethod
    def at(cls, url: str, prefix: str, boot: str) -> "Fleet":
        """Nothing is connected yet.

        Raises:
            HeadroomError: the URL is none of Redis.
        """
        if urlsplit(url).scheme not in {"redis", "rediss", "unix"}:
            raise HeadroomError(f"--redis '{url}': expected redis://HOST:PORT/NUMBER, or rediss:// with TLS")
        return cls(
            Keys(prefix),
            quick=_client(url, QUICK_S),
            client=_client(url, ANSWER_S),
            blocking=_client(url, ANSWER_S + BLOCK_MS / 1000),
            boot=boot,
        )

    async def answers(self) -> bool:
        """Whether Redis answers now."""
        try:
            await self.quick.ping()
        except TROUBLE:
            unless_cancelled()
            return False
        return True

    async def close(self) -> None:
        """Let every connection go."""
        for client in (self.quick, self.client, self.blocking):
            await client.aclose()


async def _whole(call: Coroutine[Any, Any, T]) -> T:
    """A call to Redis that is never cancelled midway: it is awaited to its end, which its time-out bounds.

    redis-py 8 was seen to lose a cancellation that meets an answer: the task then goes on as if nothing had been.
    """
    task = asyncio.get_running_loop().create_task(call)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        if not task.cancelled():
            task.exception()
        raise


class _WholePipeline(Pipeline):
    async def execute(self, raise_on_error: bool = True) -> list[Any]:
        return await _whole(super().execute(raise_on_error))


class _WholeClient(redis.Redis):
    async def execute_command(self, *args: Any, **options: Any) -> Any:
        return await _whole(super().execute_command(*args, **options))  # type: ignore[no-untyped-call]

    def pipeline(self, transaction: bool = True, shard_hint: str | None = None) -> Pipeline:
        return _WholePipeline(self.connection_pool, self.response_callbacks, transaction, shard_hint)


def _client(url: str, timeout_s: float) -> "redis.Redis":
    try:
        return _WholeClient.from_url(
            url,
            socket_timeout=timeout_s,
            socket_connect_timeout=timeout_s,
            socket_keepalive=True,
            retry=Retry(NoBackoff(), 0),
            health_check_interval=0,
            protocol=2,
        )
    except ValueError as error:
        raise HeadroomError(f"--redis '{url}': {error}") from None


def text(value: Any) -> str:
    """What Redis gives, as text."""
    return value.decode() if isinstance(value, bytes) else str(value)
