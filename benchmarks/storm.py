"""2,000 chargers that connect at once: seconds until each of them has the answer to its first message.

Our proxy with its desks and the inventory's live state, HAProxy in HTTP mode, plain relays on `websockets` with uvloop
and on Node's `ws`; each a new process on one core for each round, chargers and CSMS on the other. Ours brings each
charger its fall-back limit meanwhile. With TLS: chargers speak it (1.3, a P-256 certificate), the CSMS does not.
"""

import ipaddress
import ssl
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from benchmarks._relay_fleet import Fleet, Wire
from benchmarks._relay_processes import free_all_descriptors, listen_overflows, relay, take_own_core
from benchmarks.report import Line, Measured
from headroom.clock import WallClock

CHARGERS = 2000
ROUNDS = 3
BAR_S: Final = 2.0
_PLAIN: Final = {"haproxy": "HAProxy", "websockets": "websockets", "node": "Node ws"}
_TLS: Final = {"haproxy": "HAProxy", "websockets": "websockets"}


def run() -> list[Line]:
    """Without TLS, and with it."""
    free_all_descriptors()
    take_own_core()
    with TemporaryDirectory() as folder:
        certificate = Path(folder, "relay.pem")
        certificate.write_bytes(_certificate())
        return [*_lines("", _PLAIN), *_lines(str(certificate), _TLS)]


def _lines(certificate: str, rivals: dict[str, str]) -> Iterator[Line]:
    seconds: dict[str, list[float]] = {name: [] for name in ("tap", *rivals)}
    limits, overflows = [], []
    for _ in range(ROUNDS):
        for name, figures in seconds.items():
            before = listen_overflows()
            taken_s, limited = _storm(name, certificate)
            figures.append(taken_s)
            if name == "tap":
                limits.append(float(limited))
                overflows.append(float(listen_overflows() - before))
    what = f"{CHARGERS} chargers at once{', TLS' if certificate else ''}"
    ours = Measured(tuple(seconds["tap"]))
    yield Line(f"{what}: every first reply", ours, None, "s", None if certificate else BAR_S)
    for name, title in rivals.items():
        yield Line(f"{what}: every first reply, over {title}", ours, Measured(tuple(seconds[name])), "s")
    yield Line(f"{what}: listen overflows", Measured(tuple(overflows)), None, "", 0.0)
    yield Line(
        f"{what}: chargers that have a limit of ours", Measured(tuple(limits)), None, "", CHARGERS, at_least=True
    )


def _storm(name: str, certificate: str) -> tuple[float, int]:
    """Seconds until the last first reply, and how many chargers have a limit half a second later."""
    wire = Wire()
    with ExitStack() as stack:
        fleet = Fleet(wire)
        stack.callback(fleet.close)
        started = stack.enter_context(relay(name, fleet.csms_port, CHARGERS, certificate))
        fleet.asks_when_in = True
        context = ssl.create_default_context(cafile=certificate) if certificate else None
        begun_s = perf_counter()
        fleet.connect(started.port, CHARGERS, context)
        wire.until(lambda: fleet.replies >= CHARGERS, 90, f"{name} answers all chargers ({fleet.refused} refused)")
        taken_s = perf_counter() - begun_s
        wire.rest(0.5)
        return taken_s, sum(charger.limits > 0 for charger in fleet.chargers)


def _certificate() -> bytes:
    """A certificate for this machine, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")]), WallClock().now()
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return signed.public_bytes(serialization.Encoding.PEM) + private
