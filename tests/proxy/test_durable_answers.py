"""What is kept here alone is said to be accepted once it would survive a crash, and not before."""

import asyncio
import dataclasses
import json

import pytest
from csms_payloads import T0, set_payload
from mutants import Rig

from domain.events import CsmsProfilesChanged
from proxy.protocol.exchange import Side
from simulators import virtual_time


class Disk:
    """What is durable, and when. `error`: it does not do its work."""

    def __init__(self, rig: Rig, error: Exception | None = None) -> None:
        self._rig, self._error = rig, error
        self.turns, self.told_before = asyncio.Event(), -1

    async def durable(self) -> None:
        self.told_before = sum(isinstance(event, CsmsProfilesChanged) for event in self._rig.events)
        if self._error is not None:
            raise self._error
        await self.turns.wait()


def rig_with(error: Exception | None = None) -> tuple[Rig, Disk]:
    rig = Rig("ocpp1.6")
    disk = Disk(rig, error)
    rig.link._around = dataclasses.replace(rig.link._around, durable=disk.durable)
    return rig, disk


def asked(raw: bytes) -> list:
    return json.loads(raw)


async def settle(rig: Rig) -> None:
    """The charger accepts whatever it is asked."""
    answered: set[str] = set()
    for _ in range(50):
        await asyncio.sleep(0)
        for frame in map(asked, list(rig.charger_leg.sent)):
            if frame[0] == 2 and frame[1] not in answered:
                answered.add(frame[1])
                rig.say(Side.CHARGER, json.dumps([3, frame[1], {"status": "Accepted"}]).encode())


def at_csms(rig: Rig) -> list[list]:
    return [asked(raw) for raw in rig.csms_leg.sent]


def wanted(action: str, payload: dict, call_id: str) -> bytes:
    return json.dumps([2, call_id, action, payload]).encode()


HIGH = set_payload("ocpp1.6", "default", [(0, 8.0)], connector=1, number=7, level=90)


@pytest.mark.parametrize("ours_come_first", [True, False])
def test_an_answer_about_what_is_kept_here_waits_for_the_disk(ours_come_first):
    virtual_time.run(lambda: _waits_for_the_disk(ours_come_first), start=T0)


async def _waits_for_the_disk(ours_come_first: bool) -> None:
    rig, disk = rig_with()
    await settle(rig)
    rig.limit(16.0 if ours_come_first else 6.0)  # 6 A: ours respect it already, and nothing has to be written
    await settle(rig)
    rig.forget()
    rig.say(Side.CSMS, wanted("SetChargingProfile", HIGH, "a"))
    await settle(rig)
    assert disk.told_before == 1, "the shadow was told before the disk was asked"
    assert at_csms(rig) == []
    disk.turns.set()
    await settle(rig)
    assert at_csms(rig) == [[3, "a", {"status": "Accepted"}]]
    rig.say(Side.CSMS, wanted("ClearChargingProfile", {"id": 7}, "b"))
    disk.turns.clear()
    await settle(rig)
    assert disk.told_before == 2
    assert len(at_csms(rig)) == 1
    disk.turns.set()
    await settle(rig)
    assert at_csms(rig)[1:] == [[3, "b", {"status": "Accepted"}]]


def test_a_disk_that_fails_is_an_error_to_the_csms_and_nothing_reaches_the_charger():
    virtual_time.run(_fails, start=T0)


async def _fails() -> None:
    rig, _ = rig_with(OSError("no space left on device"))
    await settle(rig)
    rig.limit(16.0)
    await settle(rig)
    rig.forget()
    rig.say(Side.CSMS, wanted("SetChargingProfile", HIGH, "a"))
    await settle(rig)
    [reply] = at_csms(rig)
    assert reply[:3] == [4, "a", "InternalError"]
    assert all(asked(raw)[1] != "a" for raw in rig.charger_leg.sent)


def test_a_socket_that_ends_meanwhile_is_told_nothing():
    virtual_time.run(_ends, start=T0)


async def _ends() -> None:
    rig, disk = rig_with()
    await settle(rig)
    rig.limit(16.0)
    await settle(rig)
    rig.forget()
    rig.say(Side.CSMS, wanted("SetChargingProfile", HIGH, "a"))
    await settle(rig)
    rig.link._over = True
    disk.turns.set()
    await settle(rig)
    assert at_csms(rig) == []
