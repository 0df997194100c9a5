"""An authority of our own for tests: certificates, keys and revocation lists as files."""

import datetime as dt
import ssl
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from headroom.clock import WallClock
from proxy.certificates import KeyPair

NOW = WallClock().now()
DAY = dt.timedelta(days=1)
PEM = serialization.Encoding.PEM


def new_key(kind: str = "ec"):
    return ec.generate_private_key(ec.SECP256R1()) if kind == "ec" else rsa.generate_private_key(65537, int(kind))


def name(common_name: str, organization: str | None = None) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    if organization is not None:
        parts.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    return x509.Name(parts)


@dataclass
class Authority:
    """Issues into `folder`. `file` is its own certificate."""

    folder: Path
    label: str = "ca"

    def __post_init__(self) -> None:
        self.key = new_key()
        self.certificate = self._build(name(f"Test {self.label}"), self.key.public_key(), ca=True)
        self.file = str(self.folder / f"{self.label}.pem")
        Path(self.file).write_bytes(self.certificate.public_bytes(PEM))

    def issue(
        self,
        common_name: str,
        *,
        kind: str = "ec",
        organization: str | None = None,
        server: bool = False,
        begins: dt.timedelta = -DAY,
        ends: dt.timedelta = 90 * DAY,
        label: str | None = None,
    ) -> KeyPair:
        """A pair of files, named after `label` or the common name."""
        key = new_key(kind)
        subject = name(common_name, organization)
        certificate = self._build(subject, key.public_key(), server=server, begins=begins, ends=ends)
        stem = label or common_name
        pair = KeyPair(str(self.folder / f"{stem}.pem"), str(self.folder / f"{stem}.key"))
        Path(pair.certificate).write_bytes(certificate.public_bytes(PEM))
        secret = key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        Path(pair.key).write_bytes(secret)
        return pair

    def crl(self, *pairs: KeyPair, file: str = "revoked.crl") -> str:
        """A revocation list with these, PEM."""
        builder = x509.CertificateRevocationListBuilder().issuer_name(self.certificate.subject)
        builder = builder.last_update(NOW - DAY).next_update(NOW + DAY)
        for pair in pairs:
            revoked = x509.RevokedCertificateBuilder().serial_number(serial(pair)).revocation_date(NOW - DAY)
            builder = builder.add_revoked_certificate(revoked.build())
        path = self.folder / file
        path.write_bytes(builder.sign(self.key, hashes.SHA256()).public_bytes(PEM))
        return str(path)

    def _build(
        self,
        subject: x509.Name,
        public_key,
        *,
        ca: bool = False,
        server: bool = False,
        begins: dt.timedelta = -DAY,
        ends: dt.timedelta = 90 * DAY,
    ) -> x509.Certificate:
        issuer = subject if ca else self.certificate.subject
        builder = x509.CertificateBuilder().subject_name(subject).issuer_name(issuer).public_key(public_key)
        builder = builder.serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(NOW + begins).not_valid_after(NOW + ends)
        builder = builder.add_extension(x509.BasicConstraints(ca, None), critical=True)
        if not ca:
            usage = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
            builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        if server:
            names = [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self.key, hashes.SHA256())


def serial(pair: KeyPair) -> int:
    return x509.load_pem_x509_certificate(Path(pair.certificate).read_bytes()).serial_number


def client_side(ca: str, pair: KeyPair | None = None, *, ciphers: str | None = None) -> ssl.SSLContext:
    """What a charger has: Python's own settings, not ours."""
    context = ssl.create_default_context(cafile=ca)
    if ciphers is not None:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers(ciphers)
    if pair is not None:
        context.load_cert_chain(pair.certificate, pair.key)
    return context
