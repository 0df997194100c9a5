"""What one site's picture makes of events."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from domain.events import ChargerConnected, ChargerDisconnected, SetpointAccepted, SetpointRefused, SetpointSent
from domain.ids import DecisionId, FeederId
from domain.site import Phase, PhaseAmps, Site
from ems.ledger import CLOCK_ERROR_S, counted_a
from forecasting.persistence import Persistence
from headroom.site_picture import SitePicture
from inventory.live import LiveState
from inventory.site_file import parse_site
from simulators.demo_site import demo_site

NOW = datetime(2026, 3, 1, 17, 0, tzinfo=UTC)
SITE = parse_site(demo_site(4), "demo")
EVSE = SITE.evses[0]
DECISION = DecisionId("d1")
WORN_HOLDS_S = 3 * 86400 / 6
"""12 writes a day: six of them may be renewals, each when a third of the time has passed."""


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


def test_a_long_dead_man_that_was_sent_counts_although_the_memory_is_said_to_bear_more_since() -> None:
    lost = NOW + timedelta(hours=1)
    picture = settled_picture(16.0)
    picture.live.edit_quirks(EVSE.charger, {"write_budget_per_day": 12})
    picture.apply(SetpointSent(EVSE.id, NOW, 16.0, DECISION, 0.0), NOW)
    picture.live.edit_quirks(EVSE.charger, {})
    picture.apply(ChargerDisconnected(EVSE.charger, lost, "gone"), lost)

    def counted(seconds: float) -> float:
        at = NOW + timedelta(seconds=seconds)
        picture.pass_time(at)
        return counted_a(picture.entry(EVSE.id), EVSE, at)

    assert counted(WORN_HOLDS_S + CLOCK_ERROR_S) == 16.0
    assert counted(WORN_HOLDS_S + CLOCK_ERROR_S + EVSE.response_s) == EVSE.failsafe_a


class Foresees(Persistence):
    """Says that a phase will carry 30 A for the next minutes, and `later_a` some time."""

    def __init__(self, later_a: float) -> None:
        super().__init__()
        self.later_a = later_a

    def upper(self, feeder: FeederId, at: datetime, horizon_s: float) -> PhaseAmps | None:
        far = horizon_s >= WORN_HOLDS_S + EVSE.response_s
        return dict.fromkeys(Phase, self.later_a if far else 30.0)


@pytest.mark.parametrize(("later_a", "counted_a"), [(31.0, 31.0), (1e3, None)])
def test_the_load_above_a_worn_memory_is_secured_for_as_long_as_its_limits_hold(
    later_a: float, counted_a: float | None
) -> None:
    first, *others = SITE.chargers
    worn = replace(SITE, chargers=(replace(first, profile_writes_per_day=12), *others))
    path = [feeder for feeder in SITE.path(EVSE.feeder) if feeder.meter is not None]
    assert path
    with_worn = SitePicture(LiveState(worn), Foresees(later_a), NOW).feeders
    without = SitePicture(LiveState(SITE), Foresees(later_a), NOW).feeders
    for feeder in path:
        assert feeder.base_load_max_a is not None
        secured_a = feeder.base_load_max_a if counted_a is None else dict.fromkeys(feeder.phases, counted_a)
        assert {p: with_worn[feeder.id].forecast_a[p] for p in feeder.phases} == secured_a
    for feeder in SITE.feeders:
        if feeder.meter is not None:
            beside = with_worn[feeder.id].forecast_a if feeder not in path else without[feeder.id].forecast_a
            assert set(beside.values()) == {30.0}
