"""What the CSMS asks of charging profiles: passed on, kept here, or refused, so that the lower limit always holds.

A change of the CSMS's is on trial first: ours are written so that both the old and the new are respected, and only when
the charger has taken that does the change happen. So a lowering never passes through a moment of more; a rise goes to
the charger at once, and ours follow. What would stand above ours, or in the place of one of ours, is kept in the shadow
alone, and "Accepted" is said once the profile of ours that respects it was, and the shadow would survive a crash.
Source: local-controller.md section 3.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

import msgspec

from domain.events import CsmsCommandWithheld, Event
from domain.site import Charger
from proxy.protocol.clearing import Clearing
from proxy.protocol.composite import Purpose
from proxy.protocol.dialects import Dialect, read_limit
from proxy.protocol.exchange import Call, Exchange, OwnOutcome, Side
from proxy.protocol.interception import Answered, Order, Release, Rewritten, Verdict, Waits
from proxy.protocol.placing import Own, Placing, Refuse
from proxy.protocol.profiles import Profiles
from proxy.protocol.shadow import ANY_CONNECTOR, Book, Kept, Shadow, updated, with_profile, without
from proxy.protocol.tolerant import Json, as_int, as_object, read_object

WAIT_S: Final = 25.0
"""A CSMS waits 30 s and more for an answer: by then it has one."""

AGAIN_S: Final = 60.0
"""How long a charger that did not clear a profile is left before it is asked again."""

Wants = list[Event | Order]
Ruled = tuple[Verdict | None, list[Order]]


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A CALL of the CSMS's that waits until ours respect `revision`: then it goes on with `then`, else is `denied`."""

    call: Call
    revision: int
    until: datetime
    then: Callable[[datetime], Wants]
    denied: Answered


class CsmsRequests:
    """One charger's. Wants and orders come in the order in which they are to be carried out."""

    def __init__(
        self,
        charger: Charger,
        dialect: Dialect,
        shadow: Shadow,
        profiles: Profiles,
        placing: Placing,
        new_token: Callable[[], str],
    ) -> None:
        self._charger, self._dialect, self._shadow = charger, dialect, shadow
        self._profiles, self._placing = profiles, placing
        self._clearing = Clearing(dialect, new_token)
        self._waiting: _Waiting | None = None
        self._unsaid: tuple[Release, datetime] | None = None
        self._ours: str | None = None
        self._again_at: datetime | None = None
        self._news: list[Event] = []
        rulings: dict[str, Callable[[Call, Json], Ruled]] = {
            "SetChargingProfile": self._set,
            "ClearChargingProfile": self._clear,
            dialect.remote_start: self._remote_start,
        }
        if dialect.dynamic:
            rulings |= {"UpdateDynamicSchedule": self._update, "UsePriorityCharging": self._priority}
        self._rulings: Mapping[str, Callable[[Call, Json], Ruled]] = rulings
        self.actions: Final = frozenset(rulings)

    @property
    def due_at(self) -> datetime | None:
        """When a CALL that waits must be answered, or a profile that has not gone is to be cleared again."""
        again_at = self._again_at if self._clearing.left else None
        until = None if self._waiting is None else self._waiting.until
        unsaid_at = None if self._unsaid is None else self._unsaid[1]
        return min((at for at in (until, again_at, unsaid_at) if at is not None), default=None)

    @property
    def has_news(self) -> bool:
        """Whether there is something to report."""
        return bool(self._news)

    def take_news(self) -> list[Event]:
        """What is to be reported, and could not be said at once."""
        news, self._news = self._news, []
        return news

    def connected(self) -> None:
        """A new socket: what waited on the old one is gone."""
        self._waiting = self._unsaid = None
        self._clearing.stop()
        self._shadow.give_up()

    def rule(self, call: Call) -> Ruled:
        """What becomes of a CALL of the CSMS's; what cannot be read passes, and the charger refuses it."""
        payload = read_object(call.payload)
        self._shadow.give_up()  # the CSMS has one CALL open at a time: an older one came to nothing
        return (None, []) if payload is None else self._rulings[call.action](call, payload)

    def answered(self, exchange: Exchange) -> Wants:
        """The charger answered one of them: what was on trial is in force, or not. Our own answers say nothing new."""
        call, payload, reply = exchange.call, read_object(exchange.call.payload), read_object(exchange.reply)
        if call.call_id == self._ours or payload is None:
            return []
        status = reply.get("status") if exchange.ok and reply is not None else None
        book = self._book_after(call, payload, status)
        if book is not None:
            lost = []
            if call.action == "ClearChargingProfile" and status == "Accepted":
                lost = self._profiles.cleared(exchange.at, self._dialect.read_clear(payload))
            return [*lost, *self._in_force(book, exchange.at), *self.evict(exchange.at)]
        if self._shadow.trial is None:
            return []
        self._shadow.give_up()
        return [*self._profiles.remerge(exchange.at)]

    def progress(self, outcome: OwnOutcome) -> Wants:
        """A CALL of ours was answered: what waited for it may go on."""
        left = self._clearing.left
        if not self._clearing.took(outcome):
            if self._clearing.left != left:
                self._again_at = outcome.at + timedelta(seconds=AGAIN_S)
            return self._proceed(outcome.at)
        return [] if self._clearing.is_under_way else self._cleared(outcome.at)

    def tick(self, now: datetime) -> Wants:
        """Time has passed: nothing waits for ever."""
        if self._unsaid is not None:
            (release, _), self._unsaid = self._unsaid, None
            return [release, *self.tick(now)]
        if self._again_at is not None and now >= self._again_at:
            self._again_at = None
            return [*self._clearing.again(), *self._proceed(now)]
        if self._waiting is None or now < self._waiting.until:
            return self._proceed(now)
        self._clearing.stop()
        return self._deny(now)

    def evict(self, now: datetime) -> Wants:
        """A level was given up: the CSMS's profiles that now stand above ours go from the charger into the shadow."""
        high = self._placing.evicted(self._shadow.book)
        if not high or self._shadow.trial is not None:
            return []
        book = tuple(replace(kept, owned=True) if kept in high else kept for kept in self._shadow.book)
        self._shadow.put(book)
        return [*self._profiles.remerge(now), *self._clearing.evict(high)]

    # Single requests.

    def _set(self, call: Call, payload: Json) -> Ruled:
        kept = self._read(call, payload)
        if isinstance(kept, Refuse):
            return self._withhold(call, kept.why, kept.code)
        if kept is None:
            return None, []
        book = with_profile(self._shadow.book, kept)
        return self._change(call, book, self._keep(book) if kept.owned else self._let_go(None))

    def _clear(self, call: Call, payload: Json) -> Ruled:
        criteria, known = self._dialect.read_clear(payload), self._shadow.book
        book = without(known, criteria)
        if criteria.id is not None:
            kept = self._shadow.find(criteria.id)
            if kept is None:
                return (self._status("Unknown"), []) if criteria.id in self._profiles.own_ids else (None, [])
            return self._change(call, book, self._keep(book) if kept.owned else self._let_go(None))
        owned = any(kept.owned and criteria.matches(kept.profile) for kept in known)
        if not owned and not self._placing.may_hit_ours(criteria):
            return self._change(call, book, self._let_go(None))

        def clear(now: datetime) -> Wants:
            calls = self._clearing.begin(criteria, self._shadow, self._placing)
            return [*calls] if calls else self._cleared(now)

        return self._change(call, book, clear)

    def _remote_start(self, call: Call, payload: Json) -> Ruled:
        if not isinstance(payload.get("chargingProfile"), dict):
            return None, []
        kept = self._started_with(call, payload)
        if kept is None or kept.profile.purpose is not Purpose.TX:
            if not self._placing.holds(Purpose.TX):
                return None, []
            return self._withhold(call, "its charging profile cannot be understood, or is no TxProfile")
        if not kept.owned:
            return None, []
        stripped = {name: value for name, value in payload.items() if name != "chargingProfile"}
        book = with_profile(self._shadow.book, kept)
        return self._change(call, book, self._let_go(Rewritten(msgspec.json.encode(stripped))))

    def _update(self, call: Call, payload: Json) -> Ruled:
        """2.1: a new limit for a profile of kind Dynamic."""
        profile_id = as_int(payload.get("chargingProfileId"))
        kept = self._updated(payload)
        if kept is None:
            return (self._status("Rejected"), []) if profile_id in self._profiles.own_ids else (None, [])
        book = with_profile(self._shadow.book, kept)
        return self._change(call, book, self._keep(book) if kept.owned else self._let_go(None))

    def _priority(self, call: Call, payload: Json) -> Ruled:
        """2.1: priority charging overrules every profile but the cap (K21.FR.04)."""
        if payload.get("activate") is not True or not self._placing.holds(Purpose.TX):
            return None, []
        return self._withhold(call, "priority charging overrules our limits at a charger that takes no station cap")

    # Reading them.

    def _read(self, call: Call, payload: Json) -> Kept | Refuse | None:
        profile = self._dialect.read_set(payload, call.at)
        if profile is None:
            return None
        place = self._placing.of(profile, self._shadow.book)
        if isinstance(place, Refuse):
            return place
        return Kept(profile, as_object(payload.get(self._dialect.body)), isinstance(place, Own))

    def _started_with(self, call: Call, payload: Json) -> Kept | None:
        body = as_object(payload.get("chargingProfile"))
        only = self._charger.evses[0].connector if len(self._charger.evses) == 1 else ANY_CONNECTOR
        connector = as_int(payload.get(self._dialect.place), 1) or only
        profile = self._dialect.read(body, connector, call.at)
        if profile is None:
            return None
        owned = self._placing.holds(Purpose.TX) or profile.id in self._profiles.own_ids
        return Kept(replace(profile, transaction_id=None), body, owned, starts=True)

    def _updated(self, payload: Json) -> Kept | None:
        profile_id, update = as_int(payload.get("chargingProfileId")), as_object(payload.get("scheduleUpdate"))
        kept = None if profile_id is None else self._shadow.find(profile_id)
        limit = read_limit(update)
        return None if kept is None or limit is None else updated(kept, limit, update)

    def _book_after(self, call: Call, payload: Json, status: object) -> Book | None:
        """The book once the charger has answered a CALL of the CSMS's; None where nothing changed."""
        if call.action == "ClearChargingProfile":
            # What the charger does not know (any more) is in force no more.
            return without(self._shadow.book, self._dialect.read_clear(payload)) if status in _GONE else None
        if status != "Accepted":
            return None
        kept: Kept | Refuse | None = None
        if call.action == "SetChargingProfile":
            kept = self._read(call, payload)
            kept = replace(kept, owned=False) if isinstance(kept, Kept) else None
        elif call.action == "UpdateDynamicSchedule":
            kept = self._updated(payload)
        elif call.action == self._dialect.remote_start and isinstance(payload.get("chargingProfile"), dict):
            kept = self._started_with(call, payload)
        return with_profile(self._shadow.book, kept) if isinstance(kept, Kept) else None

    # The way of a change.

    def _change(self, call: Call, book: Book, then: Callable[[datetime], Wants]) -> Ruled:
        """Try a change out; it goes on at once where ours respect it already, else when the charger has taken ours."""
        self._shadow.try_out(book)
        orders: list[Order] = [*self._profiles.remerge(call.at)]
        denied = self._status("Unknown" if call.action == "ClearChargingProfile" else "Rejected")
        until = call.at + timedelta(seconds=WAIT_S)
        self._waiting = _Waiting(call, self._shadow.revision, until, then, denied)
        if orders or self._profiles.respects(self._shadow.revision) is not True:
            return Waits(), orders
        verdict: Verdict | None = Waits()
        for want in then(call.at):
            if isinstance(want, Release) and want.durable:
                self._unsaid = (want, call.at)  # it comes after the events that tell of the shadow
            elif isinstance(want, Release):
                verdict = want.verdict
            elif isinstance(want, Order):
                orders.append(want)
            else:
                self._news.append(want)
        return verdict, orders

    def _keep(self, book: Book) -> Callable[[datetime], Wants]:
        """The change is ours to make."""

        def keep(now: datetime) -> Wants:
            gone = self._shadow.put(book)
            release = self._release(self._status("Accepted"), durable=True)
            return [*self._clearing.evict(gone), *self._profiles.remerge(now), release]

        return keep

    def _let_go(self, verdict: Rewritten | None) -> Callable[[datetime], Wants]:
        """The charger makes the change; it stays on trial until that has answered."""
        return lambda _now: [self._release(verdict)]

    def _cleared(self, now: datetime) -> Wants:
        """All that was to be cleared was."""
        book, hit = self._clearing.result(self._shadow.book)
        release = self._release(self._status("Accepted" if hit else "Unknown"), durable=hit)
        return [*self._in_force(book, now), release]

    def _proceed(self, now: datetime) -> Wants:
        """Ours were answered: go on with what waits for them."""
        waiting = self._waiting
        verdict = None
        if waiting is not None and not self._clearing.is_under_way:
            verdict = self._profiles.respects(waiting.revision)
        if waiting is None or verdict is None:
            return []
        return waiting.then(now) if verdict else self._deny(now)

    def _deny(self, now: datetime) -> Wants:
        waiting = self._waiting
        assert waiting is not None, "somebody waits"
        self._shadow.give_up()
        return [*self._profiles.remerge(now), self._release(waiting.denied)]

    def _release(self, verdict: Rewritten | Answered | None, *, durable: bool = False) -> Release:
        waiting, self._waiting = self._waiting, None
        assert waiting is not None, "somebody waits"
        self._ours = waiting.call.call_id if isinstance(verdict, Answered) else None
        return Release(Side.CSMS, waiting.call.call_id, verdict, durable)

    def _in_force(self, book: Book, now: datetime) -> Wants:
        """A change happened at the charger: ours may rise to it."""
        self._shadow.put(book)
        return [*self._profiles.remerge(now)]

    # Words.

    def _status(self, status: str, code: str | None = None, why: str | None = None) -> Answered:
        answer: dict[str, object] = {"status": status}
        if code is not None and self._dialect.says_why:
            answer["statusInfo"] = {"reasonCode": code, "additionalInfo": (why or "")[:500]}
        return Answered(msgspec.json.encode(answer))

    def _withhold(self, call: Call, why: str, code: str = "NotEnabled") -> Ruled:
        self._news.append(CsmsCommandWithheld(self._charger.id, call.at, call.action, why))
        self._ours = call.call_id
        return self._status("Rejected", code, why), []


_GONE = ("Accepted", "Unknown")
