"""Events of older links, of repeated messages and of gaps, as a controller takes them."""

from datetime import UTC, datetime

import pytest

from domain import events as e
from domain.events import Event
from domain.ids import ChargerId, DecisionId, EvseId
from domain.session import EvseState
from headroom.fleet.codec import Told
from headroom.fleet.link_order import LinkOrder
from headroom.fleet.registry import Place

NOW = datetime(2026, 3, 3, tzinfo=UTC)
CHARGER = ChargerId("c")
CONNECTED = e.ChargerConnected(CHARGER, NOW, "ocpp1.6")
GONE = e.ChargerDisconnected(CHARGER, NOW, "gone")


def order() -> LinkOrder:
    """After the charger went from worker a to worker b."""
    made = LinkOrder(lambda _: CHARGER)
    assert made.takes(Told(CONNECTED, "a", 1, 5))
    assert made.takes(Told(CONNECTED, "b", 1, 6))
    return made


@pytest.mark.parametrize(
    "event",
    [
        CONNECTED,
        GONE,
        e.EvseStatusChanged(CHARGER, 1, NOW, EvseState.AVAILABLE),
        e.SetpointAccepted(EvseId("e"), NOW, 6.0, DecisionId("d")),
        e.CsmsProfilesChanged(CHARGER, NOW, "ocpp1.6", ()),
    ],
)
def test_an_older_link_says_nothing_of_now(event: Event) -> None:
    made = order()
    assert not made.takes(Told(event, "a", 2, 5))
    assert made.places[CHARGER] == Place("b", 6)


@pytest.mark.parametrize("event", [e.SessionStarted(CHARGER, 1, NOW, "t"), e.SessionEnded(CHARGER, 1, NOW, "t")])
def test_a_transaction_is_a_fact_whichever_link_it_came_by(event: Event) -> None:
    assert order().takes(Told(event, "a", 2, 5))


def test_the_newest_link_s_end_is_its_end() -> None:
    made = order()
    assert made.takes(Told(GONE, "b", 2, 6))
    assert made.places == {}


def test_a_link_that_is_told_again_is_news_only_where_it_counted_as_gone() -> None:
    made = order()
    assert not made.takes(Told(CONNECTED, "b", 2, 6, repeated=True))
    made.gone(CHARGER)
    assert made.takes(Told(CONNECTED, "b", 3, 6, repeated=True))
    assert made.places[CHARGER] == Place("b", 6)


def test_a_message_counts_once_and_a_gap_is_seen() -> None:
    made = LinkOrder(lambda _: CHARGER)
    assert not made.has_gap("a", 4)
    assert made.is_next("a", 4)
    assert not made.is_next("a", 4)
    assert not made.is_next("a", 3)
    assert not made.has_gap("a", 5)
    assert made.has_gap("a", 6)
    assert made.is_next("a", 6)
