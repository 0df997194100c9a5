"""How long to wait before a source is tried again: ever longer, up to a minute, in real seconds."""

import asyncio

FIRST_S, LONGEST_S = 0.5, 60.0


class Backoff:
    """Doubles with every failure; a success begins anew."""

    def __init__(self, first_s: float = FIRST_S, longest_s: float = LONGEST_S) -> None:
        self._first_s, self._longest_s = first_s, longest_s
        self.next_s = first_s

    def succeeded(self) -> None:
        """The source answered."""
        self.next_s = self._first_s

    async def wait(self) -> None:
        """Before the next try."""
        pause_s, self.next_s = self.next_s, min(2.0 * self.next_s, self._longest_s)
        await asyncio.sleep(pause_s)
