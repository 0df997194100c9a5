"""How a site's chargers prove who they are, how much they may say, and what is kept of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from domain.ids import ChargerId


@dataclass(frozen=True, slots=True)
class ChargerSecurity:
    """What is asked of one charger.

    `profile`: the least security profile, None for the site's. `key`: the hash of its password (`domain.password`),
    checked here before the CSMS is asked; None leaves the check to the CSMS. `common_name`: the CN of its client
    certificate where that is not its identity: a serial number [OCPP 2.0.1 part 2, A00.FR.405].
    """

    profile: int | None = None
    key: str | None = field(default=None, repr=False)
    common_name: str | None = None


@dataclass(frozen=True, slots=True)
class SiteSecurity:
    """What is asked of all chargers of a site.

    `profile`: the least security profile, 0 to 3. `allow`: the networks (CIDR) that chargers may come from; empty for
    all. `organization`: the O that client certificates must name [A00.FR.404]. `revoked`: a file with the client
    certificates that are not taken any more. `messages_per_s` and `message_burst`: how much a charger may say; what
    exceeds that waits.
    """

    profile: int = 0
    allow: tuple[str, ...] = ()
    organization: str | None = None
    revoked: str | None = None
    messages_per_s: float = 100.0
    message_burst: int = 1000
    chargers: Mapping[ChargerId, ChargerSecurity] = field(default_factory=dict)

    def of(self, charger: ChargerId) -> ChargerSecurity:
        """What is asked of one charger; its `profile` is never None here."""
        own = self.chargers.get(charger, ChargerSecurity())
        return own if own.profile is not None else ChargerSecurity(self.profile, own.key, own.common_name)


@dataclass(frozen=True, slots=True)
class MessageLogSettings:
    """Whether a site's OCPP messages are kept, for how many days, and within how much room."""

    enabled: bool = True
    days: float = 30.0
    max_mb: float = 500.0
