"""The transactions that run on one charger, as far as passing messages tell: who charges where, since when."""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

_MOST = 64
"""More are never kept, whatever a charger tells: the oldest go."""


@dataclass(slots=True)
class Running:
    """One transaction. 2.x tells EVSE and id token once: both are remembered here.

    `started_at` is our clock; None where the start was not seen. `announced`: a SessionStarted was told, or the
    session was known before. `refused`: the CSMS did not accept the id token (yet).
    """

    transaction_id: str
    connector: int | None
    started_at: datetime | None = None
    id_tag: str | None = None
    meter_start_wh: float | None = None
    phases_used: int | None = None
    announced: bool = False
    refused: bool = False


class Transactions:
    """Running transactions by id and by connector, and the ids that ended lately (late messages revive none)."""

    def __init__(self, known: Mapping[int, str] | None = None) -> None:
        self._running: dict[str, Running] = {}
        self._ended: deque[str] = deque(maxlen=_MOST)
        for connector, transaction_id in (known or {}).items():
            self.begin(Running(transaction_id, connector, announced=True))

    def get(self, transaction_id: str) -> Running | None:
        """The running transaction of that id."""
        return self._running.get(transaction_id)

    def at(self, connector: int) -> Running | None:
        """The newest transaction that runs on a connector."""
        found = [running for running in self._running.values() if running.connector == connector]
        return found[-1] if found else None

    def others_at(self, connector: int, transaction_id: str) -> list[Running]:
        """The transactions remembered at a connector that are not this one."""
        return [r for r in self._running.values() if r.connector == connector and r.transaction_id != transaction_id]

    def has_ended(self, transaction_id: str) -> bool:
        """Whether that transaction ended lately."""
        return transaction_id in self._ended

    def begin(self, running: Running) -> None:
        """A transaction runs from now on; the same id again replaces what was remembered of it."""
        self._running.pop(running.transaction_id, None)
        while len(self._running) >= _MOST:
            self._running.pop(next(iter(self._running)))
        self._running[running.transaction_id] = running
        if running.transaction_id in self._ended:
            self._ended.remove(running.transaction_id)

    def end(self, transaction_id: str) -> Running | None:
        """That transaction is over; what was remembered of it, or None."""
        if transaction_id not in self._ended:
            self._ended.append(transaction_id)
        return self._running.pop(transaction_id, None)
