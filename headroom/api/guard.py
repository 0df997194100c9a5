"""The authority of a running service."""

from collections.abc import Callable

from headroom.access.oidc import OidcVerifier
from headroom.access.options import AccessOptions
from headroom.access.tokens import TokenBook
from headroom.api.authority import Authority
from headroom.service import Service


def authority_of(
    service: Service, options: AccessOptions, mono: Callable[[], float], *, local_hosts_only: bool = True
) -> Authority:
    """Who may do what with this service. `local_hosts_only` holds for an open service."""
    return Authority(
        TokenBook(service.store, service.clock, mono),
        service.site_of,
        mono,
        access=options.mode,
        oidc=None if options.oidc is None else OidcVerifier(options.oidc, mono),
        local_hosts_only=local_hosts_only and options.mode == "open",
    )
