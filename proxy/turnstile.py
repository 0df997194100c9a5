"""A storm of connections, let in gradually: so many handshakes at once, the rest in a fair line."""

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Literal

from domain.ids import ChargerId

Passage = Literal["in", "overtaken", "full", "late"]
"""How waiting ended: let in; a newer connection of the same charger took the place; no room; too long."""

_WINDOW_S = 60.0
_CALM_ENTRIES = 3
"""A charger that comes oftener than so in a minute lines up behind those that do not."""
_MOST_KNOWN = 20_000


class Turnstile:
    """At most `at_once` are inside; `most_waiting` wait, each charger in one place, `patience_s` at most.

    Chargers that reconnect all the time wait behind all others, are inside once each, and leave a quarter of the room
    to the others: neighbours keep their service. Nobody is refused while there is room to wait. `waited` counts those
    that were not let in at once.
    """

    def __init__(self, at_once: int, most_waiting: int, patience_s: float, time: Callable[[], float]) -> None:
        self._at_once, self._most_waiting, self._patience_s, self._time = at_once, most_waiting, patience_s, time
        self._for_restless = max(1, at_once - max(1, at_once // 4))
        self._calm_inside = 0
        self._restless_inside: set[ChargerId] = set()
        self._lines: dict[bool, OrderedDict[ChargerId, asyncio.Future[Passage]]] = {
            False: OrderedDict(),
            True: OrderedDict(),
        }
        self._entries: OrderedDict[ChargerId, deque[float]] = OrderedDict()
        self.waited = 0

    @property
    def waiting(self) -> int:
        """How many are in line."""
        return len(self._lines[False]) + len(self._lines[True])

    async def enter(self, who: ChargerId) -> tuple[Passage, bool]:
        """Wait for one's turn. The second value is for `leave`, which has to follow an "in"."""
        restless = self._is_restless(who)
        line = self._lines[restless]
        if not line and self._has_room(who, restless):
            self._come_in(who, restless)
            return "in", restless
        self.waited += 1
        older = next((one for one in self._lines.values() if who in one), None)
        if older is not None:
            _tell(older.pop(who), "overtaken")
        elif self.waiting >= self._most_waiting:
            return "full", restless
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[Passage] = loop.create_future()
        line[who] = turn
        patience = loop.call_later(self._patience_s, _tell, turn, "late")
        try:
            return await turn, restless
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled() and turn.result() == "in":
                self.leave(who, restless)  # the turn came together with the end of who waited for it
            raise
        finally:
            patience.cancel()
            if line.get(who) is turn:
                del line[who]

    def leave(self, who: ChargerId, restless: bool) -> None:
        """One's handshake is over, however it ended."""
        if restless:
            self._restless_inside.discard(who)
        else:
            self._calm_inside -= 1
        self._let_in()

    def _come_in(self, who: ChargerId, restless: bool) -> None:
        if restless:
            self._restless_inside.add(who)
        else:
            self._calm_inside += 1

    def _has_room(self, who: ChargerId, restless: bool) -> bool:
        if self._calm_inside + len(self._restless_inside) >= self._at_once:
            return False
        return not restless or (len(self._restless_inside) < self._for_restless and who not in self._restless_inside)

    def _let_in(self) -> None:
        for restless, line in self._lines.items():  # the calm ones first
            for who, turn in tuple(line.items()):
                if not self._has_room(who, restless):
                    if not restless:
                        return
                    continue
                del line[who]
                if not turn.done():
                    self._come_in(who, restless)
                    turn.set_result("in")

    def _is_restless(self, who: ChargerId) -> bool:
        now_s = self._time()
        entries = self._entries.pop(who, None) or deque(maxlen=_CALM_ENTRIES + 1)
        entries.append(now_s)
        self._entries[who] = entries
        while len(self._entries) > _MOST_KNOWN:
            self._entries.popitem(last=False)
        return len(entries) > _CALM_ENTRIES and now_s - entries[0] < _WINDOW_S


def _tell(turn: "asyncio.Future[Passage]", passage: Passage) -> None:
    if not turn.done():
        turn.set_result(passage)
