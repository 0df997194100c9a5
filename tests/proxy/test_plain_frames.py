"""The short way and `websockets`' own tell the same story, for any stream in any pieces."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.client import ClientProtocol
from websockets.frames import PING as PING_OPCODE
from websockets.frames import PONG, TEXT, Frame
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.uri import parse_uri

from proxy.plain_frames import PING, Cutter, Odd, apply_mask, masked_ping, masked_text_frame, text_frame

MAX = 300
FIRST_BYTES = st.sampled_from([0x81] * 6 + [0x01, 0x00, 0x80, 0x80, 0x82, 0x89, 0x8A, 0x88, 0x09, 0x83, 0xC1])
PAYLOADS = st.binary(max_size=40) | st.integers(120, 400).map(bytes)


def serialized(first: int, payload: bytes, masked: bool) -> bytes:
    length = len(payload)
    bit = 0x80 if masked else 0
    head = bytes((first, bit | length)) if length < 126 else struct.pack("!BBH", first, bit | 126, length)
    return head + (b"\x01\x02\x03\x04" + apply_mask(payload, b"\x01\x02\x03\x04") if masked else payload)


def protocol(masked: bool) -> ServerProtocol | ClientProtocol:
    if masked:
        return ServerProtocol(state=State.OPEN, max_size=MAX)
    return ClientProtocol(parse_uri("ws://x/"), state=State.OPEN, max_size=MAX)


def story(told: list[Frame]) -> list[tuple[object, ...]]:
    return [(frame.opcode, frame.fin, b"" if frame.opcode is PONG else bytes(frame.data)) for frame in told]


@settings(max_examples=300, deadline=None)
@given(
    frames=st.lists(st.tuples(FIRST_BYTES, PAYLOADS), max_size=8),
    masked=st.booleans(),
    wrongly_masked=st.sampled_from([False] * 9 + [True]),
    junk=st.binary(max_size=12),
    cuts=st.none() | st.lists(st.integers(1, 200), max_size=40),
)
def test_the_same_events_state_and_answers(frames, masked, wrongly_masked, junk, cuts):
    pieces = [serialized(*frame, masked is not wrongly_masked) for frame in frames]
    cuts = [len(piece) for piece in reversed(pieces)] if cuts is None else cuts
    stream = b"".join(pieces) + junk
    whole, rest = protocol(masked), protocol(masked)
    cutter = Cutter(masked=masked, max_bytes=MAX)
    expected: list[Frame] = []
    told: list[Frame] = []
    while stream:
        size = cuts.pop() if cuts else len(stream)
        chunk, stream = stream[:size], stream[size:]
        whole.receive_data(chunk)
        expected += whole.events_received()
        at_once = cutter.whole(chunk)
        if rest.state is State.OPEN and cutter.is_pong(chunk):
            told.append(Frame(PONG, b""))
            continue
        for piece in cutter.cut(chunk) if at_once is None else [at_once]:  # as a leg does it
            if isinstance(piece, Odd):
                rest.receive_data(piece)
                told += rest.events_received()
            elif rest.state is State.OPEN:
                told.append(Frame(TEXT, piece))
    rest.receive_data(bytes(cutter._rest))  # some faults are seen in the head of a frame that is not complete
    assert story(told) == story(expected)
    assert [rest.state, rest.close_code, rest.close_sent] == [whole.state, whole.close_code, whole.close_sent]
    if masked:  # a client's answers carry random masks
        assert b"".join(rest.data_to_send()) == b"".join(whole.data_to_send())


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 65535, 65536, 70000])
def test_what_is_written_is_what_websockets_reads(size):
    payload = bytes(index % 251 for index in range(size))
    server, client = ServerProtocol(state=State.OPEN), ClientProtocol(parse_uri("ws://x/"), state=State.OPEN)
    server.receive_data(masked_text_frame(payload))
    client.receive_data(text_frame(payload))
    for end in (server, client):
        (frame,) = end.events_received()
        assert (frame.opcode, frame.fin, bytes(frame.data)) == (TEXT, True, payload)
    assert text_frame(payload) == Frame(TEXT, payload).serialize(mask=False)


def test_a_ping_is_what_websockets_reads():
    server, client = ServerProtocol(state=State.OPEN), ClientProtocol(parse_uri("ws://x/"), state=State.OPEN)
    server.receive_data(masked_ping())
    client.receive_data(PING)
    for end in (server, client):
        (frame,) = end.events_received()
        assert (frame.opcode, frame.fin, bytes(frame.data)) == (PING_OPCODE, True, b"headroom")


def test_every_frame_has_a_mask_of_its_own():
    assert len({masked_text_frame(b"same") for _ in range(50)}) == 50


def test_a_frame_that_is_too_long_is_not_collected():
    cutter = Cutter(masked=False, max_bytes=MAX)
    head = bytes((0x81, 127)) + (10_000_000).to_bytes(8)
    assert cutter.cut(head[:5]) == []
    assert cutter.cut(head[5:]) == [Odd(head)]
    assert cutter.cut(b"x" * 1000) == [Odd(b"x" * 1000)]


def test_what_looks_like_a_pong_within_a_text_is_none():
    pong = serialized(0x8A, b"headroom", False)
    cutter = Cutter(masked=False, max_bytes=MAX)
    assert cutter.is_pong(pong)
    assert cutter.cut(serialized(0x81, b"before" + pong, False)[: -len(pong)]) == []
    assert not cutter.is_pong(pong)
