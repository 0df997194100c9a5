"""What comes from outside, beside frames, as functions of bytes: each fails where an input does what none may do.

Fed by hypothesis in test_hostile_inputs.py and by atheris in fuzz_inputs.py. `SEEDS` are good inputs to begin from.
"""

import asyncio
import base64
import contextlib
import json
import math
import random
import struct
import tempfile
from collections.abc import Callable, Coroutine, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import jwt
import pandas as pd
from cryptography.hazmat.primitives.asymmetric import ec
from meter_world import NOW, Desk, site_with
from pydantic import TypeAdapter, ValidationError
from starlette.datastructures import Headers

from domain.errors import HeadroomError
from domain.ids import MeterId
from domain.metering import MeterReading
from domain.site import MqttSource, Phase
from ems.failsafe import prove
from forecasting.files import read_columns
from headroom.access.links import read_link, sign_link
from headroom.access.oidc import OidcError, OidcSettings, OidcVerifier
from headroom.access.roles import Role
from headroom.access.tokens import TokenBook, new_token
from headroom.api.credentials import credentials
from headroom.api.models import Reading
from headroom.meters.importing import readings_of, sort_out
from headroom.meters.values import Conversion, published
from inventory import access
from inventory.site_file import parse_site, site_problems
from inventory.store import InlineStore

METER = MeterId("m1")
_EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "cedar-court.yaml"
_PUSHED: TypeAdapter[Reading | list[Reading]] = TypeAdapter(Reading | list[Reading])
_SOURCES = (
    MqttSource("mqtt://h", "t", {Phase.A: "i.0", Phase.B: "i.1", Phase.C: "i.2"}, time_field="t"),
    MqttSource("mqtt://h", "t"),
    MqttSource("mqtt://h", "t", total_field="power.total"),
)
_EARLIEST = datetime(1970, 1, 1, tzinfo=UTC)
ISSUER = "https://login.example"


@cache
def desk() -> Desk:
    """One meter on a feeder with three phases."""
    return Desk(site_with("{id: m1}"))


def _only_right_ones(world: Desk) -> None:
    """What got through is finite, not negative, of a real time, and nothing that a meter of this feeder cannot say."""
    for event in world.events:
        assert set(event.reading.current_a) >= set(Phase)
        assert all(math.isfinite(amps) and 0.0 <= amps < 1e5 for amps in event.reading.current_a.values())
        assert _EARLIEST <= event.reading.at <= NOW + timedelta(minutes=5)
    world.events.clear()


def site_file(data: bytes) -> None:
    """A site file is refused with a sentence, or is a site that can be proven and written down."""
    text = data.decode(errors="replace")
    problems = site_problems(text, "fuzzed")
    for problem in problems:
        assert str(problem).isprintable() or "\n" in text
    if problems:
        return
    site = parse_site(text, "fuzzed", folder=Path("/etc/headroom"))
    assert isinstance(prove(site).holds, bool)
    assert len({evse.id for evse in site.evses}) == len(site.evses)
    for charger in site.chargers:
        assert charger.id not in {".", ".."}, "it names files and addresses"
        assert "/" not in charger.id
        assert charger.id.isprintable()


def meter_mqtt(data: bytes) -> None:
    """A broker's message is a reading that can be right, or is refused."""
    world = desk()
    for source in _SOURCES:
        with contextlib.suppress(ValueError):
            at, amps = published(source, Conversion(tuple(Phase), 120.0, unbalance=1.5), data)
            world.desk.take(METER, at, amps)
    _only_right_ones(world)


def meter_push(data: bytes) -> None:
    """So is what is pushed over HTTP."""
    world = desk()
    try:
        found = _PUSHED.validate_json(data)
    except ValidationError:
        return
    for one in found if isinstance(found, list) else [found]:
        world.desk.take(METER, one.at, one.current_a)
    _only_right_ones(world)


def meter_modbus(data: bytes) -> None:
    """So are registers, whatever bits are in them, in every encoding."""
    from pymodbus.client import AsyncModbusTcpClient as Client

    if len(data) < 13:
        return
    world, registers = desk(), list(struct.unpack(">6H", data[1:13]))
    encodings = ("FLOAT32", "INT16", "UINT16", "INT32", "UINT32")
    kind = Client.DATATYPE[encodings[data[0] % len(encodings)]]
    size = kind.value[1]
    order: Any = "big" if data[0] & 128 else "little"
    numbers = {}
    for place, phase in enumerate(Phase):
        told = registers[place * size : (place + 1) * size]
        value = Client.convert_from_registers(told, kind, word_order=order)
        numbers[phase] = float(value) if isinstance(value, int | float) else math.nan
    for measures in ("current", "power"):
        conversion = Conversion(tuple(Phase), 120.0, measures, scale=0.1)  # type: ignore[arg-type]
        world.desk.take(METER, None, conversion.per_phase(numbers))
        world.desk.take(METER, None, conversion.of_total(numbers[Phase.A]))
    _only_right_ones(world)


def meter_csv(data: bytes) -> None:
    """A file of readings is refused with a sentence, or each line is a reading that can be right, or is counted."""
    world = desk()
    with tempfile.NamedTemporaryFile(suffix=".csv") as file:
        file.write(data)
        file.flush()
        try:
            frame: pd.DataFrame = read_columns(file.name, ["A", "B", "C"], "America/Vancouver")
        except HeadroomError:
            return
    columns = {"A": "A", "B": "B", "C": "C"}
    found, _, _, _ = sort_out(readings_of(frame, columns, METER, Conversion(tuple(Phase), 120.0)), world.desk.site, NOW)
    for reading in found:
        _right(reading)


def _right(reading: MeterReading) -> None:
    assert all(math.isfinite(amps) and 0.0 <= amps < 1e5 for amps in reading.current_a.values())
    assert _EARLIEST <= reading.at <= NOW + timedelta(minutes=5)


@cache
def _keys() -> tuple[ec.EllipticCurvePrivateKey, bytes]:
    return ec.generate_private_key(ec.SECP256R1()), bytes(range(32))


@cache
def good_token() -> str:
    """A token of the provider that holds."""
    claims = {
        "iss": ISSUER,
        "aud": "headroom",
        "sub": "ada",
        "iat": datetime.now(UTC),  # noqa: TID251 - the provider's own clock
        "exp": datetime.now(UTC) + timedelta(days=1),  # noqa: TID251
        "roles": ["headroom:viewer:demo"],
    }
    return jwt.encode(claims, _keys()[0], "ES256", {"kid": "k"})


async def _published(request: httpx.Request) -> httpx.Response:
    if request.url.path.endswith("openid-configuration"):
        return httpx.Response(200, json={"issuer": ISSUER, "jwks_uri": f"{ISSUER}/keys"})
    key = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(_keys()[0].public_key()))
    return httpx.Response(200, json={"keys": [{**key, "kid": "k", "use": "sig"}]})


def _run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    loop = asyncio.new_event_loop()
    try:
        return loop.run_until_complete(coroutine)
    finally:
        loop.close()


def same_jwt(one: str, other: str) -> bool:
    """Whether two texts are the same token: base64 has more than one way to write its last letter."""
    try:
        return [base64.urlsafe_b64decode(part + "==") for part in one.split(".")] == [
            base64.urlsafe_b64decode(part + "==") for part in other.split(".")
        ]
    except ValueError:
        return False


def oidc_token(data: bytes) -> None:
    """Of all bearer tokens the provider's own one alone gets in, and no other is a fault."""

    async def ask(token: str) -> str | None:
        client = httpx.AsyncClient(transport=httpx.MockTransport(_published))
        verifier = OidcVerifier(OidcSettings(ISSUER, "headroom"), lambda: 1000.0, client)
        try:
            return (await verifier.caller(token)).id
        except OidcError:
            return None
        finally:
            await verifier.close()

    token = data.decode("latin-1")
    found = _run(ask(token))
    assert found is None or same_jwt(token, good_token()), "a forged token got in"


@cache
def _book() -> tuple[TokenBook, str, InlineStore]:
    store = InlineStore()
    text, row = new_token(Role.VIEWER, "good", NOW)
    _run(store.transact(lambda conn: access.add_token(conn, row)))
    return TokenBook(store, desk().clock, lambda: 1000.0), text, store


def api_token() -> str:
    """The one token of `_book`."""
    return _book()[1]


def header_token(data: bytes) -> None:
    """Of all headers the one with our token gets in, and no other is a fault."""
    book, good, _ = _book()

    async def ask() -> None:
        for name in (b"authorization", b"cookie"):
            bearer, cookie = credentials(Headers(raw=[(name, data)]))
            if bearer is not None:
                found = await book.caller_with_token(bearer)
                assert (found is not None) == (bearer == good)
            if cookie is not None:
                assert await book.caller_with_cookie(cookie) is None

    _run(ask())


def driver_link(data: bytes) -> None:
    """No link but ours is read, and none is a fault."""
    key = _keys()[1]
    text = data.decode(errors="replace")
    found = read_link(key, text)
    if found is not None:
        assert base64.urlsafe_b64decode(text + "===") == base64.urlsafe_b64decode(sign_link(key, *found) + "===")


def _push() -> bytes:
    return json.dumps({"at": NOW.isoformat(), "current_a": {"A": 1.5, "B": 2.5, "C": 3.5}}).encode()


TARGETS: Mapping[str, Callable[[bytes], None]] = {
    "site": site_file,
    "mqtt": meter_mqtt,
    "push": meter_push,
    "modbus": meter_modbus,
    "csv": meter_csv,
    "oidc": oidc_token,
    "header": header_token,
    "link": driver_link,
}


def seeds(target: str) -> list[bytes]:
    """Good inputs of a target, to begin from."""
    found: Mapping[str, Callable[[], list[bytes]]] = {
        "site": lambda: [_EXAMPLE.read_bytes(), _SMALL_SITE],
        "mqtt": lambda: [_push(), b'{"t": "2026-03-01T17:00:00Z", "i": [1, "2.5", 3]}', b'{"power": {"total": 7000}}'],
        "push": lambda: [_push(), b"[" + _push() + b"]"],
        "modbus": lambda: [bytes([number]) + struct.pack(">3f", 1.5, 2.5, 3.5) for number in range(5)],
        "csv": lambda: [b"time,A,B,C\n2026-03-01T10:00Z,1,2,3\n2026-03-01T11:00Z,2,3,4\n"],
        "oidc": lambda: [good_token().encode()],
        "header": lambda: [f"Bearer {api_token()}".encode(), b"headroom_session=abc; a=b"],
        "link": lambda: [sign_link(_keys()[1], "P1-01", 3).encode()],
    }
    return found[target]()


_SMALL_SITE = b"""\
site: a
timezone: UTC
csms: {url: "wss://h/x", tls: {certificate: "c/{identity}.pem", key: "c/{identity}.key"}}
feeders: [{id: m, rating_a: 100, meter: t, base_load_max_a: {A: 1, B: 1, C: 1}}]
chargers: [{id: CP, evses: [{id: e, connector: 1, feeder: m, phases: [A, B, C], failsafe_a: 6}]}]
meters: [{id: t, mqtt: {url: "mqtt://b", topic: x, password_file: p}}]
security: {allow: ["10.0.0.0/8"], chargers: {CP: {profile: 1}}}
"""

_ODD = (
    *(b"", b"\0", b"\xff", b"\x1b[31m", b"nan", b"1e999", b"-1", b"0", b"null", b"true", b'"', b"'", b"\\", b"\r\n"),
    *(b"..", b"/", b"../../x", b"{}", b"[]", b"%s", b"*a", b"&a", b"!!python/object:os.system", b"9" * 40),
    *(b"[" * 2000, b'{"a":' * 2000, b"\xed\xa0\x80", b"\\ud800", b"0001-01-01T00:00:00+14:00", b"1" * 5000),
)


def mutant(rng: random.Random, raw: bytes) -> bytes:
    """A seed with a few places changed: words for words, bytes for bytes, cut, doubled."""
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(raw) + 1)
        until = min(len(raw), at + rng.choice([0, 1, 1, 2, 8, 40]))
        change = rng.randrange(5)
        if change == 0:
            raw = raw[:at] + rng.choice(_ODD) + raw[until:]
        elif change == 1:
            raw = raw[:at] + bytes(rng.randrange(256) for _ in range(until - at)) + raw[until:]
        elif change == 2:
            raw = raw[:at] + raw[until:]
        elif change == 3:
            raw = raw[:until] + raw[at:until] + raw[until:]
        else:
            words = raw.split(b" ")
            words[rng.randrange(len(words))] = rng.choice(_ODD)
            raw = b" ".join(words)
    return raw
