"""Dialling again: at first soon, then ever more seldom, and not all at the same moment."""

import asyncio
import random
from collections.abc import Awaitable, Callable

from proxy.legs import Leg
from proxy.upstream import Refused, Unreachable


async def redial(
    dial: Callable[[], Awaitable[Leg | Refused | Unreachable]], chance: random.Random, first_s: float, most_s: float
) -> Leg | Refused:
    """Dial after `first_s`, then after pauses that double up to `most_s`, each longer by up to half by chance, until
    somebody answers.
    """
    pause_s = first_s
    while True:
        await asyncio.sleep(pause_s * (1.0 + 0.5 * chance.random()))
        outcome = await dial()
        if not isinstance(outcome, Unreachable):
            return outcome
        pause_s = min(2 * pause_s, most_s)
