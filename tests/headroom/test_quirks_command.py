"""`headroom quirks`: the record listed, shown, exported and written."""

import asyncio
import csv
import io
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from domain.errors import HeadroomError, UnknownIdError
from domain.events import QuirksLearned
from domain.ids import ChargerId
from domain.quirks import Model, Quirks
from headroom.quirk_report import as_csv, as_markdown
from headroom.quirks_command import app
from inventory.live import LiveState
from inventory.quirk_book import FIELDS, QuirkBook, QuirkError
from inventory.repository import load_state, save_site
from inventory.site_file import parse_site
from inventory.store import AsyncStore
from simulators.demo_site import demo_site

SITE = parse_site(demo_site(3), "demo")
CP1, CP2, CP3 = (charger.id for charger in SITE.chargers)
TERRA = Model("ABB", "Terra", "1.8")
EVIL = Model('=cmd|"x"', "<b>`|`</b>", "")


@pytest.fixture
def database(tmp_path: Path) -> str:
    """Two chargers of one model that have shown something, and one that nobody knows."""
    url = f"sqlite:///{tmp_path / 'h.db'}"

    async def fill() -> None:
        store = await AsyncStore.open(url)
        now = datetime(2026, 3, 1, tzinfo=UTC)
        await store.transact(lambda conn: save_site(conn, SITE, now))
        live = LiveState(SITE, restored=await store.query(lambda conn: load_state(conn, SITE)))
        for charger, level in ((CP1, 7), (CP2, 0)):
            shown = Quirks(mode="cap", level=level, rate_units=("A",), schedule="bare", obeys=level > 0)
            store.put(*live.apply(QuirksLearned(charger, now, shown, TERRA), now))
        await store.close()

    asyncio.run(fill())
    return url


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_list_and_show_say_what_is_known_and_from_where(database: str) -> None:
    items = json.loads(run("list", "--json", "--database", database))["items"]
    assert [one["charger"] for one in items] == [CP1, CP2, CP3]
    assert items[0]["model"] == {"vendor": "ABB", "model": "Terra", "firmware": "1.8"}
    assert (items[1]["quirks"]["level"], items[2]["quirks"], items[2]["model"]) == (0, {}, None)
    assert "Terra" in run("list", "--database", database)
    assert "level: 7  (learned)" in run("show", CP1, "--database", database)
    with pytest.raises(UnknownIdError, match="unknown charger 'CP9'"):
        run("show", "CP9", "--database", database)


def test_what_is_set_stands_above_what_was_found_out_until_it_is_taken_back(database: str) -> None:
    run("set", "--charger", CP1, "level=3", 'rate_units=["W"]', "after_zero=stays_paused", "--database", database)
    run("set", "--model", "ABB/Terra/1.8", "write_budget_per_day=25", "--json", "--database", database)
    one = json.loads(run("show", CP1, "--json", "--database", database))
    assert (one["quirks"]["level"], one["quirks"]["rate_units"]) == (3, ["W"])
    assert one["written"] == {"level": 3, "rate_units": ["W"], "after_zero": "stays_paused"}
    assert one["written_of_model"] == {"write_budget_per_day": 25}
    other = json.loads(run("show", CP2, "--json", "--database", database))
    assert (other["quirks"]["level"], other["quirks"]["write_budget_per_day"]) == (0, 25)
    run("set", "--charger", CP1, "level=", "--database", database)
    one = json.loads(run("show", CP1, "--json", "--database", database))
    assert one["quirks"]["level"] == 7
    assert one["quirks"]["after_zero"] == "stays_paused", "the others stay"


@pytest.mark.parametrize(
    ("arguments", "kind", "text"),
    [
        (("--charger", "CP9", "level=1"), UnknownIdError, "unknown charger 'CP9'"),
        (("--model", "ABB/Terra/2.0", "level=1"), UnknownIdError, "unknown model 'ABB/Terra/2.0'"),
        (("--charger", CP1, "colour=red"), QuirkError, "'colour' is not one that can be written"),
        (("--charger", CP1, "mode=both"), QuirkError, "'both' is not allowed: cap or tx"),
        (("--charger", CP1, "level"), HeadroomError, "'level' is not QUIRK=VALUE"),
        (("--model", "Terra", "level=1"), HeadroomError, "is not VENDOR/MODEL/FIRMWARE"),
        (("level=1",), HeadroomError, "--charger or --model"),
    ],
)
def test_bad_input_says_what_to_do(
    database: str, arguments: tuple[str, ...], kind: type[HeadroomError], text: str
) -> None:
    with pytest.raises(kind, match=text):
        run("set", *arguments, "--database", database)


def test_the_report_has_a_section_per_model_and_names_those_that_differ(database: str, tmp_path: Path) -> None:
    text = run("export", "--database", database)
    assert "## ABB Terra 1.8" in text
    assert f"Chargers: {CP1}, {CP2}" in text
    assert "| schedule | bare | found out |" in text
    assert f"- {CP2}: level 0, obeys no" in text
    out = tmp_path / "chargers.csv"
    assert run("export", "--format", "csv", "--out", str(out), "--database", database) == ""
    rows = list(csv.DictReader(io.StringIO(out.read_text())))
    assert [(row["charger"], row["level"], row["rate_units"]) for row in rows[:2]] == [(CP1, "7", "A"), (CP2, "0", "A")]
    assert set(rows[0]) == {"charger", "vendor", "model", "firmware", *FIELDS}


def test_a_charger_that_names_itself_like_a_formula_or_markup_is_text_in_both() -> None:
    book = QuirkBook({CP1: None})
    shown = Quirks(measurands=("Voltage|<b>", "+1"), level=2)
    book.learn(QuirksLearned(ChargerId(CP1), datetime(2026, 3, 1, tzinfo=UTC), shown, EVIL))
    (row,) = csv.DictReader(io.StringIO(as_csv(book)))
    assert not any(cell.startswith(("=", "+", "-", "@")) for cell in row.values() if cell)
    assert "<b>" not in as_markdown(book)
    assert all(line.count("|") in (0, 4) for line in as_markdown(book).splitlines())
