"""What feeders are counted at, and what of it is measured."""

from dataclasses import replace
from datetime import UTC, datetime

from court import site
from hypothesis import given
from hypothesis import strategies as st

from domain.site import Phase
from domain.snapshot import SiteSnapshot
from headroom.loading import counted_loads_a, measured_loads_a
from inventory.live import LiveState

NOW = datetime(2026, 3, 2, 17, tzinfo=UTC)
SITE = site()
EVSES = len(SITE.evses)


def told(linked: list[bool], measured_a: list[float | None]) -> SiteSnapshot:
    """The building when nothing was ever told a limit, with these links and measurements."""
    snapshot = LiveState(SITE).snapshot(NOW, feeders={})
    views = {
        view.evse: replace(view, linked=link, ledger=replace(view.ledger, measured_a=amps, measured_at=NOW))
        for view, link, amps in zip(snapshot.evses.values(), linked, measured_a, strict=True)
    }
    return replace(snapshot, evses=views)


@given(
    st.lists(st.booleans(), min_size=EVSES, max_size=EVSES),
    st.lists(st.none() | st.floats(0, 100), min_size=EVSES, max_size=EVSES),
)
def test_what_is_measured_is_part_of_what_counts(linked: list[bool], measured_a: list[float | None]) -> None:
    snapshot = told(linked, measured_a)
    counted, measured = counted_loads_a(snapshot), measured_loads_a(snapshot)
    for feeder in SITE.feeders:
        for phase in feeder.phases:
            assert 0 <= measured[feeder.id][phase] <= counted[feeder.id][phase] + 1e-9


def test_a_building_that_nobody_has_heard_from_counts_as_full_and_measures_nothing() -> None:
    unheard = told([False] * EVSES, [3.0] * EVSES)
    full = [evse.max_a for evse in SITE.evses if Phase.A in evse.phases]
    root = next(one.id for one in SITE.feeders if one.parent is None)
    assert counted_loads_a(unheard)[root][Phase.A] == sum(full) > 0
    assert set(measured_loads_a(unheard)[root].values()) == {0.0}
    heard = told([True] * EVSES, [3.0] * EVSES)
    assert measured_loads_a(heard)[root][Phase.A] == 3.0 * len(full)
