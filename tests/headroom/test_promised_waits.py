"""Nobody waits longer than promised on a panel that is too small for all, nor who needs a minute to wake up."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from headroom.campaign import day
from headroom.campaign.day import Run, Verdict, run
from inventory import appetite
from inventory.site_file import parse_site
from scheduler import round_robin
from simulators.arrivals import Arrival
from simulators.car import USUAL, CarNature
from simulators.car_models import CAR_MODELS
from simulators.demo_site import demo_site

SITE = parse_site(demo_site(12), "site.yaml")
GARAGE = [evse for evse in SITE.evses if evse.feeder == "p2"]
"""Six EVSEs; on each phase four of them, and room for three."""
SLOW = GARAGE[-1]


def played() -> Verdict:
    """An hour in which all six have a hungry car; the one that comes last is slow to wake up."""
    opens_at = day.OPENS_AT.replace(tzinfo=ZoneInfo(SITE.timezone))
    arrivals = [
        Arrival(
            evse=evse.id,
            at=opens_at + timedelta(seconds=60.0 + 10.0 * number),
            departure_at=opens_at + timedelta(hours=6),
            energy_wh=40_000.0,
            car=CAR_MODELS[0],
            battery_kwh=60.0,
            soc=0.2,
            id_tag=f"tag-{number}",
            nature=CarNature(wake_s=60.0) if evse is SLOW else USUAL,
        )
        for number, evse in enumerate(GARAGE)
    ]
    return run(Run(SITE, (), 0.035, arrivals=arrivals))


@pytest.fixture(autouse=True)
def _short_evening(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(day, "TELL_ALL_S", 600.0)
    monkeypatch.setattr(day, "OPENS_AT", datetime(2026, 3, 2, 18, 0))  # noqa: DTZ001 - the site's own wall clock


def test_everybody_has_a_turn_in_time() -> None:
    verdict = played()
    assert verdict.violations == ()
    assert verdict.sessions == len(GARAGE)


def test_a_slow_car_would_have_none_if_its_first_minute_were_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(appetite, "WAKES_WITHIN_S", 0.0)
    [violation] = played().violations
    assert violation.startswith(f"promise: {SLOW.id} waited")


def test_a_rotation_that_stands_still_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(round_robin, "_rotate", lambda order, _: order)
    violations = played().violations
    assert violations
    assert all(text.startswith("promise: ") for text in violations)
