"""Replayed stays against the recorded ones."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.ids import EvseId
from domain.site import Site
from inventory.site_file import parse_site
from simulators.arrivals import Arrival, demo_arrivals, recorded_stays, replayed_arrivals
from simulators.demo_site import demo_site

VANCOUVER = ZoneInfo("America/Vancouver")
MINUTE = timedelta(minutes=1)
FIVE_PM = datetime(2026, 3, 3, 17, tzinfo=VANCOUVER).astimezone(UTC)
SITES = {chargers: parse_site(demo_site(chargers), "demo.yaml") for chargers in (3, 12, 130)}


def by_evse(site: Site, arrivals: tuple[Arrival, ...]) -> dict[EvseId, list[Arrival]]:
    found: dict[EvseId, list[Arrival]] = {evse.id: [] for evse in site.evses}
    for arrival in arrivals:
        found[arrival.evse].append(arrival)
    return found


def test_the_record() -> None:
    points = recorded_stays()
    stays = [stay for point in points for stay in point]
    assert len(points) == 54
    assert len(stays) == 1047
    assert 12_000 < sum(stay.energy_wh for stay in stays) / len(stays) < 13_000
    assert {stay.plugin.year for stay in stays} == {2019}


@settings(max_examples=25, deadline=None)
@given(
    chargers=st.sampled_from(sorted(SITES)),
    starts_at=st.integers(0, 4 * 365 * 1440).map(lambda minutes: datetime(2024, 1, 1, tzinfo=UTC) + minutes * MINUTE),
    days=st.floats(0.5, 70),
    seed=st.integers(0, 5),
)
def test_replay_never_puts_two_cars_in_one_place(chargers: int, starts_at: datetime, days: float, seed: int) -> None:
    site = SITES[chargers]
    arrivals = replayed_arrivals(site, starts_at, days, seed=seed)
    assert list(arrivals) == sorted(arrivals, key=lambda a: (a.at, a.evse))
    for stays in by_evse(site, arrivals).values():
        for stay in stays:
            assert starts_at <= stay.at < starts_at + timedelta(days=days)
            assert stay.departure_at - stay.at >= timedelta(minutes=5)
        for one, other in pairwise(stays):
            assert one.departure_at + timedelta(minutes=5) <= other.at


def test_replay_keeps_wall_clock_weekday_and_energy() -> None:
    """Every replayed stay is found in the record: same weekday, same wall clock, same energy."""
    site = SITES[12]
    arrivals = replayed_arrivals(site, datetime(2026, 1, 5, tzinfo=VANCOUVER).astimezone(UTC), 28)
    record = {(s.plugin.weekday(), s.plugin.time(), s.energy_wh) for point in recorded_stays() for s in point}
    assert len(arrivals) > 100
    for arrival in arrivals:
        wall = arrival.at.astimezone(VANCOUVER)
        assert (wall.weekday(), wall.time(), arrival.energy_wh) in record


@pytest.mark.parametrize("chargers", sorted(SITES))
@pytest.mark.parametrize("seed", [0, 1])
def test_demo_brings_a_car_to_every_charger_in_every_hour(chargers: int, seed: int) -> None:
    site = SITES[chargers]
    arrivals = demo_arrivals(site, FIVE_PM, 30, seed=seed)
    assert len(arrivals) == 30 * chargers
    for stays in by_evse(site, arrivals).values():
        for hour, stay in enumerate(stays):
            assert timedelta(0) < stay.at - FIVE_PM - timedelta(hours=hour) < timedelta(minutes=15)
            assert stay.departure_at - stay.at >= timedelta(minutes=20)
        for one, other in pairwise(stays):
            assert one.departure_at < other.at


def test_demo_asks_for_no_more_than_the_stay_can_give() -> None:
    site = SITES[12]
    for arrival in demo_arrivals(site, FIVE_PM, 10):
        most_a = min(site.evse(arrival.evse).max_a, arrival.car.onboard_a)
        stay_h = (arrival.departure_at - arrival.at) / timedelta(hours=1)
        assert 0 < arrival.energy_wh <= most_a * 208 * stay_h + 1e-6


def test_cars_have_room_for_what_they_ask() -> None:
    site = SITES[12]
    for arrival in replayed_arrivals(site, FIVE_PM, 28) + demo_arrivals(site, FIVE_PM, 5):
        car = arrival.new_car()
        assert 0.05 - 1e-9 <= car.soc < 1
        for _ in range(40_000):
            if not car.wants:
                break
            car.step(32, 60.0, 2, 208.0)
        assert car.energy_wh == pytest.approx(arrival.energy_wh, abs=1e-3)
        assert len(arrival.id_tag) <= 20
        assert arrival.new_car().energy_wh == 0


def test_same_seed_same_cars() -> None:
    site = SITES[12]
    assert demo_arrivals(site, FIVE_PM, 5, seed=2) == demo_arrivals(site, FIVE_PM, 5, seed=2)
    assert replayed_arrivals(site, FIVE_PM, 5, seed=2) == replayed_arrivals(site, FIVE_PM, 5, seed=2)
    assert demo_arrivals(site, FIVE_PM, 5, seed=2) != demo_arrivals(site, FIVE_PM, 5, seed=3)
    tags = [arrival.id_tag for arrival in demo_arrivals(site, FIVE_PM, 5)]
    assert len(set(tags)) == len(tags)
