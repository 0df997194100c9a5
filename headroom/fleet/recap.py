"""How a worker's links stand, in the words of the last events of each kind: told again to whoever may have missed some.

A transaction that has ended leaves nothing of its own but its end: told again, its start or its samples would begin it
anew where the end is known.
"""

from domain import events as e
from domain.events import Event
from domain.ids import ChargerId

_Key = tuple[str, int | None]

_ONE_OF = {"CsmsReturned": "CsmsLost"}
"""Kinds of which the later replaces the earlier."""
_NOT_TOLD_AGAIN = (
    e.SetpointSent,
    e.SetpointAccepted,
    e.SetpointRefused,
    e.SetpointConfirmed,
    e.SetpointIgnored,
    e.CsmsCommandWithheld,
    e.StartInDoubt,
    e.FeederMetered,
)
"""A controller that missed what became of a limit sends it again; the others happened once."""


class Recap:
    """The newest events of the chargers that are linked here."""

    def __init__(self) -> None:
        self._chargers: dict[ChargerId, dict[_Key, Event]] = {}

    def note(self, event: Event) -> None:
        """An event is told."""
        if isinstance(event, _NOT_TOLD_AGAIN):
            return
        if isinstance(event, e.ChargerDisconnected):
            self._chargers.pop(event.charger, None)
            return
        if isinstance(event, e.ChargerConnected):
            self._chargers[event.charger] = {}
        kept = self._chargers.get(event.charger)
        if kept is None:
            return
        connector = getattr(event, "connector", None)
        if isinstance(event, e.SessionEnded):
            self._forget_transaction(kept, event)
        kind = type(event).__name__
        key = (_ONE_OF.get(kind, kind), connector)
        kept.pop(key, None)  # in the order in which they were told
        kept[key] = event

    def of(self, charger: ChargerId) -> tuple[Event, ...]:
        """What to tell of a charger again, oldest first; nothing where it is not linked here."""
        return tuple(self._chargers.get(charger, {}).values())

    @staticmethod
    def _forget_transaction(kept: dict[_Key, Event], ended: e.SessionEnded) -> None:
        for key, event in tuple(kept.items()):
            if (
                isinstance(event, e.SessionStarted | e.EvseMetered | e.SessionEnded)
                and event.transaction_id == ended.transaction_id
            ):
                del kept[key]
