"""Who lives in a campaign's building: every character is a charger that can be built, and seeds draw all of them."""

from datetime import UTC, datetime

from inventory.site_file import parse_site
from simulators.arrivals import replayed_arrivals
from simulators.behaviour import STANDARD, Behaviour
from simulators.car import CarNature
from simulators.characters import CHARACTERS, NATURES, characters_of, natures_of
from simulators.demo_site import demo_site

OPENS_AT = datetime(2026, 3, 2, 20, tzinfo=UTC)
SITE = parse_site(demo_site(20, three_phase=True), "site.yaml")


def test_every_character_differs_from_the_specification_and_is_drawn() -> None:
    built = {name: Behaviour(**flags) for name, flags in CHARACTERS.items()}
    assert STANDARD not in built.values()
    drawn = [one for seed in range(60) for one in characters_of(SITE, seed).values()]
    assert all(any(one == known for one in drawn) for known in built.values())


def test_the_same_seed_draws_the_same_chargers_and_cars() -> None:
    assert characters_of(SITE, 4) == characters_of(SITE, 4) != characters_of(SITE, 5)
    came = replayed_arrivals(SITE, OPENS_AT, 1.0, seed=4)
    assert natures_of(came, 4) == natures_of(came, 4)


def test_cars_are_slow_sleep_refuse_and_some_use_one_phase_of_three() -> None:
    came = [one for seed in range(3) for one in natures_of(replayed_arrivals(SITE, OPENS_AT, 2.0, seed=seed), seed)]
    assert {one.nature for one in came} == set(NATURES)
    assert {one.phase_share for one in came} == {(1.0, 1.0, 1.0), (1.0, 0.0, 0.0)}
    refuser = next(one for one in came if one.nature == CarNature(refuses=True))
    car = refuser.new_car()
    assert [car.step(32.0, 1.0, 3, 230.0) for _ in range(100)] == [0.0] * 100
    assert car.wants
