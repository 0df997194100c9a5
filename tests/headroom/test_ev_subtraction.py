"""EV steps in either direction neither make the base load look smaller nor get into what forecasts are trained on."""

import cmath
import math
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.events import ChargerConnected, EvseMetered, FeederMetered, SessionStarted, SetpointAccepted
from domain.ids import DecisionId, FeederId
from domain.metering import EvseSample, MeterReading
from domain.site import Phase, PhaseAmps
from forecasting.live import LiveForecast
from headroom.site_picture import SitePicture
from inventory.live import LiveState
from inventory.site_file import parse_site
from simulators.demo_site import demo_site

START = datetime(2026, 3, 2, 17, 0, tzinfo=UTC)
SITE = parse_site(demo_site(1), "demo")
EVSE, MAIN = SITE.evses[0], FeederId("main")
BASE_A = 60.0
LAG = math.acos(0.97)
LEFT = 0.15
"""Part of a car's current that may be left in the base load: its power factor is known within 1 and 0.95 only."""


def line_a(base_a: float, drawn_a: float, phase: Phase) -> float:
    """Line current with a car between the EVSE's two legs: 30 degrees ahead on the first, behind on the second."""
    if phase not in EVSE.phases:
        return base_a
    turn = math.radians(30.0 if phase is EVSE.phases[0] else -30.0)
    return abs(cmath.rect(base_a, -LAG) + cmath.rect(drawn_a, turn))


class Taught(LiveForecast):
    """Keeps what it is taught."""

    def __init__(self) -> None:
        super().__init__()
        self.values: list[float] = []

    def learn(self, feeder: FeederId, at: datetime, base_a: PhaseAmps) -> None:
        super().learn(feeder, at, base_a)
        if feeder == MAIN:
            self.values += [base_a[phase] for phase in EVSE.phases]


@settings(max_examples=12, deadline=None)
@given(
    steps=st.lists(st.tuples(st.integers(40, 200), st.sampled_from([0.0, 6.0, 16.0, 32.0])), min_size=1, max_size=6),
    sample_every_s=st.sampled_from([10, 15, 30, 60]),
    sample_late_s=st.integers(0, 4),
    read_every_s=st.sampled_from([5, 10]),
)
def test_a_car_that_starts_stops_and_changes_is_invisible_in_the_training_series(
    steps: list[tuple[int, float]], sample_every_s: int, sample_late_s: int, read_every_s: int
) -> None:
    taught = Taught()
    picture = SitePicture(LiveState(SITE), taught, START)
    picture.apply(ChargerConnected(EVSE.charger, START, "ocpp1.6"), START)
    picture.apply(SessionStarted(EVSE.charger, EVSE.connector, START, "7", "tag", 0.0), START)
    picture.sent(EVSE.id, 32.0, START)
    picture.apply(SetpointAccepted(EVSE.id, START, 32.0, DecisionId("d")), START)
    draws = [0.0] * 120
    for length_s, amps in steps:
        draws += [amps] * length_s
    draws += [draws[-1]] * 120
    late: list[tuple[int, float]] = []
    for second, drawn_a in enumerate(draws):
        now = START + timedelta(seconds=second)
        if second % sample_every_s == 0:
            late.append((second + sample_late_s, drawn_a))
        while late and late[0][0] <= second:
            sample = EvseSample(at=now, received_at=now, current_a=late.pop(0)[1])
            picture.apply(EvseMetered(EVSE.charger, EVSE.connector, now, sample), now)
        if second % read_every_s == 3:
            for feeder in SITE.feeders:
                if feeder.meter is not None:
                    own_a = BASE_A if feeder.id == MAIN else 20.0
                    total = {phase: line_a(own_a, drawn_a, phase) for phase in Phase}
                    picture.apply(FeederMetered(now, MeterReading(feeder.meter, now, total)), now)
            picture.pass_time(now)
            if second > 100:
                high = picture.feeders[MAIN].base_high_a
                assert all(high[phase] >= BASE_A - 0.1 for phase in EVSE.phases)
    settled = taught.values[20:]
    assert settled
    assert min(settled) >= BASE_A - 0.1
    assert max(settled) <= BASE_A + LEFT * max(draws) + 0.1
