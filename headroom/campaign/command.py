"""`headroom simulate --faults`: one site under a schedule of faults, and the smallest schedule that still fails."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from rich.progress import Progress

from domain.errors import HeadroomError
from domain.site import Site
from headroom.campaign.day import Run, Verdict, run
from headroom.campaign.fault_file import read_file, written
from headroom.console import err, out, print_json
from headroom.report import report_table
from simulators.faults import Fault
from simulators.shrinking import shrunk

MOST_RUNS = 60


def under_faults(
    site: Site, file: Path, shrink: Path | None, *, seed: int | None, days: float | None, as_json: bool
) -> int:
    """Run, tell, and shrink where wanted. `seed` and `days` are the file's own where None, else 0 and 1.

    Returns:
        The exit code: 1 where a promise was broken.

    Raises:
        HeadroomError: the file cannot be used, or there is nothing to shrink.
    """
    schedule = read_file(file, site)
    seed = next((one for one in (seed, schedule.seed) if one is not None), 0)
    days = days or schedule.days or 1.0
    what = Run(site, schedule.faults, days, seed)
    verdict = _played(what, f"simulating {len(schedule.faults)} faults", quiet=as_json)
    smallest = None
    if shrink is not None:
        smallest = _shrunk(what, verdict)
        text = written(smallest, seed=seed, days=days, about=verdict.violations[0])
        try:
            shrink.write_text(text, encoding="utf-8")
        except OSError as error:
            raise HeadroomError(f"--shrink: {shrink} cannot be written: {error.strerror}") from None
    _tell(verdict, smallest, as_json=as_json)
    return 0 if verdict.clean else 1


def kind_of(violation: str) -> str:
    """What a violation is about: its words before the colon."""
    return violation.split(":", 1)[0]


def _shrunk(what: Run, verdict: Verdict) -> tuple[Fault, ...]:
    """The smallest schedule with a violation of the same kind as the first one found."""
    if verdict.clean:
        raise HeadroomError("--shrink: no promise was broken, so there is nothing to shrink")
    wanted = kind_of(verdict.violations[0])
    runs = 0

    def fails(faults: Sequence[Fault]) -> bool:
        nonlocal runs
        runs += 1
        err.print(f"run {runs} of at most {MOST_RUNS}: {len(faults)} faults")
        return wanted in {kind_of(text) for text in run(replace(what, faults=faults)).violations}

    return () if fails(()) else shrunk(what.faults, fails, most_runs=MOST_RUNS)


def _played(what: Run, words: str, *, quiet: bool) -> Verdict:
    with Progress(transient=True, disable=quiet) as progress:
        bar = progress.add_task(words, total=what.days)
        return run(what, lambda done: progress.update(bar, completed=done))


def _tell(verdict: Verdict, smallest: Sequence[Fault] | None, *, as_json: bool) -> None:
    if as_json:
        print_json(_as_json(verdict, smallest))
        return
    out.print(report_table(verdict.report))
    for kind, number in sorted(verdict.by_kind.items()):
        out.print(f"fault: {kind}, {number} times")
    for violation in verdict.violations:
        out.print(f"violation: {violation}", markup=False)
    if smallest is not None:
        out.print("smallest schedule: " + ("; ".join(map(str, smallest)) or "no fault at all"))
    out.print(f"{verdict.days:g} building-days, {verdict.faults} faults, {len(verdict.violations)} violations")


def _as_json(verdict: Verdict, smallest: Sequence[Fault] | None) -> Mapping[str, object]:
    told: dict[str, object] = {
        **verdict.report,
        "building_days": verdict.days,
        "faults": verdict.faults,
        "faults_by_kind": verdict.by_kind,
        "violations": list(verdict.violations),
        "transactions": verdict.transactions,
        "overload_without_fault_s": round(verdict.calm_overload_s, 3),
    }
    if smallest is not None:
        told["smallest"] = [str(fault) for fault in smallest]
    return told
