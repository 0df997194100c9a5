"""Waiting for an event or for the clock, whichever comes first."""

import asyncio

from domain.ports import Clock


async def wait_at_most(event: asyncio.Event, clock: Clock, seconds: float) -> bool:
    """Wait until `event` is set or `clock` has advanced by `seconds`; whether the event is set."""
    if event.is_set() or seconds <= 0:
        await asyncio.sleep(0)  # a loop around this must let others run
        return event.is_set()
    loop = asyncio.get_running_loop()
    signal = loop.create_task(_set(event))
    alarm = loop.create_task(clock.sleep(seconds))
    try:
        await asyncio.wait((signal, alarm), return_when=asyncio.FIRST_COMPLETED)
    finally:
        signal.cancel()
        alarm.cancel()
        await asyncio.gather(signal, alarm, return_exceptions=True)
    return event.is_set()


async def _set(event: asyncio.Event) -> None:
    await event.wait()
