"""Bearer tokens of an OpenID Connect provider: discovery, keys that rotate, and what the claims allow.

Sources: OpenID Connect Discovery 1.0 (section 4), RFC 7517 (keys), RFC 7519 (claims), RFC 8725 (algorithms are ours to
choose, never the token's; the audience is checked).
"""

import asyncio
import contextlib
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx
import jwt
import structlog

from domain.errors import HeadroomError
from headroom.access.roles import STRENGTH, Caller, Role

log = structlog.get_logger()

_ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
_ROLES = frozenset(role.value for role in Role)
_KEYS_LIVE_S = 600.0
_REFETCH_PAUSE_S = 10.0
"""A token with an unknown key makes us ask again, but not more often than this: nobody may hammer the provider."""
_TIMEOUT_S = 5.0


@dataclass(frozen=True, slots=True)
class OidcSettings:
    """`roles_claim` is the dotted path of a list of texts `headroom:ROLE` or `headroom:ROLE:SITE`."""

    issuer: str
    audience: str
    roles_claim: str = "roles"
    skew_s: float = 60.0


class OidcError(HeadroomError):
    """A bearer token that does not hold; the text says why."""


class ProviderError(HeadroomError):
    """The provider cannot be asked for its keys."""


def check_settings(settings: OidcSettings) -> OidcSettings:
    """The settings, or `HeadroomError`: keys come over TLS, except from this machine."""
    url = httpx.URL(settings.issuer)
    if url.scheme != "https" and not (url.scheme == "http" and url.host in {"127.0.0.1", "localhost", "::1"}):
        raise HeadroomError(f"--oidc-issuer {settings.issuer}: the issuer's URL begins with https://")
    if not settings.audience:
        raise HeadroomError("--oidc-audience: name the audience that the provider puts into tokens for Headroom")
    return settings


class OidcVerifier:
    """Checks bearer tokens against a provider's keys, which it fetches and renews."""

    def __init__(
        self, settings: OidcSettings, mono: Callable[[], float], client: httpx.AsyncClient | None = None
    ) -> None:
        self._settings, self._mono = settings, mono
        self._client = client or httpx.AsyncClient(timeout=_TIMEOUT_S)
        self._keys: dict[str | None, jwt.PyJWK] = {}
        self._fetched_s = self._tried_s = -math.inf
        self._fetching = asyncio.Lock()

    async def caller(self, token: str) -> Caller:
        """Who comes with this token.

        Raises:
            OidcError: it is no token of the provider's, is over, is for somebody else, or names no role of ours.
            ProviderError: the provider's keys cannot be had.
        """
        try:
            header = jwt.get_unverified_header(token)
            key = await self._key(header.get("kid"))
            claims = jwt.decode(
                token,
                key,
                algorithms=list(_ALGORITHMS),
                audience=self._settings.audience,
                issuer=self._settings.issuer,
                leeway=self._settings.skew_s,
                options={"require": ["exp", "iat", "sub", "aud", "iss"]},
            )
        except (jwt.InvalidTokenError, jwt.PyJWKError) as error:
            raise OidcError(f"the bearer token does not hold: {error}") from None
        return caller_of_claims(claims, self._settings)

    async def close(self) -> None:
        """Let the connections go."""
        await self._client.aclose()

    async def _key(self, kid: str | None) -> jwt.PyJWK:
        async with self._fetching:
            now_s = self._mono()
            known = kid in self._keys
            if now_s - self._fetched_s > _KEYS_LIVE_S or (not known and now_s - self._tried_s > _REFETCH_PAUSE_S):
                self._tried_s = now_s
                try:
                    self._keys = await self._fetch()
                    self._fetched_s = now_s
                except (httpx.HTTPError, ValueError, KeyError, jwt.PyJWTError) as error:
                    log.warning("oidc_keys_not_fetched", issuer=self._settings.issuer, error=str(error) or repr(error))
                    if not known:
                        raise ProviderError(f"the keys of {self._settings.issuer} cannot be had: {error}") from None
        if kid not in self._keys:
            raise OidcError("the bearer token is signed with a key that the provider does not publish")
        return self._keys[kid]

    async def _fetch(self) -> dict[str | None, jwt.PyJWK]:
        issuer = self._settings.issuer
        found = (await self._client.get(f"{issuer.rstrip('/')}/.well-known/openid-configuration")).raise_for_status()
        document: Mapping[str, Any] = found.json()
        if document["issuer"] != issuer:
            raise ValueError(f"its discovery document speaks for '{document['issuer']}'")
        published = (await self._client.get(str(document["jwks_uri"]))).raise_for_status().json()["keys"]
        keys: dict[str | None, jwt.PyJWK] = {}
        for one in published:
            if one.get("use", "sig") == "sig" and one.get("kty") in {"RSA", "EC", "OKP"}:
                with contextlib.suppress(jwt.PyJWKError):  # a kind of key that we do not know: not for us
                    keys[one.get("kid")] = jwt.PyJWK(one)
        if len(keys) == 1:  # a provider with one key need not name it
            keys.setdefault(None, next(iter(keys.values())))
        return keys


def caller_of_claims(claims: Mapping[str, Any], settings: OidcSettings) -> Caller:
    """The caller that checked claims speak of; `OidcError` where they name no role of ours."""
    granted = tuple(_granted(claims, settings.roles_claim))
    if not granted:
        raise OidcError(
            f"the token names no role in '{settings.roles_claim}': expected headroom:ROLE or headroom:ROLE:SITE"
        )
    role = max((role for role, _ in granted), key=STRENGTH.index)
    sites = [site for its_role, site in granted if its_role is role]
    return Caller(
        id=f"oidc:{claims['sub']}"[:255],
        name=str(claims.get("preferred_username") or claims.get("email") or claims["sub"])[:255],
        role=role,
        via="oidc",
        sites=None if None in sites else frozenset(site for site in sites if site is not None),
        evses=frozenset() if role is Role.DRIVER else None,
    )


def _granted(claims: Mapping[str, Any], path: str) -> Iterator[tuple[Role, str | None]]:
    value: Any = claims
    for part in (path,) if path in claims else path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    for text in value if isinstance(value, list) else (value,):
        words = text.split(":", 2) if isinstance(text, str) else ()
        if len(words) >= 2 and words[0] == "headroom" and words[1] in _ROLES:
            yield Role(words[1]), words[2] if len(words) == 3 else None
