"""The sentences: each kind has one, in the site's own time."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from domain.setpoint import Reason, ReasonKind
from domain.site import Phase
from ems.explanation import amperes, clock, explain

VANCOUVER = ZoneInfo("America/Vancouver")
NOW = datetime(2026, 1, 6, 2, 10, tzinfo=UTC)  # 18:10 on the 5th in Vancouver


def say(kind, limit_a=9.0, target_a=9.0, **fields):
    return explain("P1-04", limit_a, target_a, Reason(kind, **fields), NOW, VANCOUVER)


def test_the_residents_question():
    turn = datetime(2026, 1, 6, 2, 40, tzinfo=UTC)
    assert say(ReasonKind.FEEDER_FULL, feeder="p1", phase=Phase.B) == "P1-04: 9 A, panel p1 phase B is full"
    waiting = say(ReasonKind.WAITING, 0.0, 0.0, feeder="p1", phase=Phase.B, place=2, next_turn_at=turn)
    assert waiting == "P1-04: 0 A, panel p1 phase B is full, next turn 18:40"


@pytest.mark.parametrize("kind", list(ReasonKind))
def test_every_kind_has_one_sentence_about_its_evse(kind):
    for limit_a, feeder in ((0.0, None), (12.5, "p1")):
        text = say(kind, limit_a, 16.0, feeder=feeder, phase=Phase.A if feeder else None)
        assert text.startswith("P1-04: ")
        assert "{" not in text
        assert "\n" not in text
        assert str(kind) not in text.replace("_", " ").split(": ", 1)[0]
        assert len(text) < 120


def test_no_two_kinds_say_the_same():
    texts = {say(kind, feeder="p1", phase=Phase.A) for kind in ReasonKind if kind is not ReasonKind.WAITING}
    assert len(texts) == len(ReasonKind) - 1


def test_no_promise_is_told_as_such():
    text = say(ReasonKind.WAITING, 0.0, 0.0, feeder="p1", place=3)
    assert text == "P1-04: 0 A, panel p1 is full, place 3 in the queue, no time can be promised"


def test_settling_says_what_comes():
    assert say(ReasonKind.SETTLING, 6.0, 14.5) == "P1-04: 6 A, 14.5 A as soon as others have come down"


def test_another_day_is_named():
    assert clock(datetime(2026, 1, 6, 2, 40, tzinfo=UTC), NOW, VANCOUVER) == "18:40"
    assert clock(datetime(2026, 1, 6, 14, 5, tzinfo=UTC), NOW, VANCOUVER) == "Tue 06:05"


def test_amperes_have_a_tenth_only_where_needed():
    assert [amperes(a) for a in (0.0, 9.0, 9.5, 10.04)] == ["0 A", "9 A", "9.5 A", "10 A"]
