"""Every study in a reduced form: its numbers against what the full report in docs/studies says, and its files."""

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from needs import needs_torch
from typer.testing import CliRunner

from forecasting.training import Recipe, TorchMissingError
from headroom.cli import build
from headroom.studies import dro_building, drr_fairness, milp_building, narx, penetration, stackelberg_murb
from headroom.studies.catalogue import TITLES, run_study
from headroom.studies.report import Findings, StudyError, write

REPORTS = Path(__file__).parents[2] / "docs" / "studies"


def quiet(_share: float, _what: str) -> None:
    """Nobody listens."""


def published(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((REPORTS / name / f"{name}.json").read_text(encoding="utf-8"))
    return found["values"]


def verdicts(found: Findings) -> dict[str, str]:
    return {claim.text: claim.verdict for claim in found.claims}


def test_fairness_reproduces_the_order_and_the_starved_cluster() -> None:
    found = drr_fairness.run(seed=3, told=quiet, days=25, sizes=9)
    values, full = found.values, published("drr-fairness")
    for setting, scores in values["score_8x7"].items():  # type: ignore[attr-defined]
        assert scores["Regular"] < scores["FCFS"] <= scores["d-RR"]
        for policy, score in scores.items():
            assert score == pytest.approx(full["score_8x7"][setting][policy], abs=4.0)
    lowest = {policy: parts[0][0] for policy, parts in values["clusters"].items()}  # type: ignore[attr-defined]
    assert lowest["FCFS"] < 5.0
    assert lowest["d-RR"] > 15.0
    assert values["ev4_kwh"] == {"FCFS": 0.0, "d-RR": 6.0}
    assert verdicts(found)["Regular < FCFS <= d-RR in satisfaction"] == "reproduced"


def test_penetration_grows_with_every_step() -> None:
    found = penetration.run(seed=1, told=quiet, days=25, most=100)
    full = published("penetration")["carried"]
    carried: dict[str, int] = found.values["carried"]  # type: ignore[assignment]
    for key in ("S30% 90%", "S80% 90%"):
        ways = [carried[f"{way} {key}"] for way in ("Regular", "FCFS", "d-RR", "d-RR + EMS")]
        assert ways[-1] > 3 * ways[0]
        for way in ("FCFS + EMS", "d-RR + EMS"):
            assert carried[f"{way} {key}"] == pytest.approx(full[f"{way} {key}"], rel=0.15)


def test_dro_is_between_so_and_ro() -> None:
    found = dro_building.run(seed=2, told=quiet, runs=12)
    methods: dict[str, dict[str, float]] = found.values["methods"]  # type: ignore[assignment]
    full = published("dro-building")["methods"]
    so, ro, printed, cvar = (methods[name] for name in ("SO", "RO", "DRO as printed", "DRO, CVaR"))
    assert so["main_over_hours"] > printed["main_over_hours"] > cvar["main_over_hours"]
    assert ro["main_over_hours"] == 0
    assert ro["delivered_ah_per_day"] < cvar["delivered_ah_per_day"] < so["delivered_ah_per_day"]
    for name, one in methods.items():
        assert one["delivered_ah_per_day"] == pytest.approx(full[name]["delivered_ah_per_day"], rel=0.08)


def test_milp_keeps_every_phase_and_fills_every_car() -> None:
    found = milp_building.run(seed=0, told=quiet, days=3, sizes=(1, 5, 10, 20))
    values, full = found.values, published("milp-building")
    assert float(str(values["largest_phase_a"])) <= 160.001
    assert values["evse_kw_at_peak"] == pytest.approx(full["evse_kw_at_peak"], abs=0.05)
    assert values["evse_kw_night_mean"] == pytest.approx(full["evse_kw_night_mean"], abs=0.3)
    assert min(values["mean_soc_at_departure_percent"]) > 95.0  # type: ignore[call-overload]


def test_stackelberg_rations_by_priority_and_uses_the_panel() -> None:
    found = stackelberg_murb.run(seed=0, told=quiet, every=6, copies=(1, 2), rounds=2)
    values, full = found.values, published("stackelberg-murb")
    scarce: dict[str, float] = values["served_when_scarce_percent"]  # type: ignore[assignment]
    assert scarce["DC"] > scarce["Level II"]
    for kind, served in scarce.items():
        assert served == pytest.approx(full["served_when_scarce_percent"][kind], abs=6.0)
    assert float(str(values["max_total_a"])) <= 1000.001
    assert float(str(values["highest_residual"])) <= 1e-6
    assert values["swings_percent"]["beta"][0] < -10.0 < 10.0 < values["swings_percent"]["beta"][1]  # type: ignore[index]


def test_narx_beats_its_naive_rivals_where_torch_is_installed() -> None:
    needs_torch()
    small = Recipe(hidden=(8,), members=1, epochs=2, threads=1)
    found = narx.run(seed=0, told=quiet, recipe=small, thesis=replace(small, epochs=2), rivals=("persistence", "week"))
    scores: dict[str, dict[str, float]] = found.values["rmse_kw"]  # type: ignore[assignment]
    full = published("narx")["rmse_kw"]
    for rival in ("persistence", "week"):
        assert scores[rival]["all_hours"] == pytest.approx(full[rival]["all_hours"], rel=0.02)
        assert scores["NARX of this project"]["all_hours"] < scores[rival]["all_hours"]


def test_narx_without_torch_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> object:
        raise TorchMissingError

    monkeypatch.setattr(narx, "torch_or_complain", missing)
    found = CliRunner().invoke(build(["study"]), ["study", "narx"])
    assert found.exit_code == 2
    assert "make setup TORCH=1" in found.stderr


def test_a_report_is_written_as_its_parts_say(tmp_path: Path) -> None:
    found = stackelberg_murb.run(seed=0, told=quiet, every=24, copies=(1, 2), rounds=1)
    files = {file.name for file in write(found, tmp_path)}
    for plot in found.plots:
        assert {f"{plot.name}.png", f"{plot.name}.svg"} <= files
        assert (tmp_path / f"{plot.name}.png").read_bytes()[:4] == b"\x89PNG"
    for sheet in found.sheets:
        with (tmp_path / f"{sheet.name}.csv").open(encoding="utf-8") as source:
            assert tuple(next(csv.reader(source))) == sheet.columns
    text = (tmp_path / f"{found.name}.md").read_text(encoding="utf-8")
    for part in ("## Definitions", "## Claims of the source", "## The source's numbers beside ours"):
        assert part in text
    assert all(one.why for one in found.beside)
    with pytest.raises(StudyError, match="cannot be written"):
        write(found, tmp_path / f"{found.name}.md")


def test_the_list_names_every_study_and_others_are_refused() -> None:
    runner = CliRunner()
    found = json.loads(runner.invoke(build(["study"]), ["study", "list", "--json"]).stdout)
    assert {one["name"] for one in found["studies"]} == set(TITLES)
    assert {path.name for path in REPORTS.iterdir() if path.is_dir()} == set(TITLES)
    refused = runner.invoke(build(["study"]), ["study", "weather"])
    assert refused.exit_code == 2
    assert "study 'weather' is not known" in refused.stderr
    with pytest.raises(StudyError):
        run_study("weather", 0, quiet)
