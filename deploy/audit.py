"""`make audit`: known faults of what is locked, and what static analysis says of our own code.

Exit 1 for a finding. Advisories come over the network; where they cannot be had, that is said in so many words and is
no success: with `--strict` (for a CI that has a network: `make audit STRICT=1`) it is exit 1 as well.
"""

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HOUSE = Path(__file__).parents[1]
SOURCES = ("domain", "proxy", "ems", "scheduler", "forecasting", "inventory", "simulators", "headroom", "benchmarks")
TIMEOUT_S = 600


@dataclass(frozen=True)
class Outcome:
    """What one audit found. `unaudited`: why it could not be made, wholly or for some packages; empty where it was."""

    name: str
    looked_at: int = 0
    findings: list[str] = field(default_factory=list)
    unaudited: str = ""


def python_packages(answer: str, lock: str) -> Outcome:
    """From pip-audit's JSON. A package that the advisory service does not know was not audited."""
    try:
        found: list[dict[str, Any]] = json.loads(answer)["dependencies"]
    except (ValueError, KeyError):
        return Outcome(lock, unaudited="the advisory service cannot be reached")
    findings = [
        f"{one['name']} {one['version']}: {fault['id']}, fixed in {', '.join(fault['fix_versions']) or 'none yet'}"
        for one in found
        for fault in one.get("vulns", ())
    ]
    skipped = [one["name"] for one in found if "skip_reason" in one]
    why = f"{len(skipped)} of {len(found)} packages are not known to the advisory service" if skipped else ""
    return Outcome(lock, len(found) - len(skipped), findings, why)


def node_packages(answer: str, lock: str) -> Outcome:
    """From `npm audit --json`."""
    try:
        document = json.loads(answer[: answer.rindex("}") + 1])
        counted, found = document["metadata"]["dependencies"]["total"], document["vulnerabilities"]
    except (ValueError, KeyError, TypeError):
        return Outcome(lock, unaudited="the advisory service cannot be reached")
    findings = [f"{name}: {one['severity']}, {one.get('range', '')}" for name, one in sorted(found.items())]
    return Outcome(lock, counted, findings)


def own_code(answer: str) -> Outcome:
    """From bandit's JSON."""
    document = json.loads(answer)
    findings = [
        f"{one['filename']}:{one['line_number']}: {one['test_id']} {one['issue_text']}" for one in document["results"]
    ]
    findings += [f"{one['filename']}: {one['reason']}" for one in document["errors"]]
    return Outcome("own code (bandit)", len(document["metrics"]) - 1, findings)


def told(outcomes: Sequence[Outcome], say: Callable[[str], object], *, strict: bool) -> int:
    """Says what was found; the exit code."""
    for one in outcomes:
        say(f"{one.name}: {one.looked_at} looked at, {len(one.findings)} findings")
        for finding in one.findings:
            say(f"  {finding}")
        if one.unaudited:
            say(f"  NOT AUDITED: {one.unaudited}. Run `make audit STRICT=1` where there is a network.")
    if any(one.findings for one in outcomes):
        return 1
    return 1 if strict and any(one.unaudited for one in outcomes) else 0


def _said(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=HOUSE, timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return ""
    return done.stdout


def audits() -> list[Outcome]:
    """Every lock of the repository, and the code."""
    tool = str(Path(sys.executable).parent)
    found = [own_code(_said(f"{tool}/bandit", "-q", "-c", "pyproject.toml", "-f", "json", "-r", *SOURCES))]
    for lock in sorted((HOUSE / "requirements").glob("*.txt")):
        name = str(lock.relative_to(HOUSE))
        asked = ("--disable-pip", "--require-hashes", "-f", "json", "--progress-spinner", "off", "-r", name)
        found.append(python_packages(_said(f"{tool}/pip-audit", *asked), name))
    tracked = _said("git", "ls-files", "package-lock.json", "*/package-lock.json").split()
    for name in tracked:
        if shutil.which("npm") is None:
            found.append(Outcome(name, unaudited="npm is not installed"))
            continue
        folder = str(Path(name).parent)
        answer = _said("npm", "audit", "--json", "--package-lock-only", "--prefix", folder)
        found.append(node_packages(answer, name))
    return found


def main() -> int:
    """Runs every audit."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--strict", action="store_true", help="an audit that cannot be made is a failure")
    return told(audits(), print, strict=options.parse_args().strict)


if __name__ == "__main__":
    sys.exit(main())
