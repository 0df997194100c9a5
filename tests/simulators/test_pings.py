"""What is answered in short is what `websockets` would have answered, and nothing else is taken from it."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.frames import PONG, Frame
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.uri import parse_uri
from websockets.utils import apply_mask

from simulators.pings import Pings

HEAD = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
FIRST_BYTES = st.sampled_from([0x89] * 5 + [0x81, 0x01, 0x80, 0x8A, 0x82, 0x88, 0x09, 0xC9])
PAYLOADS = st.binary(max_size=20) | st.integers(120, 400).map(bytes)
MASK = b"\x01\x02\x03\x04"


def protocol(is_server: bool) -> ServerProtocol | ClientProtocol:
    if is_server:
        return ServerProtocol(state=State.OPEN)
    return ClientProtocol(parse_uri("ws://x/"), state=State.OPEN)


def serialized(first: int, payload: bytes, masked: bool) -> bytes:
    length, bit = len(payload), 0x80 if masked else 0
    head = bytes((first, bit | length)) if length < 126 else struct.pack("!BBH", first, bit | 126, length)
    return head + (MASK + apply_mask(payload, MASK) if masked and payload else MASK if masked else payload)


def pongs(sent: list[bytes], is_server: bool) -> list[bytes]:
    """The payloads of the pongs among what an end has sent."""
    reader = protocol(not is_server)
    for data in sent:
        reader.receive_data(data)
    return [
        bytes(frame.data) for frame in reader.events_received() if isinstance(frame, Frame) and frame.opcode == PONG
    ]


@settings(max_examples=300, deadline=None)
@given(
    frames=st.lists(st.tuples(FIRST_BYTES, PAYLOADS), max_size=8),
    is_server=st.booleans(),
    cuts=st.none() | st.lists(st.integers(1, 60), max_size=30),
)
def test_the_same_answers_and_the_same_end(
    frames: list[tuple[int, bytes]], is_server: bool, cuts: list[int] | None
) -> None:
    pieces = [serialized(*frame, is_server) for frame in frames]
    cuts = [len(piece) for piece in reversed(pieces)] if cuts is None else cuts
    stream = b"".join(pieces)
    whole, rest, pings = protocol(is_server), protocol(is_server), Pings(is_server=is_server)
    pings.head_came(HEAD)
    expected: list[bytes] = []
    sent: list[bytes] = []
    while stream:
        size = cuts.pop() if cuts else len(stream)
        chunk, stream = stream[:size], stream[size:]
        whole.receive_data(chunk)
        expected += whole.data_to_send()
        pong = pings.answer(chunk) if rest.state is State.OPEN else None
        if pong is None:
            rest.receive_data(chunk)
            sent += rest.data_to_send()
        else:
            sent.append(pong)
    assert pongs(sent, is_server) == pongs(expected, is_server)
    assert (rest.state, rest.close_code) == (whole.state, whole.close_code)


@pytest.mark.parametrize(
    ("head", "answers"),
    [(HEAD, True), (HEAD + serialized(0x81, b"whole", True), True), (HEAD + b"\x81", False), (HEAD[:-1], False)],
)
def test_nothing_is_answered_before_it_is_certain_where_frames_begin(head: bytes, answers: bool) -> None:
    pings = Pings(is_server=True)
    assert pings.answer(serialized(0x89, b"early", True)) is None
    pings.head_came(head)
    assert (pings.answer(serialized(0x89, b"ping", True)) is not None) is answers


def test_what_looks_like_a_ping_within_a_text_is_none() -> None:
    text = serialized(0x81, b"before" + serialized(0x89, b"ping", True), True)
    pings = Pings(is_server=True)
    pings.head_came(HEAD)
    assert pings.answer(text[:-10]) is None
    assert pings.answer(serialized(0x89, b"ping", True)) is None
