"""2.x: which profiles a charger reports, and which the CSMS is told of: all of its own, none of ours (pure).

The CSMS's GetChargingProfiles goes to the charger; the pages of the report are kept until the last has come, and go on
without ours, with those that only the shadow has, and with `tbc` as it then is true (local-controller.md section 3,
item 6). Once for each run the charger is asked for itself, so that the shadow knows what stood there before.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec

from proxy.protocol.composite import ChargingProfile
from proxy.protocol.dialects import Dialect
from proxy.protocol.exchange import Call, OwnCall, Side
from proxy.protocol.interception import Answered, Order, Rewritten, Verdict
from proxy.protocol.profiles import Profiles
from proxy.protocol.shadow import Book, Kept, Shadow
from proxy.protocol.tolerant import Json, as_int, as_object, as_objects, as_text, read_object

OWN_REQUEST = 1_999_000_001
"""Our own question's requestId."""
PROFILES_SLOT = "read-profiles"
MOST_PAGES = 256
_MOST_ASKED = 16
_CSO = "CSO"
_NOTED = Answered(b"{}")


@dataclass(slots=True)
class _Asked:
    """A GetChargingProfiles whose report is not complete."""

    criteria: Json
    evse: int | None
    pages: list[Json] = field(default_factory=list)


class ProfileReports:
    """One charger's."""

    def __init__(
        self,
        dialect: Dialect,
        shadow: Shadow,
        profiles: Profiles,
        new_token: Callable[[], str],
    ) -> None:
        self._dialect, self._shadow = dialect, shadow
        self._profiles, self._new_token = profiles, new_token
        self._asked: dict[int, _Asked] = {}

    def intercepts(self, side: Side, action: str) -> bool:
        """Whether CALLs of this action may have to be changed."""
        return action == ("ReportChargingProfiles" if side is Side.CHARGER else "GetChargingProfiles")

    def ask(self) -> list[OwnCall]:
        """Ask the charger what stands there, if that is not known; the answer comes in reports."""
        if self._shadow.complete:
            return []
        self._asked[OWN_REQUEST] = _Asked({}, None)
        payload = {"requestId": OWN_REQUEST, "chargingProfile": {"chargingLimitSource": [_CSO]}}
        return [OwnCall("GetChargingProfiles", payload, PROFILES_SLOT, self._new_token())]

    def nothing_there(self, status: str | None, at: datetime) -> Book | None:
        """Our own question was answered without a report to come: what the shadow then holds; None: nobody knows."""
        return self._adopt([], at) if status == "NoProfiles" else None

    def asked(self, call: Call) -> None:
        """The CSMS asks the charger for its profiles."""
        payload = read_object(call.payload)
        number = as_int((payload or {}).get("requestId"), -(2**31))
        if payload is None or number is None:
            return
        while len(self._asked) >= _MOST_ASKED:
            del self._asked[next(iter(self._asked))]
        self._asked[number] = _Asked(as_object(payload.get("chargingProfile")), as_int(payload.get("evseId")))

    def on_reply(self, call: Call, payload: bytes) -> Answered | None:
        """Whether there is anything to report, as the CSMS is told it."""
        asked, reply = self._of(call), read_object(payload)
        if asked is None or reply is None:
            return None
        status = as_text(reply.get("status"))
        owned = self._owned(asked)
        if status == "NoProfiles" and owned:
            return _answer(reply, "Accepted")
        ours = any(_meets(profile, profile.connector, asked, self._dialect) for profile in self._profiles.held())
        theirs = any(self._is_asked(kept, asked) for kept in self._shadow.book)
        if status == "Accepted" and ours and not theirs and self._shadow.complete:
            return _answer(reply, "NoProfiles")
        return None

    def replied(self, call: Call, ok: bool, payload: bytes) -> list[Order]:
        """The reply went on: where the charger has nothing to report, the shadow may."""
        asked, reply = self._of(call), read_object(payload) if ok else None
        if asked is None:
            return []
        if reply is not None and reply.get("status") == "Accepted":
            return []
        number = next(number for number, one in self._asked.items() if one is asked)
        del self._asked[number]
        return self._reports(number, asked) if reply is not None and reply.get("status") == "NoProfiles" else []

    def page(self, call: Call) -> tuple[Verdict | None, list[Order], Book | None]:
        """A ReportChargingProfiles of the charger's; the book where it was the answer to our own question."""
        report = read_object(call.payload)
        number = as_int((report or {}).get("requestId"), -(2**31))
        if report is None or number is None:
            return None, [], None
        asked = self._asked.get(number)
        if asked is None:
            return self._unasked(report), [], None
        asked.pages = [*asked.pages, report][-MOST_PAGES:]
        if report.get("tbc") is True:
            return _NOTED, [], None
        del self._asked[number]
        if number == OWN_REQUEST:
            return _NOTED, [], self._adopt(asked.pages, call.at)
        return _NOTED, self._reports(number, asked), None

    # Inside.

    def _of(self, call: Call) -> _Asked | None:
        number = as_int((read_object(call.payload) or {}).get("requestId"), -(2**31))
        return None if number is None or number == OWN_REQUEST else self._asked.get(number)

    def _unasked(self, report: Json) -> Verdict | None:
        """A page of a report that nobody here knows of: without ours."""
        bodies = as_objects(report.get("chargingProfile"), MOST_PAGES)
        left = [body for body in bodies if not self._is_ours(body)]
        if len(left) == len(bodies):
            return None
        return Rewritten(msgspec.json.encode({**report, "chargingProfile": left})) if left else _NOTED

    def _is_ours(self, body: Json) -> bool:
        return as_int(body.get("id"), -(2**31)) in self._profiles.own_ids

    def _owned(self, asked: _Asked) -> list[Kept]:
        return [kept for kept in self._shadow.book if kept.owned and self._is_asked(kept, asked)]

    def _is_asked(self, kept: Kept, asked: _Asked) -> bool:
        return not kept.starts and _meets(kept.profile, kept.profile.connector, asked, self._dialect)

    def _reports(self, number: int, asked: _Asked) -> list[Order]:
        """The report to the CSMS, one page for each EVSE and source."""
        pages: dict[tuple[int, str], list[Json]] = {}
        for report in asked.pages:
            place = (as_int(report.get("evseId")) or 0, as_text(report.get("chargingLimitSource")) or _CSO)
            bodies = as_objects(report.get("chargingProfile"), MOST_PAGES)
            pages.setdefault(place, []).extend(body for body in bodies if not self._is_ours(body))
        for kept in self._owned(asked):
            pages.setdefault((kept.profile.connector, _CSO), []).append(kept.body)
        filled = [(place, bodies) for place, bodies in pages.items() if bodies]
        return [
            self._report(number, place, bodies, tbc=index < len(filled) - 1)
            for index, (place, bodies) in enumerate(filled)
        ]

    def _report(self, number: int, place: tuple[int, str], bodies: list[Json], *, tbc: bool) -> OwnCall:
        payload: Mapping[str, Any] = {
            "requestId": number,
            "chargingLimitSource": place[1],
            "evseId": place[0],
            "chargingProfile": bodies,
            "tbc": tbc,
        }
        token = self._new_token()
        return OwnCall("ReportChargingProfiles", payload, f"report:{token}", token, towards=Side.CSMS)

    def _adopt(self, pages: list[Json], at: datetime) -> Book:
        """The book by what the charger itself reports: what it does not have is in force no more."""
        found: dict[int, Kept] = {}
        for report in pages:
            evse = as_int(report.get("evseId")) or 0
            if as_text(report.get("chargingLimitSource")) not in (None, _CSO):
                continue
            for body in as_objects(report.get("chargingProfile"), MOST_PAGES):
                profile = None if self._is_ours(body) else self._dialect.read(body, evse, at)
                if profile is not None:
                    found[profile.id] = Kept(profile, body)
        self._shadow.complete = True
        known = [kept for kept in self._shadow.book if kept.owned or kept.starts or kept.profile.id in found]
        ids = {kept.profile.id for kept in known}
        return (*known, *(kept for number, kept in found.items() if number not in ids))


def _answer(reply: Json, status: str) -> Answered:
    return Answered(msgspec.json.encode({**reply, "status": status}))


def _meets(profile: ChargingProfile, connector: int, asked: _Asked, dialect: Dialect) -> bool:
    """The criteria AND; what is absent does not restrict (2.0.1 K09)."""
    criteria = asked.criteria
    ids, sources = criteria.get("chargingProfileId"), criteria.get("chargingLimitSource")
    return (
        asked.evse in (None, connector)
        and criteria.get("chargingProfilePurpose") in (None, dialect.purposes.get(profile.purpose))
        and criteria.get("stackLevel") in (None, profile.level)
        and (not isinstance(ids, list) or profile.id in ids)
        and (not isinstance(sources, list) or _CSO in sources)
    )
