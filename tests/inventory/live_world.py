"""A building's present truth for tests: events in, snapshots out."""

from inventory_world import (
    after,
    reading,
)

from domain import events as e
from domain.ids import EvseId
from domain.session import Session
from domain.snapshot import EvseView, SiteSnapshot
from inventory.live import LiveState

E1 = EvseId("E1")


E2 = EvseId("E2")


E3 = EvseId("E3")


def told(live: LiveState, *events: e.Event) -> list[object]:
    return [record for event in events for record in live.apply(event, event.at)]


def snap(live: LiveState, seconds: float) -> SiteSnapshot:
    return live.snapshot(after(seconds), feeders={})


def view(live: LiveState, seconds: float, evse: EvseId = E1) -> EvseView:
    return snap(live, seconds).evses[evse]


def session(live: LiveState, seconds: float, evse: EvseId = E1) -> Session:
    found = view(live, seconds, evse).session
    assert found is not None
    return found


def reading_event(seconds: float) -> e.FeederMetered:
    return e.FeederMetered(after(seconds), reading(seconds, 1, 1, 1))
