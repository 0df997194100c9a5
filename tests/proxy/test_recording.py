"""The recorder is told each message once: by whom it was sent, or that it is of our own making."""

from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st
from proxy_world import world

from proxy.protocol.exchange import Side
from proxy.recording import Recording

NOW = datetime(2026, 3, 1, tzinfo=UTC)


@given(st.lists(st.tuples(st.sampled_from(list(Side)), st.binary(max_size=3), st.booleans()), max_size=40))
def test_each_message_is_told_once_and_ours_as_ours(steps):
    """Equal bytes of two senders are two messages."""
    told: list[tuple[str, bytes]] = []
    recording = Recording(lambda direction, raw, at: told.append((direction, raw)), lambda: NOW)
    expected: list[tuple[str, bytes]] = []
    for side, content, ours in steps:
        raw = bytes(bytearray(content))
        other = Side.CSMS if side is Side.CHARGER else Side.CHARGER
        if ours:
            made = b"made" + content
            recording.goes(other, made)
            expected.append((f"to_{other.value}", made))
        else:
            recording.came(side, [raw])
            recording.goes(other, raw)
            expected.append((f"from_{side.value}", raw))
    if all(len(content) > 1 for _, content, _ in steps):  # shorter ones are one object in CPython
        assert told == expected


def test_what_never_goes_on_does_not_fill_the_memory():
    recording = Recording(lambda direction, raw, at: None, lambda: NOW)
    for number in range(2000):
        recording.came(Side.CHARGER, [b"swallowed %d" % number])
    assert len(recording._underway) <= 512


async def test_both_directions_of_a_link_are_told():
    told: list[tuple[str, bytes]] = []

    def recorder(direction, raw, at):
        told.append((direction, raw))

    async with world(asks=lambda place: replace(place, recorder=recorder)) as here:
        here.csms.greeting = '[2,"hello","GetConfiguration",{}]'
        async with here.charger() as charger:
            await charger.recv()
            await charger.send('[3,"hello",{}]')
            await charger.send('[2,"1","Heartbeat",{}]')
            await here.csms.newest.send('[3,"1",{}]')
            await charger.recv()
            assert told == [
                ("from_csms", b'[2,"hello","GetConfiguration",{}]'),
                ("from_charger", b'[3,"hello",{}]'),
                ("from_charger", b'[2,"1","Heartbeat",{}]'),
                ("from_csms", b'[3,"1",{}]'),
            ]
