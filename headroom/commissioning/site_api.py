"""The running service as an installer's program sees it: its REST API, and nothing else."""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from urllib.parse import quote

import httpx

from domain.errors import HeadroomError
from domain.site import Phase

_TRIES = 5
_TIMEOUT_S = 20.0


@dataclass(frozen=True, slots=True)
class Terms:
    """What an EVSE is run with; see `headroom.api.commissioning.EvseTerms`."""

    evse: str
    charger: str
    connector: int
    feeder: str
    phases: tuple[Phase, ...]
    path: tuple[str, ...]
    metered_by: str | None
    min_a: float
    max_a: float
    failsafe_a: float
    failsafe_proven: bool
    response_s: float
    hold_s: float


@dataclass(frozen=True, slots=True)
class Seen:
    """A look at an EVSE: what its charger tells, and what the meter above it shows, less what other EVSEs draw.

    `at` is by the clock of this program, the other times are by that of the service.
    """

    at: datetime
    linked: bool
    drawn_a: float | None
    drawn_at: datetime | None
    counted_a: float
    reading_at: datetime | None
    metered_a: dict[Phase, float] = field(default_factory=dict)


class SiteApi:
    """One site of a service. Every method raises `HeadroomError` where the service does not do what is asked."""

    def __init__(self, client: httpx.AsyncClient, site: str) -> None:
        """`client` has the service's address and the token."""
        self._client, self.site = client, site

    @classmethod
    async def of_only_site(cls, client: httpx.AsyncClient, wanted: str | None) -> "SiteApi":
        """The site that is wanted, or the only one that the token sees."""
        found = [one["id"] for one in (await cls(client, "").get("/sites?limit=500"))["items"]]
        if wanted is None and len(found) == 1:
            return cls(client, found[0])
        if wanted is None or wanted not in found:
            raise HeadroomError(f"--site-id: must be one of {', '.join(found) or 'none: the token sees no site'}")
        return cls(client, wanted)

    async def get(self, path: str) -> Any:
        """A document. A service that does not answer is asked again a few times."""
        return (await self._ask("GET", path)).json()

    async def terms(self) -> dict[str, Any]:
        """What the site is run with, and its fail-safe proof."""
        found: dict[str, Any] = await self.get(f"/sites/{_safe(self.site)}/commissioning")
        return found

    async def chargers(self) -> dict[str, dict[str, Any]]:
        """What the chargers told of themselves, by id."""
        found = await self.get(f"/sites/{_safe(self.site)}/chargers?limit=500")
        return {one["id"]: one for one in found["items"]}

    async def evse(self, evse: str) -> dict[str, Any]:
        """One EVSE as it is now."""
        found: dict[str, Any] = await self.get(f"/evses/{_safe(evse)}")
        return found

    async def headroom(self) -> dict[str, dict[Phase, float]]:
        """Per feeder and phase, what is left of the usable rating, A."""
        found = await self.get(f"/sites/{_safe(self.site)}")
        return {
            one["id"]: {Phase(phase): load["headroom_a"] for phase, load in one["phases"].items()}
            for one in found["feeders"]
        }

    async def look(self, terms: Terms, others: list[Terms], now: datetime) -> Seen:
        """The EVSE and its meter now; `others` are the EVSEs that the same meter sees."""
        own, evses, meters = await asyncio.gather(
            self.evse(terms.evse),
            self.get(f"/sites/{_safe(self.site)}/evses?limit=500"),
            self.get(f"/sites/{_safe(self.site)}/meters?limit=500"),
        )
        drawn = {one["id"]: one["measured_a"] or 0.0 for one in evses["items"]}
        reading = next((one["reading"] for one in meters["items"] if one["feeder"] == terms.metered_by), None)
        metered_a: dict[Phase, float] = {}
        if reading is not None:
            metered_a = {Phase(phase): amps for phase, amps in reading["current_a"].items()}
            for other in others:
                for phase in set(other.phases) & set(metered_a):
                    metered_a[phase] -= drawn[other.evse]
        return Seen(
            at=now,
            linked=own["linked"],
            drawn_a=own["measured_a"],
            drawn_at=_time(own["measured_at"]),
            counted_a=own["counted_a"],
            reading_at=None if reading is None else _time(reading["at"]),
            metered_a=metered_a,
        )

    async def lower(self, evse: str, limit_a: float, seconds: float) -> None:
        """Hold an EVSE down for a while."""
        body = {"limit_a": limit_a, "seconds": seconds}
        await self._ask("PUT", f"/evses/{_safe(evse)}/trial-limit", body)

    async def let_go(self, evse: str) -> None:
        """End that before its time; nothing where it is over already."""
        await self._ask("DELETE", f"/evses/{_safe(evse)}/trial-limit", fine=(404,))

    async def messages(self, charger: str, since: datetime) -> list[dict[str, Any]]:
        """What a charger said since then, as far as a log is kept."""
        since_text = quote(since.isoformat(), safe="")
        path = f"/chargers/{_safe(charger)}/messages?direction=from_charger&limit=200&since={since_text}"
        found: list[dict[str, Any]] = (await self.get(path))["items"]
        return found

    async def sealed(self, digest: str) -> dict[str, Any]:
        """The installation's signature on a record."""
        found: dict[str, Any] = (await self._ask("POST", f"/sites/{_safe(self.site)}/seals", {"digest": digest})).json()
        return found

    async def _ask(self, method: str, path: str, body: object = None, fine: tuple[int, ...] = ()) -> httpx.Response:
        problem = ""
        for attempt in range(_TRIES):
            if attempt:
                await asyncio.sleep(2.0)
            try:
                answer = await self._client.request(method, f"/api/v1{path}", json=body, timeout=_TIMEOUT_S)
            except httpx.HTTPError as error:
                problem = str(error) or type(error).__name__
                continue
            if answer.is_success or answer.status_code in fine:
                return answer
            if answer.status_code not in {429, 502, 503, 504}:
                raise HeadroomError(f"{method} {path}: {answer.status_code} {_detail(answer)}")
            problem = f"{answer.status_code} {_detail(answer)}"
        raise HeadroomError(f"--api {self._client.base_url}: {method} {path} failed {_TRIES} times: {problem}")


def _safe(name: str) -> str:
    return quote(name, safe="")


def _detail(answer: httpx.Response) -> str:
    try:
        return str(answer.json()["detail"])
    except (ValueError, KeyError, TypeError):
        return answer.text[:200]


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
