"""What both ends answer, to every action, held against the official schemas."""

import json
from importlib.resources import files
from typing import Any

import pytest
from bench_site import START, Bench, HungryCar, both, play

from simulators.csms_answers import Registrar, answers_16, answers_201
from simulators.evse import PlugState
from simulators.frame_schemas import InvalidFrameError, check_frame

PACKAGES = {"ocpp1.6": ("ocpp.v16", ""), "ocpp2.0.1": ("ocpp.v201", "Request")}
# What only a CSMS asks.
OF_THE_CSMS = {
    "ocpp1.6": "CancelReservation CertificateSigned ChangeAvailability ChangeConfiguration ClearCache "
    "ClearChargingProfile DeleteCertificate ExtendedTriggerMessage GetCompositeSchedule GetConfiguration "
    "GetDiagnostics GetInstalledCertificateIds GetLocalListVersion GetLog InstallCertificate RemoteStartTransaction "
    "RemoteStopTransaction ReserveNow Reset SendLocalList SetChargingProfile SignedUpdateFirmware TriggerMessage "
    "UnlockConnector UpdateFirmware",
    "ocpp2.0.1": "CancelReservation CertificateSigned ChangeAvailability ClearCache ClearChargingProfile "
    "ClearDisplayMessage ClearVariableMonitoring CostUpdated CustomerInformation DeleteCertificate GetBaseReport "
    "GetChargingProfiles GetCompositeSchedule GetDisplayMessages GetInstalledCertificateIds GetLocalListVersion GetLog "
    "GetMonitoringReport GetReport GetTransactionStatus GetVariables InstallCertificate PublishFirmware "
    "RequestStartTransaction RequestStopTransaction ReserveNow Reset SendLocalList SetChargingProfile "
    "SetDisplayMessage SetMonitoringBase SetMonitoringLevel SetNetworkProfile SetVariableMonitoring SetVariables "
    "TriggerMessage UnlockConnector UnpublishFirmware UpdateFirmware",
}


def schema(version: str, action: str) -> dict[str, Any]:
    package, suffix = PACKAGES[version]
    return json.loads((files(package) / "schemas" / f"{action}{suffix}.json").read_bytes().decode("utf-8-sig"))


def smallest(part: dict[str, Any], root: dict[str, Any]) -> Any:
    """The smallest instance of a schema: the required fields alone."""
    if "$ref" in part:
        return smallest(root["definitions"][part["$ref"].rpartition("/")[2]], root)
    if "enum" in part:
        return part["enum"][0]
    match part["type"]:
        case "object":
            return {name: smallest(part["properties"][name], root) for name in part.get("required", [])}
        case "array":
            return [smallest(part["items"], root)] * part.get("minItems", 1)
        case "string":
            return "2026-03-01T12:00:00Z" if part.get("format") == "date-time" else "x"
        case "boolean":
            return True
        case _:
            return 1


def actions(version: str) -> list[str]:
    package, suffix = PACKAGES[version]
    names = [path.name.removesuffix(".json") for path in (files(package) / "schemas").iterdir()]
    return sorted(name.removesuffix(suffix) for name in names if name.endswith(suffix) and "Response" not in name)


def registrar() -> Registrar:
    return Registrar(lambda: START, 300, {"bad"})


@both
def test_the_csms_answers_everything_that_a_charger_can_ask(version: str) -> None:
    answers = (answers_16 if version == "ocpp1.6" else answers_201)(registrar())
    asked = set(actions(version)) - set(OF_THE_CSMS[version].split())
    assert set(answers) == asked
    for action in sorted(asked):
        root = schema(version, action)
        reply = answers[action]("CP1", smallest(root, root))
        check_frame(version, json.dumps([3, "id", reply]), answered_action=action)


@both
def test_a_charger_answers_every_action_validly_whatever_it_is_asked(version: str) -> None:
    async def scene(table: Bench) -> None:
        await table.online()
        not_implemented = []
        for action in OF_THE_CSMS[version].split():
            root = schema(version, action)
            reply = await table.ask(action, smallest(root, root))
            assert reply.kind in ("result", "error"), action
            if reply.code == "NotImplemented":
                not_implemented.append(action)
            else:
                assert reply.kind == "result", (action, reply)
            await table.online()
        assert "SetChargingProfile" not in not_implemented
        assert "ReserveNow" in not_implemented
        assert (await table.ask("MakeCoffee", {})).code == "NotImplemented"
        assert table.charger.watch.violations == []
        assert table.charger.watch.checked > 20

    play(version, scene)


@both
def test_nonsense_is_answered_with_a_formation_error(version: str) -> None:
    async def scene(table: Bench) -> None:
        await table.online()
        for payload in ({}, {"connectorId": "x", "csChargingProfiles": 7}, {"evseId": 1, "chargingProfile": []}):
            reply = await table.ask("SetChargingProfile", payload)
            assert reply.code == ("FormationViolation" if version == "ocpp1.6" else "FormatViolation")
        assert len(table.charger.profiles) == 0

    play(version, scene)


def test_configuration_of_16() -> None:
    async def scene(table: Bench) -> None:
        await table.online()
        everything = (await table.ask("GetConfiguration", {})).payload
        keys = {one["key"]: one for one in everything["configurationKey"]}
        assert keys["SupportedFeatureProfiles"]["readonly"] is True
        assert keys["ChargingScheduleAllowedChargingRateUnit"]["value"] == "Current,Power"
        asked = {"key": ["MeterValueSampleInterval", "Nonsense"]}
        some = (await table.ask("GetConfiguration", asked)).payload
        assert some["unknownKey"] == ["Nonsense"]
        for key, value, status in (
            ("MeterValueSampleInterval", "10", "Accepted"),
            ("MeterValueSampleInterval", "-1", "Rejected"),
            ("NumberOfConnectors", "9", "Rejected"),
            ("Nonsense", "1", "NotSupported"),
            ("MeterValuesSampledData", "Current.Import,Frequency", "Rejected"),
            ("MeterValuesSampledData", "Voltage", "Accepted"),
        ):
            reply = await table.ask("ChangeConfiguration", {"key": key, "value": value})
            assert reply.payload == {"status": status}, key
        await table.live(40)
        table.evse.plug(HungryCar(), "tag")
        await table.live(5)
        table.csms.journal.clear()
        await table.live(60)
        samples = table.heard("MeterValues")
        assert len(samples) == 6
        assert {value["measurand"] for value in samples[0]["meterValue"][0]["sampledValue"]} == {"Voltage"}
        table.clean()

    play("ocpp1.6", scene)


def variable(name: str, component: str = "SmartChargingCtrlr", **more: Any) -> dict[str, Any]:
    instance = more.pop("instance", None)
    described = {"name": name} if instance is None else {"name": name, "instance": instance}
    return {"component": {"name": component}, "variable": described, **more}


def test_variables_of_201() -> None:
    async def scene(table: Bench) -> None:
        await table.online()
        asked = [
            variable("ProfileStackLevel"),
            variable("Entries", instance="ChargingProfiles"),
            variable("Nonsense"),
            variable("X", component="Nonsense"),
            variable("RateUnit", attributeType="Target"),
        ]
        reply = await table.ask("GetVariables", {"getVariableData": asked})
        shown = [(one["attributeStatus"], one.get("attributeValue")) for one in reply.payload["getVariableResult"]]
        assert shown == [
            ("Accepted", "8"),
            ("Accepted", "20"),
            ("UnknownVariable", None),
            ("UnknownComponent", None),
            ("NotSupportedAttributeType", None),
        ]
        wanted = [
            variable("TxUpdatedInterval", component="SampledDataCtrlr", attributeValue="10"),
            variable("ProfileStackLevel", attributeValue="99"),
            variable("Nonsense", attributeValue="1"),
        ]
        reply = await table.ask("SetVariables", {"setVariableData": wanted})
        statuses = [one["attributeStatus"] for one in reply.payload["setVariableResult"]]
        assert statuses == ["Accepted", "Rejected", "UnknownVariable"]
        assert table.charger.settings["SampledDataCtrlr.TxUpdatedInterval"].value == "10"
        await table.ask("GetBaseReport", {"requestId": 5, "reportBase": "FullInventory"})
        await table.live(5)
        reports = table.heard("NotifyReport")
        assert [report["seqNo"] for report in reports] == list(range(len(reports)))
        assert [report["tbc"] for report in reports] == [True] * (len(reports) - 1) + [False]
        names = [item["variable"]["name"] for report in reports for item in report["reportData"]]
        assert len(names) == len(table.charger.settings)
        table.clean()

    play("ocpp2.0.1", scene)


@both
def test_profiles_can_be_cleared_by_id_and_by_criteria(version: str) -> None:
    old = version == "ocpp1.6"

    def criteria(**fields: Any) -> dict[str, Any]:
        if old:
            return fields
        names = {"connectorId": "evseId"}
        return {"chargingProfileCriteria": {names.get(name, name): value for name, value in fields.items()}}

    async def scene(table: Bench) -> None:
        await table.online()
        for number, level in ((1, 0), (2, 1), (3, 2)):
            await table.limit(10 + number, profile_id=number, level=level)
        assert len(table.charger.profiles) == 3
        clear = {"id": 1} if old else {"chargingProfileId": 1}
        assert (await table.ask("ClearChargingProfile", clear)).payload["status"] == "Accepted"
        assert (await table.ask("ClearChargingProfile", clear)).payload["status"] == "Unknown"
        miss = criteria(chargingProfilePurpose="TxProfile", stackLevel=1)
        assert (await table.ask("ClearChargingProfile", miss)).payload["status"] == "Unknown"
        hit = criteria(connectorId=0, stackLevel=1)
        assert (await table.ask("ClearChargingProfile", hit)).payload["status"] == "Accepted"
        assert [one.profile_id for one in table.charger.profiles] == [3]
        assert (await table.ask("ClearChargingProfile", {})).payload["status"] == "Accepted"
        assert len(table.charger.profiles) == 0
        table.clean()

    play(version, scene)


def test_profiles_of_201_are_reported() -> None:
    async def scene(table: Bench) -> None:
        await table.online()
        await table.limit(10, profile_id=1, level=0)
        await table.limit(11, profile_id=2, level=1)
        ask = {"requestId": 3, "chargingProfile": {"stackLevel": 1}}
        assert (await table.ask("GetChargingProfiles", ask)).payload["status"] == "Accepted"
        await table.live(1)
        (report,) = table.heard("ReportChargingProfiles")
        assert [one["id"] for one in report["chargingProfile"]] == [2]
        assert (report["requestId"], report["evseId"], report["tbc"]) == (3, 0, False)
        none = {"requestId": 4, "chargingProfile": {"chargingLimitSource": ["EMS"]}}
        assert (await table.ask("GetChargingProfiles", none)).payload["status"] == "NoProfiles"
        table.clean()

    play("ocpp2.0.1", scene)


def tx_profile(version: str, transaction_id: str | None, amps: float) -> dict[str, Any]:
    schedule = {"chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": amps}]}
    base: dict[str, Any] = {"stackLevel": 0, "chargingProfilePurpose": "TxProfile", "chargingProfileKind": "Relative"}
    if transaction_id is not None:
        base["transactionId"] = int(transaction_id) if version == "ocpp1.6" else transaction_id
    if version == "ocpp1.6":
        return {"connectorId": 1, "csChargingProfiles": {"chargingProfileId": 5, **base, "chargingSchedule": schedule}}
    return {"evseId": 1, "chargingProfile": {"id": 5, **base, "chargingSchedule": [{"id": 1, **schedule}]}}


@both
def test_a_tx_profile_needs_its_transaction_and_ends_with_it(version: str) -> None:
    async def scene(table: Bench) -> None:
        await table.online()

        async def status(transaction_id: str | None) -> str:
            reply = await table.ask("SetChargingProfile", tx_profile(version, transaction_id, 9.0))
            return str(reply.payload["status"])

        assert await status(None) == "Rejected"
        table.evse.plug(HungryCar(), "tag")
        await table.live(3)
        number = table.evse.transaction_id
        assert number is not None
        assert [await status(None), await status("4242")] == ["Rejected", "Rejected"]
        assert await status(number) == "Accepted"
        await table.live(2)
        assert table.evse.current_a == 9.0
        table.evse.unplug()
        assert len(table.charger.profiles) == 0
        # With a remote start it comes without an id, and holds from the start.
        start = tx_profile(version, None, 7.0)
        if version == "ocpp1.6":
            ask, what = {"connectorId": 1, "idTag": "tag", "chargingProfile": start["csChargingProfiles"]}, "Remote"
            action = "RemoteStartTransaction"
        else:
            token = {"idToken": "tag", "type": "Central"}
            ask = {"evseId": 1, "idToken": token, "remoteStartId": 1, "chargingProfile": start["chargingProfile"]}
            action, what = "RequestStartTransaction", "Request"
        assert action.startswith(what)
        assert (await table.ask(action, ask)).payload["status"] == "Accepted"
        table.evse.plug(HungryCar(), None)
        await table.live(3)
        assert table.evse.current_a == 7.0
        table.clean()

    play(version, scene)


@both
def test_triggers(version: str) -> None:
    async def scene(table: Bench) -> None:
        await table.online()
        table.csms.journal.clear()
        for message, status in (
            ("Heartbeat", "Accepted"),
            ("StatusNotification", "Accepted"),
            ("MeterValues", "Accepted"),
            ("FirmwareStatusNotification", "NotImplemented"),
            ("BootNotification", "Accepted" if version == "ocpp1.6" else "Rejected"),
        ):
            reply = await table.ask("TriggerMessage", {"requestedMessage": message})
            assert reply.payload == {"status": status}, message
        await table.live(2)
        heard = [one.action for one in table.csms.journal]
        expected = ["Heartbeat", "StatusNotification", "MeterValues"]
        assert heard == ([*expected, "BootNotification"] if version == "ocpp1.6" else expected)
        table.clean()

    play(version, scene)


@both
def test_out_of_service_and_back(version: str) -> None:
    async def scene(table: Bench) -> None:
        await table.online()

        async def change(operative: bool) -> str:
            word = "Operative" if operative else "Inoperative"
            payload = {"connectorId": 1, "type": word} if version == "ocpp1.6" else {"operationalStatus": word}
            return str((await table.ask("ChangeAvailability", payload)).payload["status"])

        assert await change(False) == "Accepted"
        await table.live(1)
        assert table.csms.states["CP 001", 1] == "Unavailable"
        table.evse.plug(HungryCar(), "tag")
        await table.live(5)
        assert table.evse.current_a == 0.0
        assert await change(True) == "Accepted"
        assert table.evse.state is PlugState.PREPARING
        table.evse.unplug()
        table.evse.plug(HungryCar(), "tag")
        await table.live(5)
        assert table.evse.current_a == 32.0
        assert await change(False) == "Rejected"
        table.clean()

    play(version, scene)


@both
def test_vendor_messages_come_back_as_they_went(version: str) -> None:
    async def scene(table: Bench) -> None:
        await table.online()
        data = 'Grüße "✓" \\ / \u2028'
        reply = await table.ask("DataTransfer", {"vendorId": "headroom.echo", "data": data})
        assert reply.payload == {"status": "Accepted", "data": data}
        assert (await table.ask("DataTransfer", {"vendorId": "x"})).payload["status"] == "UnknownVendorId"
        table.clean()

    play(version, scene)


@pytest.mark.parametrize(
    ("frame", "answered", "wrong"),
    [
        ('[2,"i","Heartbeat",{"extra":1}]', None, "extra"),
        ('[2,"i","MakeCoffee",{}]', None, "no message MakeCoffee"),
        ('[2,"","Heartbeat",{}]', None, "message id"),
        (f'[2,"{"x" * 37}","Heartbeat",{{}}]', None, "message id"),
        ('[3,"i",{}]', "Heartbeat", "currentTime"),
        ('[3,"i",{"currentTime":"2026-03-01 12:00"}]', "Heartbeat", "date-time"),
        ('[4,"i","FormatViolation","",{}]', None, "CALLERROR code"),
        ('[3,"i",{}]', None, "not a frame"),
        ('[9,"i"]', None, "not a frame"),
    ],
)
def test_the_schema_check_sees_what_is_wrong(frame: str, answered: str | None, wrong: str) -> None:
    with pytest.raises(InvalidFrameError, match=wrong):
        check_frame("ocpp1.6", frame, answered)


@pytest.mark.parametrize("tenths", range(1, 400, 7))
def test_one_decimal_passes_and_two_do_not(tenths: int) -> None:
    """Plain floats reject 86 of 270 good values here."""
    frame = (
        '[2,"i","SetChargingProfile",{"connectorId":0,"csChargingProfiles":{"chargingProfileId":1,"stackLevel":0,'
        '"chargingProfilePurpose":"ChargePointMaxProfile","chargingProfileKind":"Relative","chargingSchedule":'
        '{"chargingRateUnit":"A","chargingSchedulePeriod":[{"startPeriod":0,"limit":%s}]}}}]'
    )
    check_frame("ocpp1.6", frame % (tenths / 10))
    with pytest.raises(InvalidFrameError, match="multiple of"):
        check_frame("ocpp1.6", frame % f"{tenths / 10}5")
