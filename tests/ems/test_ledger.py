"""The settling ledger: a table of what happens at one EVSE, and a property over any order of events."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from site_strategies import T0, make_evse, seconds, settled

from domain.ledger import LedgerEntry
from ems import ledger

EVSE = make_evse("e", max_a=32.0, response_s=30.0, failsafe_a=6.0, failsafe_proven=True)
UNPROVEN = replace(EVSE, failsafe_proven=False)


def at(offset_s):
    return T0 + seconds(offset_s)


def counted(entry, offset_s, evse=EVSE):
    return ledger.counted_a(entry, evse, at(offset_s))


def reduced(acknowledged_s=1.0, before_a=30.0):
    """30 A settled and drawn, then 10 A sent at 0 s."""
    entry = ledger.sent(settled(before_a, T0 - seconds(60), measured_a=before_a), 10.0, T0)
    return entry if acknowledged_s is None else ledger.acknowledged(entry, 10.0, at(acknowledged_s))


def test_unknown_means_full():
    assert counted(ledger.unknown(EVSE), 0) == 32.0
    assert not ledger.unknown(EVSE).settled


def test_a_raise_counts_at_once():
    entry = ledger.sent(settled(6.0), 20.0, T0)
    assert counted(entry, 0) == 20.0
    assert entry.raised_at == T0


def test_a_reduction_counts_when_acknowledged_and_seen_to_be_followed():
    entry = reduced()
    assert counted(entry, 10) == 30.0
    assert counted(ledger.measured(entry, EVSE, 30.0, at(8)), 10) == 30.0
    followed = ledger.measured(entry, EVSE, 9.8, at(9))
    assert followed.settled
    assert counted(followed, 10) == 10.0


def test_a_car_that_happens_to_take_little_proves_nothing_before_the_response_time():
    entry = ledger.sent(settled(30.0, T0 - seconds(60), measured_a=7.0), 10.0, T0)
    entry = ledger.acknowledged(entry, 10.0, at(1))
    early = ledger.measured(entry, EVSE, 7.0, at(5))
    assert counted(early, 6) == 30.0
    assert counted(ledger.measured(early, EVSE, 7.0, at(32)), 33) == 10.0


def test_a_car_that_stops_by_itself_proves_nothing_either():
    stopped = ledger.measured(reduced(), EVSE, 0.0, at(5))
    assert counted(stopped, 6) == 30.0


def test_a_draw_that_ends_proves_no_limit_of_zero_before_the_response_time():
    """The car left; another one could still find the old limit."""
    entry = ledger.sent(settled(20.0, T0 - seconds(60), measured_a=20.0), 0.0, T0)
    gone = ledger.measured(ledger.acknowledged(entry, 0.0, at(1)), EVSE, 0.0, at(5))
    assert counted(gone, 6) == 20.0
    assert counted(ledger.measured(gone, EVSE, 0.0, at(31)), 32) == 0.0


def learned(follows_s=(4.0, 6.0, 5.0), before_a=30.0):
    """A car that was seen to follow, then 0 A sent at 0 s and acknowledged at 1 s."""
    entry = replace(settled(before_a, T0 - seconds(60), measured_a=before_a), followed_s=follows_s)
    return ledger.acknowledged(ledger.sent(entry, 0.0, T0), 0.0, at(1))


def test_how_soon_a_car_follows_is_learned():
    entry, times = settled(30.0, T0 - seconds(60), measured_a=30.0), []
    for turn, (limit_a, after_s) in enumerate(((10.0, 4), (8.0, 6), (6.0, 5))):
        entry = ledger.acknowledged(ledger.sent(entry, limit_a, at(100 * turn)), limit_a, at(100 * turn))
        entry = ledger.measured(entry, EVSE, limit_a, at(100 * turn + after_s))
        times.append(ledger.settle_after_s(entry, EVSE))
    assert entry.followed_s == (4.0, 6.0, 5.0)
    assert times == [30.0, 30.0, 12.0]
    assert ledger.settle_after_s(ledger.new_car(entry), EVSE) == 30.0


def test_a_learned_time_settles_a_pause_sooner_and_only_a_draw_that_came_down():
    early = ledger.measured(learned(), EVSE, 0.0, at(10))
    assert not early.settled
    assert ledger.measured(learned(), EVSE, 0.0, at(14)).settled
    assert not ledger.measured(learned(follows_s=(4.0, 6.0)), EVSE, 0.0, at(14)).settled
    assert not ledger.measured(replace(learned(), measured_a=0.0), EVSE, 0.0, at(14)).settled
    slow = learned(follows_s=(20.0, 25.0, 28.0))
    assert not ledger.measured(slow, EVSE, 0.0, at(29)).settled
    assert ledger.measured(slow, EVSE, 0.0, at(31)).settled


def test_a_learned_time_accuses_nobody_sooner():
    assert ledger.measured(learned(), EVSE, 9.0, at(25)).trusted
    assert not ledger.measured(learned(), EVSE, 9.0, at(31)).trusted


def test_without_a_meter_twice_the_response_time_settles():
    entry = replace(reduced(), measured_a=None, measured_at=None)
    assert counted(entry, 60.9) == 30.0
    assert counted(entry, 61.1) == 10.0
    assert ledger.settles_at(entry, EVSE) == at(61)
    assert ledger.elapsed(entry, EVSE, at(62)).settled


def test_one_that_reports_every_minute_is_seen_again_before_time_settles():
    """Seen at 30 A a minute before: that it accepted 10 A frees nothing until its next sample had to come."""
    assert counted(reduced(), 62) == counted(reduced(), 90.9) == 30.0
    assert ledger.settles_at(reduced(), EVSE) == at(91)
    assert counted(reduced(), 91.1) == 10.0
    assert counted(ledger.measured(reduced(), EVSE, 9.8, at(40)), 41) == 10.0
    seldom = replace(reduced(), measured_at=T0 - seconds(95))
    assert counted(seldom, 61.1) == 10.0
    below = replace(reduced(), measured_a=9.0)
    assert counted(below, 61.1) == 10.0


def test_time_does_not_settle_what_a_sample_contradicts():
    entry = ledger.measured(reduced(), EVSE, 30.0, at(20))
    assert counted(entry, 500) == 30.0


def test_an_unacknowledged_reduction_never_settles():
    entry = reduced(None)
    for offset_s in (10, 100, 1000):
        entry = ledger.measured(entry, EVSE, 5.0, at(offset_s))
        assert counted(entry, offset_s) == 30.0


def test_after_five_seconds_without_acknowledgement_a_reduction_is_not_made():
    entry = reduced(None)
    assert ledger.holding_a(entry, EVSE, at(4)) == 10.0
    assert not ledger.not_made(entry, EVSE, at(4))
    assert ledger.not_made_at(entry) == at(5)
    assert ledger.holding_a(entry, EVSE, at(5)) == 30.0
    assert ledger.not_made(entry, EVSE, at(5))
    repeated = ledger.sent(entry, 10.0, at(10))
    assert ledger.holding_a(repeated, EVSE, at(11)) == 30.0, "sending it again is no acknowledgement"
    late = ledger.acknowledged(repeated, 10.0, at(12))
    assert ledger.holding_a(late, EVSE, at(12)) == 10.0
    assert counted(late, 12) == 30.0


def test_accepted_is_not_applied():
    entry = ledger.measured(reduced(), EVSE, 14.0, at(20))
    assert entry.trusted, "it may still be on its way"
    entry = ledger.measured(entry, EVSE, 14.0, at(31))
    assert not entry.trusted
    assert counted(entry, 32) == 32.0
    assert ledger.holding_a(entry, EVSE, at(32)) == 32.0


def test_trust_comes_back_when_a_limit_sent_after_it_was_lost_is_obeyed():
    entry = ledger.measured(reduced(), EVSE, 14.0, at(31))
    entry = ledger.measured(entry, EVSE, 9.0, at(40))
    assert not entry.trusted, "no limit was sent since"
    entry = ledger.acknowledged(ledger.sent(entry, 10.0, at(41)), 10.0, at(42))
    assert not ledger.measured(entry, EVSE, 9.0, at(50)).trusted
    again = ledger.measured(entry, EVSE, 9.0, at(73))
    assert again.trusted
    assert counted(again, 73) == 10.0


def test_the_meter_may_be_a_little_off():
    assert ledger.measured(reduced(), EVSE, 10.4, at(40)).trusted
    assert counted(ledger.measured(reduced(), EVSE, 10.4, at(40)), 40) == 10.4


def test_an_answer_about_an_older_limit_is_ignored():
    entry = ledger.sent(reduced(None), 8.0, at(1))
    assert ledger.acknowledged(entry, 10.0, at(2)).acknowledged_at is None
    assert not ledger.refused(entry, 10.0).refused


def test_a_refused_reduction_counts_as_before():
    entry = ledger.refused(reduced(None), 10.0)
    assert ledger.holding_a(entry, EVSE, at(1)) == counted(entry, 1) == 30.0
    assert not ledger.acknowledged(entry, 10.0, at(3)).refused


def test_a_voided_limit_counts_in_full_until_one_is_in_force_again():
    entry = ledger.voided(settled(10.0), EVSE)
    assert ledger.holding_a(entry, EVSE, at(1)) == counted(entry, 1) == EVSE.max_a
    again = ledger.acknowledged(ledger.sent(entry, 10.0, at(2)), 10.0, at(3))
    assert counted(again, 4) == EVSE.max_a
    assert counted(ledger.elapsed(again, EVSE, at(200)), 200) == 10.0


def test_an_old_sample_is_ignored():
    entry = ledger.measured(reduced(), EVSE, 30.0, at(9))
    assert ledger.measured(entry, EVSE, 9.0, at(8)) == entry


@pytest.mark.parametrize("event", [ledger.disconnected, ledger.rebooted])
def test_without_a_proven_fallback_a_lost_charger_counts_in_full(event):
    entry = settled(10.0)
    assert counted(event(entry, EVSE), 1) == 10.0
    assert counted(event(settled(0.0), EVSE), 1) == 6.0
    assert counted(event(entry, UNPROVEN), 1, UNPROVEN) == 32.0
    assert counted(event(entry, UNPROVEN, accept_unproven=True), 1, UNPROVEN) == 10.0
    assert ledger.holding_a(event(settled(0.0), EVSE), EVSE, at(1)) == 6.0


def test_after_a_restart_the_higher_of_last_limit_and_fallback_counts_until_confirmed():
    entry = ledger.restarted(settled(0.0), EVSE)
    assert counted(entry, 1000) == 6.0
    confirmed = ledger.acknowledged(ledger.sent(entry, 0.0, at(0)), 0.0, at(1))
    assert counted(ledger.measured(confirmed, EVSE, 0.0, at(32)), 33) == 0.0
    on_its_way = ledger.restarted(reduced(), EVSE)
    assert counted(on_its_way, 1000) == 30.0, "the store knew that 30 A may still be obeyed"


def test_a_silent_charger_comes_down_to_a_proven_fallback_and_no_other():
    lost = ledger.disconnected(settled(20.0), EVSE)
    assert counted(ledger.silent(lost, EVSE, T0, 300.0, at(389)), 389) == 20.0
    assert counted(ledger.silent(lost, EVSE, T0, 300.0, at(390)), 390) == 6.0
    drawing = ledger.disconnected(settled(20.0, T0 - seconds(60), measured_a=20.0), EVSE)
    assert counted(ledger.silent(drawing, EVSE, T0, 300.0, at(389)), 389) == 20.0
    assert counted(ledger.silent(drawing, EVSE, T0, 300.0, at(390)), 390) == 6.0, "its last sample is from before"
    unproven = ledger.disconnected(settled(20.0), UNPROVEN)
    assert counted(ledger.silent(unproven, UNPROVEN, T0, 300.0, at(9999)), 9999, UNPROVEN) == 32.0


events = st.lists(
    st.tuples(
        st.floats(0.5, 40.0),
        st.sampled_from(["send", "acknowledge", "refuse", "lose", "return", "sample", "sample", "nothing"]),
        st.sampled_from([0.0, 6.0, 10.0, 20.0, 32.0]),
    ),
    max_size=40,
)


class ObedientCharger:
    """Obeys a limit within its response time once it has accepted it; its car takes all it gets."""

    def __init__(self):
        self.obeyed_a, self.coming = 32.0, []

    def accept(self, limit_a, offset_s):
        self.coming.append((offset_s + (0.0 if limit_a > self.obeyed_a else 29.0), limit_a))

    def draw_a(self, offset_s):
        for due_s, limit_a in list(self.coming):
            if due_s <= offset_s:
                self.obeyed_a = limit_a
                self.coming.remove((due_s, limit_a))
        return self.obeyed_a


@given(events)
@settings(max_examples=400, deadline=None)
def test_an_obedient_charger_never_draws_more_than_it_counts_for(story):
    """Whatever is sent, accepted, refused, lost and measured, in any order."""
    entry, charger, offset_s, open_limit = ledger.unknown(EVSE), ObedientCharger(), 0.0, None
    for gap_s, event, value_a in story:
        offset_s += gap_s
        now, draw_a = at(offset_s), charger.draw_a(offset_s)
        assert draw_a <= counted(entry, offset_s) + 1e-9
        if event == "send" and open_limit is None:
            entry, open_limit = ledger.sent(entry, value_a, now), value_a
        elif event == "acknowledge" and open_limit is not None:
            charger.coming = []
            charger.accept(open_limit, offset_s)
            entry, open_limit = ledger.acknowledged(entry, open_limit, now), None
        elif event == "refuse" and open_limit is not None:
            entry, open_limit = ledger.refused(entry, open_limit), None
        elif event == "lose":
            entry, open_limit = ledger.disconnected(entry, EVSE), None
        elif event == "return":
            entry = ledger.reconnected(entry, EVSE)
        elif event == "sample":
            entry = ledger.measured(entry, EVSE, charger.draw_a(offset_s), now)
        entry = ledger.elapsed(entry, EVSE, now)
        assert entry.trusted
        assert isinstance(entry, LedgerEntry)
        assert charger.draw_a(offset_s) <= counted(entry, offset_s) + 1e-9
