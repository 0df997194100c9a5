"""Frames gone wrong in every way, and a real link in memory that has to bear them.

Grown from the field's quirks and from a valid frame of every message in the official schemas.
"""

import asyncio
import itertools
import json
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import ocpp

from domain.commands import ApplySetpoint
from domain.events import Event, OcppVersion
from domain.ids import ChargerId, DecisionId, EvseId, FeederId
from domain.quirks import UNKNOWN, Model, Quirks
from domain.site import PHASES, Charger, Evse
from proxy.afterthoughts import Afterthoughts
from proxy.link import Link
from proxy.protocol.attentive import AttentiveDesk
from proxy.protocol.desk import ChargerDesk
from proxy.protocol.exchange import Side
from proxy.protocol.frames import CallFrame, read
from proxy.protocol.relay import Relay
from proxy.protocol.turns import OwnIds, RelaySettings
from proxy.settings import Counters
from proxy.surroundings import Surroundings
from simulators.virtual_time import VirtualClock

FIXTURES = Path(__file__).parents[1] / "data" / "ocpp_fixtures" / "ocpp16_field_quirks.jsonl"
FOLDERS: dict[OcppVersion, str] = {"ocpp1.6": "v16", "ocpp2.0.1": "v201", "ocpp2.1": "v21"}
NAME = ChargerId("CP001")


def example(schema: dict[str, Any], root: dict[str, Any], depth: int = 0) -> Any:
    """A valid instance of an official schema, with every property that is not too deep."""
    if "$ref" in schema:
        schema = root["definitions"][schema["$ref"].rsplit("/", 1)[-1]]
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type")
    if kind == "object" or "properties" in schema:
        wanted = schema.get("required", ()) if depth > 5 else schema.get("properties", {})
        return {name: example(schema["properties"][name], root, depth + 1) for name in wanted if name != "customData"}
    if kind == "array":
        return [example(schema.get("items", {}), root, depth + 1)] * max(1, schema.get("minItems", 1))
    if kind == "string":
        return "2026-03-01T12:00:00Z" if schema.get("format") == "date-time" else "1"[: schema.get("maxLength", 1)]
    return {"integer": 1, "number": 16.0, "boolean": True}.get(str(kind), "1")


@cache
def corpus(version: OcppVersion) -> tuple[bytes, ...]:
    """Frames as they should be, and as they are met."""
    frames: list[list[object]] = []
    for file in sorted((Path(ocpp.__file__).parent / FOLDERS[version] / "schemas").glob("*.json")):
        schema = json.loads(file.read_text(encoding="utf-8-sig"))
        payload = example(schema, schema)
        action = re.sub(r"(Request|Response)$", "", file.stem)
        is_reply = file.stem.endswith("Response")
        frames.append([3, "1", payload] if is_reply else [2, "1", action, payload])
    frames += [[4, "1", "InternalError", "", {}], [5, "1", "FormatViolation", "", {}], [6, "1", "NotifyEvent", {}]]
    fixtures = [json.loads(line) for line in FIXTURES.read_text().splitlines()]
    frames += [found["frame"] for found in fixtures if isinstance(found.get("frame"), list)]
    return tuple(json.dumps(frame).encode() for frame in frames)


Mutation = Callable[[random.Random, bytes, Sequence[bytes]], bytes]
_ODD_VALUES = (
    *("null", "true", "-1", "0", "1e400", "-0.0", "9" * 400, '""', '"\\u0000"', '"\\ud800"', "[]", "{}", "NaN"),
    *('"' + "x" * 5000 + '"', "[" * 2000, '{"a":' * 500, '"1970-01-01T00:00:00Z"', '"9999-12-31T23:59:59Z"', "2.5"),
)
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?|true|false|null')


def _flip(rng: random.Random, raw: bytes, _: Sequence[bytes]) -> bytes:
    changed = bytearray(raw)
    for _ in range(rng.randint(1, 4)):
        if changed:
            changed[rng.randrange(len(changed))] = rng.randrange(256)
    return bytes(changed)


def _cut(rng: random.Random, raw: bytes, _: Sequence[bytes]) -> bytes:
    return raw[: rng.randrange(len(raw) + 1)]


def _remove(rng: random.Random, raw: bytes, _: Sequence[bytes]) -> bytes:
    start = rng.randrange(len(raw) + 1)
    return raw[:start] + raw[start + rng.randint(1, 20) :]


def _double(rng: random.Random, raw: bytes, _: Sequence[bytes]) -> bytes:
    start = rng.randrange(len(raw) + 1)
    return raw[:start] + raw[start : start + rng.randint(1, 200)] * rng.randint(2, 5) + raw[start:]


def _splice(rng: random.Random, raw: bytes, others: Sequence[bytes]) -> bytes:
    other = rng.choice(others)
    return raw[: rng.randrange(len(raw) + 1)] + other[rng.randrange(len(other) + 1) :]


def _replace_token(rng: random.Random, raw: bytes, others: Sequence[bytes]) -> bytes:
    tokens = list(_TOKEN.finditer(raw))
    if not tokens:
        return raw
    token = rng.choice(tokens)
    value = rng.choice(_ODD_VALUES).encode() if rng.random() < 0.7 else rng.choice(_TOKEN.findall(rng.choice(others)))
    return raw[: token.start()] + value + raw[token.end() :]


def _change_type(rng: random.Random, raw: bytes, _: Sequence[bytes]) -> bytes:
    return re.sub(rb"^\s*\[\s*\d+", b"[%d" % rng.choice([0, 1, 2, 3, 4, 5, 6, 7, 10**9]), raw, count=1)


def _insert(rng: random.Random, raw: bytes, _: Sequence[bytes]) -> bytes:
    start = rng.randrange(len(raw) + 1)
    junk = rng.choice([b"\x00", b"\xff\xfe", b"\xef\xbb\xbf", b"\\", b'"', b",", b"]", b"}", "\U0001f600".encode()])
    return raw[:start] + junk + raw[start:]


def _reshape(rng: random.Random, raw: bytes, others: Sequence[bytes]) -> bytes:
    """Still JSON, but of another shape: members go, come, or change places and types."""
    try:
        frame, other = json.loads(raw), json.loads(rng.choice(others))
    except (ValueError, RecursionError):
        return raw
    nodes = list(_nodes(frame))
    for _ in range(rng.randint(1, 3)):
        node = rng.choice(nodes) if nodes else frame
        value = rng.choice([None, -1, 0, 2.5, 10**12, "", "x" * 300, [], {}, True, [[]], {"a": 1}, rng.choice(other)])
        if isinstance(node, dict) and node:
            key = rng.choice(list(node))
            if rng.random() < 0.3:
                del node[key]
            else:
                node[key if rng.random() < 0.9 else "another"] = value
        elif isinstance(node, list) and node and (node is not frame or rng.random() < 0.2):
            node[rng.randrange(len(node))] = value
    return json.dumps(frame).encode()


def _nodes(value: Any) -> Iterator[Any]:
    if isinstance(value, dict | list):
        yield value
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _nodes(inner)


MUTATIONS: tuple[Mutation, ...] = (
    *([_reshape] * 12),
    _flip,
    _cut,
    _remove,
    _double,
    _splice,
    _replace_token,
    _replace_token,
    _replace_token,
    _change_type,
    _insert,
)


def mutant(rng: random.Random, frames: Sequence[bytes], ids: Sequence[str]) -> bytes:
    """A frame of the corpus, mutated once or several times, most often with one of these ids."""
    raw = rng.choice(frames)
    if rng.random() < 0.9:
        raw = raw.replace(b'"1"', b'"%b"' % rng.choice(ids).encode(), 1)
    for _ in range(rng.choice([0, 1, 1, 1, 2, 3])):
        raw = rng.choice(MUTATIONS)(rng, raw, frames)
    return raw


class NothingKnown:
    """Quirks of a charger that nobody has met."""

    def of_charger(self, charger: ChargerId) -> Quirks:
        return UNKNOWN

    def model_of(self, charger: ChargerId) -> Model | None:
        return None

    def as_model(self, charger: ChargerId, model: Model) -> Quirks:
        return UNKNOWN


class MemoryLeg:
    """The end of a leg that writes down what it is given."""

    answers_pings = True
    recording = None

    def __init__(self) -> None:
        self.owner: Link | None = None
        self.sent: list[bytes] = []
        self.heard_s = 0.0

    def bind(self, owner: Link) -> None:
        self.owner = owner

    def send(self, raw: bytes) -> bool:
        self.sent.append(raw)
        return True

    def send_now(self, raw: bytes) -> bool:
        return self.send(raw)

    def flush_messages(self) -> None: ...

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def close(self, code: int, reason: str) -> None: ...

    def give_up(self, reason: str) -> None: ...

    def ping(self) -> None: ...


class Rig:
    """A link with its relay and its desk as in service, between two ends in memory. Needs a running loop."""

    def __init__(self, version: OcppVersion) -> None:
        ids = itertools.count(1)
        evses = tuple(Evse(EvseId(f"e{n}"), NAME, n, FeederId("main"), PHASES, failsafe_a=6.0) for n in (1, 2))
        charger = Charger(NAME, evses)
        self.clock, self.counters = VirtualClock(), Counters()
        self.events: list[Event] = []
        self.charger_leg, self.csms_leg = MemoryLeg(), MemoryLeg()
        inner = ChargerDesk(charger, version, lambda: f"token-{next(ids)}")
        self.desk = AttentiveDesk(inner, charger, version, lambda: f"token-{next(ids)}", NothingKnown())
        around = Surroundings(
            self.clock,
            asyncio.get_running_loop().time,
            self.events.append,
            self.counters,
            lambda link: None,
            Afterthoughts(),
        )
        own, own_up = OwnIds(), OwnIds()
        relay = Relay(lambda: f"own-{next(ids)}", RelaySettings(), own, own_up, self.desk.intercepts)
        self.link = Link(NAME, version, (self.charger_leg, self.csms_leg), relay, self.desk, around)  # type: ignore[arg-type]
        self.link.start()

    def say(self, side: Side, raw: bytes) -> None:
        """A peer sends this."""
        leg = self.charger_leg if side is Side.CHARGER else self.csms_leg
        self.link.leg_said(leg, [raw])  # type: ignore[arg-type]

    def limit(self, limit_a: float) -> None:
        """The EMS sets a limit, so that our own CALLs are among the frames."""
        now = self.clock.now()
        self.link.apply(
            ApplySetpoint(NAME, 1, EvseId("e1"), limit_a, 6.0, 300.0, DecisionId("d"), now, urgent=limit_a < 10)
        )

    def is_ours_to_change(self, side: Side, raw: bytes) -> bool:
        """Whether a frame is of an action that the desk may answer or rewrite: all others pass as they are."""
        frame = read(raw)
        return isinstance(frame, CallFrame) and self.desk.intercepts(side, frame.action)

    def newest_own_id(self) -> str:
        """The id of the newest CALL of ours to the charger."""
        own = (read(raw) for raw in reversed(self.charger_leg.sent))
        return next((frame.call_id for frame in own if f"{frame.call_id}".startswith("own-")), None) or "own-0"

    def forget(self) -> None:
        """Drop what the ends have written down."""
        self.charger_leg.sent.clear()
        self.csms_leg.sent.clear()
        self.events.clear()


def other_end(rig: Rig, side: Side) -> MemoryLeg:
    return rig.csms_leg if side is Side.CHARGER else rig.charger_leg


def check(rig: Rig, sent: dict[Side, list[bytes]]) -> int:
    """Each frame came out once, as the very bytes that went in; except CALLs that the desk may answer or change, and
    replies to these. Returns how many came out.
    """
    asked = {
        side: {read(raw).call_id for raw in frames if rig.is_ours_to_change(side, raw)} for side, frames in sent.items()
    }
    passed = 0
    for side, frames in sent.items():
        out = Counter(map(id, other_end(rig, side).sent))
        for raw in {id(raw): raw for raw in frames}.values():
            went_in = sum(other is raw for other in frames) if len(raw) < 2 else 1  # CPython has one object for these
            passed += out[id(raw)]
            if out[id(raw)] == went_in:
                continue
            assert out[id(raw)] < went_in, raw[:200]
            call_id = getattr(read(raw), "call_id", None)
            other = Side.CSMS if side is Side.CHARGER else Side.CHARGER
            assert rig.is_ours_to_change(side, raw) or call_id in asked[other] or f"{call_id}".startswith("own-"), raw[
                :200
            ]
    return passed
