"""What a car wants, as events tell it: full or waiting, what it takes, and which measurement is believed."""

from dataclasses import replace
from datetime import datetime

import pytest
from inventory_world import (
    after,
    ended,
    granted,
    metered,
    reading,
    site,
    started,
    status,
)
from live_world import E1, E2, reading_event, session, told, view

from domain import events as e
from domain.ledger import LedgerEntry
from domain.session import EvseState
from inventory.live import LiveState
from inventory.records import (
    ReadingRecord,
    SampleRecord,
)

# What the car wants.


def test_a_car_is_full_when_it_refuses_an_offer_for_the_response_time() -> None:
    live = LiveState(site())
    told(live, started(0))
    live.set_ledger(E1, granted(0, 16.0))
    told(live, status(100, EvseState.SUSPENDED_EV))
    assert session(live, 129).full_since is None  # many chargers say so while a car wakes up
    assert session(live, 130).full_since == after(100)
    live.set_ledger(E1, granted(131, 0.0))
    told(live, status(132, EvseState.SUSPENDED_EVSE))
    assert not session(live, 500).wants_current  # taking the offer back does not make it hungry
    told(live, metered(501, 6.1))
    assert session(live, 502).wants_current


def test_an_offer_that_is_renewed_is_the_same_offer() -> None:
    live = LiveState(site())
    told(live, started(0))
    live.set_ledger(E1, granted(0, 16.0))
    told(live, status(100, EvseState.SUSPENDED_EV))
    live.set_ledger(E1, granted(115, 12.0))
    assert session(live, 130).full_since == after(100)


@pytest.mark.parametrize("wakes", [status(120, EvseState.CHARGING), metered(120, 5.0)])
def test_a_car_that_charges_is_not_full(wakes: e.Event) -> None:
    live = LiveState(site())
    told(live, started(0), status(100, EvseState.SUSPENDED_EV), wakes)
    assert session(live, 10_000).wants_current


def test_refusing_nothing_is_no_refusal() -> None:
    live = LiveState(site())
    told(live, started(0))
    live.set_ledger(E1, granted(0, 0.0))
    told(live, status(100, EvseState.SUSPENDED_EV))
    assert session(live, 900).wants_current
    live.set_ledger(E1, granted(1_000, 6.0))
    assert session(live, 1_119).wants_current
    assert session(live, 1_120).full_since == after(1_000)


def test_a_car_that_needs_a_minute_to_wake_up_is_not_full() -> None:
    live = LiveState(site())
    told(live, started(0))
    live.set_ledger(E1, granted(1, 0.0))
    live.set_ledger(E1, granted(600, 6.0))
    told(live, status(600.5, EvseState.CHARGING), status(611, EvseState.SUSPENDED_EV), metered(660, 0.0))
    assert session(live, 665).wants_current  # full for good, it would have no place among those who wait
    told(live, status(666, EvseState.CHARGING), metered(720, 6.0))
    told(live, status(800, EvseState.SUSPENDED_EV))
    assert session(live, 829).wants_current
    assert session(live, 830).full_since == after(800)  # it has charged: now it has had enough


def test_a_car_that_finds_current_on_offer_has_its_time_to_wake_up_from_the_start_of_its_stay() -> None:
    live = LiveState(site())
    live.set_ledger(E1, granted(0, 6.0))
    told(live, started(1_000), status(1_010, EvseState.SUSPENDED_EV))
    assert session(live, 1_119).wants_current
    assert session(live, 1_120).full_since == after(1_010)


def test_a_charger_that_fell_back_to_nothing_begins_a_new_offer() -> None:
    live = LiveState(site())
    told(live, started(0))
    live.set_ledger(E1, granted(0, 16.0))
    told(live, metered(300, 15.0), status(500, EvseState.SUSPENDED_EVSE), metered(510, 0.0))
    told(live, status(560, EvseState.SUSPENDED_EV))
    assert session(live, 679).wants_current  # its limit was never lowered, and yet it has to wake up
    assert session(live, 680).full_since == after(560)


def test_a_restart_does_not_shorten_the_time_to_wake_up() -> None:
    live = LiveState(site())
    told(live, started(0), status(10, EvseState.SUSPENDED_EV))
    live.set_ledger(E1, granted(600, 6.0))  # the first that is known of its limits
    assert session(live, 719).wants_current
    assert session(live, 720).full_since == after(600)


def test_the_csms_may_be_the_one_who_offers_nothing() -> None:
    live = LiveState(site())
    told(live, e.CsmsLimitChanged("CP1", 0, after(0), 0.0), started(1), status(2, EvseState.SUSPENDED_EV))  # type: ignore[arg-type]
    assert session(live, 900).wants_current
    assert view(live, 900).csms_limit_a == 0.0
    told(live, e.CsmsLimitChanged("CP1", 1, after(901), 10.0), e.CsmsLimitChanged("CP1", 0, after(902), None))  # type: ignore[arg-type]
    assert view(live, 903).csms_limit_a == 10.0
    assert view(live, 903, E2).csms_limit_a is None
    assert session(live, 1_021).wants_current
    assert session(live, 1_022).full_since == after(902)


def test_what_a_car_takes_at_most_is_learned_relaxed_and_forgotten() -> None:
    live = LiveState(site())
    told(live, started(0))
    live.set_ledger(E1, granted(0, 32.0))
    told(live, *(metered(s, 15.7) for s in range(10, 70, 10)))
    assert view(live, 65).seen_max_a is None  # 50 s unused is too short to tell
    told(live, metered(75, 15.7))
    assert view(live, 76).seen_max_a == pytest.approx(16.7)
    assert view(live, 75 + 600).seen_max_a == pytest.approx(16.7)
    assert view(live, 75 + 600 + 60).seen_max_a == pytest.approx(18.7)
    assert view(live, 75 + 600 + 3_600).seen_max_a is None
    told(live, metered(120, 20.0))
    assert view(live, 121).seen_max_a == pytest.approx(21.0)
    told(live, ended(130), started(131, "8"))
    assert view(live, 132).seen_max_a is None


def test_a_car_that_takes_all_it_gets_has_shown_no_limit() -> None:
    live = LiveState(site())
    told(live, started(0))
    live.set_ledger(E1, granted(0, 10.0))
    told(live, *(metered(s, 9.6) for s in range(10, 600, 10)))
    assert view(live, 601).seen_max_a is None
    live.set_ledger(E1, granted(600, 32.0))
    told(live, *(metered(s, 9.6 + (s - 600) / 3) for s in range(610, 660, 10)))  # ramping
    assert view(live, 661).seen_max_a is None


def test_a_limit_that_is_not_acknowledged_or_was_refused_is_no_offer() -> None:
    live = LiveState(site())
    told(live, started(0))
    live.set_ledger(E1, granted(0, 8.0))
    waiting = LedgerEntry(32.0, 32.0, sent_at=after(5))
    for entry in (waiting, replace(waiting, refused=True)):
        live.set_ledger(E1, entry)
        told(live, *(metered(s, 7.6) for s in range(10, 200, 10)))
        assert view(live, 201).seen_max_a is None


# Measurements.


def test_samples_of_the_last_minutes_are_kept_and_nonsense_is_no_measurement() -> None:
    live = LiveState(site())
    told(live, *(metered(s, 10.0) for s in range(0, 600, 20)))
    assert [s.received_at for s in live.samples(E1)] == [after(s) for s in range(400, 600, 20)]
    [record] = [r for r in told(live, metered(601, 16_000.0)) if isinstance(r, SampleRecord)]
    assert record.sample.current_a is None
    newest = view(live, 602).sample
    assert newest is not None
    assert newest.current_a is None


def test_a_charger_that_empties_its_store_does_not_tell_of_now() -> None:
    live = LiveState(site())
    told(live, started(0, meter_start_wh=0), metered(10, 30.0, tx="7", energy_wh=50))
    stored = [metered(3_600 + n / 10, 0.0, tx="7", stamp_s=60 * n, energy_wh=50 + 100 * n) for n in range(1, 40)]
    records = told(live, *stored)
    assert len([r for r in records if isinstance(r, SampleRecord)]) == len(stored)
    newest = view(live, 3_700).sample
    assert newest is not None
    assert newest.current_a == 30.0
    assert session(live, 3_700).energy_wh == pytest.approx(3_950)  # its register has counted on


def test_a_store_that_is_emptied_in_steps_is_not_believed() -> None:
    live = LiveState(site())
    told(live, metered(0, 30.0))
    told(live, *(metered(7_200 + n, 0.0, stamp_s=60 * n) for n in range(60)))  # each is younger than the one before
    assert [s.current_a for s in live.samples(E1)] == [30.0]


def test_a_charger_whose_clock_was_set_is_believed_after_three_samples() -> None:
    live = LiveState(site())
    told(live, *(metered(60 * n, 8.0, stamp_s=60 * n - 7_200) for n in range(3)))
    assert len(live.samples(E1)) == 1
    told(live, metered(200, 9.0, stamp_s=200 - 7_200))
    assert live.samples(E1)[-1].current_a == 9.0


def test_the_newest_reading_counts_and_an_older_one_is_history() -> None:
    live = LiveState(site())
    told(live, reading_event(100))
    late = told(live, e.FeederMetered(after(110), reading(90, 5, 5, 5)))
    assert late == [ReadingRecord(reading(90, 5, 5, 5))]
    assert live.readings("m-main") == (reading(100, 1, 1, 1),)  # type: ignore[arg-type]
    told(live, *(reading_event(s) for s in range(110, 400, 10)))
    assert [r.at for r in live.readings("m-main")] == [after(s) for s in range(210, 400, 10)]  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (reading(0, 1, 1), "no phase C"),
        (reading(0, 1, 1, -1), "current_a.C is -1"),
        (reading(0, 1, float("nan"), 1), "current_a.B is nan"),
        (reading(0, 1, 1, 90_000), "must be from 0 to 2000 A"),
        (reading(61, 1, 1, 1), "set the clock"),
        # In UTC this is before the year 1: a batch of records that holds it could never be written.
        (replace(reading(0, 1, 1, 1), at=datetime.fromisoformat("0001-01-01T00:00:00+14:00")), "set the clock"),
        (reading(0, 1, 1, 1, meter="m-none"), "unknown meter"),
    ],
)
def test_a_reading_that_cannot_be_true_is_not_used(bad: e.MeterReading, why: str) -> None:
    live = LiveState(site())
    assert why in (live.meters.problem(bad, after(0)) or "")
    assert told(live, e.FeederMetered(after(0), bad)) == []
    assert live.readings("m-main") == ()  # type: ignore[arg-type]
    assert live.meters.refused.total() == 1
