"""What the proxies' spools hold, told in Redis: who is asked about a site's outages knows those of all of them.

A spool is named after its machine and file, so that a proxy which is started again tells of the same one. What the last
proxy that had it told stays for who asks, also while no process has the spool.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
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
_ENCODE = msgspec.json.Encoder().encode


async def keep_telling(fleet: Fleet, name: str, office: Callable[[], HoldOffice | None], clock: Clock) -> None:
    """Tell again and again what is in this process's spool, for ever."""
    while True:
        await asyncio.sleep(_EVERY_S)
        found = office()
        if found is None:
            continue
        try:
            told = await look(found, name, clock)
            async with fleet.client.pipeline(transaction=False) as pipe:
                pipe.hset(fleet.keys.spools, name, _ENCODE(told))
                pipe.set(fleet.keys.spool_sign(name), b"1", px=round(_ANSWERS_S * 1000))
                await pipe.execute()
        except TROUBLE:
            unless_cancelled()
        except StorageError as error:
            log.warning("spool_not_told", error=str(error))


async def all_spools(fleet: Fleet, clock: Clock) -> list[SpoolLook]:
    """What every proxy told last, by the spools' names. One that is empty and whose proxy is gone is left out.

    Raises:
        StorageError: Redis does not say it.
    """
    try:
        found = await fleet.client.hgetall(fleet.keys.spools)
        names = sorted(text(name) for name in found)
        signs = await fleet.client.mget([fleet.keys.spool_sign(name) for name in names]) if names else []
    except TROUBLE as error:
        unless_cancelled()
        raise StorageError(f"the proxies' outages are not known: Redis does not answer: {error}") from error
    now, looks, gone = clock.now(), [], []
    for name, sign in zip(names, signs, strict=True):
        try:
            one = _DECODE(found[name.encode()])
        except msgspec.MsgspecError as error:
            log.warning("spool_not_readable", spool=name, error=str(error))
            continue
        if sign is not None or (not one.is_empty and now - one.at < _KEPT):
            looks.append(msgspec.structs.replace(one, answers=sign is not None))
        else:
            gone.append(name)
    if gone:  # a proxy that is only late tells again within seconds
        with suppress(*TROUBLE):
            await fleet.client.hdel(fleet.keys.spools, *gone)
    return looks
