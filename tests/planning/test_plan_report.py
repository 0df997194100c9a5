"""Figures, tables and words of a plan, and the text that an endpoint may add."""

import csv
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
from typer.testing import CliRunner

from ems.planning.explain import Facts, explain
from headroom.plan_command import app

RUNNER = CliRunner()
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.mark.parametrize(
    ("words", "files"),
    [
        (["power-allocation", "--cars", "8", "--slots", "24"], {"png"}),
        (["emission", "--cars", "8", "--slots", "24", "--pareto"], {"png", "_pareto.png"}),
        (["cohort", "--slots", "24", "--cars-per-day", "100"], {"png"}),
        (["sct", "--scenario", "2"], {"png"}),
        (["aggregator", "--v2g"], {"png"}),
    ],
)
def test_out_holds_figure_tables_and_words(tmp_path: Path, words: list[str], files: set[str]) -> None:
    result = RUNNER.invoke(app, [*words, "--out", str(tmp_path / "plan")])
    assert result.exit_code == 0, result.output
    model, folder = words[0], tmp_path / "plan"
    for name in files:
        figure = (folder / (f"{model}{name}" if name.startswith("_") else f"{model}.{name}")).read_bytes()
        assert figure.startswith(PNG)
        assert len(figure) > 10_000
    document = json.loads((folder / f"{model}.json").read_text())
    with (folder / f"{model}_slots.csv").open(newline="") as sheet:
        rows = list(csv.DictReader(sheet))
    assert len(rows) == len(document["price_per_kwh"])
    energy = sum(float(row["plan_kw"]) for row in rows) * document["slot_minutes"] / 60
    assert energy == pytest.approx(document["energy_kwh"], abs=1e-3)
    with (folder / f"{model}_schedule.csv").open(newline="") as sheet:
        assert len(list(csv.reader(sheet))) > len(document["schedule"])
    if "--pareto" in words:
        with (folder / f"{model}_pareto.csv").open(newline="") as sheet:
            front = [float(row["carbon_kg"]) for row in csv.DictReader(sheet)]
        assert front == pytest.approx([point["carbon_kg"] for point in document["pareto"]])
    assert document["explanation"][0] in (folder / f"{model}.md").read_text()
    assert "written: " in result.stdout


def test_a_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    result = RUNNER.invoke(app, ["sct", "--out", str(tmp_path / "taken")])
    assert result.exit_code == 2
    assert "--out: " in result.stderr


def facts(**other: object) -> Facts:
    plain: dict[str, object] = {
        "slot_h": 1.0,
        "start_h": 12.0,
        "price_per_kwh": np.array([0.3, 0.3, 0.1, 0.1]),
        "plan_kwh": np.array([0.0, 2.0, 10.0, 8.0]),
        "baseline_kwh": np.array([10.0, 10.0, 0.0, 0.0]),
        "cost": 2.4,
        "baseline_cost": 6.0,
    }
    return Facts(**(plain | other))


def test_the_words_are_the_numbers() -> None:
    said = explain(
        facts(capacity_value=np.array([0.0, 0.0, 0.2, 0.0]), unmet_kwh=1.5, unmet_cars=2, equal_saving_frac=0.25)
    )
    assert said == (
        "18.0 kWh (90% of all) moved, most of it from 12:00-14:00 to 14:00-16:00.",
        "The price averages 0.3000 EUR/kWh where charging was taken away and 0.1000 where it was put.",
        "It costs 2.40 EUR instead of 6.00: it saves 3.60, 60.0%.",
        "1.5 kWh stay undelivered (2 cars): part of the saving is energy that is not bought; at equal delivered "
        "energy the "
        "saving is 25.0%.",
        "In 1 of 4 slots the site's limit binds; most at 14:00, where one more kWh would save 0.2000 EUR.",
    )


def test_words_where_nothing_moves_or_costs_more() -> None:
    still = explain(facts(plan_kwh=np.array([10.0, 10.0, 0.0, 0.0]), cost=7.0))
    assert still[0].startswith("No charging moved")
    assert still[1] == "It costs 7.00 EUR instead of 6.00: it costs more by 1.00, 16.7%."
    assert "Nothing but the cars' own stays" in still[2]
    assert "saves 0.00, 0.0%" in explain(facts(cost=6.0 + 1e-9))[2]
    assert "saves 1.00." in explain(facts(cost=-1.0, baseline_cost=0.0))[2]


class Stub(BaseHTTPRequestHandler):
    """An endpoint that answers what the test wants and keeps what it was asked."""

    asked: ClassVar[list[tuple[str, str | None, dict[str, object]]]] = []
    answer: tuple[int, bytes] = (200, b"{}")

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append((self.path, self.headers.get("Authorization"), body))
        self.send_response(self.answer[0])
        self.end_headers()
        self.wfile.write(self.answer[1])

    def log_message(self, *_: object) -> None:
        """Silent."""


@pytest.fixture
def endpoint() -> Iterator[str]:
    Stub.asked = []
    with HTTPServer(("127.0.0.1", 0), Stub) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()
        thread.join()


def test_a_longer_text_is_asked_for_only_with_a_url(endpoint: str, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text("secret\n")
    Stub.answer = (200, json.dumps({"choices": [{"message": {"content": "Charging moved to noon."}}]}).encode())
    plain = RUNNER.invoke(app, ["power-allocation", "--cars", "5", "--slots", "24", "--json"])
    assert plain.exit_code == 0
    assert Stub.asked == []
    words = ["--explain-url", endpoint, "--explain-model", "small", "--explain-key-file", str(key)]
    result = RUNNER.invoke(app, ["power-allocation", "--cars", "5", "--slots", "24", "--json", *words])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["narrative"] == "Charging moved to noon."
    ((path, authorization, body),) = Stub.asked
    assert (path, authorization, body["model"]) == ("/v1/chat/completions", "Bearer secret", "small")
    sent = json.dumps(body)
    assert "saving_frac" in sent
    assert "EV0001" not in sent
    assert "schedule" not in sent


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ((401, b"{}"), "answered 401"),
        ((200, b"not json"), "did not answer with a chat completion"),
        ((200, b'{"choices": []}'), "did not answer with a chat completion"),
        ((200, b'{"choices": [{"message": {"content": " "}}]}'), "empty text"),
    ],
)
def test_an_endpoint_that_fails_is_named(endpoint: str, answer: tuple[int, bytes], says: str) -> None:
    Stub.answer = answer
    result = RUNNER.invoke(app, ["sct", "--explain-url", endpoint])
    assert result.exit_code == 2
    assert says in result.stderr


def test_an_endpoint_that_is_not_there_is_named() -> None:
    result = RUNNER.invoke(app, ["sct", "--explain-url", "http://127.0.0.1:9/v1"])
    assert result.exit_code == 2
    assert "cannot be reached" in result.stderr
