"""`headroom forecast`: what it prints, writes and refuses."""

import csv
import gzip
import json
from itertools import pairwise
from pathlib import Path

import pytest
from needs import needs_torch
from typer.testing import CliRunner

from forecasting import artefact, backtest, teaching
from forecasting.training import Recipe
from headroom.forecast_command import app

EXCERPT = Path(__file__).parents[1] / "data" / "load_excerpts" / "hue_house1.csv.gz"
DATA = ["--data", str(EXCERPT), "--column", "energy_kwh", "--timezone", "America/Vancouver"]


@pytest.fixture
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The networks that the commands train are small here."""
    needs_torch()
    small = {"hidden": (8, 4), "members": 1, "epochs": 2, "threads": 1}
    for module in (backtest, teaching):
        fit = module.fit

        def tiny(series, horizon_h, *, recipe, _fit=fit, **options):  # type: ignore[no-untyped-def]
            return _fit(series, horizon_h, recipe=Recipe(seed=recipe.seed, **small), **options)

        monkeypatch.setattr(module, "fit", tiny)


def run(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, list(arguments))
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.usefixtures("_quick")
def test_backtest_prints_the_promised_document() -> None:
    code, out, _ = run("backtest", *DATA, "--horizon", "1h", "--json")
    assert code == 0
    found = json.loads(out)
    assert found["series"] == "energy_kwh"
    scores = found["horizons"]["1h"]
    for name in ("narx", "narx_thesis", "persistence", "yesterday", "week", "ridge", "boosting"):
        assert scores[name]["rmse"] >= scores[name]["mae"] > 0
        assert 0.8 < scores[name]["coverage_90"] < 0.97
        assert scores[name]["pinball"] < scores[name]["mae"]
    assert found["coverage_90"] == {"1h": scores["narx"]["coverage_90"]}
    assert scores["ridge"]["rmse"] < scores["persistence"]["rmse"]
    # Persistence by its definition, over the same hours.
    with gzip.open(EXCERPT, "rt", encoding="utf-8") as text:
        load = [float(row[1]) for row in list(csv.reader(text))[1:]]
    errors = [later - earlier for earlier, later in pairwise(load)][-found["test_hours"] :]
    rmse = (sum(error**2 for error in errors) / len(errors)) ** 0.5
    assert scores["persistence"]["rmse"] == pytest.approx(rmse, rel=0.02)
    best = min(scores[name]["rmse"] for name in ("persistence", "yesterday", "week", "ridge", "boosting"))
    assert found["ratio_to_best_rival"]["1h"] == pytest.approx(scores["narx"]["rmse"] / best)


@pytest.mark.usefixtures("_quick")
def test_train_writes_a_model_that_loads_and_says_what_it_is(tmp_path: Path) -> None:
    file = tmp_path / "house.npz"
    code, out, _ = run("train", *DATA, "--horizon", "1h", "--seed", "3", "--out", str(file), "--json")
    assert code == 0
    found = json.loads(out)
    assert found["model"] == str(file)
    assert found["sha256"] in Path(found["card"]).read_text(encoding="utf-8")
    trained = artefact.load(file)
    assert trained.recipe.seed == 3
    assert list(trained.models) == [1]
    code, out, _ = run("train", *DATA, "--horizon", "1h", "--preset", "thesis", "--out", str(file))
    assert code == 0
    assert "1h ahead: RMSE" in out
    assert artefact.load(file).models[1].network.hidden == (128, 64, 32)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["backtest", "--data", "none.csv", "--column", "kw"], "none.csv: cannot be read"),
        (["backtest", *DATA[:2], "--column", "kw"], "kw: is no column; there are energy_kwh"),
        (["backtest", *DATA, "--horizon", "soon"], "--horizon: must be 1h to 168h or 1d to 7d, it is 'soon'"),
        (["backtest", *DATA, "--horizon", "0h"], "it is '0h'"),
        (["backtest", *DATA, "--zeros", "maybe"], "--zeros: must be auto, missing or real"),
        (["backtest", *DATA, "--exogenous", "temp"], "--exogenous: must be FILE:COLUMN"),
        (["train", *DATA, "--preset", "best"], "--preset: must be default or thesis"),
        (["train", *DATA, "--out", "no/such/folder/m.npz"], "the folder no/such/folder does not exist"),
    ],
)
def test_bad_input_ends_with_one_sentence_and_code_2(arguments: list[str], said: str) -> None:
    code, out, err = run(*arguments)
    assert code == 2
    assert out == ""
    assert said in err.replace("\n", " ")
    assert err.count("headroom forecast:") == 1


def test_without_torch_the_commands_say_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    import builtins

    real = builtins.__import__

    def without(name: str, *rest: object) -> object:
        if name == "torch":
            raise ModuleNotFoundError("No module named 'torch'", name="torch")
        return real(name, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(builtins, "__import__", without)
    code, _, err = run("backtest", *DATA, "--horizon", "1h")
    assert code == 2
    assert "make setup TORCH=1" in err
