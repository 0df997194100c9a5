"""`make audit`: a finding fails, and what could not be audited is never called clean."""

import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

HOUSE = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def audit() -> ModuleType:
    spec = importlib.util.spec_from_file_location("audit", HOUSE / "deploy" / "audit.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["audit"] = module
    spec.loader.exec_module(module)
    return module


CLEAN = {"name": "httpx", "version": "0.28", "vulns": []}
FAULTY = {"name": "jinja2", "version": "2.0", "vulns": [{"id": "CVE-2019-8341", "fix_versions": ["2.10.1"]}]}
SKIPPED = {"name": "rich", "skip_reason": "Dependency not found on PyPI and could not be audited"}


@pytest.mark.parametrize(
    ("packages", "easy", "strict", "sentence"),
    [
        ([CLEAN], 0, 0, "lock: 1 looked at, 0 findings"),
        ([CLEAN, FAULTY], 1, 1, "jinja2 2.0: CVE-2019-8341, fixed in 2.10.1"),
        ([CLEAN, SKIPPED], 0, 1, "NOT AUDITED: 1 of 2 packages"),
        ([FAULTY, SKIPPED], 1, 1, "NOT AUDITED"),
        (None, 0, 1, "NOT AUDITED: the advisory service cannot be reached"),
    ],
)
def test_python_packages(audit: ModuleType, packages: object, easy: int, strict: int, sentence: str) -> None:
    outcome = audit.python_packages(json.dumps({"dependencies": packages}) if packages else "", "lock")
    said: list[str] = []
    assert audit.told([outcome], said.append, strict=False) == easy
    assert audit.told([outcome], said.append, strict=True) == strict
    assert sentence in "\n".join(said)


@pytest.mark.parametrize(
    ("answer", "easy", "strict", "sentence"),
    [
        ({"vulnerabilities": {}, "metadata": {"dependencies": {"total": 9}}}, 0, 0, "lock: 9 looked at, 0 findings"),
        (
            {"vulnerabilities": {"x": {"severity": "high", "range": "<2"}}, "metadata": {"dependencies": {"total": 9}}},
            1,
            1,
            "x: high, <2",
        ),
        ({"message": "fetch failed", "statusCode": 405}, 0, 1, "NOT AUDITED"),
    ],
)
def test_node_packages(audit: ModuleType, answer: object, easy: int, strict: int, sentence: str) -> None:
    outcome = audit.node_packages(json.dumps(answer) + "\nnpm error see the log", "lock")
    said: list[str] = []
    assert audit.told([outcome], said.append, strict=False) == easy
    assert audit.told([outcome], said.append, strict=True) == strict
    assert sentence in "\n".join(said)


def test_the_own_code_is_clean_and_a_fault_in_it_would_be_found(audit: ModuleType, tmp_path: Path) -> None:
    bandit = [str(Path(sys.executable).parent / "bandit"), "-q", "-c", str(HOUSE / "pyproject.toml"), "-f", "json"]

    def run(*paths: str) -> str:
        done = subprocess.run(
            [*bandit, "-r", *paths], capture_output=True, text=True, check=False, cwd=HOUSE, timeout=300
        )
        return done.stdout

    (tmp_path / "bad.py").write_text(
        "import pickle\nimport subprocess\npickle.loads(b'')\nsubprocess.run('x', shell=True)\n"
    )
    assert len(audit.own_code(run(str(tmp_path))).findings) >= 2
    outcome = audit.own_code(run(*audit.SOURCES))
    assert outcome.findings == []
    assert outcome.looked_at > 300


def test_the_threat_model_names_tests_that_there_are() -> None:
    text = (HOUSE / "docs" / "threat-model.md").read_text(encoding="utf-8")
    named = set(re.findall(r"\b(?:proxy|headroom|inventory)/test_\w+\.py", text))
    assert len(named) > 15
    assert [one for one in sorted(named) if not (HOUSE / "tests" / one).exists()] == []
