"""The quirk record: whose word stands above whose, what a model hands on, what a person may write."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from inventory_world import after

from domain.events import QuirksLearned
from domain.ids import ChargerId
from domain.quirks import UNKNOWN, Model, Quirks
from inventory.quirk_book import EDITABLE, FIELDS, QuirkBook, QuirkError, allowed, checked

CP1, CP2 = ChargerId("CP1"), ChargerId("CP2")
TERRA = Model("ABB", "Terra", "1.8")


def shown(charger: ChargerId, model: Model | None = TERRA, **quirks: Any) -> QuirksLearned:
    return QuirksLearned(charger, after(0), Quirks(**quirks), model)


def test_a_second_charger_of_the_model_begins_with_what_the_first_showed_and_nothing_that_is_its_own() -> None:
    book = QuirkBook({CP1: None, CP2: None})
    book.learn(shown(CP1, mode="tx", level=7, proven=("tx",), obeys=False, probed_at=after(0), rate_units=("W",)))
    assert book.as_model(CP2, TERRA) == Quirks(mode="tx", level=7, rate_units=("W",))
    assert book.as_model(CP2, replace(TERRA, firmware="1.9")) == UNKNOWN
    assert book.of_charger(CP1).proven == ("tx",)
    assert book.of_charger(CP1).obeys is False


def test_what_a_charger_shows_itself_stands_above_its_model() -> None:
    book = QuirkBook({CP1: None, CP2: None})
    book.learn(shown(CP1, level=7, max_periods=24))
    book.learn(shown(CP2, level=1))
    assert (book.of_charger(CP2).level, book.of_charger(CP2).max_periods) == (1, 24)
    assert book.of_charger(CP1).level == 7


def test_a_persons_word_stands_above_everything_and_can_be_taken_back() -> None:
    book = QuirkBook({CP1: None, CP2: None})
    book.learn(shown(CP1, after_zero="resumes", level=7))
    book.edit_model(TERRA, {"after_zero": "stays_paused", "write_budget_per_day": 25})
    book.edit_charger(CP1, {"level": 3})
    told = book.of_charger(CP1)
    assert (told.after_zero, told.level, told.write_budget_per_day) == ("stays_paused", 3, 25)
    book.learn(shown(CP1, after_zero="resumes", level=8))
    assert book.of_charger(CP1).level == 3
    book.edit_charger(CP1, {"level": None})
    assert book.of_charger(CP1).level == 8


def test_the_site_files_write_budget_stands_above_what_was_learnt_and_below_a_persons_word() -> None:
    book = QuirkBook({CP1: 10})
    book.learn(shown(CP1, write_budget_per_day=99))
    assert book.of_charger(CP1).write_budget_per_day == 10
    book.edit_charger(CP1, {"write_budget_per_day": 4})
    assert book.of_charger(CP1).write_budget_per_day == 4


def test_the_answer_is_the_same_object_until_something_changes() -> None:
    book = QuirkBook({CP1: None, CP2: None})
    before = book.of_charger(CP1)
    assert book.learn(shown(CP1, level=7))
    known = book.of_charger(CP1)
    assert known is not before
    assert book.learn(shown(CP1, level=7)) == []
    assert book.of_charger(CP1) is known
    assert book.learn(shown(ChargerId("stranger"), level=7)) == []
    assert book.of_charger(ChargerId("stranger")) == UNKNOWN


@pytest.mark.parametrize(
    ("edits", "text"),
    [
        ({"colour": "red"}, "quirk 'colour' is not one that can be written: mode, level"),
        ({"proven": ["cap"]}, "quirk 'proven' is not one"),
        ({"mode": "both"}, "quirk 'mode': 'both' is not allowed: cap or tx"),
        ({"level": -1}, "quirk 'level': -1 is not allowed: a whole number, 0 or more"),
        ({"level": "8"}, "'8' is not allowed"),
        ({"timed": 1}, "quirk 'timed': 1 is not allowed: true or false"),
        ({"rate_units": ["A", "V"]}, "is not allowed: a list of A or W"),
        ({"measurands": ["Voltage"]}, "quirk 'measurands' is not one"),
    ],
)
def test_what_cannot_be_true_is_refused_with_what_may_be(edits: dict[str, Any], text: str) -> None:
    with pytest.raises(QuirkError, match=text.replace("[", r"\[")):
        checked(edits)


@given(st.sampled_from(FIELDS), st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.text(), max_size=3))
def test_what_is_taken_always_gives_a_record(name: str, value: object) -> None:
    book = QuirkBook({CP1: None, CP2: None})
    assert all(map(allowed, EDITABLE))
    try:
        book.edit_charger(CP1, {name: value})
    except QuirkError:
        return
    assert getattr(book.of_charger(CP1), name) == (tuple(value) if isinstance(value, list) else value)
