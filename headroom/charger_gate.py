"""What the chargers of a site have to prove, from its file to the proxy's own terms."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from ipaddress import ip_network

import structlog

from domain.errors import HeadroomError
from domain.ids import ChargerId, SiteId
from domain.password import PasswordHash
from domain.ports import Clock
from domain.site import ClientCertificate, Site
from proxy.certificates import CertificateError, ClientAuthority, KeyPair, check_pair, read_authorities
from proxy.entrance import EntryRules
from proxy.protocol.cut_off import Leg
from proxy.revocation import Revocations
from proxy.server import ChargerPlace
from proxy.tls_files import ClientTls, ServerTls

log = structlog.get_logger()

LOOK_EVERY_S = 10.0
"""How often certificates and lists on the disk are looked at."""

_SOON = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class TlsOptions:
    """What `headroom serve` was given: files of the proxy's own certificates, and whose client certificates count."""

    pairs: tuple[KeyPair, ...] = ()
    client_ca: str | None = None


class SiteGate:
    """The rules of one site. `now` reads the clock; `authority` is whose client certificates are taken.

    Raises:
        HeadroomError: a file that the site names cannot be used; the message says which and why.
    """

    def __init__(self, site: Site, authority: ClientAuthority | None, now: Callable[[], datetime]) -> None:
        self._site, self._authority, self._now = site, authority, now
        try:
            self._revoked = self._revocations()
            tls = site.csms.tls
            self._client_tls = ClientTls(tls.ca if tls is not None else None, now)
            self._check_client_pairs()
        except CertificateError as error:
            raise HeadroomError(f"site '{site.id}': {error}") from None
        self._rules = {charger.id: self._rules_of(charger.id) for charger in site.chargers}

    def place(self, charger: ChargerId) -> ChargerPlace:
        """Where a charger of the site belongs, and how it gets there."""
        site, pair = self._site, self._pair(charger)
        return replace(
            ungated_place(site, charger),
            entry=self._rules[charger],
            csms_tls=lambda: self._client_tls.context(pair),
            messages=(site.security.messages_per_s, site.security.message_burst),
        )

    def leg(self, charger: ChargerId, profile: int) -> Leg:
        """The charger's way to the proxy, as far as the CSMS's commands could change it."""
        rules, authority = self._rules[charger], self._authority
        common_name, organization = rules.common_name or charger, rules.organization

        def accepts(chain: str) -> bool:
            return authority is not None and authority.would_take(chain, common_name, organization, self._now())

        return Leg(profile, rules.key is not None, accepts if authority is not None else None)

    def refresh(self) -> None:
        """Read the list of revoked certificates again if it has changed. `CertificateError`: the old one stays."""
        if self._revoked is not None and self._revoked.refresh():
            log.info("revocations_read", site=self._site.id, revoked=len(self._revoked))

    def _revocations(self) -> Revocations | None:
        file = self._site.security.revoked
        if file is None:
            return None
        return Revocations(file, self._authority.certificates if self._authority is not None else ())

    def _check_client_pairs(self) -> None:
        now, tls = self._now(), self._site.csms.tls
        if tls is None:
            return
        if tls.ca is not None:
            read_authorities(tls.ca, now)
        for pair in {_as_pair(one) for one in (tls.client, *tls.chargers.values()) if one is not None}:
            warn_if_old(pair, check_pair(pair, now).not_valid_after_utc, now)

    def _pair(self, charger: ChargerId) -> KeyPair | None:
        tls = self._site.csms.tls
        if tls is None:
            return None
        own = tls.chargers.get(charger, tls.client)
        return _as_pair(own) if own is not None else None

    def _rules_of(self, charger: ChargerId) -> EntryRules:
        security, own = self._site.security, self._site.security.of(charger)
        return EntryRules(
            profile=own.profile or 0,
            allow=tuple(ip_network(network) for network in security.allow),
            key=PasswordHash.parse(own.key) if own.key is not None else None,
            common_name=own.common_name,
            organization=security.organization,
            revoked=self._revoked,
        )


def ungated_place(site: Site, charger: ChargerId) -> ChargerPlace:
    """Where a charger belongs when nothing is asked of it."""
    csms = site.csms
    return ChargerPlace(
        site.charger(charger),
        csms.url,
        csms.outage,
        recognises_repeats=csms.recognises_repeats,
        fan_out_url=csms.fan_out_url,
    )


def open_gates(
    sites: Sequence[Site], options: TlsOptions, now: Callable[[], datetime]
) -> tuple[dict[SiteId, SiteGate], ServerTls | None]:
    """The gates of all sites by id, and the TLS that their chargers meet, where there is any.

    Raises:
        HeadroomError: a file cannot be used, or a site asks for what the options do not offer.
    """
    _check_offers(sites, options)
    server_tls, authority = None, None
    if options.pairs:
        server_tls = ServerTls(options.pairs, options.client_ca, now())
        for pair in options.pairs:
            warn_if_old(pair, check_pair(pair, now()).not_valid_after_utc, now())
    if options.client_ca is not None:
        authority = ClientAuthority(options.client_ca, now())
    return {site.id: SiteGate(site, authority, now) for site in sites}, server_tls


def warn_if_old(pair: KeyPair, until: datetime, now: datetime) -> None:
    """Log a certificate that has to be renewed soon."""
    if until - now < _SOON:
        log.warning("certificate_expires_soon", file=pair.certificate, until=until.isoformat())


async def watch_files(gates: Iterable[SiteGate], server_tls: ServerTls | None, clock: Clock) -> None:
    """Use renewed certificates and lists, for ever; what cannot be used is logged once, and the old stays in use."""
    looks: list[Callable[[], object]] = [gate.refresh for gate in gates]
    if server_tls is not None:
        looks.append(lambda: server_tls.refresh(clock.now()) and log.info("certificates_read"))
    told: dict[int, str] = {}
    while True:
        await clock.sleep(LOOK_EVERY_S)
        for place, look in enumerate(looks):
            try:
                look()
                told.pop(place, None)
            except CertificateError as error:
                if told.get(place) != str(error):
                    log.error("file_not_used", why=str(error))
                told[place] = str(error)


def _check_offers(sites: Sequence[Site], options: TlsOptions) -> None:
    for site in sites:
        security = site.security
        most = max([security.profile, *(own.profile or 0 for own in security.chargers.values())])
        if most >= 2 and not options.pairs:
            raise HeadroomError(
                f"site '{site.id}' asks for security profile {most}, which is TLS: "
                "give --tls-certificate and --tls-key, or lower 'security: profile'"
            )
        if most == 3 and options.client_ca is None:
            raise HeadroomError(
                f"site '{site.id}' asks for security profile 3, which is client certificates: "
                "give --client-ca, the authority that issued them"
            )


def _as_pair(files: ClientCertificate) -> KeyPair:
    return KeyPair(files.certificate, files.key)
