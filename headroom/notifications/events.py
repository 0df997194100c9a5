"""From the feed's notices to what others are told."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from headroom.feed import Notice
from headroom.notifications.settings import EventKind

_TELLING = ("state", "linked", "transaction_id")


@dataclass
class Digest:
    """Leaves out what only the page needs: an EVSE that still does the same, decisions, loads."""

    _known: dict[tuple[str, str], tuple[object, ...]] = field(default_factory=dict)

    def event_of(self, notice: Notice) -> tuple[EventKind, Mapping[str, object]] | None:
        """The event that a notice is, or None."""
        data = notice.data
        if notice.kind == "alarm":
            return ("alarm.raised" if data["cleared_at"] is None else "alarm.cleared"), data
        if notice.kind != "evse":
            return None
        key, now = (notice.site, str(data["id"])), tuple(data[name] for name in _TELLING)
        if self._known.get(key) == now:
            return None
        self._known[key] = now
        return "evse.changed", data
