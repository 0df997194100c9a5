"""`headroom plan`: documents, exit codes, and complaints that name file, line and field."""

import json
from pathlib import Path

import pytest
from planning_oracles import measured
from typer.testing import CliRunner

from headroom.plan_command import app

RUNNER = CliRunner()
POWER = """\
slot_minutes: 60
prices_per_kwh: [0.30, 0.10, 0.20]
capacity_kw: 20
gamma: 1.0
evs:
  - {id: a, arrival: 0, departure: 3, energy_kwh: 11, limit_kw: 11}
  - {id: b, arrival: 0, departure: 2, energy_kwh: 11, limit_kw: 11}
"""
SCT = """\
prices_per_kwh: [0.4, 0.1]
slot_minutes: 60
import_kw: 10
evses:
  - {id: x, soc_kwh: 10, capacity_kwh: 40, target_kwh: 18, power_kw: 8, profile: cheap}
"""
FLEET = """\
prices_per_kwh: [0.4, 0.1]
headroom_kw: 10
efficiency: 1.0
v2g: true
cars:
  - {id: c, start_kwh: 5, need_kwh: 12, capacity_kwh: 40, power_kw: 7.4}
"""
COHORT = """\
slot_minutes: 60
prices_per_kwh: [0.4, 0.1, 0.2]
capacity_kw: 100
power_kw: 10
gamma: 0.0
arrivals: [[0, 2, 1], [0, 0, 0], [0, 0, 0]]
"""


def run(*words: str, code: int = 0) -> dict[str, object]:
    result = RUNNER.invoke(app, [*words, "--json"])
    assert result.exit_code == code, result.output
    return json.loads(result.stdout)


def complaint(*words: str) -> str:
    result = RUNNER.invoke(app, [*words, "--json"])
    assert result.exit_code == 2, result.output
    assert not result.stdout
    assert len(result.stderr.strip().splitlines()) == 1
    return result.stderr


def write(folder: Path, text: str) -> str:
    file = folder / "day.yaml"
    file.write_text(text)
    return str(file)


@pytest.mark.parametrize(
    ("words", "entries"),
    [
        (["power-allocation", "--cars", "20", "--slots", "48"], 20),
        (["emission", "--cars", "20", "--slots", "48", "--pareto"], 20),
        (["cohort", "--slots", "48", "--cars-per-day", "200"], 10),
        (["sct", "--scenario", "3"], 3),
        (["aggregator", "--date", "2019-10-15"], 278),
    ],
)
def test_every_model_speaks_the_contract(words: list[str], entries: int) -> None:
    found = run(*words)
    assert found["status"] == "optimal"
    assert found["saving_frac"] == pytest.approx(1.0 - found["cost"] / found["baseline_cost"])
    assert len(found["schedule"]) == entries
    assert found["explanation"]
    assert {"cost", "baseline_cost", "saving_frac"} <= found["equal_energy"].keys()


def test_an_input_file_is_planned(tmp_path: Path) -> None:
    found = run("power-allocation", "--input", write(tmp_path, POWER))
    # 20 kWh fit into the cheap hour; b has only it and the dear one, a also the middling one.
    assert found["cost"] == pytest.approx(20 * 0.1 + 2 * 0.2)
    assert found["schedule"][0]["power_kw"] == pytest.approx([0.0, 9.0, 2.0])
    assert found["unmet_kwh"] == pytest.approx(0.0)
    assert "the site's limit binds" in " ".join(found["explanation"])
    assert run("sct", "--input", write(tmp_path, SCT))["cost"] == pytest.approx(0.8)
    assert run("aggregator", "--input", write(tmp_path, FLEET))["cost"] == pytest.approx(0.7)
    assert run("cohort", "--input", write(tmp_path, COHORT))["cost"] == pytest.approx(0.0)
    carbon = POWER.replace("gamma: 1.0\n", "carbon_g_per_kwh: [100, 100, 100]\nweight: 2\n")
    assert run("emission", "--input", write(tmp_path, carbon))["carbon_kg"] == pytest.approx(2.2)


@pytest.mark.parametrize(
    ("model", "text", "named"),
    [
        (
            "power-allocation",
            POWER.replace("gamma: 1.0", "strict: true").replace("energy_kwh: 11", "energy_kwh: 40", 1),
            "a",
        ),
        (
            "emission",
            POWER.replace("gamma: 1.0", "carbon_g_per_kwh: 9").replace(
                "departure: 2, energy_kwh: 11", "departure: 0, energy_kwh: 1"
            ),
            "b",
        ),
        ("sct", SCT.replace("target_kwh: 18", "target_kwh: 39"), "x"),
        ("aggregator", FLEET.replace("need_kwh: 12", "need_kwh: 39"), "c"),
    ],
)
def test_no_plan_is_exit_1_and_names_the_car(tmp_path: Path, model: str, text: str, named: str) -> None:
    found = run(model, "--input", write(tmp_path, text), code=1)
    assert found["status"] == "infeasible"
    assert found["cost"] is None
    assert found["schedule"] == []
    assert found["reasons"][0]["ev"] == named
    assert "kWh" in found["reasons"][0]["why"]


@pytest.mark.parametrize(
    ("model", "text", "says"),
    [
        ("power-allocation", POWER.replace("0.10", "cheap"), "day.yaml:2: prices_per_kwh[1]: must be a number"),
        (
            "power-allocation",
            POWER.replace("limit_kw: 11", "limit_kw: -1"),
            "day.yaml:6: evs[0].limit_kw: must be a number of 0 or",
        ),
        (
            "power-allocation",
            POWER.replace("departure: 2", "departure: 9"),
            "day.yaml:7: evs[1].departure: must be a number from 0 to 3",
        ),
        ("power-allocation", POWER.replace("id: b", "id: a"), "day.yaml:7: evs[1].id: EV a is given twice"),
        ("power-allocation", POWER.replace("capacity_kw", "capacity"), "capacity_kw: is missing"),
        ("power-allocation", POWER + "gama: 1\n", "day.yaml:8: gama: is not known here"),
        ("power-allocation", POWER + "gamma: 1\n", "day.yaml:8: gamma: is given twice"),
        ("power-allocation", "prices_per_kwh: [1, 2", "day.yaml:"),
        ("power-allocation", "[1, 2]", "day.yaml:1: must have named fields"),
        (
            "power-allocation",
            POWER.replace("capacity_kw: 20", "capacity_kw: [1, 2]"),
            "day.yaml:3: capacity_kw: has 2 values, 3 are",
        ),
        ("power-allocation", POWER.replace("gamma: 1.0", "strict: maybe"), "day.yaml:4: strict: must be true or false"),
        ("emission", POWER, "carbon_g_per_kwh: is missing"),
        ("cohort", COHORT.replace("[0, 0, 0]]", "[0, 0]]"), "day.yaml:6: arrivals[2]: has 2 values"),
        ("cohort", COHORT.replace("[0, 2, 1], ", ""), "day.yaml:6: arrivals: must be 3 lists"),
        (
            "sct",
            SCT.replace("cheap}", "slow}"),
            "day.yaml:5: evses[0].profile: must be one of cheap, fast, green, default",
        ),
        (
            "sct",
            SCT.replace("soc_kwh: 10", "soc_kwh: 50"),
            "day.yaml:5: evses[0].soc_kwh: must be a number from 0 to 40",
        ),
        ("sct", SCT.replace("import_kw: 10", "import_kw: .nan"), "day.yaml:3: import_kw: must be"),
        ("sct", SCT.replace("import_kw: 10", "import_kw: .inf"), "day.yaml:3: import_kw: must be at most 1e+12"),
        ("sct", SCT.replace("import_kw: 10", "import_kw: !ten 10"), "day.yaml:3: import_kw: must be a number"),
        ("power-allocation", POWER.replace("0.10", ".nan"), "day.yaml:2: prices_per_kwh[1]: must be a number"),
        ("power-allocation", POWER.replace("0.10", "!cheap 1"), "day.yaml:2: prices_per_kwh[1]: must be a number"),
        (
            "power-allocation",
            POWER.replace("0.10", "[1, 2]"),
            "prices_per_kwh[1]: must be a number (finite), it is a list",
        ),
        ("power-allocation", "? [a, b]\n: 1\n", "day.yaml:1: a field's name must be a plain word"),
        ("power-allocation", "gamma: \x01\n", "day.yaml: is not YAML or JSON: it holds control characters"),
        ("power-allocation", "prices_per_kwh: []\n", "day.yaml:1: prices_per_kwh: has 0 values"),
        ("aggregator", FLEET.replace("cars:", "car:"), "cars: is missing"),
    ],
)
def test_bad_files_are_exit_2_with_one_sentence(tmp_path: Path, model: str, text: str, says: str) -> None:
    assert says in complaint(model, "--input", write(tmp_path, text))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["power-allocation", "--input", "nowhere.yaml"], "nowhere.yaml: cannot be read: No such file"),
        (["power-allocation", "--prices", "nowhere.csv"], "nowhere.csv: cannot be read: No such file"),
        (["power-allocation", "--price-mode", "day"], "--date: is needed"),
        (
            ["power-allocation", "--price-mode", "day", "--date", "1999-01-01"],
            "lacks the 24 hours from 1999-01-01 00:00",
        ),
        (["power-allocation", "--slots", "25"], "--slots: must be a multiple of 24"),
        (["power-allocation", "--start-hour", "5"], "--start-hour: must be 0 without --sessions"),
        (["power-allocation", "--timezone", "Mars/Olympus"], "'Mars/Olympus' is no zone"),
        (["sct", "--prices", "x.csv"], "--date: is needed"),
        (["aggregator", "--sessions", "nowhere.csv"], "nowhere.csv: cannot be read"),
        (["cohort", "--prices", "nowhere.parquet"], "nowhere.parquet: cannot be read: No such file"),
        (["power-allocation", "--input", "day.yaml", "--strict"], "--strict: cannot be used with --input"),
        (["aggregator", "--input", "day.yaml", "--v2g"], "--v2g: cannot be used with --input"),
        (["emission", "--pareto", "--input", "nowhere.yaml"], "nowhere.yaml: cannot be read"),
        (["cohort", "--explain-url", "http://127.0.0.1:9", "--explain-key-file", "nokey"], "nokey: cannot be read"),
    ],
)
def test_bad_options_are_exit_2_with_one_sentence(words: list[str], says: str) -> None:
    assert says in complaint(*words)


@pytest.mark.parametrize(
    "words",
    [
        ["power-allocation", "--limit-kw", "inf"],
        ["power-allocation", "--gamma", "nan"],
        ["emission", "--weight", "inf"],
        ["cohort", "--power-kw", "inf"],
        ["aggregator", "--power-kw", "inf"],
    ],
)
def test_no_option_takes_infinity_or_nan(words: list[str]) -> None:
    result = RUNNER.invoke(app, words)
    assert result.exit_code == 2, result.output
    assert f"'{words[1]}'" in result.stderr


def test_what_a_missing_kwh_costs_makes_emission_elastic(tmp_path: Path) -> None:
    text = POWER.replace("gamma: 1.0", "carbon_g_per_kwh: 9").replace("energy_kwh: 11", "energy_kwh: 40", 1)
    assert run("emission", "--input", write(tmp_path, text), code=1)["reasons"][0]["ev"] == "a"
    elastic = run("emission", "--input", write(tmp_path, text + "gamma: 1.0\n"))
    assert elastic["gamma"] == 1.0
    assert elastic["unmet_kwh"] == pytest.approx(7.0)


def test_an_empty_car_park_costs_nothing(tmp_path: Path) -> None:
    found = run("power-allocation", "--input", write(tmp_path, POWER.split("evs:")[0] + "evs: []\n"))
    assert (found["cost"], found["saving_frac"], found["schedule"]) == (0.0, None, [])


def test_selling_what_a_car_brought_is_no_saving_at_equal_energy(tmp_path: Path) -> None:
    moving = SCT.replace("profile: cheap", "discharge_kw: 8").replace("import_kw: 10", "import_kw: 10\ndemand_kw: 8")
    found = run("sct", "--input", write(tmp_path, moving.replace("soc_kwh: 10", "soc_kwh: 26")))
    # It brings 26 kWh and needs 18: the demand of the dear hour comes from the battery.
    assert (found["cost"], found["baseline_cost"]) == (pytest.approx(0.8), pytest.approx(4.0))
    # At equal energy the 8 kWh would have to come back in the cheap hour, whose 10 kW leave 2.
    assert found["equal_energy"]["cost"] == pytest.approx(0.8 + 0.2 + 6 * 0.4)


def test_energy_stored_at_a_negative_price_is_no_saving_at_equal_energy(tmp_path: Path) -> None:
    text = FLEET.replace("[0.4, 0.1]", "[-0.4, 0.1]").replace("v2g: true", "v2g: false").replace("12,", "6,")
    found = run("aggregator", "--input", write(tmp_path, text))
    assert found["cost"] == pytest.approx(-7.4 * 0.4)
    assert found["equal_energy"]["cost"] == pytest.approx(-0.4)


def test_more_reasons_than_fit_are_counted() -> None:
    words = ["power-allocation", "--strict", "--capacity-kw", "10", "--cars", "40", "--slots", "24"]
    result = RUNNER.invoke(app, words)
    assert result.exit_code == 1
    said = result.stderr.strip().splitlines()
    assert len(said) == 21
    assert said[-1].startswith("no plan: and ")


def test_a_date_gives_the_smart_charging_tool_that_days_prices() -> None:
    found = run("sct", "--date", "2019-10-15", "--start-hour", "17")
    assert found["inputs"]["date"] == "2019-10-15"
    assert found["price_per_kwh"][:4] == pytest.approx([0.05237] * 4)


def test_real_sessions_at_real_prices() -> None:
    prices = measured("nl_dayahead/hourly.parquet", "nl_dayahead_2019.csv.gz")
    sessions = measured("ev_trondheim/sessions.csv.gz", "trondheim_sessions.csv.gz")
    words = ["--prices", prices, "--sessions", sessions, "--timezone", "Europe/Oslo", "--date", "2019-10-15"]
    found = run(
        "power-allocation", *words, "--price-mode", "day", "--start-hour", "12", "--limit-kw", "7.4", "--slots", "96"
    )
    assert len(found["schedule"]) > 5
    assert found["equal_energy"]["saving_frac"] > 0.0
    assert found["start_hour"] == 12
    assert found["currency"] == "EUR"
    assert "no session begins" in complaint("power-allocation", "--sessions", sessions, "--date", "2031-01-01")


def test_the_same_seed_gives_the_same_document_and_another_one_not() -> None:
    words = ["power-allocation", "--cars", "10", "--slots", "24", "--price-mode", "scenario"]
    assert run(*words, "--seed", "3") == run(*words, "--seed", "3")
    assert run(*words, "--seed", "3") != run(*words, "--seed", "4")


def test_a_monte_carlo_has_intervals_on_both_savings() -> None:
    words = ["power-allocation", "--cars", "10", "--slots", "24", "--monte-carlo", "12", "--price-mode", "day"]
    found = run(*words, "--date", "2019-03-05")["monte_carlo"]
    for saving in (found["as_planned"], found["equal_energy"]):
        assert saving["days"] == 12
        assert saving["low_95"] < saving["saving_frac"] < saving["high_95"]
    for words in (["cohort", "--slots", "24"], ["emission", "--cars", "5", "--slots", "24"], ["aggregator"]):
        assert run(*words, "--monte-carlo", "2")["monte_carlo"]["as_planned"]["days"] == 2


def test_a_strict_monte_carlo_that_fails_says_no() -> None:
    found = run(
        "power-allocation",
        "--strict",
        "--capacity-kw",
        "50",
        "--cars",
        "20",
        "--slots",
        "24",
        "--monte-carlo",
        "2",
        code=1,
    )
    assert found["reasons"][0]["why"]


def test_each_command_helps_with_an_example() -> None:
    for model in ("power-allocation", "emission", "cohort", "sct", "aggregator"):
        result = RUNNER.invoke(app, [model, "--help"])
        assert result.exit_code == 0
        assert f"headroom plan {model}" in " ".join(result.stdout.split())


@pytest.mark.parametrize("scenario", ["1", "2", "3"])
def test_the_smart_charging_tool_takes_profiles_and_real_prices(scenario: str) -> None:
    prices = measured("nl_dayahead/hourly.parquet", "nl_dayahead_2019.csv.gz")
    words = ["sct", "--scenario", scenario, "--prices", prices, "--date", "2019-10-15", "--start-hour", "17"]
    slow, fast = run(*words, "--profile", "cheap"), run(*words, "--profile", "fast")
    assert slow["cost"] <= fast["cost"] + 1e-6
    stored = [sum(sum(entry["soc_kwh"]) for entry in found["schedule"]) for found in (slow, fast)]
    assert stored[0] <= stored[1] + 1e-6
