"""What a long-running service does for its database: partitions made ahead, and what is too old forgotten."""

from datetime import timedelta

import structlog

from domain.errors import StorageError
from domain.ports import Clock
from inventory.partitions import drop_partitions, make_partitions
from inventory.retention import prune
from inventory.store import Store

log = structlog.get_logger()

_EVERY_S = 3600.0
_PAUSE_S = 0.2
"""Between two short transactions: the service's own records come first."""


class Retention:
    """Keeps measured values and decisions for `keep_days`, sessions, alarms and limits for `keep_sessions_days`.

    Any number of processes may do it at once. What is open or in force stays whatever its age.
    """

    def __init__(self, store: Store, clock: Clock, keep_days: float, keep_sessions_days: float) -> None:
        self._store, self._clock = store, clock
        self._keep, self._keep_sessions = timedelta(days=keep_days), timedelta(days=keep_sessions_days)

    async def run(self) -> None:
        """Now and every hour, for ever; a database that fails is asked again an hour later."""
        while True:
            try:
                await self.once()
            except StorageError as error:
                log.error("history_not_kept_within_days", error=str(error))
            await self._clock.sleep(_EVERY_S)

    async def once(self) -> dict[str, int]:
        """All that is due; how many rows were deleted of each table, beside whole partitions."""
        now = self._clock.now()
        made = await self._store.transact(lambda conn: make_partitions(conn, now))
        dropped = await self._store.transact(lambda conn: drop_partitions(conn, now - self._keep))
        if made or dropped:
            log.info("partitions_changed", made=made, dropped=dropped)
        total: dict[str, int] = {}
        while True:
            deleted = await self._store.transact(
                lambda conn: prune(conn, now - self._keep, sessions_before=now - self._keep_sessions)
            )
            total = {name: total.get(name, 0) + count for name, count in deleted.items()}
            if not any(deleted.values()):
                return total
            await self._clock.sleep(_PAUSE_S)
