"""What one site's picture makes of events."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from domain.events import ChargerConnected, SetpointAccepted, SetpointRefused
from domain.ids import DecisionId
from domain.site import Site
from ems.ledger import counted_a
from forecasting.persistence import Persistence
from headroom.site_picture import SitePicture
from inventory.live import LiveState
from inventory.site_file import parse_site
from simulators.demo_site import demo_site

NOW = datetime(2026, 3, 1, 17, 0, tzinfo=UTC)
SITE = parse_site(demo_site(4), "demo")
EVSE = SITE.evses[0]
DECISION = DecisionId("d1")


def settled_picture(limit_a: float, site: Site = SITE) -> SitePicture:
    picture = SitePicture(LiveState(site), Persistence(), NOW)
    picture.apply(ChargerConnected(EVSE.charger, NOW, "ocpp1.6"), NOW)
    picture.sent(EVSE.id, limit_a, NOW)
    picture.apply(SetpointAccepted(EVSE.id, NOW, limit_a, DECISION), NOW)
    picture.pass_time(NOW + timedelta(seconds=3 * EVSE.response_s))
    assert picture.entry(EVSE.id).settled
    return picture


def test_a_limit_that_the_csms_took_away_leaves_the_evse_at_its_rating() -> None:
    later = NOW + timedelta(minutes=1)
    picture = settled_picture(6.0)
    change = picture.apply(SetpointRefused(EVSE.id, later, 6.0, DECISION, "cleared", voided=True), later)
    assert change.triggers
    assert counted_a(picture.entry(EVSE.id), EVSE, later) == EVSE.max_a


def test_a_renewal_that_is_refused_leaves_what_was_in_force() -> None:
    later = NOW + timedelta(minutes=1)
    picture = settled_picture(6.0)
    picture.apply(SetpointRefused(EVSE.id, later, 6.0, DECISION, "the charger did not answer"), later)
    assert counted_a(picture.entry(EVSE.id), EVSE, later) == 6.0


def test_a_limit_below_the_fall_back_that_is_not_renewed_may_have_stepped_up_to_it() -> None:
    later = NOW + timedelta(minutes=1)
    first, *others = SITE.chargers
    evse = replace(EVSE, failsafe_a=6.0)
    picture = settled_picture(0.0, replace(SITE, chargers=(replace(first, evses=(evse,)), *others)))
    picture.apply(SetpointRefused(EVSE.id, later, 0.0, DECISION, "the charger did not answer"), later)
    assert counted_a(picture.entry(EVSE.id), evse, later) == 6.0
