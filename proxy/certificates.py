"""Certificates from files: judged before they are used, so that a bad one is a sentence at the start and not a riddle
at night; and the TLS settings that OCPP's security profiles 2 and 3 ask for.

[OCPP 1.6 security white paper ed. 3, A00.FR.312, 317, 320, 416, 421; OCPP 2.0.1 part 2, A00.FR.3xx and 4xx alike]
"""

import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key
from cryptography.x509.oid import NameOID

from domain.errors import HeadroomError

CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20:AES128-GCM-SHA256:AES256-GCM-SHA384"
"""For TLS 1.2: forward secrecy first, then the TLS_RSA suites that OCPP demands and that Python's default leaves out.
Those of TLS 1.3 are OpenSSL's own."""

LEAST_RSA_BITS: Final = 2048


class CertificateError(HeadroomError):
    """A certificate, key or list that cannot be used; the message names the file and says what to do."""

    def __init__(self, file: str, message: str) -> None:
        super().__init__(f"'{file}' {message}")


@dataclass(frozen=True, slots=True)
class KeyPair:
    """PEM files: a certificate with its chain, and its key."""

    certificate: str
    key: str


@dataclass(frozen=True, slots=True)
class PeerCertificate:
    """What a peer's certificate says of it, once TLS has verified its chain."""

    common_names: tuple[str, ...]
    organizations: tuple[str, ...]
    serial: int
    issuer: bytes
    """The issuer's name, DER."""

    @classmethod
    def of(cls, certificate: x509.Certificate) -> "PeerCertificate":
        """Read a certificate."""
        names = certificate.subject.get_attributes_for_oid
        return cls(
            tuple(str(name.value) for name in names(NameOID.COMMON_NAME)),
            tuple(str(name.value) for name in names(NameOID.ORGANIZATION_NAME)),
            certificate.serial_number,
            certificate.issuer.public_bytes(),
        )

    @classmethod
    def from_der(cls, der: bytes) -> "PeerCertificate | None":
        """Read what TLS hands out; None where it cannot be read."""
        try:
            return cls.of(x509.load_der_x509_certificate(der))
        except ValueError:
            return None

    def objection(self, common_name: str, organization: str | None) -> str | None:
        """Why this is not the certificate of the charger that it should be; None where it is [A00.FR.404, 405]."""
        if common_name not in self.common_names:
            return f"its certificate is for {' and '.join(map(ascii, self.common_names)) or 'nobody'}"
        if organization is not None and organization not in self.organizations:
            return f"its certificate is not of the organization {organization!a}"
        return None


def check_pair(pair: KeyPair, now: datetime) -> x509.Certificate:
    """The certificate of a pair that can be used now.

    Raises:
        CertificateError: a file is missing or no PEM, the certificate is expired, not valid yet or weak, or the key is
            not the certificate's.
    """
    leaf = read_certificates(pair.certificate)[0]
    _check_dates(leaf, pair.certificate, now)
    public = leaf.public_key()
    if isinstance(public, rsa.RSAPublicKey) and public.key_size < LEAST_RSA_BITS:
        raise CertificateError(
            pair.certificate, f"has an RSA key of {public.key_size} bits: OCPP asks for 2048 or more"
        )
    try:
        private = load_pem_private_key(read_file(pair.key), None)
    except TypeError:
        raise CertificateError(
            pair.key, "is locked with a pass phrase: store it without, readable for us only"
        ) from None
    except ValueError:
        raise CertificateError(pair.key, "holds no private key in PEM form") from None
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if private.public_key().public_bytes(*form) != public.public_bytes(*form):
        raise CertificateError(pair.key, f"is not the key of the certificate in '{pair.certificate}'")
    return leaf


def read_certificates(file: str) -> list[x509.Certificate]:
    """The certificates of a PEM file, at least one."""
    try:
        return x509.load_pem_x509_certificates(read_file(file))
    except ValueError:
        raise CertificateError(file, "holds no certificate in PEM form") from None


def read_authorities(file: str, now: datetime) -> list[x509.Certificate]:
    """The authorities of a PEM file; those that are expired are refused like any other."""
    found = read_certificates(file)
    for authority in found:
        _check_dates(authority, file, now)
    return found


def read_file(file: str) -> bytes:
    """A file's content; `CertificateError` where there is none to be had."""
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise CertificateError(file, f"cannot be read: {error.strerror or error}") from None


def _check_dates(certificate: x509.Certificate, file: str, now: datetime) -> None:
    if now > certificate.not_valid_after_utc:
        raise CertificateError(file, f"holds a certificate that expired at {certificate.not_valid_after_utc}: renew it")
    if now < certificate.not_valid_before_utc:
        since = certificate.not_valid_before_utc
        raise CertificateError(file, f"holds a certificate that is valid only from {since}: check this machine's clock")


def server_context(pairs: Sequence[KeyPair], client_ca: str | None, now: datetime) -> ssl.SSLContext:
    """TLS towards chargers. One pair with an RSA key and one with an ECDSA key serve all chargers [A00.FR.317].

    With `client_ca` a client certificate is asked for and has to be of that authority; whether a charger needs one is
    decided when it says who it is. `CertificateError` for files that cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _harden(context)
    context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    load_pairs(context, pairs, now)
    if client_ca is not None:
        read_authorities(client_ca, now)
        context.load_verify_locations(cafile=client_ca)
        context.verify_mode = ssl.CERT_OPTIONAL
    return context


def load_pairs(context: ssl.SSLContext, pairs: Sequence[KeyPair], now: datetime) -> None:
    """Use these from the next handshake on: all of them, or none where one is bad."""
    for pair in pairs:
        check_pair(pair, now)
    for pair in pairs:
        _load(context, pair)


def client_context(ca: str | None, pair: KeyPair | None, now: datetime) -> ssl.SSLContext:
    """TLS towards a CSMS, whose certificate and host name are verified, by `ca` in place of the system's roots.

    `CertificateError` for files that cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _harden(context)
    if ca is None:
        context.load_default_certs()
    else:
        read_authorities(ca, now)
        context.load_verify_locations(cafile=ca)
    if pair is not None:
        load_pairs(context, [pair], now)
    return context


def _harden(context: ssl.SSLContext) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION


def _load(context: ssl.SSLContext, pair: KeyPair) -> None:
    try:
        context.load_cert_chain(pair.certificate, pair.key, password="")
    except (ssl.SSLError, OSError) as error:
        raise CertificateError(pair.certificate, f"cannot be used: {error}") from None


class ClientAuthority:
    """Whose client certificates are taken."""

    def __init__(self, file: str, now: datetime) -> None:
        self.certificates = read_authorities(file, now)

    def would_take(self, chain: str, common_name: str, organization: str | None, now: datetime) -> bool:
        """Whether a charger could come in with this certificate, a PEM with its intermediate ones behind it."""
        try:
            leaf, *between = x509.load_pem_x509_certificates(chain.encode())
        except ValueError:
            return False
        current = leaf
        for issuer in between:
            if _issued(current, issuer):
                current = issuer
        in_time = leaf.not_valid_before_utc <= now <= leaf.not_valid_after_utc
        known = any(_issued(current, authority) for authority in self.certificates)
        return in_time and known and PeerCertificate.of(leaf).objection(common_name, organization) is None


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
