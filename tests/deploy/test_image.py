"""The image and the unit: what they copy is there, what they run is known, and nothing of the tests comes along."""

import configparser
import re
import shlex
import subprocess
from pathlib import Path

from command_lines import refused
from needs import program

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "deploy" / "Dockerfile").read_text()
UNIT = ROOT / "deploy" / "systemd" / "headroom.service"
BUILT = {"/build/headroom/page", "/opt/headroom"}


def copied() -> set[str]:
    lines = re.findall(r"^COPY (?:--from=\S+ )?(.+)$", DOCKERFILE, re.MULTILINE)
    return {source.rstrip("/") for line in lines for source in line.split()[:-1]} - BUILT


def test_what_is_copied_is_there_and_let_through() -> None:
    ignore = (ROOT / ".dockerignore").read_text().splitlines()
    let_through = {line[1:] for line in ignore if line.startswith("!")}
    for source in copied():
        assert (ROOT / source).exists(), source
        assert {source, source.split("/")[0]} & let_through, source
    assert let_through <= copied() | {"dashboard"}


def test_every_package_of_the_project_is_in_the_image() -> None:
    found = re.search(r"^include = \[(.+)\]$", (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert found is not None
    assert {name.strip('"*') for name in found[1].split(", ")} <= copied()


def test_the_image_runs_without_root_what_the_cli_knows() -> None:
    command = re.findall(r"^CMD \[(.+)\]$", DOCKERFILE, re.MULTILINE)[-1]
    assert refused([word.strip(' "') for word in command.split(",")]) is None
    assert re.findall(r"^USER (\S+)$", DOCKERFILE, re.MULTILINE)[-1] == "headroom"


def test_the_image_has_the_locks_versions_and_no_tools_of_the_tests() -> None:
    def pinned(name: str) -> dict[str, str]:
        text = (ROOT / "requirements" / name).read_text()
        return dict(re.findall(r"^([a-z0-9._-]+)==(\S+)", text, re.MULTILINE))

    image, everything = pinned("service.txt"), pinned("lock.txt")
    assert image.items() <= everything.items()
    assert not {"pytest", "mypy", "playwright", "hypothesis", "torch"} & image.keys()
    assert {"fastapi", "psycopg", "redis", "aiomqtt", "pymodbus", "opentelemetry-sdk"} <= image.keys()


def test_the_unit_starts_what_the_cli_knows_and_systemd_takes_it(tmp_path: Path) -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read(UNIT)
    executable, *arguments = shlex.split(unit["Service"]["ExecStart"])
    assert executable.endswith("/.venv/bin/headroom")
    assert refused(arguments) is None
    analyse = program("systemd-analyze", "apt-get install systemd")
    there = tmp_path / "headroom.service"
    there.write_text(UNIT.read_text().replace(executable, "/bin/true"))
    found = subprocess.run([analyse, "verify", "--man=no", there], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stderr) == (0, "")
