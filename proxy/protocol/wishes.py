"""What a desk wants beside what its methods return: a CALL that is intercepted may need others to go first.

The link asks for the wishes after every other method of a desk, carries them out in their order, and lets time pass
for a desk when it is due.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from domain.events import Event
from proxy.protocol.exchange import OwnCall
from proxy.protocol.interception import Release


@dataclass(frozen=True, slots=True)
class UpCall:
    """A CALL in the charger's name towards the CSMS (a report, a notification). Its reply stays inside, unread."""

    action: str
    payload: Mapping[str, object]


Wish = Event | OwnCall | UpCall | Release
"""To publish, to inject towards the charger, to inject towards the CSMS, to do with a CALL that waits."""


class Wishful(Protocol):
    """The part of a desk that speaks up by itself. Pure and quick."""

    @property
    def due_at(self) -> datetime | None:
        """When `pass_time` is due, on our clock; None: time alone changes nothing. Asked after every other method."""
        ...

    def pass_time(self, now: datetime) -> None:
        """Time has passed: harmless at any instant."""
        ...

    def take_wishes(self) -> list[Wish]:
        """What is wanted since the last time this was asked, in order."""
        ...
