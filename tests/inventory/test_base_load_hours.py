"""Hours of base load: written once, read back by phase, never replaced by an import."""

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine

from domain.ids import FeederId, SiteId
from domain.site import Phase
from inventory.base_load_hours import BaseLoadHour, read_hours, write_hours
from inventory.migrations import upgrade

SITE, START = SiteId("s"), datetime(2026, 3, 1, tzinfo=UTC)


def hour(number: int, mean_a: float = 10.0, feeder: str = "main", phase: Phase = Phase.A) -> BaseLoadHour:
    return BaseLoadHour(FeederId(feeder), phase, START + timedelta(hours=number), mean_a, mean_a + 1.0)


HOURS = st.builds(hour, st.integers(0, 40), st.floats(0, 500), st.sampled_from(["main", "p1"]), st.sampled_from(Phase))


@settings(max_examples=25, deadline=None)
@given(st.lists(HOURS, max_size=30), st.integers(0, 40))
def test_the_first_word_about_an_hour_stands_and_order_does_not_matter(hours: list[BaseLoadHour], since: int) -> None:
    engine = create_engine("sqlite://")
    with engine.begin() as conn:
        upgrade(conn)
        first: dict[tuple[str, Phase, datetime], BaseLoadHour] = {}
        written = 0
        for one in hours:
            written += write_hours(conn, SITE, [one])
            first.setdefault((one.feeder, one.phase, one.at), one)
        assert written == len(first)
        assert write_hours(conn, SITE, hours) == 0
        found = read_hours(conn, SITE, START + timedelta(hours=since))
        for key, several in found.items():
            assert [one.at for one in several] == sorted(one.at for one in several)
            assert all((one.feeder, one.phase) == key for one in several)
        wanted = {one for one in first.values() if one.at >= START + timedelta(hours=since)}
        assert {one for several in found.values() for one in several} == wanted
        assert read_hours(conn, SiteId("other"), START) == {}
    engine.dispose()


def test_one_feeder_or_one_phase_may_be_asked_for() -> None:
    engine = create_engine("sqlite://")
    with engine.begin() as conn:
        upgrade(conn)
        write_hours(conn, SITE, [hour(0), hour(0, phase=Phase.B), hour(0, feeder="p1")])
        assert set(read_hours(conn, SITE, START, FeederId("main"))) == {("main", Phase.A), ("main", Phase.B)}
        assert set(read_hours(conn, SITE, START, FeederId("main"), Phase.B)) == {("main", Phase.B)}
    engine.dispose()
