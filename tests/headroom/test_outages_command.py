"""`headroom outages`: what a person has to look at after an outage."""

import json
from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner

from domain.errors import HeadroomError
from headroom.cli import build
from proxy.protocol.held import Doubt, Entry, Kind
from proxy.spool import FileSpool

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


async def written(path) -> None:
    spool = FileSpool(path)
    for key in ("a", "b"):
        entry = Entry(Kind.START, "StartTransaction", b'{"connectorId":1}', key, NOW)
        spool.do(lambda book, entry=entry: book.keep("CP001", entry), lambda _: None)
    doubt = Doubt("CP001", 1, "TAG", "2026-03-01T12:00:00Z", 2_000_000_001, None, 2, NOW)
    spool.do(lambda book: book.set_aside(1, doubt), lambda _: None)
    spool.close()


async def test_it_lists_doubts_what_waits_and_what_was_set_aside(tmp_path):
    await written(tmp_path / "a.spool.db")
    run = CliRunner().invoke(build(["outages"]), ["outages", "--spool", str(tmp_path / "a.spool.db"), "--json"])
    found = json.loads(run.stdout)
    assert found["waiting"] == {"CP001": 1}
    assert [one["id_tag"] for one in found["starts_in_doubt"]] == ["TAG"]
    assert [one["payload"] for one in found["set_aside"]] == ['{"connectorId":1}']
    told = CliRunner().invoke(build(["outages"]), ["outages", "--spool", str(tmp_path / "a.spool.db")]).stdout
    assert "TAG" in told
    assert "1 messages wait" in told


def test_a_file_that_is_not_there_is_named(tmp_path):
    run = CliRunner().invoke(build(["outages"]), ["outages", "--spool", str(tmp_path / "none.db")])
    assert isinstance(run.exception, HeadroomError)
    assert "none.db" in str(run.exception)


@pytest.mark.parametrize("arguments", [["outages", "--help"]])
def test_its_help_has_an_example(arguments):
    assert "Example" in CliRunner().invoke(build(arguments), arguments).stdout
