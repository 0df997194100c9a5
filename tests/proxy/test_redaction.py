"""What is kept of a message holds no secret and names nobody; the official schemas say where such things stand."""

import json
import re
from pathlib import Path
from typing import Any

import ocpp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.protocol.policy import POLICY
from proxy.protocol.redaction import Redactor

SENTINEL = "Zx81sentinel"
SCHEMAS = sorted(Path(ocpp.__file__).parent.glob("v*/schemas/*.json"))
TOUCHY = re.compile(
    r"password|simPin|apnUserName|^user$|idTag|idToken$|emaid|customerIdentifier|vatNumber|personalMessage|iccid|imsi"
    r"|exiRe|signedMeterData|^address|receiptUrl|^evInverterSerialNumber$",
    re.IGNORECASE,
)


def action_of(schema: Path) -> str:
    return re.sub(r"(Request|Response)$", "", schema.stem)


def fill(schema: dict[str, Any], root: dict[str, Any], path: tuple[str, ...]) -> Any:
    """An instance with every property, and the sentinel in each text whose name is touchy."""
    if "$ref" in schema:
        schema = root["definitions"][schema["$ref"].rsplit("/", 1)[-1]]
    kind = schema.get("type")
    if kind == "object" or "properties" in schema:
        inside = {} if len(path) > 9 else schema.get("properties", {})
        return {name: fill(part, root, (*path, name)) for name, part in inside.items()}
    if kind == "array":
        return [fill(schema["items"], root, path)] if isinstance(schema.get("items"), dict) else []
    if kind == "string" and "enum" not in schema:
        return SENTINEL if TOUCHY.search(path[-1]) else "plain"
    return schema.get("enum", [{"integer": 7, "number": 1.5, "boolean": True}.get(kind, "plain")])[0]


@pytest.mark.parametrize("file", SCHEMAS, ids=lambda file: f"{file.parts[-3]}-{file.stem}")
def test_nothing_touchy_of_any_official_message_is_kept(file: Path):
    schema = json.loads(file.read_text(encoding="utf-8-sig"))
    payload = fill(schema, schema, ("",))
    kept = Redactor(b"salt").payload(action_of(file), json.dumps(payload).encode())
    assert kept is not None
    assert SENTINEL.encode() not in kept
    assert set(json.loads(kept)) == set(payload)


def test_the_schemas_do_hold_touchy_things():
    found = 0
    for file in SCHEMAS:
        schema = json.loads(file.read_text(encoding="utf-8-sig"))
        found += SENTINEL in json.dumps(fill(schema, schema, ("",)))
    assert found > 40


def kept(action: str, payload: object) -> Any:
    found = Redactor(b"salt").payload(action, json.dumps(payload).encode())
    assert found is not None
    return json.loads(found)


def setting(component: str, variable: str) -> dict[str, object]:
    return {"component": {"name": component}, "variable": {"name": variable}}


HIDDEN = [
    ("ChangeConfiguration", {"key": "AuthorizationKey", "value": SENTINEL}),
    ("ChangeConfiguration", {"key": "Wifi.Password", "value": SENTINEL}),
    ("ChangeConfiguration", {"key": "SimPIN", "value": SENTINEL}),
    ("GetConfiguration", {"configurationKey": [{"key": "authorizationkey", "readonly": False, "value": SENTINEL}]}),
    (
        "SetVariables",
        {"setVariableData": [setting("SecurityCtrlr", "BasicAuthPassword") | {"attributeValue": SENTINEL}]},
    ),
    ("GetVariables", {"getVariableResult": [setting("X", "ApiKey") | {"attributeValue": SENTINEL}]}),
    (
        "NotifyReport",
        {"reportData": [setting("NetworkConfiguration", "VpnPassword") | {"variableAttribute": [{"value": SENTINEL}]}]},
    ),
    ("NotifyEvent", {"eventData": [setting("X", "Password") | {"actualValue": SENTINEL}]}),
    ("GetDiagnostics", {"location": f"ftp://user:{SENTINEL}@ftp.example/in"}),
    ("GetLog", {"log": {"remoteLocation": f"https://logs.example/in?token={SENTINEL}"}}),
    ("UpdateFirmware", {"location": f"sftp://{SENTINEL}@host/x"}),
    ("DataTransfer", {"vendorId": "x", "data": SENTINEL}),
    (
        "InstallCertificate",
        {"certificate": f"-----BEGIN EC PRIVATE KEY-----\n{SENTINEL}\n-----END EC PRIVATE KEY-----"},
    ),
    ("VendorThing", {"deep": [{"IDTAG": SENTINEL, "sharedSecret": SENTINEL}]}),
    ("VendorThing", {"\u0069dTag": SENTINEL}),
    ("MeterValues", {"meterValue": [{"sampledValue": [{"format": "SignedData", "value": SENTINEL}]}]}),
    ("GetTariffs", {"tariffAssignments": [{"idTokens": [SENTINEL]}]}),
    ("Authorize", {"idToken": {"idToken": SENTINEL, "type": "eMAID"}, "certificate": SENTINEL}),
]


@pytest.mark.parametrize(("action", "payload"), HIDDEN)
def test_secrets_and_names_are_taken_out_wherever_they_stand(action, payload):
    assert SENTINEL not in json.dumps(kept(action, payload))


def test_an_escape_hides_nothing():
    payload = json.dumps({"idTag": SENTINEL}).replace("idTag", "\\u0069\\u0064Tag").encode()
    assert SENTINEL.encode() not in Redactor(b"salt").payload("VendorThing", payload)


HARMLESS = [
    ("ChangeConfiguration", {"key": "MeterValueSampleInterval", "value": "10"}),
    ("ChangeConfiguration", {"key": "AuthorizationKeyMaxLength", "value": "40"}),
    ("StatusNotification", {"connectorId": 1, "status": "Charging", "errorCode": "NoError"}),
    ("SetVariables", {"setVariableData": [setting("TokenReader", "Enabled") | {"attributeValue": "true"}]}),
    ("GetLog", {"log": {"remoteLocation": "https://logs.example/in"}}),
    ("SignCertificate", {"csr": "-----BEGIN CERTIFICATE REQUEST-----\nabc"}),
]


@pytest.mark.parametrize(("action", "payload"), HARMLESS)
def test_what_is_no_secret_is_kept(action, payload):
    assert kept(action, payload) == payload


def test_the_same_person_has_the_same_mark_at_one_site_and_another_elsewhere():
    one, other = Redactor(b"one"), Redactor(b"other")
    first = json.loads(one.payload("Authorize", b'{"idTag":"ABC"}'))["idTag"]
    assert json.loads(one.payload("StartTransaction", b'{"idTag":"ABC"}'))["idTag"] == first
    assert one.mark("ABD") != first
    assert other.mark("ABC") != first
    assert first.startswith("[id ")


@pytest.mark.parametrize("payload", [b"", b"{", b"\xff", b'{"a":1}}', b"[" * 5000, b'{"idTag": tru}'])
def test_what_cannot_be_read_is_not_kept(payload: bytes):
    assert Redactor(b"salt").payload("Authorize", payload) is None


def test_nothing_of_an_unknown_reply_is_kept():
    assert Redactor(b"salt").payload(None, b"{}") is None


NAMES = st.sampled_from(["idTag", "IdToken", "password", "value", "key", "data", "x", "component", "variable", "url"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES | st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
ACTIONS = st.sampled_from([*sorted({action for table in POLICY.values() for action in table}), "Vendor"])


@settings(max_examples=300, deadline=None)
@given(ACTIONS, st.dictionaries(NAMES | st.text(max_size=8), VALUES, max_size=5), st.text(min_size=5, max_size=12))
def test_any_message_keeps_its_shape_and_loses_its_tag(action, payload, tag):
    tag = f"tag<{tag}>"
    payload = {**payload, "idTag": tag}
    found = Redactor(b"salt").payload(action, json.dumps(payload).encode())
    if found is not None:  # a number that is too large to be read is a reason to keep nothing
        assert list(json.loads(found)) == list(payload)
        assert json.dumps(tag)[1:-1].encode() not in found
        assert tag.encode() not in found
