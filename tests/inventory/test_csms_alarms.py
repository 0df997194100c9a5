"""What operators hear of a CSMS that is gone, and of starts that it may hold twice."""

from inventory_world import after, site

from domain import events as e
from domain.ids import ChargerId
from inventory.live import LiveState
from inventory.records import AlarmRecord

CP1 = ChargerId("CP1")


def heard(live: LiveState, event: e.Event) -> list[AlarmRecord]:
    return [record for record in live.apply(event, event.at) if isinstance(record, AlarmRecord)]


def standing(live: LiveState) -> list[str]:
    return [record.alarm.kind for record in live.alarms]


def test_a_charger_without_its_csms_is_an_alarm_until_that_returns() -> None:
    live = LiveState(site())
    (raised,) = heard(live, e.CsmsLost(CP1, after(10), "refused"))
    assert heard(live, e.CsmsLost(CP1, after(20), "refused again")) == []
    assert (raised.alarm.subject, raised.raised_at, raised.cleared_at) == ("CP1", after(10), None)
    assert standing(live) == ["csms_unreachable"]
    (cleared,) = heard(live, e.CsmsReturned(CP1, after(600)))
    assert (cleared.alarm, cleared.raised_at, cleared.cleared_at) == (raised.alarm, after(10), after(600))
    assert standing(live) == []
    assert heard(live, e.CsmsReturned(CP1, after(700))) == []


def test_a_start_in_doubt_is_told_and_over_at_once() -> None:
    live = LiveState(site())
    told = [
        heard(live, e.StartInDoubt(CP1, after(5), 1, "TAG", "2026-03-01T17:00:00Z", given_up))[0]
        for given_up in (False, True)
    ]
    assert "may hold it twice" in told[0].alarm.text
    assert "does not hold it" in told[1].alarm.text
    assert all(record.cleared_at == after(5) for record in told)
    assert standing(live) == []
