"""The short way of a frame through a link: most are a charger's CALL that finds its line free, or the reply to it.

What is done is what `Relay.from_charger` and `from_csms` would have wanted, with nothing made that nobody looks at.
"""

from collections import deque

from proxy.deskwork import Thought
from proxy.legs import Leg
from proxy.protocol.effects import Instant
from proxy.protocol.exchange import Exchange
from proxy.protocol.interception import Heard
from proxy.protocol.relay import Relay
from proxy.settings import Counters


class ShortWay:
    """One link's. What is to be thought about, and heard by its desk, is added to `thoughts`."""

    __slots__ = ("_calls", "_counters", "_relay", "_replies", "_thoughts")

    def __init__(self, relay: Relay, heard: Heard, counters: Counters, thoughts: deque[Thought]) -> None:
        self._relay, self._counters, self._thoughts = relay, counters, thoughts
        self._calls, self._replies = heard.calls, heard.replies

    def up(self, raw: bytes, now: Instant, csms: Leg | None) -> bool:
        """A CALL of the charger: it is written, and nothing else is due. False, with nothing done, for all others."""
        call = self._relay.quick_up(raw, now)
        if call is None:
            return False
        if csms is not None and csms.send_now(raw):
            self._counters.to_csms += 1
        else:
            self._counters.dropped += 1
        if self._calls is None or call.action in self._calls:
            self._thoughts.append(call)
        return True

    def down(self, raw: bytes, now: Instant, charger: Leg) -> bool:
        """As `up`, for the reply of the CSMS to it."""
        answered = self._relay.quick_down(raw)
        if answered is None:
            return False
        if charger.send_now(raw):
            self._counters.to_charger += 1
        else:
            self._counters.dropped += 1
        call, frame = answered
        if self._replies is None or call.action in self._replies:
            self._thoughts.append(Exchange(call, True, bytes(frame.payload), now.at, now.mono_s))
        return True
