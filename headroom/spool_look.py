"""What a spool of outages left for a person to look at, as far as it has to be told to others."""

from collections.abc import Container
from datetime import datetime

import msgspec

from domain.errors import StorageError
from domain.ports import Clock
from proxy.hold_office import HoldOffice
from proxy.protocol.held import Doubt
from proxy.spool_book import SpoolBook


class SetAside(msgspec.Struct, frozen=True):
    """A message that could not be brought to the CSMS."""

    charger: str
    action: str
    at: datetime


class SpoolLook(msgspec.Struct, frozen=True):
    """A spool's content at a time. `waiting`: messages of each charger that wait for the CSMS. `name` is empty for the
    spool of the process that is asked; `answers`: whether the process that has the spool is there.
    """

    name: str
    at: datetime
    doubts: list[Doubt]
    waiting: dict[str, int]
    aside: list[SetAside]
    answers: bool = True

    @property
    def is_empty(self) -> bool:
        """Nothing to look at."""
        return not (self.doubts or self.waiting or self.aside)

    def of(self, chargers: Container[str]) -> "SpoolLook":
        """The part about some chargers."""
        return msgspec.structs.replace(
            self,
            doubts=[one for one in self.doubts if one.charger in chargers],
            waiting={charger: count for charger, count in self.waiting.items() if charger in chargers},
            aside=[one for one in self.aside if one.charger in chargers],
        )


async def look(office: HoldOffice, name: str, clock: Clock) -> SpoolLook:
    """What is in the spool now.

    Raises:
        StorageError: the disk does not say it.
    """

    def read(book: SpoolBook) -> SpoolLook:
        aside = [SetAside(charger, stored.entry.action, stored.entry.at) for charger, stored in book.aside()]
        return SpoolLook(name, clock.now(), book.doubts(), book.waiting(), aside)

    try:
        return await office.ask(read)
    except OSError as error:
        raise StorageError(str(error)) from error
