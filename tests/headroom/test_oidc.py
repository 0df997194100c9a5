"""Bearer tokens of an OpenID Connect provider that runs in the tests: its keys rotate, its clock is a little off."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import jwt
import pytest
from api_world import a_house
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from headroom.access.oidc import OidcError, OidcSettings, OidcVerifier, ProviderError
from headroom.access.roles import Role

ISSUER = "https://login.example"
SETTINGS = OidcSettings(ISSUER, "headroom", "realm_access.roles")


class Provider:
    """Discovery and keys over HTTP; `sign` makes tokens."""

    def __init__(self) -> None:
        self.keys: dict[str, Any] = {}
        self.fetched = 0
        self.down = False
        self.issuer = ISSUER
        self.rotate("k1")
        routes = [Route("/.well-known/openid-configuration", self.discovery), Route("/keys", self.published)]
        self.app = Starlette(routes=routes)

    def rotate(self, name: str, *, curve: bool = False) -> None:
        key = ec.generate_private_key(ec.SECP256R1()) if curve else rsa.generate_private_key(65537, 2048)
        self.keys = {name: key}

    async def discovery(self, _: Request) -> JSONResponse:
        if self.down:
            return JSONResponse({}, 503)
        return JSONResponse({"issuer": self.issuer, "jwks_uri": f"{ISSUER}/keys"})

    async def published(self, _: Request) -> JSONResponse:
        self.fetched += 1
        found = []
        for name, key in self.keys.items():
            kind = jwt.algorithms.ECAlgorithm if _is_curve(key) else jwt.algorithms.RSAAlgorithm
            found.append({**json.loads(kind.to_jwk(key.public_key())), "kid": name, "use": "sig"})
        return JSONResponse({"keys": [*found, {"kty": "oct", "kid": "shared", "k": "c2VjcmV0"}]})

    def sign(self, kid: str | None = None, key: Any = None, alg: str | None = None, **claims: Any) -> str:
        name = kid or next(iter(self.keys))
        key = key or self.keys[name]
        now = datetime.now(UTC)  # noqa: TID251 - the provider's own clock
        body = {
            "iss": ISSUER,
            "aud": "headroom",
            "sub": "ada",
            "iat": now,
            "exp": now + timedelta(minutes=5),
            "realm_access": {"roles": ["offline", "headroom:operator:demo"]},
        } | claims
        body = {name: value for name, value in body.items() if value is not None}
        return jwt.encode(body, key, alg or ("ES256" if _is_curve(key) else "RS256"), {"kid": name})


def _is_curve(key: Any) -> bool:
    return isinstance(key, ec.EllipticCurvePrivateKey)


class Ticks:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def provider() -> Provider:
    return Provider()


@pytest.fixture
def ticks() -> Ticks:
    return Ticks()


@pytest.fixture
def verifier(provider: Provider, ticks: Ticks) -> OidcVerifier:
    return OidcVerifier(SETTINGS, ticks, httpx.AsyncClient(transport=httpx.ASGITransport(provider.app)))


def ago(**delta: float) -> datetime:
    return datetime.now(UTC) - timedelta(**delta)  # noqa: TID251 - the provider's own clock


async def test_a_token_of_the_provider_is_a_caller_with_its_role_and_site(
    provider: Provider, verifier: OidcVerifier
) -> None:
    caller = await verifier.caller(provider.sign(preferred_username="Ada"))
    assert (caller.id, caller.name, caller.role, caller.via) == ("oidc:ada", "Ada", Role.OPERATOR, "oidc")
    assert caller.sites == {"demo"}
    everywhere = await verifier.caller(
        provider.sign(realm_access={"roles": ["headroom:viewer:demo", "headroom:admin"]})
    )
    assert (everywhere.role, everywhere.sites) == (Role.ADMIN, None)
    assert provider.fetched == 1, "keys are kept"


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "another"},
        {"aud": None},
        {"iss": "https://evil.example"},
        {"exp": ago(minutes=2)},
        {"exp": None},
        {"sub": None},
        {"nbf": lambda: ago(minutes=-5)},
        {"realm_access": None},
        {"realm_access": {"roles": ["headroom:owner"]}},
        {"realm_access": {"roles": "headroom"}},
        {"realm_access": "headroom:admin"},
    ],
    ids="-".join,
)
async def test_a_token_that_does_not_hold_is_refused(
    provider: Provider, verifier: OidcVerifier, claims: dict[str, Any]
) -> None:
    at_last = {name: claim() if callable(claim) else claim for name, claim in claims.items()}
    with pytest.raises(OidcError):
        await verifier.caller(provider.sign(**at_last))


async def test_a_clock_that_is_a_little_off_does_not_matter(provider: Provider, verifier: OidcVerifier) -> None:
    await verifier.caller(provider.sign(exp=ago(seconds=30), iat=ago(minutes=5)))
    await verifier.caller(provider.sign(nbf=ago(seconds=-30), iat=ago(seconds=-30)))


async def test_the_algorithm_is_ours_to_choose(provider: Provider, verifier: OidcVerifier) -> None:
    public = provider.keys["k1"].public_key()
    pem = public.public_bytes(*_pem())
    for token in (_forged(provider, "none", b""), _forged(provider, "HS256", pem)):
        with pytest.raises(OidcError):
            await verifier.caller(token)
    stranger = rsa.generate_private_key(65537, 2048)
    with pytest.raises(OidcError):
        await verifier.caller(provider.sign(key=stranger))


def _pem() -> tuple[Any, Any]:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return Encoding.PEM, PublicFormat.SubjectPublicKeyInfo


def _forged(provider: Provider, alg: str, key: bytes) -> str:
    """The two oldest tricks: no signature at all, and HS256 with the public key as its secret."""
    import base64
    import hashlib
    import hmac

    def b64(raw: bytes) -> str:
        return base64.urlsafe_b64encode(raw).decode().rstrip("=")

    honest = provider.sign().split(".")
    head = b64(json.dumps({"alg": alg, "kid": "k1"}).encode())
    signature = hmac.new(key, f"{head}.{honest[1]}".encode(), hashlib.sha256).digest() if key else b""
    return f"{head}.{honest[1]}.{b64(signature)}"


async def test_keys_that_rotate_are_fetched_and_nobody_makes_us_hammer_the_provider(
    provider: Provider, verifier: OidcVerifier, ticks: Ticks
) -> None:
    old = provider.sign()
    await verifier.caller(old)
    provider.rotate("k2", curve=True)
    ticks.now_s += 20
    await verifier.caller(provider.sign())
    assert provider.fetched == 2
    with pytest.raises(OidcError):
        await verifier.caller(old)
    for _ in range(20):
        with pytest.raises(OidcError):
            await verifier.caller(provider.sign("k9", key=provider.keys["k2"]))
    assert provider.fetched == 2, "an unknown key is asked for once in a while only"
    ticks.now_s += 601
    await verifier.caller(provider.sign())
    assert provider.fetched == 3


async def test_a_provider_that_is_away_keeps_known_keys_good(
    provider: Provider, verifier: OidcVerifier, ticks: Ticks
) -> None:
    provider.down = True
    with pytest.raises(ProviderError):
        await verifier.caller(provider.sign())
    provider.down = False
    ticks.now_s += 20
    await verifier.caller(provider.sign())
    provider.down = True
    ticks.now_s += 700
    await verifier.caller(provider.sign())


async def test_a_document_that_speaks_for_another_issuer_is_not_believed(
    provider: Provider, verifier: OidcVerifier
) -> None:
    provider.issuer = "https://evil.example"
    with pytest.raises(ProviderError, match="evil"):
        await verifier.caller(provider.sign())


async def test_the_api_takes_the_provider_s_tokens_and_the_page_logs_in_with_them(
    provider: Provider, verifier: OidcVerifier
) -> None:
    async with a_house(mode="token") as house:
        house.authority.oidc = verifier
        token = provider.sign()
        ada = house.caller(token)
        assert (await house.get("/me", ada))["id"] == "oidc:ada"
        assert (await ada.get("/api/v1/tokens")).status_code == 403
        assert (await house.caller(provider.sign(aud="x")).get("/api/v1/me")).status_code == 401
        page = house.caller()
        csrf = (await page.post("/api/v1/login", json={"token": token})).json()["csrf"]
        body, headers = {"scheduler": "fcfs"}, {"X-CSRF-Token": csrf}
        assert (await page.post("/api/v1/sites/demo/strategy", json=body, headers=headers)).status_code == 200
