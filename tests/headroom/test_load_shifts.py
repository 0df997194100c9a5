"""Which moves of a base load are a reason to decide again."""

from datetime import UTC, datetime

import pytest

from domain.ids import FeederId
from domain.setpoint import Latitude
from domain.site import Phase
from domain.snapshot import FeederView, LoadSource
from headroom.load_shifts import load_shifts
from inventory.site_file import parse_site
from simulators.demo_site import demo_site

SITE = parse_site(demo_site(4), "demo.yaml")
MAIN = FeederId("main")
BAND_A = SITE.control.dead_band_a


def seen(load_a, forecast_a=None, source=LoadSource.MEASURED):
    load = dict.fromkeys(Phase, load_a)
    forecast = {} if forecast_a is None else dict.fromkeys(Phase, forecast_a)
    return FeederView(MAIN, load, load, forecast_a=forecast, source=source, reading_at=datetime(2026, 3, 2, tzinfo=UTC))


def shifts(before, after, room_a=0.0, wanting=(MAIN,), latitude=True):
    found = Latitude({MAIN: dict.fromkeys(Phase, room_a)}, frozenset(wanting)) if latitude else None
    return [text.removesuffix(" phase A") for text in load_shifts(SITE, {MAIN: after}, {MAIN: before}, found)][:1]


@pytest.mark.parametrize(
    ("before", "after", "options", "expected"),
    [
        (seen(20.0), seen(20.0 + BAND_A), {}, []),
        (seen(20.0), seen(20.5 + BAND_A), {}, ["load on main"]),
        (seen(20.0), seen(20.5 + BAND_A), {"room_a": 5.0}, []),
        (seen(20.0), seen(26.0), {"room_a": 5.0}, ["load on main"]),
        (seen(20.0), seen(20.5 + BAND_A), {"room_a": -5.0}, ["load on main"]),
        (seen(20.0), seen(19.5 - BAND_A), {"room_a": 5.0}, ["load on main"]),
        (seen(20.0), seen(19.5 - BAND_A), {"wanting": ()}, []),
        (seen(20.0), seen(19.5 - BAND_A), {"latitude": False}, ["load on main"]),
        (seen(20.0), seen(20.5 + BAND_A), {"latitude": False}, ["load on main"]),
        # Held by the forecast once it is a dead band above the load: then all of it counts at once.
        (seen(20.0, 20.9), seen(20.0, 21.2), {"room_a": 1.1}, ["forecast for main"]),
        (seen(20.0, 30.0), seen(20.0, 32.0), {}, ["forecast for main"]),
        (seen(20.0, 30.0), seen(20.0, 28.0), {}, ["forecast for main"]),
        (seen(20.0, 30.0), seen(20.0, 28.0), {"wanting": ()}, []),
        (seen(20.0), seen(20.0, source=LoadSource.FORECAST), {"wanting": ()}, ["load of main is forecast"]),
    ],
)
def test_a_move_counts_where_limits_no_longer_fit_or_somebody_wants_more(before, after, options, expected):
    assert shifts(before, after, **options) == expected


def test_nothing_is_compared_with_what_no_decision_saw():
    assert list(load_shifts(SITE, {MAIN: seen(20.0)}, {}, None)) == []
    same = seen(20.0)
    assert list(load_shifts(SITE, {MAIN: same}, {MAIN: same}, None)) == []
