"""Files that cannot be used are refused with a sentence; those that can are used as OCPP asks."""

import os
from pathlib import Path

import pytest
from certificate_world import DAY, NOW, Authority, new_key
from certificate_world import serial as serial_of
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from proxy.certificates import (
    CertificateError,
    ClientAuthority,
    KeyPair,
    PeerCertificate,
    check_pair,
    client_context,
    server_context,
)
from proxy.revocation import Revocations
from proxy.tls_files import ClientTls, ServerTls


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def peer(pair: KeyPair) -> PeerCertificate:
    return PeerCertificate.of(x509.load_pem_x509_certificate(Path(pair.certificate).read_bytes()))


def test_a_good_pair_is_good(authority: Authority):
    pair = authority.issue("proxy", server=True)
    assert check_pair(pair, NOW).serial_number == serial_of(pair)


def bad_pairs(authority: Authority) -> dict[str, KeyPair]:
    good, other = authority.issue("good", server=True), authority.issue("other", server=True)
    garbage, locked = authority.folder / "garbage.pem", authority.folder / "locked.key"
    garbage.write_text("-----BEGIN NOTHING-----")
    secret = serialization.BestAvailableEncryption(b"secret")
    locked.write_bytes(new_key().private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, secret))
    return {
        "expired": authority.issue("old", begins=-3 * DAY, ends=-DAY),
        "valid only from": authority.issue("young", begins=DAY),
        "1024 bits": authority.issue("weak", kind="1024"),
        "is not the key of": KeyPair(good.certificate, other.key),
        "pass phrase": KeyPair(good.certificate, str(locked)),
        "cannot be read": KeyPair(good.certificate, "nowhere.key"),
        "no certificate": KeyPair(str(garbage), good.key),
        "no private key": KeyPair(good.certificate, str(garbage)),
    }


def test_what_cannot_be_used_is_named_with_its_file(authority: Authority):
    for sentence, pair in bad_pairs(authority).items():
        for use in (
            lambda pair=pair: check_pair(pair, NOW),
            lambda pair=pair: server_context([pair], None, NOW),
            lambda pair=pair: client_context(None, pair, NOW),
        ):
            with pytest.raises(CertificateError, match=sentence) as caught:
                use()
            assert str(caught.value).startswith(("'" + pair.certificate, "'" + pair.key))


def test_an_authority_that_has_expired_is_refused(authority: Authority):
    with pytest.raises(CertificateError, match="expired"):
        client_context(authority.file, None, NOW + 400 * DAY)


def test_the_suites_are_those_that_ocpp_demands(authority: Authority):
    """A00.FR.317, 421; and nothing without authentication or encryption, nor older than TLS 1.2."""
    context = server_context([authority.issue("proxy", server=True)], None, NOW)
    suites = {suite["name"] for suite in context.get_ciphers()}
    assert suites >= {
        "ECDHE-ECDSA-AES128-GCM-SHA256",
        "ECDHE-ECDSA-AES256-GCM-SHA384",
        "AES128-GCM-SHA256",
        "AES256-GCM-SHA384",
    }
    assert all(suite["aead"] for suite in context.get_ciphers())


def test_whose_certificate_it_is(authority: Authority):
    found = peer(authority.issue("CP001", organization="Example"))
    assert found.objection("CP001", None) is None
    assert found.objection("CP001", "Example") is None
    assert "'CP001'" in found.objection("CP002", None)
    assert "organization" in found.objection("CP001", "Another")


def test_a_new_certificate_of_the_csms_is_taken_where_the_authority_is_ours(authority: Authority, tmp_path: Path):
    ours = ClientAuthority(authority.file, NOW)
    other = Authority(tmp_path, "other")
    text = Path(authority.issue("CP001").certificate).read_text()
    assert ours.would_take(text, "CP001", None, NOW)
    assert not ours.would_take(text, "CP002", None, NOW)
    assert not ours.would_take(text, "CP001", "Example", NOW)
    assert not ours.would_take(text, "CP001", None, NOW + 400 * DAY)
    assert not ours.would_take(Path(other.issue("CP001").certificate).read_text(), "CP001", None, NOW)
    assert not ours.would_take("nonsense", "CP001", None, NOW)


def touch(file: str) -> None:
    """Another modification time, also where the file system counts coarsely."""
    status = Path(file).stat()
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns + 1_000_000_000))


def test_a_list_of_the_authority_is_read_again_when_it_changes(authority: Authority):
    one, two = authority.issue("CP001"), authority.issue("CP002")
    file = authority.crl(one)
    revoked = Revocations(file, [authority.certificate])
    assert (revoked.covers(peer(one)), revoked.covers(peer(two))) == (True, False)
    assert not revoked.refresh()
    authority.crl(one, two)
    touch(file)
    assert revoked.refresh()
    assert revoked.covers(peer(two))
    Path(file).write_text("not hexadecimal")
    with pytest.raises(CertificateError, match="line 1"):
        revoked.refresh()
    assert revoked.covers(peer(two))


def test_a_list_that_somebody_else_has_signed_is_refused(authority: Authority, tmp_path: Path):
    other = Authority(tmp_path, "other")
    with pytest.raises(CertificateError, match="none of the client authorities"):
        Revocations(other.crl(other.issue("CP001")), [authority.certificate])


def test_serial_numbers_may_be_written_down_by_hand(authority: Authority, tmp_path: Path):
    one, two = authority.issue("CP001"), authority.issue("CP002")
    digits = f"{serial_of(one):040x}"
    colons = ":".join(digits[at : at + 2] for at in range(0, 40, 2))
    file = tmp_path / "serials.txt"
    file.write_text(f"# stolen in March\n{colons}  # CP001\n\n0xabc\n")
    revoked = Revocations(str(file), [])
    assert len(revoked) == 2
    assert (revoked.covers(peer(one)), revoked.covers(peer(two))) == (True, False)


def test_renewed_files_are_used_and_bad_ones_are_not(authority: Authority):
    pair = authority.issue("proxy", server=True)
    tls = ServerTls([pair], None, NOW)
    assert not tls.refresh(NOW)
    authority.issue("proxy", server=True)
    touch(pair.certificate)
    assert tls.refresh(NOW)
    Path(pair.key).write_text("oops")
    with pytest.raises(CertificateError):
        tls.refresh(NOW)


def test_a_client_goes_on_with_the_old_pair_where_the_new_one_is_bad(authority: Authority):
    tls = ClientTls(authority.file, lambda: NOW)
    pair = authority.issue("CP001")
    first = tls.context(pair)
    assert tls.context(pair) is first
    authority.issue("CP001")
    touch(pair.certificate)
    second = tls.context(pair)
    assert second is not first
    Path(pair.key).unlink()
    assert tls.context(pair) is second
    with pytest.raises(CertificateError):
        ClientTls(authority.file, lambda: NOW).context(pair)
