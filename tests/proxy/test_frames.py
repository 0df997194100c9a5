"""Envelopes are read as far as they can be, and never raise."""

import json
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.protocol.frames import (
    CallFrame,
    ErrorFrame,
    ResultErrorFrame,
    ResultFrame,
    SendFrame,
    Unreadable,
    call_frame,
    read,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@pytest.mark.parametrize(
    ("raw", "kind", "call_id"),
    [
        (b'[2,"a","Heartbeat",{}]', CallFrame, "a"),
        (b' [ 2 , "a" , "Heartbeat" , { } ] \n', CallFrame, "a"),
        (b'[2,"a","Heartbeat"]', CallFrame, "a"),
        (b'[2,"a","Heartbeat",{},"surplus"]', CallFrame, "a"),
        (b'[2,17,"Heartbeat",{}]', CallFrame, "17"),
        (b'[2,"\\u0061","Heartbeat",{}]', CallFrame, "a"),
        (b'\xef\xbb\xbf[2,"a","Heartbeat",{}]', CallFrame, "a"),
        (b'[2,"a","B",{"text":"\xff"}]', CallFrame, "a"),
        (b'[3,"a",{}]', ResultFrame, "a"),
        (b'[3,"a"]', ResultFrame, "a"),
        (b'[4,"a","InternalError","",{}]', ErrorFrame, "a"),
        (b'[4,"a"]', ErrorFrame, "a"),
        (b'[4,"a",null,7]', ErrorFrame, "a"),
        (b'[5,"a","InternalError","",{}]', ResultErrorFrame, "a"),
        (b'[6,"a","NotifyPeriodicEventStream",{}]', SendFrame, "a"),
    ],
)
def test_envelopes(raw, kind, call_id):
    frame = read(raw)
    assert type(frame) is kind
    assert frame.call_id == call_id


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (b"", Unreadable()),
        (b"{}", Unreadable()),
        (b"null", Unreadable()),
        (b"[" * 100_000, Unreadable()),
        (b"[,{", Unreadable()),
        (b'[2.0,"a","B",{}]', Unreadable()),
        (b'["2","a","B",{}]', Unreadable()),
        (b"[2", Unreadable(2)),
        (b'[2,null,"B",{}]', Unreadable(2)),
        (b'[2,"a",B,{}]', Unreadable(2, "a")),
        (b'[2,"a","B",{}]x', Unreadable(2, "a")),
        (b'[2,"a","MeterValues",{"transactionId":,}]', Unreadable(2, "a")),
        (b'[3,"a",{"status":}]', Unreadable(3, "a")),
        (b'[3,5,{"status":}]', Unreadable(3, "5")),
        (b'[3,"a",' + b"[" * 100_000, Unreadable(3, "a")),
        (b'[7,"a",{}]', Unreadable(7, "a", well_formed=True)),
        (b"[1]", Unreadable(1, None, well_formed=True)),
    ],
)
def test_what_cannot_be_read_is_a_value_that_says_what_its_head_says(raw, told):
    assert read(raw) == told
    assert told.is_reply is (told.kind in (3, 4, 5))


@given(st.binary(max_size=300))
def test_no_bytes_raise(raw):
    read(raw)


@given(st.text(max_size=36), st.text(max_size=30), JSON)
def test_any_call_of_a_json_writer_is_read_and_its_payload_left_as_it_is(call_id, action, payload):
    text = json.dumps(payload)
    frame = read(f"[2, {json.dumps(call_id)}, {json.dumps(action)}, {text}]".encode())
    assert isinstance(frame, CallFrame)
    assert (frame.call_id, frame.action, bytes(frame.payload)) == (call_id, action, text.encode())


@given(st.sampled_from([2, 3, 4, 6]), st.text(max_size=36), st.binary(max_size=60))
def test_a_broken_frame_never_passes_for_somebody_elses(kind, call_id, junk):
    """What the head of a frame says is the id that a JSON reader would find there, or nothing."""
    frame = read(b"[%d,%b,%b" % (kind, json.dumps(call_id, ensure_ascii=False).encode(), junk))
    plain = not any(character in call_id for character in '"\\') and call_id.isprintable()
    if isinstance(frame, Unreadable) and plain:
        assert frame.call_id == call_id


@given(st.dictionaries(st.text(), JSON, max_size=5))
def test_our_own_call_is_what_any_json_reader_reads(payload):
    raw = call_frame("id-1", "SetChargingProfile", MappingProxyType({"inner": MappingProxyType(payload)}))
    assert json.loads(raw) == [2, "id-1", "SetChargingProfile", {"inner": payload}]
    frame = read(raw)
    assert isinstance(frame, CallFrame)
    assert frame.call_id == "id-1"


def test_a_payload_without_a_form_in_json_says_which_type_it_is():
    with pytest.raises(TypeError, match="complex"):
        call_frame("id-1", "SetChargingProfile", {"limit": 1j})


def test_the_error_as_an_array():
    frame = read(b'[4, "a", "GenericError" , "went \\u0041way", {"x": 1.50}]')
    assert isinstance(frame, ErrorFrame)
    assert frame.as_array == b'["GenericError","went \\u0041way",{"x": 1.50}]'
