"""`headroom meters import`: a meter's past becomes history, and the hours without EVs the forecast's."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import create_engine
from typer.testing import CliRunner

from domain.ids import MeterId
from domain.site import Phase
from headroom.cli import build
from headroom.meters.importing import store
from inventory.base_load_hours import read_hours
from inventory.engines import prepare_sqlite
from inventory.migrations import upgrade
from inventory.queries import readings
from inventory.repository import save_site
from inventory.site_file import parse_site
from inventory.tables import sessions
from simulators.demo_site import demo_site

START = datetime(2026, 1, 5, 0, 0, tzinfo=UTC)
SITE = parse_site(demo_site(2), "demo")
METER = next(feeder.meter for feeder in SITE.feeders if feeder.id == "main") or MeterId("")


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(build(["meters"]), ["meters", "import", *arguments])
    told = result.output if result.exception is None else f"{result.output}{result.exception}"
    return result.exit_code, told


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "site.yaml").write_text(demo_site(2))
    return tmp_path


def common(folder: Path, file: str) -> list[str]:
    return [
        *("--file", str(folder / file), "--meter", METER, "--site", str(folder / "site.yaml"), "--json"),
        *("--database", f"sqlite+aiosqlite:///{folder}/h.db"),
    ]


def test_doubles_disorder_and_wrong_units_are_counted_and_the_rest_is_kept(folder: Path) -> None:
    lines = [f"{(START + timedelta(minutes=15 * n)).isoformat()},{10 + n % 4},20,30" for n in range(96)]
    lines = lines[50:] + lines[:50] + lines[3:5]
    lines.append(f"{(START + timedelta(days=3)).isoformat()},10000000,20,30")
    lines.append(f"{(START + timedelta(days=3)).isoformat()},-1,20,30")
    lines.append(f"{(START + timedelta(days=4)).isoformat()},,20,30")
    (folder / "m.csv").write_text("time,l1,l2,l3\n" + "\n".join(lines) + "\n")
    columns = ["--column", "A=l1", "--column", "B=l2", "--column", "C=l3"]
    code, text = run(*common(folder, "m.csv"), *columns)
    assert code == 0, text
    found = json.loads(text)
    assert (found["readings"], found["duplicates"], found["refused"], found["hours"]) == (96, 2, 2, 24)
    assert "current_a.A is 1e+07" in found["first_refusal"]
    engine = create_engine(f"sqlite:///{folder}/h.db")
    with engine.begin() as conn:
        hours = read_hours(conn, SITE.id, START)
        assert [one.mean_a for one in hours[next(iter(hours))[0], Phase.A]] == [11.5] * 24
        assert len(readings(conn, METER, limit=1000).items) == 96
    engine.dispose()
    again = json.loads(run(*common(folder, "m.csv"), *columns)[1])
    assert again["hours"] == 0


def test_a_total_in_kilowatts_by_the_wall_clock(folder: Path) -> None:
    (folder / "t.csv").write_text("time,kw\n2026-01-05 00:00,3.6\n2026-01-05 01:00,7.2\n")
    options = ["--timezone", "America/Vancouver", "--column", "total=kw", "--measures", "power", "--scale", "1000"]
    assert json.loads(run(*common(folder, "t.csv"), *options)[1])["hours"] == 2
    engine = create_engine(f"sqlite:///{folder}/h.db")
    with engine.begin() as conn:
        [hours] = [v for (_, phase), v in read_hours(conn, SITE.id, START).items() if phase is Phase.B]
    engine.dispose()
    assert hours[0].at == datetime(2026, 1, 5, 8, tzinfo=UTC)
    assert hours[0].mean_a == pytest.approx(3600 / (208 / 3**0.5 * 0.95))


@pytest.mark.parametrize(
    ("text", "options", "complaint"),
    [
        ("time,A\n2026-01-05 00:00,1\n", [], "has no zone"),
        ("time,A\n2026-01-05T00:00Z,1\n", [], "B: is no column"),
        ("time,A\nsoon,1\n", [], "m.csv:2: time: must be a time"),
        ("time,A\n2026-01-05T00:00Z,x\n", ["--column", "total=A"], "m.csv:2: A: must be a number"),
        ("time,A\n2026-01-05T00:00Z,1\n", ["--column", "A=A"], "--column: must be given for each of A, B, C"),
        ("time,A\n2026-01-05T00:00Z,1\n", ["--meter", "none"], "has no meter 'none'"),
    ],
)
def test_bad_input_names_file_line_and_field(folder: Path, text: str, options: list[str], complaint: str) -> None:
    (folder / "m.csv").write_text(text)
    code, said = run(*common(folder, "m.csv"), *options)
    assert code != 0
    assert complaint in said


def test_nothing_right_is_exit_one(folder: Path) -> None:
    (folder / "m.csv").write_text("time,A,B,C\n2026-01-05T00:00Z,-1,-1,-1\n")
    code, _ = run(*common(folder, "m.csv"))
    assert code == 1


def test_hours_in_which_an_ev_was_plugged_in_are_left_out() -> None:
    from domain.metering import MeterReading

    engine = create_engine("sqlite://")
    prepare_sqlite(engine)
    with engine.begin() as conn:
        upgrade(conn)
        save_site(conn, SITE, START)
        evse = SITE.evses[0].id
        conn.execute(
            sessions.insert().values(
                id="x", site_id=SITE.id, evse_id=evse, transaction_id="1", started_at=START + timedelta(minutes=90),
                ended_at=START + timedelta(minutes=200), meter_start_wh=0, energy_wh=0,
            )
        )  # fmt: skip
        past = [
            MeterReading(METER, START + timedelta(minutes=15 * n), dict.fromkeys(Phase, 40.0 if 6 <= n <= 13 else 8.0))
            for n in range(24)
        ]
        assert store(conn, SITE, past) == (3, 3)
        hours = read_hours(conn, SITE.id, START)
        assert {one.largest_a for several in hours.values() for one in several} == {8.0}
    engine.dispose()
