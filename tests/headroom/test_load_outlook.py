"""The plan's samples are the live forecast's: same quantile, same sigma, on the rows that carry the load."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np

from domain.ids import FeederId
from domain.site import Phase
from ems.panel import compile_panel
from ems.scenarios import HorizonProblem
from forecasting.hourly import Hour
from forecasting.live import LiveForecast
from headroom.load_outlook import load_outlook
from inventory.site_file import parse_site
from simulators.demo_site import demo_site

NOW = datetime(2026, 3, 2, 17, 5, tzinfo=UTC)
SITE = parse_site(demo_site(4), "demo")
METERED = [feeder for feeder in SITE.feeders if feeder.meter is not None]


def known(hours: int = 24 * 28) -> LiveForecast:
    live, random = LiveForecast(), np.random.default_rng(3)
    first = int(NOW.timestamp() // 3600) - hours
    for number, feeder in enumerate(METERED):
        for phase in feeder.phases:
            means = 30 + 10 * number + 5 * np.sin(2 * np.pi * np.arange(hours) / 24) + random.normal(0, 2, hours)
            past = [Hour(first + n, float(mean), float(mean) + 1.5) for n, mean in enumerate(means)]
            live.restore(feeder.id, phase, past)
        live.observe(feeder.id, NOW, dict.fromkeys(feeder.phases, 31.0 + 10 * number))
    return live


def test_the_samples_are_those_of_the_bounds() -> None:
    live, panel = known(), compile_panel(SITE)
    found = load_outlook(SITE, panel, live, NOW, count=400)
    assert found.complete
    assert found.load_a.shape == (400, sum(len(feeder.phases) for feeder in METERED), 24)
    for place, (feeder, phase) in enumerate(found.sources):
        for ahead in (1, 5, 20):
            at = NOW + timedelta(hours=ahead)
            said = live.bound(feeder, phase, at)
            assert said is not None
            drawn = found.load_a[:, place, ahead]
            # The bound's level follows the misses; the samples are the errors themselves.
            assert abs(np.quantile(drawn, 0.95) - said.upper_a) < 0.15 * said.upper_a
            assert abs(np.median(drawn) - said.forecast_a) < 0.15 * said.forecast_a
    rows, evses = len(panel.rows), len(panel.evses)
    problem = HorizonProblem(
        panel=panel,
        step_h=1.0,
        hours=tuple(range(24)),
        room_a=np.full((rows, 24), 100.0),
        served=np.ones(evses, dtype=np.bool_),
        low_a=np.zeros(evses),
        high_a=np.full((evses, 24), 32.0),
        energy_ah=np.full(evses, 100.0),
        weight=np.ones(evses),
        load_a=found.load_a,
        carries=found.carries,
        available=np.ones((400, evses, 24)),
    )
    np.testing.assert_allclose(problem.sigma_a, live.scenarios(NOW, 24, 400).sigma_a)


def test_each_row_carries_its_own_meter_and_unmetered_feeders_those_below() -> None:
    panel = compile_panel(SITE)
    found = load_outlook(SITE, panel, known(200), NOW)
    for row, one in enumerate(panel.rows):
        carried = {source for source, factor in zip(found.sources, found.carries[row], strict=True) if factor > 0}
        metered = SITE.feeder(one.feeder).meter is not None and one.phase is not None
        assert carried == ({(one.feeder, one.phase)} if metered else set())
    bare = tuple(replace(one, meter=None) if one.id == "main" else one for one in SITE.feeders)
    site = replace(SITE, feeders=bare)
    below = {feeder.id for feeder in bare if feeder.meter is not None}
    found = load_outlook(site, panel, known(200), NOW)
    for row, one in enumerate(panel.rows):
        if one.feeder == FeederId("main") and one.phase is not None:
            carried = {source for source, factor in zip(found.sources, found.carries[row], strict=True) if factor > 0}
            assert carried == {(feeder, one.phase) for feeder in below}


def test_a_feeder_never_observed_leaves_it_incomplete() -> None:
    found = load_outlook(SITE, compile_panel(SITE), LiveForecast(), NOW)
    assert not found.complete
    assert found.load_a.shape == (100, 0, 24)
    assert Phase.A in SITE.feeder(FeederId("main")).phases
