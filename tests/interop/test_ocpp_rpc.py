"""A whole session between peers that are not ours: npm's `ocpp-rpc`, strict, as charge point and as CSMS."""

import asyncio
import itertools
import json
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from charger_by_the_book import allowed_a, cap_16, cap_201
from needs import program

from domain.commands import ApplySetpoint
from domain.events import (
    CsmsLimitChanged,
    CsmsProfilesChanged,
    Event,
    EvseMetered,
    SessionEnded,
    SessionStarted,
    SetpointAccepted,
    SetpointRefused,
    SetpointSent,
)
from domain.ids import ChargerId, DecisionId, EvseId, FeederId
from domain.site import PHASES, Charger, Evse
from proxy.network import LoopNetwork
from proxy.protocol.desk import ChargerDesk
from proxy.protocol.policy import INTERCEPTED
from proxy.server import ChargerPlace, ProxyServer
from proxy.settings import ProxySettings

HERE = Path(__file__).parent
IDENTITY = "CP 001"
PASSWORD = "a secret of 20 chars"
EVSE = EvseId("P1-01")


@pytest.fixture(scope="module")
def node() -> str:
    """Node with the packages of package-lock.json."""
    found = program("node", "the interop tests with npm's ocpp-rpc need Node >= 20.19")
    if not (HERE / "node_modules" / "ocpp-rpc").is_dir():
        subprocess.run(["npm", "ci", "--no-audit", "--no-fund"], cwd=HERE, check=True, timeout=240)
    return found


class Peer:
    """A peer in a process of its own: what it said and heard, and its answers to what it was told to do."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.said: list[str] = []
        self.heard: list[str] = []
        self.faults: list[str] = []
        self.told: dict[str, object] = {}
        self.answers: dict[int, dict[str, object]] = {}
        self.numbers = itertools.count(1)
        self.reading = asyncio.get_running_loop().create_task(self.read())

    async def read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            thing = json.loads(line)
            if "raw" in thing:
                (self.said if thing["outbound"] else self.heard).append(thing["raw"])
            elif "fault" in thing:
                self.faults.append(thing["fault"])
            elif "n" in thing:
                self.answers[thing["n"]] = thing
            else:
                self.told.update(thing)

    def begin(self, method: str, params: dict[str, object]) -> int:
        assert self.process.stdin is not None
        number = next(self.numbers)
        self.process.stdin.write(json.dumps({"n": number, "method": method, "params": params}).encode() + b"\n")
        return number

    async def answer(self, number: int) -> dict[str, object]:
        await until(lambda: number in self.answers)
        assert "result" in self.answers[number], self.answers[number]
        return self.answers[number]["result"]

    async def call(self, method: str, params: dict[str, object]) -> dict[str, object]:
        return await self.answer(self.begin(method, params))

    async def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(b'{"close": true}\n')
        await asyncio.wait_for(self.process.wait(), 20)
        await self.reading


async def until(holds: Callable[[], object]) -> None:
    async with asyncio.timeout(20):
        while not holds():
            await asyncio.sleep(0.005)


@asynccontextmanager
async def peer(node: str, *arguments: str) -> AsyncIterator[Peer]:
    process = await asyncio.create_subprocess_exec(
        node,
        str(HERE / "peer.js"),
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=2**20,
    )
    one = Peer(process)
    try:
        yield one
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await one.reading


class WallClock:
    """ocpp-rpc reads the machine's clock, and so do we."""

    def __init__(self) -> None:
        self.offset = datetime.now(UTC).timestamp() - asyncio.get_running_loop().time()  # noqa: TID251 (a test's clock)

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.offset + asyncio.get_running_loop().time(), UTC)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class House:
    """A proxy with the real desk between the two."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        charger = ChargerId(IDENTITY)
        self.charger = Charger(charger, (Evse(EVSE, charger, 1, FeederId("main"), PHASES, failsafe_a=6.0),))
        self.csms_port = 0
        ids, tokens = itertools.count(1), itertools.count(1)
        self.proxy = ProxyServer(
            network=LoopNetwork(),
            clock=WallClock(),
            directory=lambda name: self.place if name == IDENTITY else None,
            publish=self.events.append,
            desk=lambda charger, version: ChargerDesk(charger, version, lambda: f"token-{next(tokens)}"),
            settings=ProxySettings(),
            new_id=lambda: f"7b1c0000-0000-4000-8000-{next(ids):012d}",
        )

    @property
    def place(self) -> ChargerPlace:
        return ChargerPlace(self.charger, f"ws://127.0.0.1:{self.csms_port}/ocpp")

    def told(self, kind: type) -> list[Event]:
        return [event for event in self.events if isinstance(event, kind)]

    def apply(self, limit_a: float, number: int, transaction_id: str) -> None:
        self.proxy.apply(
            ApplySetpoint(
                charger=ChargerId(IDENTITY),
                connector=1,
                evse=EVSE,
                limit_a=limit_a,
                failsafe_a=6.0,
                deadman_s=300.0,
                decision=DecisionId(f"d{number}"),
                at=datetime.now(UTC),  # noqa: TID251 (as the proxy's clock)
                urgent=True,
                transaction_id=transaction_id,
            )
        )


@asynccontextmanager
async def house(node: str, protocol: str, password: str = PASSWORD) -> AsyncIterator[tuple[House, Peer, Peer]]:
    here = House()
    async with peer(node, "csms", PASSWORD) as csms:
        await until(lambda: "port" in csms.told)
        here.csms_port = int(csms.told["port"])
        port = await here.proxy.listen("127.0.0.1", 0)
        try:
            endpoint = f"ws://127.0.0.1:{port}/ocpp"
            async with peer(node, "charger", endpoint, IDENTITY, protocol, password) as charger:
                await until(lambda: {"connected", "refused"} & set(charger.told))
                yield here, charger, csms
        finally:
            await here.proxy.close(5.0)


def stamp() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")  # noqa: TID251 (a peer's stamp)


def profile_16(limit_a: float) -> dict[str, object]:
    return {
        "connectorId": 1,
        "csChargingProfiles": {
            "chargingProfileId": 5,
            "stackLevel": 1,
            "chargingProfilePurpose": "TxDefaultProfile",
            "chargingProfileKind": "Relative",
            "chargingSchedule": {
                "chargingRateUnit": "A",
                "chargingSchedulePeriod": [{"startPeriod": 0, "limit": limit_a}],
            },
        },
    }


async def crossing(here: House, charger: Peer, csms: Peer, transaction: object, is_16: bool) -> None:
    """The CSMS's caps and the EMS's limits cross; at each stop the charger holds the lower of the two."""
    cap = cap_16 if is_16 else cap_201
    schedule, evse = ("chargingSchedule", "connectorId") if is_16 else ("schedule", "evseId")
    one = cap(9.0, 2, 61)
    # One that is lower than ours, one that stands above ours, and the clears of both.
    assert (await csms.call("SetChargingProfile", one))["status"] == "Accepted"
    assert allowed_a(charger.said, charger.heard, str(transaction), is_16=is_16) == 9.0
    reply = await csms.call("GetCompositeSchedule", {evse: 1, "duration": 3600})
    periods = reply[schedule]["chargingSchedulePeriod"]
    assert [period["limit"] for period in periods] == [9.0], "the dead-man step is not what is expected"
    assert (await csms.call("SetChargingProfile", cap(7.0, 50, 62)))["status"] == "Accepted"
    assert allowed_a(charger.said, charger.heard, str(transaction), is_16=is_16) == 7.0
    by_id = "id" if is_16 else "chargingProfileId"
    assert (await csms.call("ClearChargingProfile", {by_id: 62}))["status"] == "Accepted"
    await until(lambda: allowed_a(charger.said, charger.heard, str(transaction), is_16=is_16) == 9.0)
    here.apply(8.0, 2, str(transaction))
    await until(lambda: allowed_a(charger.said, charger.heard, str(transaction), is_16=is_16) == 8.0)
    everything = {} if is_16 else {"chargingProfileCriteria": {"chargingProfilePurpose": "ChargingStationMaxProfile"}}
    assert (await csms.call("ClearChargingProfile", everything))["status"] == "Accepted"
    assert (await csms.call("ClearChargingProfile", {by_id: 9001 if is_16 else 900001}))["status"] == "Unknown"
    here.apply(13.0, 1, str(transaction))
    await until(lambda: allowed_a(charger.said, charger.heard, str(transaction), is_16=is_16) == 13.0)


async def session_16(here: House, charger: Peer, csms: Peer) -> str:
    boot = await charger.call("BootNotification", {"chargePointVendor": "Vendor", "chargePointModel": "Model"})
    assert boot["status"] == "Accepted"
    status = {"connectorId": 1, "errorCode": "NoError", "status": "Preparing"}
    await charger.call("StatusNotification", status)
    await charger.call("Authorize", {"idTag": "TAG1"})
    begin = {"connectorId": 1, "idTag": "TAG1", "meterStart": 1200, "timestamp": stamp()}
    started = await charger.call("StartTransaction", begin)
    transaction = started["transactionId"]
    # The CSMS's profile and ours cross; meanwhile the charger goes on metering.
    theirs = csms.begin("SetChargingProfile", profile_16(20.0))
    here.apply(13.0, 1, str(transaction))
    asked = csms.begin("GetConfiguration", {"key": ["ChargeProfileMaxStackLevel"]})
    for current_a in (6.0, 12.9):
        value = {"value": str(current_a), "measurand": "Current.Import", "unit": "A", "phase": "L1"}
        meter_value = [{"timestamp": stamp(), "sampledValue": [value]}]
        await charger.call("MeterValues", {"connectorId": 1, "transactionId": transaction, "meterValue": meter_value})
    assert (await csms.answer(theirs))["status"] == "Accepted"
    (key,) = (await csms.answer(asked))["configurationKey"]
    assert key["value"] == "7", "the highest level is ours and not told"
    await until(lambda: here.told(SetpointAccepted))
    await crossing(here, charger, csms, transaction, is_16=True)
    await csms.call("RemoteStopTransaction", {"transactionId": transaction})
    await until(lambda: here.told(SetpointAccepted))
    stop = {"transactionId": transaction, "meterStop": 1500, "timestamp": stamp(), "reason": "Remote"}
    await charger.call("StopTransaction", stop)
    return str(transaction)


async def session_201(here: House, charger: Peer, csms: Peer) -> str:
    station = {"vendorName": "Vendor", "model": "Model"}
    boot = await charger.call("BootNotification", {"reason": "PowerUp", "chargingStation": station})
    assert boot["status"] == "Accepted"
    status = {"timestamp": stamp(), "connectorStatus": "Occupied", "evseId": 1, "connectorId": 1}
    await charger.call("StatusNotification", status)
    await charger.call("Authorize", {"idToken": {"idToken": "TAG1", "type": "ISO14443"}})
    transaction = "b3f1c2d4-0000-4000-8000-000000000001"

    async def event(kind: str, number: int, state: str, **more: object) -> None:
        info = {"transactionId": transaction, "chargingState": state}
        words = {"eventType": kind, "timestamp": stamp(), "triggerReason": "MeterValuePeriodic", "seqNo": number}
        await charger.call("TransactionEvent", {**words, "transactionInfo": info, **more})

    await event("Started", 0, "Charging", evse={"id": 1, "connectorId": 1})
    schedule = profile_16(20.0)["csChargingProfiles"]["chargingSchedule"]
    profile = {
        "id": 5,
        "stackLevel": 1,
        "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Relative",
        "chargingSchedule": [{"id": 1, **schedule}],
    }
    theirs = csms.begin("SetChargingProfile", {"evseId": 1, "chargingProfile": profile})
    here.apply(13.0, 1, transaction)
    variable = {"component": {"name": "SmartChargingCtrlr"}, "variable": {"name": "ProfileStackLevel"}}
    asked = csms.begin("GetVariables", {"getVariableData": [variable]})
    for number, current_a in enumerate((6.0, 12.9), start=1):
        sample = {"value": current_a, "measurand": "Current.Import", "phase": "L1"}
        await event("Updated", number, "Charging", meterValue=[{"timestamp": stamp(), "sampledValue": [sample]}])
    assert (await csms.answer(theirs))["status"] == "Accepted"
    (result,) = (await csms.answer(asked))["getVariableResult"]
    assert result["attributeValue"] == "7", "the highest level is ours and not told"
    await until(lambda: here.told(SetpointAccepted))
    await crossing(here, charger, csms, transaction, is_16=False)
    await csms.call("RequestStopTransaction", {"transactionId": transaction})
    await until(lambda: here.told(SetpointAccepted))
    await event("Ended", 3, "EVConnected")
    return transaction


@pytest.mark.parametrize(("protocol", "session"), [("ocpp1.6", session_16), ("ocpp2.0.1", session_201)])
async def test_a_session_between_strict_peers(node, protocol, session):
    async with house(node, protocol) as (here, charger, csms):
        assert charger.told["connected"] == protocol
        await charger.call("DataTransfer", {"vendorId": "org.example", "data": '{"quoted": "\\u00e4 1.50"}'})
        transaction = await session(here, charger, csms)
        await csms.call("DataTransfer", {"vendorId": "org.example", "messageId": "down"})
        await until(lambda: here.told(SessionEnded))
        await charger.close()
        await csms.close()

    # What one peer said the other heard, unchanged and in order; only what is ours is missing or added.
    ours = {raw for raw in charger.heard if '"7b1c0000-' in raw}
    replies_to_us = {raw for raw in charger.said if '"7b1c0000-' in raw}
    assert ours
    assert len(ours) == len(replies_to_us)
    frames = [json.loads(raw) for raw in (*charger.said, *csms.said, *charger.heard) if raw.startswith("[2,")]
    changed = {frame[1] for frame in frames if frame[2] in INTERCEPTED}
    for kind in ("[2,", "[3,", "[4,"):  # CALLs wait for their turn, replies do not

        def plain(raws: list[str], kind: str = kind) -> list[str]:
            return [raw for raw in raws if raw.startswith(kind) and json.loads(raw)[1] not in changed]

        assert plain([raw for raw in charger.said if raw not in replies_to_us]) == plain(csms.heard)
        assert plain([raw for raw in charger.heard if raw not in ours]) == plain(csms.said)
    # Both are strict: no frame broke a schema, none came unasked, and the charger never had two CALLs at once.
    assert charger.faults == csms.faults == []
    assert charger.told["busiest"] == 1

    (began,) = here.told(SessionStarted)
    assert (began.connector, began.transaction_id) == (1, transaction)
    accepted = [event for event in here.told(SetpointAccepted) if event.limit_a == 13.0]
    assert {event.evse for event in accepted} == {EVSE}
    assert here.told(CsmsProfilesChanged)
    assert here.told(SetpointSent)
    assert here.told(SetpointRefused) == []
    limits = [event.limit_a for event in here.told(CsmsLimitChanged)]
    assert limits[:1] == [20.0]
    assert {9.0, 7.0} <= set(limits)
    assert [event.sample.current_a for event in here.told(EvseMetered)] == [6.0, 12.9]
    assert len(here.told(SessionEnded)) == 1


@pytest.mark.parametrize("protocol", ["ocpp1.6", "ocpp2.0.1"])
async def test_a_wrong_password_is_the_csmss_to_refuse(node, protocol):
    async with house(node, protocol, "not the secret") as (here, charger, csms):
        assert (charger.told["refused"], charger.told["status"]) == ("Unauthorized", 401)
        assert here.proxy.counters.refused_by_csms == 1
        assert csms.heard == []
