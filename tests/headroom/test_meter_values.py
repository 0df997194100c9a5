"""What a meter says, as amperes per phase, or as a sentence that names what is wrong."""

import contextlib
import json
import math
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from meter_world import NOW, Desk, site_with

from domain.ids import MeterId
from domain.site import MqttSource, Phase
from headroom.meters.sources import source_parts
from headroom.meters.values import Conversion, published

A, B, C = Phase
PLAIN = Conversion((A, B, C), 120.0)
FIELDS = MqttSource("mqtt://h", "t", {A: "i.0", B: "i.1", C: "i.2"}, time_field="t")


def said(source: MqttSource, document: object, conversion: Conversion = PLAIN) -> dict[Phase, float]:
    return published(source, conversion, json.dumps(document).encode())[1]


def test_fields_lists_texts_and_times() -> None:
    at, amps = published(FIELDS, PLAIN, b'{"t": "2026-03-01T18:00:00+01:00", "i": [1.5, "2.5", 3]}')
    assert at == datetime(2026, 3, 1, 17, tzinfo=UTC)
    assert amps == {A: 1.5, B: 2.5, C: 3.0}
    push = MqttSource("mqtt://h", "t")
    body = {"at": "2026-03-01T17:00:00Z", "current_a": {"A": 1, "B": 2, "C": 3}}
    assert said(push, body) == {A: 1, B: 2, C: 3}


@pytest.mark.parametrize(
    ("body", "complaint"),
    [
        (b"", "is no JSON"),
        (b"[" * 5000, "is no JSON"),
        (b"x" * 70_000, "70000 bytes"),
        (b"17", "'t': there is no 't'"),
        (b'{"t": "yesterday", "i": [1, 2, 3]}', "must be a time"),
        (b'{"t": "2026-03-01T17:00:00", "i": [1, 2, 3]}', "must be a time"),
        (b'{"t": "2026-03-01T17:00:00Z", "i": [1, 2]}', "the list has 2 entries"),
        (b'{"t": "2026-03-01T17:00:00Z", "i": [1, true, 3]}', "'i.1' must be a number, it is true"),
        (b'{"t": "2026-03-01T17:00:00Z", "i": [1, "x", 3]}', "'i.1' must be a number, it is 'x'"),
        (b'{"t": "2026-03-01T17:00:00Z", "j": 0}', "there is no 'i'; there are t, j"),
    ],
)
def test_what_is_no_reading_is_a_sentence(body: bytes, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        published(FIELDS, PLAIN, body)


@settings(max_examples=60)
@given(
    st.binary(max_size=200)
    | st.recursive(st.none() | st.floats() | st.text(), st.lists).map(json.dumps).map(str.encode)
)
def test_nothing_that_a_broker_sends_raises_anything_else(body: bytes) -> None:
    with contextlib.suppress(ValueError):
        published(FIELDS, PLAIN, body)


def test_power_is_taken_at_a_lagging_power_factor_and_scaled() -> None:
    conversion = Conversion((A, B, C), 120.0, "power", scale=1000.0)
    assert conversion.per_phase({A: 1.14})[A] == pytest.approx(10.0)


@given(st.floats(0, 500), st.floats(0, 500), st.floats(0, 500))
def test_a_total_never_makes_a_phase_look_smaller_than_it_may_be(a: float, b: float, c: float) -> None:
    found = PLAIN.of_total(a + b + c)
    assert all(found[phase] >= value - 1e-9 for phase, value in zip(Phase, (a, b, c), strict=True))


def test_a_stated_unbalance_shares_a_total() -> None:
    assert Conversion((A, B, C), 120.0, unbalance=1.5).of_total(90.0) == {A: 45.0, B: 45.0, C: 45.0}
    assert Conversion((A, B), 120.0, unbalance=3.0).of_total(90.0) == {A: 90.0, B: 90.0}


def test_the_desk_checks_unit_clock_and_phases_and_takes_the_rest() -> None:
    world = Desk(site_with("{id: m1}"))
    desk, meter = world.desk, MeterId("m1")
    fine = {A: 1.0, B: 2.0, C: 3.0}
    for at, amps in (
        (NOW, {A: 1.0, B: 2.0}),
        (NOW, fine | {A: math.nan}),
        (NOW, fine | {A: -1.0}),
        (NOW, fine | {A: 45_000.0}),  # mA
        (NOW + timedelta(minutes=5), fine),
    ):
        desk.take(meter, at, amps)
    assert (desk.refused[meter], world.events) == (5, [])
    for at in (NOW, NOW, NOW - timedelta(seconds=30), None):
        desk.take(meter, at, fine)
    assert desk.taken[meter] == 4
    for event in world.events:
        world.book.take(event.reading, world.clock.now())
    assert [one.at for one in world.book.readings(meter)] == [NOW]  # neither the double nor the late one


def test_a_site_without_sources_needs_none_of_their_libraries() -> None:

    program = (
        "import sys\nfrom meter_world import Desk, site_with\nfrom headroom.meters.sources import source_parts\n"
        "site = site_with('{id: m1}')\nworld = Desk(site)\n"
        "assert source_parts(site, world.book, world.clock, print) == []\nimport headroom.serving\n"
        "assert not {'aiomqtt', 'paho', 'pymodbus'} & set(sys.modules), 'loaded'\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parent,
    )
    assert done.returncode == 0, done.stderr


def test_a_site_with_sources_runs_one_part_for_each_broker_and_gateway() -> None:
    site = site_with(
        "{id: m1, mqtt: {url: 'mqtt://a', topic: x}}",
        "{id: m2, mqtt: {url: 'mqtt://a', topic: y}}",
        "{id: m3, mqtt: {url: 'mqtt://b', topic: y}}",
        "{id: m4, modbus: {host: h, registers: {A: 0, B: 2, C: 4}}}",
        "{id: m5, modbus: {host: h, unit: 2, total_register: 0, measures: power}}",
    )
    world = Desk(site)
    assert len(source_parts(site, world.book, world.clock, world.events.append)) == 3
