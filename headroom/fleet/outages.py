"""What the proxies' spools hold, told in Redis: who is asked about a site's outages knows those of all of them.

A spool is named after its machine and file, so that a proxy which is started again tells of the same one. What the last
proxy that had it told stays for who asks, also while no process has the spool. A proxy tells what is in its spool when
that changed, and again where Redis has lost it; that it is still so, and that the proxy is there, it tells every few
seconds.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final

import msgspec
import structlog

from domain.errors import StorageError
from domain.ports import Clock
from headroom.fleet.connection import TROUBLE, Fleet, text
from headroom.spool_look import SpoolLook, look
from headroom.waiting import unless_cancelled
from proxy.hold_office import HoldOffice

log = structlog.get_logger()

_EVERY_S = 3.0
_ANSWERS_S = 15.0
_KEPT: Final = timedelta(days=92)
_DECODE = msgspec.json.Decoder(SpoolLook).decode
_DECODE_TIME = msgspec.json.Decoder(datetime).decode
_ENCODE = msgspec.json.Encoder().encode


async def keep_telling(fleet: Fleet, name: str, office: Callable[[], HoldOffice | None], clock: Clock) -> None:
    """Tell again and again what is in this process's spool, for ever."""
    teller = _Teller(fleet, name)
    while True:
        await asyncio.sleep(_EVERY_S)
        found = office()
        if found is None:
            continue
        try:
            await teller.tell(await look(found, name, clock))
        except TROUBLE:
            unless_cancelled()
        except StorageError as error:
            log.warning("spool_not_told", error=str(error))


class _Teller:
    """Tells of one spool. What is in it may be long after an outage, so it is told no more often than it has to be."""

    def __init__(self, fleet: Fleet, name: str) -> None:
        self._fleet, self._name = fleet, name
        self._content: object = None
        """What Redis surely has of the spool."""
        self._time = b""
        """The time that Redis has, where it has lost nothing since it was told last."""

    async def tell(self, found: SpoolLook) -> None:
        """Tell what is in the spool now. Raises what Redis does (`TROUBLE`)."""
        content = (found.doubts, found.waiting, found.aside)
        if content == self._content and await self._send(found, whole=False):
            return
        self._content = None  # until it is known to have arrived
        await self._send(found, whole=True)
        self._content = content

    async def _send(self, found: SpoolLook, *, whole: bool) -> bool:
        """Whether Redis still had what was told last: it may have been restarted, empty or with an older copy."""
        keys, time = self._fleet.keys, _ENCODE(found.at)
        async with self._fleet.client.pipeline() as pipe:  # one transaction: a reader may be forgetting the spool
            pipe.hexists(keys.spools, self._name)
            pipe.hget(keys.spool_times, self._name)
            if whole:
                pipe.hset(keys.spools, self._name, _ENCODE(found))
            pipe.hset(keys.spool_times, self._name, time)
            pipe.set(keys.spool_sign(self._name), b"1", px=round(_ANSWERS_S * 1000))
            is_there, had, *_ = await pipe.execute()
        kept = bool(is_there) and had == self._time
        self._time = time
        return kept


async def all_spools(fleet: Fleet, clock: Clock) -> list[SpoolLook]:
    """What every proxy told last, by the spools' names. One that is empty and whose proxy is gone is left out.

    Raises:
        StorageError: Redis does not say it.
    """
    try:
        found = await fleet.client.hgetall(fleet.keys.spools)
        times = await fleet.client.hgetall(fleet.keys.spool_times)
        names = sorted(text(name) for name in found)
        signs = await fleet.client.mget([fleet.keys.spool_sign(name) for name in names]) if names else []
    except TROUBLE as error:
        unless_cancelled()
        log.warning("spools_not_read", error=f"{type(error).__name__}: {error}")  # here: it names our hosts
        raise StorageError("the proxies' outages are not known: Redis does not answer; try again") from error
    now, looks, gone = clock.now(), [], []
    for name, sign in zip(names, signs, strict=True):
        try:
            one = _DECODE(found[name.encode()])
            seen = times.get(name.encode())  # a proxy of an earlier version tells its time with the rest
            at = one.at if seen is None else max(one.at, _DECODE_TIME(seen))
        except msgspec.MsgspecError as error:
            log.warning("spool_not_readable", spool=name, error=str(error))
            continue
        if sign is not None or (not one.is_empty and now - at < _KEPT):
            looks.append(msgspec.structs.replace(one, at=at, answers=sign is not None))
        else:
            gone.append(name)
    if gone:  # a proxy that is only late tells again within seconds
        with suppress(*TROUBLE):
            async with fleet.client.pipeline() as pipe:
                pipe.hdel(fleet.keys.spools, *gone)
                pipe.hdel(fleet.keys.spool_times, *gone)
                await pipe.execute()
    return looks
