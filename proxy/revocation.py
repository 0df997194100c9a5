"""Client certificates that are not taken any more: a list in a file, read again when it changes."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa

from proxy.certificates import CertificateError, PeerCertificate, read_file

_PEM: Final = re.compile(rb"-----BEGIN X509 CRL-----.+?-----END X509 CRL-----", re.DOTALL)
_SERIAL: Final = re.compile(r"(?:0x)?([0-9a-fA-F]{1,40})")
_Entry = tuple[bytes | None, int]


class Revocations:
    """The list of one site.

    The file is a CRL (PEM, several of them, or DER), each signed by one of `authorities`, or a text with one serial
    number a line, in hexadecimal, colons allowed, `#` before a remark.

    Raises:
        CertificateError: the file cannot be used.
    """

    def __init__(self, file: str, authorities: Sequence[x509.Certificate]) -> None:
        self._file, self._authorities = file, authorities
        self._state: tuple[int, int] | None = None
        self._entries: frozenset[_Entry] = frozenset()
        self.refresh()

    def __len__(self) -> int:
        return len(self._entries)

    def covers(self, certificate: PeerCertificate) -> bool:
        """Whether this certificate is revoked."""
        return (certificate.issuer, certificate.serial) in self._entries or (None, certificate.serial) in self._entries

    def refresh(self) -> bool:
        """Read the file again if it has changed; whether it had. With `CertificateError` the old list stays."""
        try:
            found = Path(self._file).stat()
        except OSError as error:
            raise CertificateError(self._file, f"cannot be read: {error.strerror or error}") from None
        state = (found.st_mtime_ns, found.st_size)
        if state == self._state:
            return False
        self._entries = frozenset(self._read())
        self._state = state
        return True

    def _read(self) -> list[_Entry]:
        content = read_file(self._file)
        blocks = _PEM.findall(content)
        if blocks:
            return [entry for block in blocks for entry in self._of_list(x509.load_pem_x509_crl, block)]
        if content.startswith(b"\x30"):
            return self._of_list(x509.load_der_x509_crl, content)
        return self._of_text(content)

    def _of_list(self, load: object, content: bytes) -> list[_Entry]:
        assert callable(load)
        try:
            revoked: x509.CertificateRevocationList = load(content)
        except ValueError:
            raise CertificateError(self._file, "holds a CRL that cannot be read") from None
        if not any(_signed(revoked, authority) for authority in self._authorities):
            raise CertificateError(self._file, "holds a CRL that none of the client authorities has signed")
        issuer = revoked.issuer.public_bytes()
        return [(issuer, entry.serial_number) for entry in revoked]

    def _of_text(self, content: bytes) -> list[_Entry]:
        found: list[_Entry] = []
        for number, line in enumerate(content.decode(errors="replace").splitlines(), start=1):
            text = line.partition("#")[0].replace(":", "").strip()
            if not text:
                continue
            serial = _SERIAL.fullmatch(text)
            if serial is None:
                message = f"line {number}: {text[:60]!a} is no serial number in hexadecimal (nor is the file a CRL)"
                raise CertificateError(self._file, message)
            found.append((None, int(serial[1], 16)))
        return found


def _signed(revoked: x509.CertificateRevocationList, authority: x509.Certificate) -> bool:
    key = authority.public_key()
    kinds = rsa.RSAPublicKey | ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | ed448.Ed448PublicKey
    if revoked.issuer != authority.subject or not isinstance(key, kinds):
        return False
    return revoked.is_signature_valid(key)
