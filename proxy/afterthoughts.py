"""Forward first, then think: what desks make of messages waits until everything that has come is relayed."""

import asyncio
from collections import deque
from collections.abc import Callable


class Afterthoughts:
    """Work of many links that is done in one go, after the sockets that are readable now have been read.

    Nobody's frame then waits for another's to be understood. It is also what makes understanding cheap: a desk's code
    that runs between two system calls finds the processor's caches cold, and takes three times as long.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._waiting: deque[Callable[[], None]] = deque()

    def add(self, work: Callable[[], None]) -> None:
        """To be done in the loop's next turn, in order."""
        if not self._waiting:
            self._loop.call_soon(self.run)
        self._waiting.append(work)

    def run(self) -> None:
        """Do everything that waits, now."""
        waiting = self._waiting
        try:
            while waiting:
                waiting.popleft()()
        finally:
            if waiting:
                self._loop.call_soon(self.run)
