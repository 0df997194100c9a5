"""A charger that does not hold its limit still draws what its meter says: it is not taken for the building's load."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st
from site_strategies import T0, make_evse

from domain.ledger import LedgerEntry
from domain.metering import EvseSample
from ems.draws import EvseTrack, draw_at

EVSE = make_evse("E1", phases="A")
REFUSED = LedgerEntry(0.0, 32.0, sent_at=T0, refused=True)


def track(entry: LedgerEntry, drawn_a: float) -> EvseTrack:
    at = [T0 - timedelta(seconds=10 * n) for n in (3, 2, 1)]
    return EvseTrack(entry, tuple(EvseSample(one, one, drawn_a) for one in at), 10.0)


@given(st.floats(0, 32))
def test_after_its_last_sample_it_may_have_drawn_no_less_than_it_did(drawn_a: float) -> None:
    now = T0 + timedelta(seconds=5)
    for entry in (REFUSED, replace(REFUSED, refused=False, trusted=False)):
        draw = draw_at(EVSE, track(entry, drawn_a), 208.0, now, now)
        assert draw.low_a == (drawn_a,)
        assert draw.high_a == (32.0,)
    obeying = replace(REFUSED, refused=False, acknowledged_at=T0)
    assert draw_at(EVSE, track(obeying, drawn_a), 208.0, now, now).low_a == (0.0,), "it may have fallen to its limit"
