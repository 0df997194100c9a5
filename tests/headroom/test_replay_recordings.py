"""What recordings say: message logs of both versions, meter history, load and sessions; and how they are refused."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import create_engine
from sqlalchemy import text as text_of

from domain.errors import HeadroomError
from domain.ids import ChargerId, EvseId, FeederId
from domain.site import Phase, Site
from headroom.replay.laying import on_grid
from headroom.replay.message_log import read_message_log
from headroom.replay.run import read_recording
from headroom.replay.tables import read_table
from inventory.message_log import Kind, MessageRow, add_messages
from inventory.site_file import parse_site
from inventory.tables import metadata, meter_readings

SITE = """
site: court
timezone: Europe/Oslo
csms: {url: "ws://127.0.0.1:9100/ocpp"}
electrical: {line_to_line_v: 400, model: arithmetic}
strategy: milp
feeders:
  - {id: main, rating_a: 100, usable: 0.8, meter: m-main, base_load_max_a: {A: 60, B: 60, C: 60}}
chargers:
  - {id: CP1, evses: [{id: E1, connector: 1, feeder: main, phases: [A, B, C], max_a: 32, min_a: 6}]}
  - {id: CP2, evses: [{id: E2, evse: 1, connector: 1, feeder: main, phases: [A, B, C], max_a: 32, min_a: 6}]}
meters:
  - {id: m-main, stale_after_s: 60}
"""
NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)


@pytest.fixture
def site() -> Site:
    return parse_site(SITE, "court.yaml")


def line(minutes: float, direction: str, frame: object, charger: str = "CP1") -> str:
    at = (NOON + timedelta(minutes=minutes)).isoformat()
    return json.dumps({"at": at, "charger": charger, "direction": direction, "frame": frame})


def metered(value: float, measurand: str, unit: str) -> dict[str, str]:
    return {"value": str(value), "measurand": measurand, "unit": unit}


def session_16() -> list[str]:
    sampled = [metered(1500, "Energy.Active.Import.Register", "Wh"), metered(16.0, "Current.Import", "A")]
    stamp = (NOON + timedelta(minutes=30)).isoformat()
    values = {"connectorId": 1, "transactionId": 7, "meterValue": [{"timestamp": stamp, "sampledValue": sampled}]}
    start = {"connectorId": 1, "idTag": "X", "meterStart": 1000, "timestamp": NOON.isoformat()}
    stop = {"transactionId": 7, "meterStop": 6000, "timestamp": NOON.isoformat()}
    return [
        line(0, "from_charger", [2, "1", "StartTransaction", start]),
        line(0.1, "from_csms", [3, "1", {"transactionId": 7, "idTagInfo": {"status": "Accepted"}}]),
        line(30, "from_charger", json.dumps([2, "2", "MeterValues", values])),  # a frame as text is as good
        line(30.1, "from_csms", [3, "2", {}]),
        line(31, "to_charger", [2, "h1", "SetChargingProfile", {}]),
        line(60, "from_charger", [2, "3", "StopTransaction", stop]),
        line(60.1, "from_csms", [3, "3", {"idTagInfo": {"status": "Accepted"}}]),
    ]


def transaction_event(kind: str, minutes: float, wh: float) -> list[object]:
    at = (NOON + timedelta(minutes=minutes)).isoformat()
    value = {"value": wh, "measurand": "Energy.Active.Import.Register", "context": "Transaction.Begin"}
    payload = {
        "eventType": kind,
        "timestamp": at,
        "triggerReason": "CablePluggedIn",
        "seqNo": 0,
        "transactionInfo": {"transactionId": "t-1"},
        "evse": {"id": 1, "connectorId": 1},
        "meterValue": [{"timestamp": at, "sampledValue": [value]}],
    }
    return [2, f"m{minutes}", "TransactionEvent", payload]


def test_a_session_of_each_version_is_read_from_the_message_log(site: Site, tmp_path: Path) -> None:
    file = tmp_path / "log.jsonl"
    events = [
        line(5, "from_charger", transaction_event("Started", 5, 100.0), "CP2"),
        line(5.1, "from_csms", [3, "m5", {}], "CP2"),
        line(65, "from_charger", transaction_event("Ended", 65, 4100.0), "CP2"),
        line(65.1, "from_csms", [3, "m65", {}], "CP2"),
        line(70, "from_charger", [2, "9", "Heartbeat", {}], "CP9"),
    ]
    file.write_text("\n".join([*session_16(), *events]), encoding="utf-8")
    found = read_message_log(file, site)
    first, second = found.stays
    assert (first.evse, first.energy_wh, first.most_a) == (EvseId("E1"), 5000.0, 16.0)
    assert first.leaves - first.arrives == timedelta(minutes=59.9)
    assert (second.evse, second.energy_wh) == (EvseId("E2"), 4000.0)
    assert "CP9" in found.notes[0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", ":1: is no JSON"),
        ('{"at": "yesterday", "charger": "CP1"}', ":1: at: must be a time"),
        ('{"at": "2026-03-02T12:00:00", "charger": "CP1"}', "must say its zone"),
        (
            '{"at": "2026-03-02T12:00:00Z", "charger": "CP1", "direction": "up", "frame": []}',
            "direction: must be one of",
        ),
        ('{"at": "2026-03-02T12:00:00Z", "charger": "CP1"}', "direction: is missing"),
        ('{"at": "2026-03-02T12:00:00Z", "meter": "m-x", "current_a": {}}', "meter: 'm-x' is no meter of the site"),
        ('{"at": "2026-03-02T12:00:00Z", "meter": "m-main", "current_a": 3}', "current_a: must be A per phase"),
    ],
)
def test_a_broken_log_is_refused_with_its_line(site: Site, tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "log.jsonl"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(HeadroomError, match=r"log\.jsonl") as problem:
        read_message_log(file, site)
    assert said in str(problem.value)


def test_meters_include_the_cars_that_the_log_knows(site: Site, tmp_path: Path) -> None:
    """60 A on the meter while a car draws 16 A per phase from a balanced supply: the building itself draws 44 A."""
    log, meters = tmp_path / "log.jsonl", tmp_path / "meters.csv"
    log.write_text("\n".join(session_16()), encoding="utf-8")
    rows = ["at,meter,A,B,C"]
    rows += [f"{(NOON + timedelta(minutes=n)).isoformat()},m-main,60,60,60" for n in range(-30, 121)]
    meters.write_text("\n".join(rows), encoding="utf-8")
    grid = on_grid(read_recording([log, meters], site), site, timedelta(minutes=5), None, 0)
    before, during = grid.base_a[0, 0], grid.base_a[8, 0]
    assert grid.begins == NOON  # nothing is known of cars before
    assert before == pytest.approx([60.0] * 3)
    assert during == pytest.approx([44.0] * 3)


def test_load_and_sessions_of_different_years_are_laid_over_one_another(site: Site, tmp_path: Path) -> None:
    load, sessions = tmp_path / "load.csv", tmp_path / "sessions.csv"
    monday = datetime(2020, 1, 6)  # noqa: DTZ001 - a wall clock
    rows = ["time,main_kw", *(f"{(monday + timedelta(hours=n)).isoformat()},{10 + n % 24}" for n in range(24 * 14))]
    load.write_text("\n".join(rows), encoding="utf-8")
    rows = ["plugin_local,plugout_local,energy_kwh,user_id"]
    for day in range(8):
        begins = datetime(2026, 1, 6 + day, 18)  # noqa: DTZ001 - a wall clock
        rows += [f"{begins.isoformat()},{(begins + timedelta(hours=10)).isoformat()},12,user{n}" for n in range(3)]
    sessions.write_text("\n".join(rows), encoding="utf-8")
    grid = on_grid(read_recording([load, sessions], site), site, timedelta(minutes=15), None, 0)
    assert {stay.evse for stay in grid.stays} == {"E1", "E2"}
    assert any("moved by" in note for note in grid.notes)
    assert any("8 of 24 sessions found every EVSE of the site taken" in note for note in grid.notes)
    at_18 = grid.base_a[int((datetime(2026, 1, 7, 17, 0, tzinfo=UTC) - grid.begins) / grid.step), 0]
    assert at_18 == pytest.approx([1000 * 28 / (3**0.5 * 400 * 0.97)] * 3, rel=0.05)


def test_a_load_alone_gets_typical_cars_and_cars_alone_a_typical_load(site: Site, tmp_path: Path) -> None:
    load = tmp_path / "load.csv"
    begins = datetime(2026, 1, 5)  # noqa: DTZ001 - a wall clock
    load.write_text(
        "\n".join(["time,building", *(f"{(begins + timedelta(hours=n)).isoformat()},20" for n in range(24 * 14))]),
        encoding="utf-8",
    )
    grid = on_grid(read_table(load, site), site, timedelta(minutes=15), None, 0)
    assert grid.stays
    assert any("no cars" in note for note in grid.notes)
    log = tmp_path / "log.jsonl"
    log.write_text("\n".join(session_16()), encoding="utf-8")
    grid = on_grid(read_message_log(log, site), site, timedelta(minutes=15), None, 0)
    assert 0.0 < grid.base_a.max() <= 60.0
    assert any("no load" in note for note in grid.notes)


def test_a_metered_panel_without_readings_counts_as_full_as_the_readings_allow(tmp_path: Path) -> None:
    text = SITE.replace(
        "chargers:",
        "  - {id: p1, parent: main, rating_a: 50, meter: m-p1, base_load_max_a: {A: 25, B: 25, C: 25}}\nchargers:",
    )
    both = parse_site(text + "  - {id: m-p1, stale_after_s: 60}\n", "court.yaml")
    load = tmp_path / "load.csv"
    begins = datetime(2026, 1, 5)  # noqa: DTZ001 - a wall clock
    rows = [f"{(begins + timedelta(hours=n)).isoformat()},{10 if n < 24 else 40}" for n in range(48)]
    load.write_text("\n".join(["time,main_a", *rows]), encoding="utf-8")
    grid = on_grid(read_table(load, both), both, timedelta(hours=1), None, 0)
    assert grid.base_a[2, 1] == pytest.approx([10.0] * 3)
    assert grid.base_a[30, 1] == pytest.approx([25.0] * 3)
    assert any("p1 has no reading" in note for note in grid.notes)


def test_an_empty_recording_and_an_unknown_meter_are_refused(site: Site, tmp_path: Path) -> None:
    empty = tmp_path / "log.jsonl"
    empty.write_text("", encoding="utf-8")
    with pytest.raises(HeadroomError, match="no charging session and no reading"):
        on_grid(read_message_log(empty, site), site, timedelta(minutes=15), None, 0)
    meters = tmp_path / "meters.csv"
    meters.write_text("at,meter,A,B,C\n2026-03-02T12:00:00Z,m-9,1,2,3\n", encoding="utf-8")
    with pytest.raises(HeadroomError, match=r"meters\.csv:2: meter: 'm-9'"):
        read_table(meters, site)


def test_phases_keep_their_names(site: Site, tmp_path: Path) -> None:
    meters = tmp_path / "meters.csv"
    meters.write_text("at,meter,A,B,C\n2026-03-02T12:00:00Z,m-main,1,2,3\n", encoding="utf-8")
    (reading,) = read_table(meters, site).readings
    assert (reading.feeder, reading.current_a[Phase.B]) == (FeederId("main"), 2.0)


def as_kept(site: Site) -> list[MessageRow]:
    """The 1.6 session as the service's message log keeps it."""
    kinds: dict[int, Kind] = {2: "call", 3: "result"}
    rows: list[MessageRow] = []
    actions: dict[str, str] = {}
    for number, text in enumerate(session_16()):
        one = json.loads(text)
        frame = one["frame"] if isinstance(one["frame"], list) else json.loads(one["frame"])
        if frame[0] == 2:
            actions[frame[1]] = frame[2]
        rows.append(
            MessageRow(
                f"{number:04d}",
                site.id,
                ChargerId("CP1"),
                datetime.fromisoformat(one["at"]),
                one["direction"],
                kinds[frame[0]],
                actions[frame[1]],
                frame[1],
                len(text),
                json.dumps(frame[-1]),
            )
        )
    return rows


def test_the_services_own_log_says_the_same_by_database_and_by_rest(site: Site, tmp_path: Path) -> None:
    plain = tmp_path / "plain.jsonl"
    plain.write_text("\n".join(session_16()), encoding="utf-8")
    expected = read_recording([plain], site)
    rows = as_kept(site)
    rest = [
        {
            "id": row.id,
            "at": row.at.isoformat(),
            "charger": row.charger,
            "direction": row.direction,
            "kind": row.kind,
            "action": row.action,
            "message_id": row.message_id,
            "payload": json.loads(str(row.payload)),
        }
        for row in reversed(rows)  # the newest first, as the API gives them
    ]
    exported = tmp_path / "rest.jsonl"
    exported.write_text("\n".join(json.dumps(one) for one in rest), encoding="utf-8")
    database = tmp_path / "headroom.db"
    engine = create_engine(f"sqlite:///{database}")
    metadata.create_all(engine)
    with engine.begin() as connection:
        add_messages(connection, rows)
        reading = {"meter_id": "m-main", "at": NOON, "phase_a_a": 60.0, "phase_b_a": 61.0, "phase_c_a": None}
        connection.execute(meter_readings.insert(), [reading])
    engine.dispose()
    for file in (exported, database):
        found = read_recording([file], site)
        assert found.stays == expected.stays
        assert found.currents == expected.currents
    (kept,) = read_recording([database], site).readings
    assert dict(kept.current_a) == {Phase.A: 60.0, Phase.B: 61.0, Phase.C: 0.0}


def test_a_database_of_another_kind_is_refused(site: Site, tmp_path: Path) -> None:
    database = tmp_path / "other.db"
    engine = create_engine(f"sqlite:///{database}")
    with engine.begin() as connection:
        connection.execute(text_of("CREATE TABLE t (a INTEGER)"))
    engine.dispose()
    with pytest.raises(HeadroomError, match=r"other\.db: is no database of the service"):
        read_recording([database], site)
