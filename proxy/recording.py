"""Tells a recorder every message of a link: what came in, and what went out that nobody had sent."""

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import Final, Literal

from proxy.protocol.exchange import Side

Direction = Literal["from_charger", "from_csms", "to_charger", "to_csms"]
"""`to_...` are messages of our own making: CALLs, answers, and what was changed on its way."""

Recorder = Callable[[Direction, bytes, datetime], None]
"""Called between reading and writing: it has to be quick and may not raise."""

_MOST_UNDERWAY: Final = 512


class Recording:
    """One charger link's, for both of its legs. `now` reads the clock. A message that goes out is known by the very
    object that came in: queues never copy it.
    """

    __slots__ = ("_now", "_recorder", "_underway")

    def __init__(self, recorder: Recorder, now: Callable[[], datetime]) -> None:
        self._recorder, self._now = recorder, now
        self._underway: dict[int, bytes] = {}

    def came(self, side: Side, messages: Iterable[bytes]) -> None:
        """These were read."""
        direction: Direction = "from_charger" if side is Side.CHARGER else "from_csms"
        underway, at = self._underway, self._now()
        for raw in messages:
            self._recorder(direction, raw, at)
            underway[id(raw)] = raw
        while len(underway) > _MOST_UNDERWAY:  # those that were swallowed, or wait very long
            del underway[next(iter(underway))]

    def goes(self, side: Side, raw: bytes) -> None:
        """This is written."""
        if self._underway.pop(id(raw), None) is None:
            self._recorder("to_charger" if side is Side.CHARGER else "to_csms", raw, self._now())
