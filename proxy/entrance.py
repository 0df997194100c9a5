"""Who is let in: what a charger has to prove before the CSMS is asked, and how it is told what was wrong.

Security profiles [OCPP 1.6 security white paper ed. 3, section 2; OCPP 2.0.1 part 2, A00]: 0 nothing, 1 a password,
2 TLS and a password, 3 TLS and a client certificate. What TLS itself verifies (chains, dates) is over when this begins.
"""

import asyncio
import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

from domain.ids import ChargerId
from domain.password import PasswordHash
from proxy.back_off import BackOff
from proxy.certificates import PeerCertificate
from proxy.revocation import Revocations

Network = IPv4Network | IPv6Network

_FREE_FAILURES: Final = 3
_FREE_OF_ADDRESS: Final = 30
"""A whole building may be behind one address: it is only held up where nobody behind it has proved anything."""
_FIRST_PAUSE_S: Final = 2.0
_LONGEST_PAUSE_S: Final = 300.0
_MOST_REMEMBERED: Final = 10_000


@dataclass(frozen=True, slots=True)
class EntryRules:
    """What is asked of one charger: see `domain.security`. `common_name` is the CN that its certificate must have."""

    profile: int = 0
    allow: tuple[Network, ...] = ()
    key: PasswordHash | None = None
    common_name: str | None = None
    organization: str | None = None
    revoked: Revocations | None = None


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who is at the door. `address` is the peer's, None where the network has none; `certificate` is verified.

    `unreadable`: a client certificate came that cannot be read.
    """

    address: IPv4Address | IPv6Address | None = None
    encrypted: bool = False
    certificate: PeerCertificate | None = None
    unreadable: bool = False
    authorization: tuple[str, ...] = field(default=(), repr=False)

    @property
    def profile(self) -> int:
        """The security profile that this connection amounts to."""
        if self.certificate is not None:
            return 3
        if self.authorization:
            return 2 if self.encrypted else 1
        return 0


@dataclass(frozen=True, slots=True)
class Objection:
    """Why not: the HTTP status and a sentence for a person. `retry_after_s` where trying again later may help."""

    status: int
    sentence: str
    retry_after_s: int | None = None


class Entrance:
    """Judges visitors, remembers failures, and checks passwords beside the loop.

    `now_s` is the loop's clock everywhere.
    """

    def __init__(self) -> None:
        self._of_charger = BackOff(_FREE_FAILURES, _FIRST_PAUSE_S, _LONGEST_PAUSE_S)
        self._of_address = BackOff(_FREE_OF_ADDRESS, _FIRST_PAUSE_S, _LONGEST_PAUSE_S)
        self._good_addresses: dict[object, None] = {}
        self._checked: dict[ChargerId, tuple[PasswordHash, bytes]] = {}
        self._secret = secrets.token_bytes(32)
        self._checking = asyncio.Semaphore(1)

    def objection(self, who: ChargerId, visitor: Visitor, rules: EntryRules, now_s: float) -> Objection | None:
        """What can be said at once; None where nothing speaks against this visitor yet."""
        held_up = self._held_up(who, visitor, now_s)
        if held_up is not None:
            return held_up
        if rules.allow and (visitor.address is None or not any(visitor.address in one for one in rules.allow)):
            return Objection(403, f"Chargers are not let in from {visitor.address}: see 'security: allow' of the site.")
        certificate = visitor.certificate
        if certificate is not None or visitor.unreadable:
            why = _wrong(certificate, who, rules)
            if why is not None:
                return Objection(403, f"Charger {who!a} is not let in: {why}.")
        if visitor.profile < rules.profile:
            only_the_password = rules.profile == 1 or (rules.profile == 2 and visitor.encrypted)
            return Objection(401 if only_the_password else 403, _too_little(who, visitor, rules.profile))
        return None

    async def checks_password(self, who: ChargerId, visitor: Visitor, key: PasswordHash) -> Objection | None:
        """Compare the password with its hash. The costly part runs in a thread, one at a time."""
        password = password_of(who, visitor.authorization)
        if password is not None:
            print_ = hmac.digest(self._secret, password, hashlib.sha256)
            known = self._checked.get(who)
            if known is not None and known[0] == key and hmac.compare_digest(known[1], print_):
                return None
            async with self._checking:
                if await asyncio.to_thread(key.matches, password):
                    self._checked[who] = (key, print_)
                    return None
        return Objection(401, f"Charger {who!a} has to send its identity and its own password (HTTP Basic).")

    def failed(self, who: ChargerId | None, visitor: Visitor, now_s: float) -> None:
        """A visitor could not prove itself, or nobody knows it (`who` is None)."""
        self._of_address.failed(visitor.address, now_s)
        if who is not None:
            self._of_charger.failed((visitor.address, who), now_s)

    def succeeded(self, who: ChargerId, visitor: Visitor) -> None:
        """It was let in."""
        self._of_charger.succeeded((visitor.address, who))
        self._good_addresses.pop(visitor.address, None)
        self._good_addresses[visitor.address] = None
        if len(self._good_addresses) > _MOST_REMEMBERED:
            del self._good_addresses[next(iter(self._good_addresses))]

    def _held_up(self, who: ChargerId, visitor: Visitor, now_s: float) -> Objection | None:
        wait_s = self._of_charger.wait_s((visitor.address, who), now_s)
        if visitor.address not in self._good_addresses:
            wait_s = max(wait_s, self._of_address.wait_s(visitor.address, now_s))
        if wait_s <= 0:
            return None
        return Objection(429, "Too many failed attempts to connect; try again later.", int(wait_s) + 1)


def password_of(who: ChargerId, authorization: Sequence[str]) -> bytes | None:
    """The password of an HTTP Basic header (RFC 7617) whose user is the charger's identity; None without one.

    It is bytes: a 1.6 key need not be text. An identity with a colon in it is told by its whole length.
    """
    if len(authorization) != 1:
        return None
    scheme, _, coded = authorization[0].strip().partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        credentials = base64.b64decode(coded.strip(), validate=True)
    except (binascii.Error, ValueError):
        return None
    user = f"{who}:".encode()
    return credentials[len(user) :] if credentials.startswith(user) else None


def address_of(peername: object) -> IPv4Address | IPv6Address | None:
    """The address of a transport's `peername`; IPv4 that came over IPv6 is IPv4."""
    if not isinstance(peername, tuple | list) or not peername:
        return None
    try:
        found = ip_address(str(peername[0]).partition("%")[0])
    except ValueError:
        return None
    return found.ipv4_mapped or found if isinstance(found, IPv6Address) else found


def _wrong(certificate: PeerCertificate | None, who: ChargerId, rules: EntryRules) -> str | None:
    if certificate is None:
        return "its client certificate cannot be read"
    why = certificate.objection(rules.common_name or who, rules.organization)
    if why is None and rules.revoked is not None and rules.revoked.covers(certificate):
        why = f"its client certificate (serial number {certificate.serial:x}) is revoked"
    return why


def _too_little(who: ChargerId, visitor: Visitor, profile: int) -> str:
    ask = {
        1: "it has to send a password (HTTP Basic)",
        2: "it has to connect with wss:// and send a password (HTTP Basic)",
        3: "it has to connect with wss:// and a client certificate",
    }[profile]
    return (
        f"Charger {who!a} has to use security profile {profile} or higher: {ask}. This was profile {visitor.profile}."
    )
