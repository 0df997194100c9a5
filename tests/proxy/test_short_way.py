"""A desk is told what it listens to, and what it does not listen to would have told it nothing."""

import itertools
import json
from datetime import UTC, datetime

import pytest
from proxy_world import LoopClock
from test_afterthoughts import Diary

from domain.ids import ChargerId, EvseId, FeederId
from domain.site import PHASES, Charger, Evse
from proxy.afterthoughts import Afterthoughts
from proxy.protocol.desk import ChargerDesk
from proxy.protocol.exchange import Call, Exchange, Side
from proxy.protocol.interception import Heard
from proxy.protocol.policy import POLICY
from proxy.surroundings import Moments

T0 = datetime(2026, 3, 1, tzinfo=UTC)
NAME = ChargerId("CP001")
TELLING = {
    "timestamp": T0.isoformat(),
    "connectorId": 1,
    "evse": {"id": 1},
    "evseId": 1,
    "status": "Charging",
    "connectorStatus": "Occupied",
    "eventType": "Started",
    "transactionId": 7,
    "transactionInfo": {"transactionId": "t"},
    "activated": True,
    "meterValue": [
        {"timestamp": T0.isoformat(), "sampledValue": [{"value": 5, "measurand": "Current.Import"}]},
    ],
}
"""Something for every reader."""


@pytest.mark.parametrize("version", sorted(POLICY))
def test_what_a_desk_does_not_hear_would_tell_it_nothing(version):
    ids = itertools.count(1)
    evse = Evse(EvseId("e1"), NAME, 1, FeederId("main"), PHASES, failsafe_a=6.0)
    desk = ChargerDesk(Charger(NAME, (evse,)), version, lambda: str(next(ids)))
    desk.connected(T0)
    payload = json.dumps(TELLING).encode()
    for action in POLICY[version]:
        call = Call(Side.CHARGER, "1", action, payload, T0)
        if action not in desk.heard.calls:
            assert desk.on_call(call) == [], action
        if action not in desk.heard.replies:
            assert desk.on_exchange(Exchange(call, True, b'{"currentTime":"2026-03-01T00:00:00Z"}', T0)) == [], action


class Choosy(Diary):
    heard = Heard(calls=frozenset({"MeterValues"}), replies=frozenset({"Heartbeat"}))


async def test_a_desk_is_told_what_it_listens_to_and_all_that_the_csms_asks():
    afterthoughts = Afterthoughts()
    one = Choosy(afterthoughts)
    for at_once in (False, True):  # alone, which goes the short way, and several together
        one.lines.clear()
        asked = [b'[2,"h","Heartbeat",{}]', b'[2,"m","MeterValues",{}]']
        answered = [b'[3,"h",{}]', b'[3,"m",{}]']
        if at_once:
            one.charger_says(*asked)
            one.csms_says(*answered)
        else:
            for call, reply in zip(asked, answered, strict=True):
                one.charger_says(call)
                one.csms_says(reply)
        one.csms_says(b'[2,"c","Reset",{}]')
        one.charger_says(b'[3,"c",{}]')
        afterthoughts.run()
        told = [line for line in one.lines if line.startswith("desk")]
        assert sorted(told) == ["desk: call c", "desk: call m", "desk: exchange c", "desk: exchange h"]
        assert len([line for line in one.lines if "<" in line]) == 6, "everything is relayed"


async def test_the_present_is_read_once_for_one_reading_of_the_loops_clock(monkeypatch):
    reads = itertools.count(1)
    moments = Moments(LoopClock(), lambda: next(reads))
    monkeypatch.setattr(moments, "_time", lambda: 5.0)
    assert moments.now() is moments.now()
    monkeypatch.setattr(moments, "_time", lambda: 5.001)
    assert moments.now().s == 5.001
    assert next(reads) == 4
