"""What a site file may ask of its chargers, and what it means."""

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.errors import SiteFileError
from domain.password import PasswordHash, PasswordHashError
from domain.security import ChargerSecurity, SiteSecurity
from domain.site import ClientCertificate
from inventory.site_file import parse_site

KEY = PasswordHash.of(b"0123456789abcdef", b"saltsalt").text

PLAIN = """\
site: cedar
timezone: America/Vancouver
csms: {url: "wss://csms.example/ocpp"%s}
feeders: [{id: main, rating_a: 100}]
chargers:
  - {id: CP001, evses: [{id: e1, connector: 1, feeder: main, phases: [A]}]}
  - {id: CP 2, evses: [{id: e2, connector: 1, feeder: main, phases: [A]}]}
%s
"""


def security(block: str) -> SiteSecurity:
    return parse_site(PLAIN % ("", block), "site.yaml").security


def test_without_a_word_nothing_is_asked():
    assert security("") == SiteSecurity()
    assert security("").of("CP001") == ChargerSecurity(profile=0)


def test_a_charger_may_be_asked_for_more_than_the_site():
    found = security(f"security: {{profile: 1, chargers: {{CP001: {{profile: 3, common_name: SN1, key: '{KEY}'}}}}}}")
    assert found.of("CP001") == ChargerSecurity(3, KEY, "SN1")
    assert found.of("CP 2") == ChargerSecurity(1)


@pytest.mark.parametrize(
    ("block", "field", "sentence"),
    [
        ("security: {profile: 4}", "security.profile", "at most 3"),
        ("security: {allow: [10.0.0.1/8]}", "security.allow", "host bits set"),
        ("security: {chargers: {CP01: {profile: 1}}}", "security.chargers.CP01", "did you mean 'CP001'"),
        ("security: {chargers: {CP001: {key: secret}}}", "security.chargers.CP001.key", "headroom key"),
        ("security: {messages_per_s: 0}", "security.messages_per_s", "more than 0"),
        ("message_log: {days: 0}", "message_log.days", "more than 0"),
    ],
)
def test_what_cannot_be_meant_is_named(block: str, field: str, sentence: str):
    with pytest.raises(SiteFileError) as caught:
        security(block)
    assert caught.value.field.startswith(field)
    assert sentence in str(caught.value)


def test_a_key_that_is_no_hash_is_not_repeated_in_the_error():
    with pytest.raises(SiteFileError) as caught:
        security("security: {chargers: {CP001: {key: 0123456789abcdef}}}")
    assert "0123456789" not in str(caught.value)


def test_a_pattern_names_each_chargers_certificate():
    tls = ', tls: {certificate: "certs/{identity}.pem", key: "certs/{identity}.key"}'
    site = parse_site(PLAIN % (tls, ""), "site.yaml")
    assert site.csms.tls is not None
    assert site.csms.tls.client is None
    assert site.csms.tls.chargers["CP 2"] == ClientCertificate("certs/CP 2.pem", "certs/CP 2.key")


@pytest.mark.parametrize("sent", [b"\x01\x23\x45\x67\x89\xab\xcd\xef", b"0123456789ABCDEF", b"0123456789abcdef"])
def test_a_hexadecimal_key_is_taken_as_bytes_and_as_digits(sent: bytes):
    assert PasswordHash.parse(KEY).matches(sent)


@settings(max_examples=15, deadline=None)
@given(st.binary(min_size=1, max_size=7), st.binary(min_size=1, max_size=7), st.binary(min_size=8, max_size=16))
def test_a_password_and_no_other_matches(password: bytes, other: bytes, salt: bytes):
    """Shorter than a hexadecimal key, so that only equal bytes are the same password."""
    stored = PasswordHash.parse(PasswordHash.of(password, salt).text)
    assert stored.matches(password)
    assert stored.matches(other) == (other == password)


@settings(max_examples=200)
@given(st.text(max_size=60) | st.from_regex(r"scrypt:[0-9]{1,9}:[0-9]{1,3}:[0-9]{1,3}:[A-Za-z0-9+/=]*:[A-Za-z0-9+/=]*"))
def test_no_text_at_all_does_more_than_be_refused(text: str):
    with contextlib.suppress(PasswordHashError):
        PasswordHash.parse(text)
