"""Files of faults: written and read without loss, in YAML and JSON, and refused by line and field."""

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from domain.errors import HeadroomError
from headroom.campaign.fault_file import FaultFile, read_file, written
from inventory.site_file import parse_site
from simulators.demo_site import demo_site
from simulators.faults import drawn

SITE = parse_site(demo_site(6), "site.yaml")


@pytest.mark.parametrize("seed", [7, 8, 9])
def test_a_schedule_survives_its_file(tmp_path: Path, seed: int) -> None:
    faults = drawn(SITE, 2.0, seed)
    path = tmp_path / "faults.yaml"
    path.write_text(written(faults, seed=seed, days=2.0, about='said: "so"'), encoding="utf-8")
    assert read_file(path, SITE) == FaultFile(faults, seed, 2.0, 'said: "so"')
    path.write_text(json.dumps([asdict(fault) for fault in faults]), encoding="utf-8")
    assert read_file(path, SITE) == FaultFile(faults)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("- kind: earthquake", r":1: \[0\].kind: found 'earthquake'; allowed are cable-pulled, .*store-locked"),
        ("- kind: meter-silence", r"did you mean .*meter-silent"),
        ("- at_s: 1", r"\[0\].kind: found None"),
        (
            "faults:\n  - {kind: mute, target: CP001}\n  - kind: mute\n    target: CP999",
            r":4: faults\[1\].target: found",
        ),
        ("- {kind: mute, target: CP001, at_s: -1}", r"at_s: found -1, allowed is 0 or more"),
        ("- {kind: mute, target: CP001, for_s: soon}", r"for_s: found 'soon', which is no number"),
        ("- {kind: csms-gone, target: CP001}", r"target: found 'CP001': csms-gone hits no single one"),
        ("- {kind: csms-gone, value: 3}", r"value: found 3: csms-gone takes no value"),
        ("- {kind: csms-slow}", r"value: is missing: csms-slow needs one in s, such as 13"),
        ("- {kind: csms-gone, when: 3}", r"when: is no field of a schedule"),
        ("- csms-gone", r"\[0\]: expected a fault"),
        ("faults: 3", r"faults: expected a list"),
        ("seed: -1\nfaults: []", r":1: seed: found -1"),
        ("days: many\nfaults: []", r"days: found 'many'"),
        ("3", r"expected a list of faults, or a mapping"),
        ("[{", r"cannot be read"),
    ],
)
def test_a_bad_schedule_is_refused_by_line_and_field(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "faults.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(HeadroomError, match=says):
        read_file(path, SITE)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(HeadroomError, match=r"nowhere\.yaml: cannot be read"):
        read_file(tmp_path / "nowhere.yaml", SITE)
