"""A poisoned meter through the service's own way in: nothing crashes, and the panel never looks emptier than it is."""

import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.events import ChargerConnected, EvseMetered, FeederMetered, SessionStarted, SetpointAccepted
from domain.ids import DecisionId, FeederId, MeterId
from domain.metering import EvseSample, MeterReading
from domain.site import Evse, Phase
from domain.snapshot import FeederView, LoadSource
from forecasting.hourly import Hour
from forecasting.live import LiveForecast
from headroom.site_picture import SitePicture
from inventory.live import LiveState
from inventory.site_file import parse_site
from simulators.demo_site import demo_site

START = datetime(2026, 3, 2, 17, 0, tzinfo=UTC)
SITE = parse_site(demo_site(2), "demo")
MAIN = FeederId("main")
METER = SITE.feeder(MAIN).meter or MeterId("")
EVSE = SITE.evses[0]
POISON: dict[str, Callable[[float, int], float]] = {
    "zeros": lambda value, step: 0.0,
    "spikes": lambda value, step: value * (1000.0 if step % 3 == 0 else 1.0),
    "frozen": lambda value, step: 101.123,
    "negative": lambda value, step: -value,
    "NaN": lambda value, step: math.nan,
    "infinite": lambda value, step: math.inf,
    "a thousandth": lambda value, step: value / 1000.0,
    "thousandfold": lambda value, step: value * 1000.0,
}


def test_a_meter_that_falls_silent_in_its_first_hour_counts_at_the_design_load() -> None:
    """Minutes of a low load say little of the evening: until the building's hours are known, unknown means full."""
    panel = Panel()
    for _ in range(90):
        panel.read(20.0)
    panel.step += 30
    view = panel.picture.feeders[MAIN] if panel.picture.pass_time(panel.now) else None
    design = SITE.feeder(MAIN).base_load_max_a
    assert view is not None
    assert design
    assert view.source is not LoadSource.MEASURED
    assert all(view.base_high_a[phase] >= design[phase] for phase in Phase)


class Panel:
    """A picture of the demo's building, read every ten seconds; the true base load wanders about 100 A."""

    def __init__(self) -> None:
        self.picture = SitePicture(LiveState(SITE), LiveForecast(), START)
        self.step = 0

    @property
    def now(self) -> datetime:
        return START + timedelta(seconds=10 * self.step)

    def base_a(self) -> float:
        return 100.0 + 4.0 * math.sin(self.step / 13.0) + 1.5 * math.sin(self.step * 1.7)

    def read(self, value_a: float, at: datetime | None = None) -> FeederView:
        for feeder in SITE.feeders:
            amps = value_a if feeder.id == MAIN else 20.0 + self.step % 7
            if feeder.meter is not None:
                reading = MeterReading(
                    feeder.meter, (at if feeder.id == MAIN else None) or self.now, dict.fromkeys(Phase, amps)
                )
                self.picture.apply(FeederMetered(self.now, reading), self.now)
        self.picture.pass_time(self.now)
        self.step += 1
        return self.picture.feeders[MAIN]

    def charge(self, current_a: float, evse: Evse = EVSE) -> None:
        """The car draws this much, and its charger says so."""
        sample = EvseSample(at=self.now, received_at=self.now, current_a=current_a)
        self.picture.apply(EvseMetered(evse.charger, evse.connector, self.now, sample), self.now)

    def plug(self, limit_a: float) -> None:
        self.picture.apply(ChargerConnected(EVSE.charger, self.now, "ocpp1.6"), self.now)
        self.picture.apply(SessionStarted(EVSE.charger, EVSE.connector, self.now, "7", "tag", 0.0), self.now)
        self.picture.sent(EVSE.id, limit_a, self.now)
        self.picture.apply(SetpointAccepted(EVSE.id, self.now, limit_a, DecisionId("d")), self.now)


def counted_a(view: FeederView, phase: Phase = Phase.A) -> float:
    """What a decision counts the base load at before it lets anything rise."""
    return max(view.base_high_a.get(phase, 0.0), view.forecast_a.get(phase, 0.0))


@pytest.fixture
def panel() -> Panel:
    made = Panel()
    for _ in range(180):
        made.read(made.base_a())
    return made


@pytest.mark.parametrize("kind", list(POISON))
def test_no_poison_makes_the_base_load_look_smaller(panel: Panel, kind: str) -> None:
    for step in range(240):
        view = panel.read(POISON[kind](panel.base_a(), step))
        for phase in Phase:
            assert math.isfinite(counted_a(view, phase))
            assert counted_a(view, phase) >= panel.base_a() - 0.5
    if kind not in {"spikes", "frozen"}:
        assert panel.picture.feeders[MAIN].source is not LoadSource.MEASURED
        assert panel.picture.feeders[MAIN].source is not LoadSource.DEDICATED
    for _ in range(30):
        view = panel.read(panel.base_a())
    assert view.source is LoadSource.MEASURED  # and it is believed again
    assert panel.base_a() - 0.5 <= counted_a(view) < 130


def test_stamps_of_the_future_and_of_long_ago_neither_count_nor_keep_a_dead_meter_fresh(panel: Panel) -> None:
    for away in (timedelta(days=400), timedelta(hours=2), -timedelta(hours=1), -timedelta(days=400)):
        view = panel.read(1.0, panel.now + away)
        assert counted_a(view) >= panel.base_a() - 0.5
    for _ in range(60):
        view = panel.read(1.0, panel.now + timedelta(days=1))
    assert view.source is LoadSource.FORECAST
    assert counted_a(view) >= panel.base_a() - 0.5


def test_a_frozen_meter_is_found_out_when_a_car_moves(panel: Panel) -> None:
    """The total stays while a car takes 30 A: subtracting them would make the building look empty."""
    panel.plug(32.0)
    for _ in range(12):
        panel.charge(0.0)
        panel.read(100.0)
    for step in range(60):
        panel.charge(30.0)
        view = panel.read(100.0)
        if step > 2:
            assert counted_a(view) >= 99.5
    assert "frozen" in (panel.picture.base.doubt(METER) or "")
    assert view.source is LoadSource.FORECAST
    panel.charge(30.0)
    view = panel.read(131.0)
    assert panel.picture.base.doubt(METER) is None
    assert view.source is LoadSource.MEASURED


@pytest.mark.parametrize("after_a_reading", [False, True])
@pytest.mark.parametrize("kind", ["zeros", "a thousandth"])
def test_a_meter_that_is_wrong_from_a_restart_on_is_not_taken_for_an_empty_building(
    kind: str, after_a_reading: bool
) -> None:
    """A new scale comes with a restart: what the building was known to draw outlives it."""
    fresh = Panel()
    forecast = fresh.picture.base.live_forecast
    assert forecast is not None
    if after_a_reading:  # the newest one of before is known before the hours are
        fresh.read(fresh.base_a())
    first = int(START.timestamp() // 3600) - 72
    hours = [Hour(first + n, 80.0 + n % 24, 110.0) for n in range(72)]
    for phase in Phase:
        forecast.restore(MAIN, phase, hours[:70])
        forecast.restore(MAIN, phase, hours[70:])
    for step in range(120):
        view = fresh.read(POISON[kind](fresh.base_a(), step))
        # One reading alone says little about how much the next may be above it.
        assert counted_a(view) >= (94.0 if after_a_reading else fresh.base_a() - 0.5)
    assert view.source is not LoadSource.MEASURED
    for _ in range(30):
        view = fresh.read(fresh.base_a())
    assert view.source is LoadSource.MEASURED
    assert fresh.base_a() - 0.5 <= counted_a(view) < 130


def test_hours_of_more_than_a_week_before_a_restart_hold_no_reading_back() -> None:
    """A scale that was wrong and has been put right."""
    fresh = Panel()
    forecast = fresh.picture.base.live_forecast
    assert forecast is not None
    first = int(START.timestamp() // 3600) - 24 * 7 - 72
    for phase in Phase:
        forecast.restore(MAIN, phase, [Hour(first + n, 3000.0, 3100.0) for n in range(72)])
    assert fresh.read(fresh.base_a()).source is LoadSource.MEASURED


def test_a_frozen_meter_is_found_out_when_several_cars_move_a_little(panel: Panel) -> None:
    """Each rises by less than counts for one; together they are what the building would seem to lose."""
    for _ in range(12):
        for evse in SITE.evses:
            panel.charge(8.0, evse)
        panel.read(100.0)
    for _ in range(12):
        for evse in SITE.evses:
            panel.charge(12.0, evse)
        view = panel.read(100.0)
    assert "frozen" in (panel.picture.base.doubt(METER) or "")
    assert counted_a(view) >= 100.0 - 8.0 * len(SITE.evses) - 0.5


def test_a_day_of_silence_ends_in_the_design_load(panel: Panel) -> None:
    panel.step += 8_700
    panel.picture.pass_time(panel.now)
    view = panel.picture.feeders[MAIN]
    assert view.source is LoadSource.FAILSAFE
    assert SITE.feeder(MAIN).base_load_max_a is not None


VALUES = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True), st.floats(0, 400), st.sampled_from([0.0, -0.0, 1e-300, 1e308])
)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.tuples(VALUES, st.integers(-4000, 4000), st.booleans()), max_size=25))
def test_whatever_a_meter_says_the_picture_stands(said: list[tuple[float, int, bool]]) -> None:
    panel = Panel()
    for value, away_s, charging in said:
        if charging:
            panel.charge(16.0)
        view = panel.read(value, panel.now + timedelta(seconds=away_s))
        for phase in Phase:
            assert math.isfinite(counted_a(view, phase))
            assert counted_a(view, phase) >= 0
