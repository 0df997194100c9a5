"""Ports that more than one part of the house needs: structural, so that live and simulated ones need no common base."""

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """The only source of time. It may run fast (`--speed`) or be virtual; network time-outs do not use it."""

    def now(self) -> datetime:
        """The present instant, aware, UTC."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait until `now()` has advanced by `seconds`."""
        ...
