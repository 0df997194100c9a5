"""Site files: what is read, and what is refused with which line, field and sentence."""

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from domain.errors import SiteFileError
from domain.site import Evse, Meter, Phase
from inventory.site_file import load_site, load_sites, parse_site, site_problems
from inventory.site_schema import schema_text, site_schema

ROOT = Path(__file__).parents[2]


HILLSIDE = ROOT / "tests" / "data" / "sites" / "hillside.yaml"


EXAMPLES = sorted((ROOT / "docs" / "examples").glob("*.yaml"))


PLAIN = """\
site: cedar-court
timezone: America/Vancouver
csms: {url: "ws://127.0.0.1:9100/ocpp", outage: hold}
electrical: {line_to_line_v: 208, model: phasor}
strategy: milp
scheduler: {kind: round_robin, quantum_s: 3600, min_on_s: 600}
control: {interval_s: 15, dead_band_a: 1, time_budget_ms: 200, deadman_s: 300}
feeders:
  - {id: main, rating_a: 400, usable: 0.8, meter: m-main}
  - {id: p1, parent: main, rating_a: 200, usable: 0.8, meter: m-p1, phases: [A, B, C]}
  - {id: p2, parent: p1, rating_a: 50, phases: [A, B]}
chargers:
  - id: CP001
    evses:
      - {id: P1-01, connector: 1, feeder: p1, phases: [A, B], max_a: 32, min_a: 6, failsafe_a: 6}
      - {id: P1-02, connector: 2, feeder: p2, phases: [B], max_a: 32, min_a: 6, failsafe_a: 0}
  - id: CP002
    evses:
      - {id: P1-03, connector: 1, feeder: p1, phases: [C, A, B]}
meters:
  - {id: m-main, stale_after_s: 60}
  - {id: m-p1}
"""


BAD: list[tuple[str, str, int | None, str, str]] = [
    # found, replaced by, line, field, part of the sentence
    ("parent: main,", "parent: p2,", 10, "feeders[1].parent", "is a circle (p1 -> p2 -> p1)"),
    ("parent: p1,", "parent: p2,", 11, "feeders[2].parent", "is a circle (p2 -> p2)"),
    ("parent: main, ", "", 10, "feeders[1]", "'p1' has no parent, nor has 'main'"),
    ("id: main,", "id: main, parent: p1,", 9, "feeders[0].parent", "is a circle (main -> p1 -> main)"),
    ("parent: main,", "parent: mian,", 10, "feeders[1].parent", "unknown feeder 'mian', did you mean 'main'?"),
    ("feeder: p1, phases: [A, B]", "feeder: P9, phases: [A, B]", 15, "chargers[0].evses[0].feeder", "unknown feeder"),
    ("meter: m-main", "meter: m-mian", 9, "feeders[0].meter", "unknown meter 'm-mian', did you mean 'm-main'?"),
    (", meter: m-main", "", 21, "meters[0].id", "'m-main' measures no feeder"),
    ("meter: m-p1", "meter: m-main", 10, "feeders[1].meter", "already measures 'main'"),
    ("[C, A, B]", "[C, A, D]", 19, "chargers[1].evses[0].phases[2]", "found 'D', must be 'A', 'B' or 'C'"),
    ("[C, A, B]", "[C, A, B, A]", 19, "chargers[1].evses[0].phases", "must be at most 3"),
    ("[C, A, B]", "[C, A, A]", 19, "chargers[1].evses[0].phases", "each phase may stand once"),
    ("[C, A, B]", "[]", 19, "chargers[1].evses[0].phases", "must hold at least 1"),
    ("phases: [B]", "phases: [C]", 16, "chargers[0].evses[1].phases", "'p2' does not carry (A, B)"),
    ("phases: [A, B, C]", "phases: [A, C]", 11, "feeders[2].phases", "the parent 'p1' does not carry (A, C)"),
    ("id: p2", "id: p1", 11, "feeders[2].id", "feeder 'p1' is given twice"),
    ("id: P1-02", "id: P1-01", 16, "chargers[0].evses[1].id", "EVSE 'P1-01' is given twice"),
    ("id: CP002", "id: CP001", 17, "chargers[1].id", "charger 'CP001' is given twice"),
    ("{id: m-p1}", "{id: m-main}", 22, "meters[1].id", "meter 'm-main' is given twice"),
    ("connector: 2", "connector: 1", 16, "chargers[0].evses[1].connector", "1 is 'P1-01' already"),
    ("connector: 2", "evse: 1", 16, "chargers[0].evses[1].evse", "1 is 'P1-01' already"),
    ("connector: 2, ", "", 16, "chargers[0].evses[1]", "has no 'connector'"),
    ("connector: 2", "connector: 0", 16, "chargers[0].evses[1].connector", "found 0, must be at least 1"),
    ("rating_a: 50", "rating_a: 0", 11, "feeders[2].rating_a", "found 0, must be more than 0"),
    ("rating_a: 50", "rating_a: -50", 11, "feeders[2].rating_a", "found -50, must be more than 0"),
    ("rating_a: 50", "rating_a: .inf", 11, "feeders[2].rating_a", "must be a finite number"),
    ("rating_a: 50", "rating_a: '50'", 11, "feeders[2].rating_a", "found '50', must be a number"),
    ("rating_a: 50", "rating_a: yes", 11, "feeders[2].rating_a", "found true, must be a number"),
    ("rating_a: 50", "rating_a: 050", 11, "feeders[2].rating_a", "found 050, which YAML reads as 40"),
    ("rating_a: 50", "rating_a: 1:30", 11, "feeders[2].rating_a", "found 1:30, which YAML reads as 90"),
    ("rating_a: 50", "rating_a:", 11, "feeders[2].rating_a", "has no value"),
    ("rating_a: 50, ", "", 11, "feeders[2].rating_a", "is missing"),
    ("rating_a: 50", "rating: 50", 11, "feeders[2].rating", "is not a known field: did you mean 'rating_a'?"),
    ("rating_a: 50", "rating_a: 30", 16, "chargers[0].evses[1].max_a", "found 32 A, but feeder 'p2' is rated 30 A"),
    ("usable: 0.8, meter: m-main", "usable: 0, meter: m-main", 9, "feeders[0].usable", "must be more than 0"),
    ("usable: 0.8, meter: m-main", "usable: 1.2, meter: m-main", 9, "feeders[0].usable", "must be at most 1"),
    ("usable: 0.8, meter: m-main", "usable: 80, meter: m-main", 9, "feeders[0].usable", "found 80, must be at most 1"),
    ("max_a: 32, min_a: 6, failsafe_a: 0", "max_a: 5", 16, "chargers[0].evses[1].min_a", "found 6 A, must be at most"),
    ("failsafe_a: 6", "failsafe_a: 4", 15, "chargers[0].evses[0].failsafe_a", "must be 0 or at least min_a (6 A)"),
    ("failsafe_a: 6", "failsafe_a: 40", 15, "chargers[0].evses[0].failsafe_a", "must be at most max_a (32 A)"),
    ("failsafe_a: 6", "priority: 2", 15, "chargers[0].evses[0].priority", "must be at most 1.5"),
    ("failsafe_a: 6", "kind: AC", 15, "chargers[0].evses[0].kind", "found 'AC', must be 'ac' or 'dc'"),
    ("failsafe_a: 6", "falesafe_a: 6", 15, "chargers[0].evses[0].falesafe_a", "did you mean 'failsafe_a'?"),
    ("failsafe_a: 6", "max_a: 16", 15, "chargers[0].evses[0].max_a", "was already given on line 15"),
    ("id: CP002", "id: CP/002", 17, "chargers[1].id", "found 'CP/002', must be a name without '/'"),
    ("id: CP002", f"id: {'C' * 49}", 17, "chargers[1].id", "must be at most 48 characters"),
    ("id: CP002", "id: ' CP002'", 17, "chargers[1].id", "must be a name without spaces at its ends"),
    ("id: CP002", "id: ..", 17, "chargers[1].id", "must be a name"),
    ("id: CP002", "id: 1234", 17, "chargers[1].id", "found 1234, must be text (write it in quotes)"),
    ("id: P1-02", "id: 'P1 02'", 16, "chargers[0].evses[1].id", "must be letters, digits"),
    ("id: P1-02", f"id: {'P' * 65}", 16, "chargers[0].evses[1].id", "must be at most 64 characters"),
    ("America/Vancouver", "America/Vancuver", 2, "timezone", "did you mean 'America/Vancouver'?"),
    ("America/Vancouver", "../../etc/passwd", 2, "timezone", "must be an IANA name"),
    ("America/Vancouver", "PST8", 2, "timezone", "found 'PST8'"),
    ("ws://127.0.0.1:9100/ocpp", "http://127.0.0.1/ocpp", 3, "csms.url", "must begin with ws:// or wss://"),
    ("ws://127.0.0.1:9100/ocpp", "ws://", 3, "csms.url", "names no host"),
    ("ws://127.0.0.1:9100/ocpp", "ws://h:99999/", 3, "csms.url", "must look like wss://host.example:port/path"),
    ("ws://127.0.0.1:9100/ocpp", "ws://me:pw@h/ocpp", 3, "csms.url", "must have no user"),
    ("ws://127.0.0.1:9100/ocpp", "ws://h/ocpp?x=1", 3, "csms.url", "no '?'"),
    ("ws://127.0.0.1:9100/ocpp", "ws://h/oc pp", 3, "csms.url", "holds a space"),
    ("outage: hold", "outage: holdd", 3, "csms.outage", "found 'holdd', must be 'close' or 'hold'"),
    ("outage: hold", "tls: {ca: x.pem}", 3, "csms.tls", "is not encrypted: use wss://"),
    ("model: phasor", "model: phaser", 4, "electrical.model", "must be 'arithmetic' or 'phasor'"),
    ("strategy: milp", "strategy: best", 5, "strategy", "found 'best', must be 'milp', 'dro' or 'stackelberg'"),
    ("strategy: milp", "stratgy: milp", 5, "stratgy", "did you mean 'strategy'?"),
    ("strategy: milp", "strategy:", 5, "strategy", "has no value: write one, or remove the line"),
    ("min_on_s: 600", "min_on_s: 6000", 6, "scheduler.min_on_s", "must be at most quantum_s (3600 s)"),
    ("deadman_s: 300", "deadman_s: 12", 7, "control.deadman_s", "must be longer than interval_s (15 s)"),
    ("deadman_s: 300", "deadman_s: 300}}", 7, "YAML", "cannot be read"),
    ("site: cedar-court\n", "", 1, "site", "is missing"),
    ("site: cedar-court", "site: [cedar, court]", 1, "site", "found a list, must be text"),
    (
        "meter: m-main",
        "meter: m-main, line_to_line_v: 480, transformer: {ratio: 2}",
        9,
        "feeders[0].transformer",
        "main panel",
    ),
    (
        "rating_a: 50",
        "rating_a: 50, line_to_line_v: 120",
        11,
        "feeders[2].line_to_line_v",
        "no transformer below 'p1' (208 V)",
    ),
    (
        "rating_a: 50",
        "rating_a: 50, line_to_line_v: 208, transformer: {ratio: 2}",
        11,
        "feeders[2].line_to_line_v",
        "makes 104 V",
    ),
    (
        "rating_a: 50",
        "rating_a: 50, transformer: {ratio: 1, winding: delta-wye}",
        11,
        "feeders[2].transformer.winding",
        "A, B, C",
    ),
    ("rating_a: 50", "rating_a: 50, ac_limit_a: 60", 11, "feeders[2].ac_limit_a", "must be at most rating_a (50 A)"),
    ("rating_a: 50", "rating_a: 50, base_load_max_a: {A: 1, B: 1}", 11, "feeders[2].base_load_max_a", "has no meter"),
    ("meter: m-p1", "meter: m-p1, base_load_max_a: {A: 9}", 10, "feeders[1].base_load_max_a", "has no phase B, C"),
    (
        "rating_a: 50",
        "rating_a: 50, base_load_max_a: {A: 0, B: 0, C: 0}",
        11,
        "feeders[2].base_load_max_a.C",
        "carries A, B",
    ),
    ("{id: m-p1}", "{id: m-p1, mqtt: {url: 'http://b', topic: t}}", 22, "meters[1].mqtt.url", "mqtt:// or mqtts://"),
    (
        "{id: m-p1}",
        "{id: m-p1, modbus: {host: h, registers: {A: 1, C: 2}}}",
        22,
        "meters[1].modbus.registers",
        "no phase B",
    ),
    (
        "{id: m-p1}",
        "{id: m-p1, modbus: {host: h, registers: {A: 1, D: 2}}}",
        22,
        "meters[1].modbus.registers.D",
        "'A', 'B' or 'C'",
    ),
]


@pytest.mark.parametrize(("found", "instead", "line", "field", "sentence"), BAD, ids=lambda value: str(value)[:40])
def test_what_is_wrong_is_named_with_its_line(found: str, instead: str, line: int, field: str, sentence: str) -> None:
    assert PLAIN.count(found) >= 1
    text = PLAIN.replace(found, instead, 1)
    problems = site_problems(text, "bad.yaml")
    told = [(problem.line, problem.field) for problem in problems if sentence in problem.message]
    assert (line, field) in told, [str(problem) for problem in problems]
    with pytest.raises(SiteFileError) as caught:
        parse_site(text, "bad.yaml")
    assert str(caught.value).startswith("bad.yaml:")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "is empty"),
        ("# nothing\n", "is empty"),
        ("- a\n- b\n", "must be a mapping"),
        ("site: a\n---\nsite: b\n", "cannot be read"),
        ("a: &a [*a]\n", "nested in itself"),
        ("[" * 1000, "nested deeper"),
        ("a: {[1]: 2}\n", "as a key"),
        ("a: !!python/object:os.system {}\n", "is missing"),
        ("site: \0\n", "cannot be read"),
        ("<<: 3\n", "must name a mapping"),
    ],
    ids=lambda value: value[:12],
)
def test_what_is_no_site_file_is_refused_and_never_crashes(text: str, sentence: str) -> None:
    problems = site_problems(text, "x.yaml")
    assert any(sentence in str(problem) for problem in problems), problems


def test_endless_aliases_are_given_up() -> None:
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 8)]
    assert "too many" in str(site_problems("\n".join(levels), "bomb.yaml")[0])


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(SiteFileError, match="cannot be read: No such file"):
        load_site(tmp_path / "none.yaml")
    with pytest.raises(SiteFileError, match="cannot be read"):
        load_site(tmp_path)
    (tmp_path / "latin.yaml").write_bytes("site: caf\xe9".encode("latin-1"))
    with pytest.raises(SiteFileError, match="not UTF-8"):
        load_site(tmp_path / "latin.yaml")


def test_all_problems_are_told_in_the_order_of_the_file() -> None:
    text = PLAIN.replace("usable: 0.8", "usable: 8", 1).replace("outage: hold", "outage: maybe")
    assert [(problem.line, problem.field) for problem in site_problems(text, "x")] == [
        (3, "csms.outage"),
        (9, "feeders[0].usable"),
    ]


def test_the_plain_file_means_what_the_contract_says() -> None:
    site = parse_site(PLAIN, "plain.yaml")
    assert site.root.id == "main"
    assert [evse.id for evse in site.evses] == ["P1-01", "P1-02", "P1-03"]
    assert site.evse_at("CP001", 2) is site.evse("P1-02")  # type: ignore[arg-type]  # ids are plain text here
    assert site.evse("P1-03").phases == (Phase.C, Phase.A, Phase.B)  # type: ignore[arg-type]
    assert site.evse("P1-03").max_a == Evse("", "", 1, "", ()).max_a  # type: ignore[arg-type]  # the domain's default
    assert site.meter("m-main").stale_after_s == 60.0  # type: ignore[arg-type]


def test_a_meter_that_only_a_feeder_names_is_pushed_with_the_defaults() -> None:
    site = parse_site(PLAIN.replace("  - {id: m-p1}\n", ""), "plain.yaml")
    assert site.meters[-1] == Meter("m-p1")  # type: ignore[arg-type]


def test_every_setting_arrives() -> None:
    site = load_site(HILLSIDE)
    folder = HILLSIDE.parent
    assert site.csms.tls is not None
    assert site.csms.tls.client is not None
    assert site.csms.tls.client.key == str(folder / "certs/site.key")
    assert [files.certificate for files in site.csms.tls.chargers.values()] == [str(folder / "certs/hill7.pem")]
    garage = site.feeders[1]
    assert garage.transformer is not None
    assert garage.transformer.winding == "delta-wye"
    # The row has no voltage of its own: it is the garage's, not the supply's.
    assert (site.feeders[2].line_to_line_v, site.feeders[2].phases) == (208.0, (Phase.A, Phase.C))
    left, right, fast = site.evses
    assert (left.phases, left.priority, left.response_s, left.failsafe_proven) == ((Phase.C, Phase.A), 1.2, 12.5, True)
    assert (right.id, right.connector, right.max_a, right.phases) == ("H7-right", 2, 24.0, (Phase.A,))
    assert (fast.connector, fast.kind) == (3, "dc")
    assert site.chargers[0].profile_writes_per_day == 25
    mqtt, modbus = site.meters[0].mqtt, site.meters[1].modbus
    assert mqtt is not None
    assert modbus is not None
    assert (mqtt.fields[Phase.B], mqtt.scale, mqtt.password_file) == (
        "phases.b.current",
        0.001,
        str(folder / "secrets/mqtt"),
    )
    assert (modbus.registers[Phase.C], modbus.encoding, modbus.word_order, modbus.unit) == (16, "int32", "little", 3)
    assert site.feeders[0].base_load_max_a == {Phase.A: 400.0, Phase.B: 380.5, Phase.C: 0.0}
    assert (site.feeders[0].ac_limit_a, site.feeders[0].dc_limit_a) == (600.0, 300.0)
    assert site.accept_unproven_failsafe


def test_ids_are_unique_over_all_sites(tmp_path: Path) -> None:
    first, second = tmp_path / "a.yaml", tmp_path / "b.yaml"
    first.write_text(PLAIN)
    other = PLAIN.replace("cedar-court", "elm").replace("CP00", "E").replace("P1-0", "E-").replace("m-", "e-")
    second.write_text(other)
    assert [site.id for site in load_sites([first, second])] == ["cedar-court", "elm"]
    for found, instead, line, field in [
        ("site: elm", "site: cedar-court", 1, "site"),
        ("id: E2", "id: CP002", 17, "chargers[1].id"),
        ("id: E-2", "id: P1-02", 16, "chargers[0].evses[1].id"),
        ("e-main", "m-main", 21, "meters[0].id"),
    ]:
        second.write_text(other.replace(found, instead))
        with pytest.raises(SiteFileError, match=r"too: ids are unique over all sites") as caught:
            load_sites([first, second])
        assert (caught.value.file, caught.value.line, caught.value.field) == (str(second), line, field)
    with pytest.raises(SiteFileError, match="unique over all sites"):
        load_sites([first, first])


def test_the_published_schema_is_the_one_that_validates() -> None:
    published = (ROOT / "docs" / "site.schema.json").read_text(encoding="utf-8")
    assert published == schema_text(), "run: .venv/bin/python -m inventory.site_schema > docs/site.schema.json"
    Draft202012Validator.check_schema(json.loads(published))


@pytest.mark.parametrize("path", [HILLSIDE, *EXAMPLES], ids=lambda path: path.name)
def test_examples_are_accepted_by_schema_and_parser(path: Path) -> None:
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    assert list(Draft202012Validator(site_schema()).iter_errors(document)) == []
    assert load_site(path).id == document["site"]


SHAPE = (
    "known field",
    "missing",
    "must be a number",
    "must be text",
    "must be '",
    "more than",
    "characters",
    "no value",
)


@pytest.mark.parametrize(("found", "instead"), [(f, i) for f, i, _, _, why in BAD if any(w in why for w in SHAPE)])
def test_the_schema_refuses_what_a_field_alone_shows_to_be_wrong(found: str, instead: str) -> None:
    text = PLAIN.replace(found, instead, 1)
    assert list(Draft202012Validator(site_schema()).iter_errors(yaml.safe_load(text))) != []


@settings(deadline=None)
@given(st.text(max_size=200) | st.binary(max_size=200).map(lambda raw: raw.decode("latin-1")))
def test_no_text_at_all_does_more_than_be_refused(text: str) -> None:
    assert site_problems(text, "noise") != ()
    assert all(isinstance(problem, SiteFileError) for problem in site_problems(PLAIN + text, "noise"))
