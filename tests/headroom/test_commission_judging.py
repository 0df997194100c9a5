"""What meters showed, judged: doubt is never a pass."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from domain.errors import HeadroomError
from domain.site import Phase
from headroom.access.seals import Seal, is_genuine, public_key, signed
from headroom.commissioning.judging import Absence, Level, Looks, drawn_while_away, judge_absence, judge_meter
from headroom.commissioning.record import Finding, Record, Step, Verdict, load, save
from headroom.commissioning.seal import digest_of, verified, with_seal
from headroom.commissioning.site_lines import changed, difference, with_proven
from inventory.site_file import parse_site

A, B, C = Phase
NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
SECRET = bytes(range(32))


def levels(ratio: dict[Phase, float], base_a: float = 40.0, drift_a: float = 0.0) -> list[Level]:
    return [
        Level(drawn, {p: base_a + number * drift_a + ratio.get(p, 0.0) * drawn for p in Phase})
        for number, drawn in enumerate((6.0, 12.0, 6.0, 12.0, 6.0))
    ]


@pytest.mark.parametrize(
    ("ratio", "phases", "verdict", "said"),
    [
        ({A: 1.0, B: 0.9}, (A, B), "passed", "A 1.00, B 0.90"),
        ({A: 1.0}, (A, B, C), "passed", "does not use B-C"),
        ({B: 1.0, C: 1.0}, (A, B), "failed", "B-C followed it"),
        ({}, (A, B), "failed", "no phase followed it"),
        ({A: -1.0, B: -1.0}, (A, B), "failed", "reversed"),
        ({A: 0.4, B: 0.4}, (A, B), "failed", "scale"),
        ({A: 2.0, B: 2.0}, (A, B), "failed", "2.00 A per A"),
        ({A: 1.0, B: -1.0}, (A, B), "failed", "B: -1.00 A per A"),
    ],
)
def test_a_meter_is_judged_by_phases_sign_and_scale(
    ratio: dict[Phase, float], phases: tuple[Phase, ...], verdict: str, said: str
) -> None:
    found = judge_meter(levels(ratio), phases)
    assert (found.verdict, said in found.text) == (verdict, True), found.text


def test_too_few_steps_and_a_restless_building_are_unclear() -> None:
    assert judge_meter(levels({A: 1.0})[:3], (A,)).verdict is Verdict.UNCLEAR
    restless = [replace(one, metered_a=dict.fromkeys(Phase, n * 37 % 29)) for n, one in enumerate(levels({A: 1.0}))]
    assert judge_meter(restless, (A,)).verdict is Verdict.UNCLEAR
    assert judge_meter(levels({A: 1.0}, drift_a=0.5), (A,)).verdict is Verdict.PASSED, "drift cancels"


def absence(
    away_a: list[float], *, before_a: float = 16.0, after_a: float = 16.0, drift_a: float = 0.0, watch_s: float = 60.0
) -> Absence:
    def part(drawn: list[float], start_s: float, *, told: bool) -> Looks:
        at_s = [start_s + 10.0 * number for number in range(len(drawn))]
        metered = [
            {p: 30.0 + drift_a * at / 100.0 + (amps if p is not C else 0.0) for p in Phase}
            for at, amps in zip(at_s, drawn, strict=True)
        ]
        return Looks(at_s, metered, drawn if told else [0.0] * len(drawn))

    return Absence(
        part([before_a] * 4, 0.0, told=True),
        part(away_a, 100.0, told=False),
        part([after_a] * 4, 300.0, told=True),
        {A: 1.0, B: 1.0},
        6.0,
        watch_s,
    )


@pytest.mark.parametrize(
    ("seen", "verdict", "said"),
    [
        (absence([6.0] * 8), "passed", "6.0 A"),
        (absence([0.0] * 8), "passed", "0.0 A"),
        (absence([6.0] * 8, drift_a=0.3), "passed", "give or take"),
        (absence([16.0] * 8), "failed", "16.0 A"),
        (absence([8.0] * 8), "failed", "8.0 A"),
        (absence([6.0] * 6 + [16.0] * 2), "failed", "at most 16.0 A"),
        (absence([5.0] * 18 + [16.0] * 2), "failed", "at most 16.0 A"),
        (absence([6.0] * 3), "unclear", "not seen for long enough"),
        (absence([]), "unclear", "not seen for long enough"),
        (absence([6.0] * 8, watch_s=600.0), "unclear", "of 600 s"),
        (absence([6.0] * 8, before_a=7.0), "unclear", "only 7.0 A before"),
        (absence([0.0] * 8, after_a=0.0), "unclear", "may have been done"),
        (absence([6.0] * 8, drift_a=20.0), "unclear", "moved too much"),
    ],
)
def test_a_fall_back_is_judged_by_what_the_meter_showed(seen: Absence, verdict: str, said: str) -> None:
    found = judge_absence(seen)
    assert (found.verdict, said in found.text) == (verdict, True), found.text


@settings(deadline=None)
@given(
    st.lists(st.floats(0, 40), min_size=3, max_size=20),
    st.floats(0, 40),
    st.floats(0, 40),
    st.floats(-30, 30),
)
def test_what_drew_more_than_its_fall_back_never_passes(
    away_a: list[float], before_a: float, after_a: float, drift_a: float
) -> None:
    seen = absence(away_a, before_a=before_a, after_a=after_a, drift_a=drift_a, watch_s=10.0)
    assert drawn_while_away(seen) == pytest.approx(away_a, abs=1e-6), "a steady drift is no error"
    if sum(away_a) / len(away_a) > 6.5:
        assert judge_absence(seen).verdict is not Verdict.PASSED


def test_only_all_five_steps_prove_a_fall_back_and_a_visit_goes_on_where_it_was(tmp_path: Path) -> None:
    record = Record("quay", "Ada", "http://x", NOW)
    for number, step in enumerate(Step):
        assert not record.is_proven("E1")
        record.take(Finding("CP1", "E1", step, Verdict.PASSED, "so", NOW, {"a": number}))
    assert record.proven(["E1", "E2"]) == {"E1": True}
    record.take(Finding("CP1", "E1", Step.POWER, Verdict.UNCLEAR, "so", NOW))
    assert record.proven(["E1"]) == {}, "not shown either way: the file stays"
    record.take(Finding("CP1", "E1", Step.POWER, Verdict.FAILED, "so", NOW))
    assert record.proven(["E1"]) == {"E1": False}
    file = tmp_path / "state.json"
    assert load(file, "quay") is None
    save(record, file)
    assert load(file, "quay") == record
    with pytest.raises(HeadroomError, match="is of site 'quay'"):
        load(file, "other")
    file.write_text("[]")
    with pytest.raises(HeadroomError, match="is no record"):
        load(file, "quay")


def sealed(page: str, secret: bytes = SECRET) -> str:
    seal = signed(secret, Seal("quay", digest_of(page), NOW, "Ada"))
    return with_seal(page, json.loads(msgspec.json.encode(seal)))


def test_a_seal_is_of_every_byte_and_of_one_installation() -> None:
    text = sealed("<html>ä</html>\n")
    assert verified(text.encode()).by == "Ada"
    assert verified(text.encode(), public_key(SECRET)).site == "quay"
    with pytest.raises(HeadroomError, match="another installation"):
        verified(text.encode(), public_key(bytes(32)))
    with pytest.raises(HeadroomError, match="changed after it was sealed"):
        verified(text.replace("ä", "a").encode())
    with pytest.raises(HeadroomError, match="no seal"):
        verified(b"<html></html>")
    foreign = signed(bytes(32), Seal("quay", digest_of("x"), NOW, "Ada"))
    assert not is_genuine(replace(foreign, public_key=public_key(SECRET)))
    for change in ({"by": "Eve"}, {"site": "other"}, {"at": NOW.replace(year=2027)}, {"digest": "0" * 64}):
        assert not is_genuine(replace(signed(SECRET, Seal("quay", "1" * 64, NOW, "Ada")), **change))


@settings(deadline=None)
@given(st.integers(0, 400), st.binary(min_size=1, max_size=3))
def test_no_byte_of_a_report_can_be_changed(at: int, instead: bytes) -> None:
    good = sealed("<html><body>E1: failed</body></html>\n").encode()
    bad = good[:at] + instead + good[at + len(instead) :]
    assume(bad != good)
    with pytest.raises(HeadroomError):
        verified(bad)


SITE = """\
site: quay  # by the water
timezone: UTC
csms: {url: "ws://h/x"}
feeders: [{id: main, rating_a: 400, meter: m, base_load_max_a: {A: 4, B: 4, C: 4}}]
chargers:
  - id: CP1
    evses:
      - id: E1  # by the door
        connector: 1
        feeder: main
        phases: [A, B]
      - {id: E2, connector: 2, feeder: main, phases: [A, B], failsafe_proven: true}  # 2nd
  - {id: CP2, evses: [{id: E3, connector: 1, feeder: main, phases: [A]}, {id: E4, connector: 2, feeder: main,
      phases: [B]}]}
"""


@settings(deadline=None)
@given(st.dictionaries(st.sampled_from(["E1", "E2", "E3", "E4"]), st.booleans()))
def test_the_lines_to_change_say_what_was_found_and_nothing_else(proven: dict[str, bool]) -> None:
    after = changed(SITE, "site.yaml", proven)
    assert parse_site(after, "x") == with_proven(parse_site(SITE, "x"), proven)
    assert [line.partition("#")[2] for line in SITE.splitlines() if "#" in line] == [
        line.partition("#")[2] for line in after.splitlines() if "#" in line
    ]
    lines = difference(SITE, after, "site.yaml").splitlines()
    assert len([line for line in lines if line.startswith("+") and not line.startswith("+++")]) <= len(proven)
    assert changed(after, "site.yaml", proven) == after


def test_a_file_that_cannot_be_changed_line_by_line_is_left_to_a_person() -> None:
    with pytest.raises(HeadroomError, match="has no EVSE E9"):
        changed(SITE, "site.yaml", {"E9": True})
