"""The command line as a newcomer meets it: what it prints, and its exit codes."""

import contextlib
import json
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CEDAR = ROOT / "docs" / "examples" / "cedar-court.yaml"


def headroom(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "headroom", *arguments], capture_output=True, text=True, timeout=120, check=False
    )


def test_check_draws_the_panel_tree_and_prints_the_proof() -> None:
    done = headroom("check", str(CEDAR))
    assert done.returncode == 0, done.stderr
    assert "main" in done.stdout
    assert "P1-01" in done.stdout


def test_check_for_machines_has_a_line_per_phase_of_every_feeder() -> None:
    done = headroom("check", str(CEDAR), "--json")
    assert done.returncode == 0, done.stderr
    proof = json.loads(done.stdout)
    assert proof["holds"] is True
    assert {(line["feeder"], line["phase"]) for line in proof["lines"]} >= {("main", "A"), ("p1", "B")}
    assert all(line["failsafe_a"] + line["base_a"] <= line["usable_a"] for line in proof["lines"])


@pytest.fixture
def too_small(tmp_path: Path) -> Path:
    """Cedar Court with a main panel that cannot carry fall-backs and base load."""
    file = tmp_path / "too-small.yaml"
    file.write_text(CEDAR.read_text().replace("rating_a: 400", "rating_a: 100"))
    assert "rating_a: 100" in file.read_text()
    return file


def test_a_rating_below_the_fail_safe_sum_fails_the_proof(too_small: Path) -> None:
    done = headroom("check", str(too_small))
    assert done.returncode == 1
    assert "main" in done.stdout


def test_serve_refuses_a_site_whose_proof_fails_and_starts_nothing(too_small: Path, tmp_path: Path) -> None:
    database = tmp_path / "never.db"
    done = headroom("serve", "--site", str(too_small), "--database", f"sqlite:///{database}", "--api-port", "0")
    assert done.returncode == 1
    assert "proof" in done.stderr
    assert not database.exists()


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("parent: main", "parent: p1", "p1"),
        ("phases: [A, B]", "phases: [A, X]", "X"),
        ("strategy: milp", "strategie: milp", "strategy"),
    ],
)
def test_a_bad_site_file_is_one_clear_sentence(tmp_path: Path, old: str, new: str, told: str) -> None:
    file = tmp_path / "bad.yaml"
    text = CEDAR.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))
    done = headroom("check", str(file))
    assert done.returncode == 2
    assert done.stdout == ""
    assert str(file) in done.stderr
    assert told in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("check", "there-is-no-such-file.yaml"), "there-is-no-such-file.yaml"),
        (("serve", "--site", str(CEDAR), "--csms", "http://x"), "--csms"),
        (("serve", "--site", str(CEDAR), "--csms", "ws://"), "--csms"),
        (("serve", "--site", str(CEDAR), "--csms", "ws://host:port/ocpp"), "--csms"),
        (("simulate", "--site", str(CEDAR), "--strategy", "magic"), "magic"),
        (("simulate", "--site", str(CEDAR), "--days", "0"), "--days"),
        (("nonsense",), "nonsense"),
    ],
)
def test_bad_input_ends_with_2_and_names_what_is_wrong(arguments: tuple[str, ...], told: str) -> None:
    done = headroom(*arguments)
    assert done.returncode == 2
    assert told in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["demo", "serve", "check", "simulate"])
def test_every_command_explains_itself_with_an_example(command: str) -> None:
    done = headroom(command, "--help")
    assert done.returncode == 0
    assert f"headroom {command}" in done.stdout
    assert "Example" in done.stdout


@pytest.mark.parametrize("locked", [False, True])
def test_sigterm_ends_the_service_in_order_even_where_the_database_is_stuck(tmp_path: Path, *, locked: bool) -> None:
    file = tmp_path / "headroom.db"
    command = ("serve", "--json", "--site", str(CEDAR), "--database", f"sqlite:///{file}")
    ports = ("--api-port", "0", "--ocpp-port", "0")
    with subprocess.Popen(
        [sys.executable, "-m", "headroom", *command, *ports], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as service:
        assert service.stdout is not None
        assert service.stderr is not None
        json.loads(service.stdout.readline())
        with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as other:
            if locked:
                other.execute("BEGIN IMMEDIATE")
            service.terminate()
            assert service.wait(timeout=10) == 0
        told = service.stderr.read()
    assert "service_stopped" in told
    assert "Traceback" not in told
    assert ("last_records_lost" in told) is locked
