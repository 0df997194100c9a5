"""What the CSMS may not do to the charger's way to the proxy, and that all else passes."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ocpp.messages import CallResult, MessageType, get_validator

from proxy.protocol.cut_off import CutOffGuard, Leg, describe
from proxy.protocol.exchange import Call, Exchange, Side
from proxy.protocol.interception import Answered, Rewritten

NOW = datetime(2026, 3, 1, tzinfo=UTC)
HERE = Leg(profile=3, key_checked_here=True)
THERE = Leg(profile=1)


def call(action: str, payload: object) -> Call:
    return Call(Side.CSMS, "1", action, json.dumps(payload).encode(), NOW)


def variable(component: str, name: str, value: str = "1") -> dict[str, object]:
    return {"component": {"name": component}, "variable": {"name": name}, "attributeValue": value}


def valid(version: str, action: str, payload: dict[str, object]) -> None:
    """By the official schema of a result, not by ours."""
    get_validator(MessageType.CallResult, action, version.removeprefix("ocpp")).validate(payload)
    assert CallResult("1", payload, action).payload == payload


def ruling(version: str, action: str, payload: object, leg: Leg = HERE):
    guard = CutOffGuard(version, leg)
    assert guard.intercepts(Side.CSMS, action)
    return guard.rule(call(action, payload))


def change(key: str, value: str) -> dict[str, str]:
    return {"key": key, "value": value}


HASH = {"hashAlgorithm": "SHA256", "issuerNameHash": "aa", "issuerKeyHash": "bb", "serialNumber": "01"}
REFUSED = [
    ("ocpp1.6", "ChangeConfiguration", change("SecurityProfile", "2"), "Rejected"),
    ("ocpp1.6", "ChangeConfiguration", change("AuthorizationKey", "0123456789abcdef"), "Rejected"),
    ("ocpp1.6", "ChangeConfiguration", change("CentralSystemURL", "10.0.0.1"), "Rejected"),
    ("ocpp1.6", "ChangeConfiguration", change("centralSystemAddress", "csms.example"), "Rejected"),
    ("ocpp1.6", "ChangeConfiguration", change("BackendUrl", "csms.example"), "Rejected"),
    ("ocpp1.6", "ChangeConfiguration", change("OCPP.ServerHost", "csms.example"), "Rejected"),
    ("ocpp1.6", "ChangeConfiguration", change("Vendor.Setting17", "wss://csms.example/ocpp"), "Rejected"),
    ("ocpp1.6", "ChangeConfiguration", change("ChargeBoxIdentity", "CP9"), "Rejected"),
    ("ocpp1.6", "InstallCertificate", {"certificateType": "CentralSystemRootCertificate", "certificate": "x"}, ""),
    ("ocpp1.6", "CertificateSigned", {"certificateChain": "x"}, "Rejected"),
    ("ocpp1.6", "DeleteCertificate", {"certificateHashData": HASH}, "Failed"),
    ("ocpp2.0.1", "SetNetworkProfile", {"configurationSlot": 1, "connectionData": {}}, "Rejected"),
    ("ocpp2.0.1", "InstallCertificate", {"certificateType": "CSMSRootCertificate", "certificate": "x"}, "Rejected"),
    ("ocpp2.0.1", "CertificateSigned", {"certificateChain": "x"}, "Rejected"),
    ("ocpp2.0.1", "DeleteCertificate", {"certificateHashData": HASH}, "Failed"),
    ("ocpp2.1", "SetNetworkProfile", {"configurationSlot": 1, "connectionData": {}}, "Rejected"),
]


@pytest.mark.parametrize(("version", "action", "payload", "status"), REFUSED)
def test_what_would_cut_the_charger_off_goes_no_further(version, action, payload, status):
    found = ruling(version, action, payload)
    assert found is not None
    assert isinstance(found.verdict, Answered)
    answer = json.loads(found.verdict.payload)
    assert answer["status"] == (status or "Rejected")
    valid(version, action, answer)
    told = " ".join(describe(found.refusals))
    assert action in told
    assert str(payload.get("value", "no value")) not in told or len(payload["value"]) < 3


PASSING = [
    ("ocpp1.6", "ChangeConfiguration", change("SecurityProfile", "3"), HERE),
    ("ocpp1.6", "ChangeConfiguration", change("AuthorizationKey", "0123456789abcdef"), THERE),
    ("ocpp1.6", "ChangeConfiguration", change("MeterValueSampleInterval", "10"), HERE),
    ("ocpp1.6", "ChangeConfiguration", change("WebSocketPingInterval", "30"), HERE),
    ("ocpp1.6", "ChangeConfiguration", change("FirmwareServerURL", "https://fw.example"), HERE),
    ("ocpp1.6", "ChangeConfiguration", change("NtpServerUri", "pool.ntp.org"), HERE),
    ("ocpp1.6", "ChangeConfiguration", change("CpoName", "Example"), HERE),
    ("ocpp1.6", "InstallCertificate", {"certificateType": "ManufacturerRootCertificate", "certificate": "x"}, HERE),
    ("ocpp1.6", "InstallCertificate", {"certificateType": "CentralSystemRootCertificate", "certificate": "x"}, THERE),
    ("ocpp1.6", "CertificateSigned", {"certificateChain": "x"}, Leg(profile=2)),
    ("ocpp1.6", "DeleteCertificate", {"certificateHashData": HASH}, THERE),
    ("ocpp2.0.1", "InstallCertificate", {"certificateType": "V2GRootCertificate", "certificate": "x"}, HERE),
    ("ocpp2.0.1", "CertificateSigned", {"certificateChain": "x", "certificateType": "V2GCertificate"}, HERE),
    ("ocpp2.0.1", "SetVariables", {"setVariableData": [variable("AlignedDataCtrlr", "Interval")]}, HERE),
    ("ocpp2.0.1", "SetVariables", {"setVariableData": [variable("SecurityCtrlr", "BasicAuthPassword", "x")]}, THERE),
    ("ocpp2.0.1", "SetVariables", {"setVariableData": "nonsense"}, HERE),
]


@pytest.mark.parametrize(("version", "action", "payload", "leg"), PASSING)
def test_what_does_no_harm_passes(version, action, payload, leg):
    assert ruling(version, action, payload, leg) is None


def test_a_certificate_that_the_proxy_would_take_passes():
    leg = Leg(profile=3, accepts_certificate=lambda chain: chain == "ours")
    assert ruling("ocpp1.6", "CertificateSigned", {"certificateChain": "ours"}, leg) is None
    assert ruling("ocpp1.6", "CertificateSigned", {"certificateChain": "theirs"}, leg) is not None


def test_certificates_of_vehicles_may_be_deleted_once_the_charger_has_named_them():
    guard = CutOffGuard("ocpp2.0.1", HERE)
    delete = call("DeleteCertificate", {"certificateHashData": HASH})
    assert guard.rule(delete) is not None
    chain = {"certificateType": "V2GRootCertificate", "certificateHashData": HASH}
    reply = json.dumps({"status": "Accepted", "certificateHashDataChain": [chain]}).encode()
    guard.observe(Exchange(call("GetInstalledCertificateIds", {}), True, reply, NOW))
    assert guard.rule(delete) is None


NAMES = st.sampled_from(
    [
        ("OCPPCommCtrlr", "NetworkConfigurationPriority"),
        ("SecurityCtrlr", "BasicAuthPassword"),
        ("SecurityCtrlr", "Identity"),
        ("NetworkConfiguration", "OcppCsmsUrl"),
        ("OCPPCommCtrlr", "HeartbeatInterval"),
        ("SampledDataCtrlr", "TxUpdatedInterval"),
    ]
)
HARMLESS = {"HeartbeatInterval", "TxUpdatedInterval"}


@settings(max_examples=60, deadline=None)
@given(st.lists(NAMES, min_size=1, max_size=8))
def test_of_a_list_of_variables_the_harmless_go_on_and_each_gets_its_own_answer(names):
    """The charger answers what it got; the CSMS gets one result for each entry, in its own order."""
    guard = CutOffGuard("ocpp2.0.1", HERE)
    entries = [variable(component, name, "7") for component, name in names]
    asked = call("SetVariables", {"setVariableData": entries})
    found = guard.rule(asked)
    kept = [entry for entry in entries if entry["variable"]["name"] in HARMLESS]
    if len(kept) == len(entries):
        assert found is None
        return
    assert len(found.refusals) == len(entries) - len(kept)
    if kept:
        assert isinstance(found.verdict, Rewritten)
        assert json.loads(found.verdict.payload) == {"setVariableData": kept}
        results = [{**entry, "attributeStatus": "Accepted"} for entry in kept]
        for result in results:
            del result["attributeValue"]
        reply = guard.on_reply(asked, True, json.dumps({"setVariableResult": results}).encode())
    else:
        assert isinstance(found.verdict, Answered)
        reply = found.verdict
    answer = json.loads(reply.payload)
    valid("ocpp2.0.1", "SetVariables", answer)
    told = [(one["component"]["name"], one["variable"]["name"]) for one in answer["setVariableResult"]]
    assert told == names
    for one in answer["setVariableResult"]:
        assert (one["attributeStatus"] == "Accepted") == (one["variable"]["name"] in HARMLESS)


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=8,
)
FIELDS = ["key", "value", "setVariableData", "certificateType", "certificateHashData", "component", "variable"]


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(
        ["ChangeConfiguration", "SetVariables", "DeleteCertificate", "CertificateSigned", "SetNetworkProfile"]
    ),
    st.dictionaries(st.sampled_from(FIELDS), JSON_VALUES) | JSON_VALUES,
    JSON_VALUES,
)
def test_nonsense_raises_nothing(action, payload, reply):
    for version in ("ocpp1.6", "ocpp2.0.1", "ocpp2.1"):
        guard = CutOffGuard(version, HERE)
        asked = call(action, payload)
        guard.rule(asked)
        guard.on_reply(asked, True, json.dumps(reply).encode())
        guard.observe(Exchange(call("GetInstalledCertificateIds", {}), True, json.dumps(reply).encode(), NOW))
