"""Verdicts of the studies: those in docs/studies are what today's words make of its numbers, and numbers can fail."""

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from headroom.studies import dro_words, drr_words, milp_words, murb_words
from headroom.studies.report import Claim

REPORTS = Path(__file__).parents[2] / "docs" / "studies"
CLAIMS: dict[str, Callable[[dict[str, Any]], tuple[Claim, ...]]] = {
    "dro-building": dro_words.claims,
    "drr-fairness": drr_words.claims,
    "milp-building": milp_words.claims,
    "stackelberg-murb": murb_words.claims,
}


def document(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((REPORTS / name / f"{name}.json").read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("name", CLAIMS)
def test_published_verdicts_are_what_the_numbers_give_today(name: str) -> None:
    found = document(name)
    assert [vars(one) for one in CLAIMS[name](found["values"])] == found["claims"]


@pytest.mark.parametrize(
    ("name", "path", "worse", "claim"),
    [
        ("dro-building", ("methods", "RO", "main_over_hours"), 1, "RO never passes the main limit"),
        ("dro-building", ("methods", "SO", "main_over_hours"), 0, "SO passes the main limit at times"),
        ("drr-fairness", ("score_8x7", "EMS", "FCFS"), 99.9, "Regular < FCFS <= d-RR in satisfaction"),
        ("drr-fairness", ("clusters", "d-RR"), [[1.0, 9]], "FCFS leaves a cluster near zero, d-RR does not"),
        ("milp-building", ("largest_phase_a",), 160.1, "every phase stays within 160 A"),
        ("milp-building", ("exponents", "as printed, from 50"), 2.0, "computation time grows about linearly with N"),
        (
            "stackelberg-murb",
            ("served_when_scarce_percent", "DC"),
            50.0,
            "priority: non-EV load, then DC, then Level II",
        ),
        ("stackelberg-murb", ("time_exponent",), 1.2, "computation time grows logarithmically"),
    ],
)
def test_worse_numbers_get_a_worse_verdict(name: str, path: tuple[str, ...], worse: object, claim: str) -> None:
    values = deepcopy(document(name)["values"])
    inner = values
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = worse
    verdicts = {one.text: one.verdict for one in CLAIMS[name](values)}
    assert verdicts[claim] == "not reproduced"


def test_how_a_number_stands_to_the_source_is_said_by_the_numbers() -> None:
    values = deepcopy(document("drr-fairness")["values"])
    values["score_8x7"]["EMS"]["Regular"] = 95.0
    values["score_8x7"]["EMS"]["FCFS"] = 98.0
    whys = {one.what: one.why for one in drr_words.besides(values)}
    assert whys["S^T, Regular, EMS, 8 active, queue 7"].startswith("Higher: no car")
    assert whys["S^T, FCFS, EMS, 8 active, queue 7"].startswith("The same to 1 percentage point: with 5.75")
