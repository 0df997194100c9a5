"""Smart charging between one CSMS and one charger: what is intercepted of it, and what our own profiles make of it."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from domain.events import (
    ChargerBooted,
    CsmsCommandWithheld,
    CsmsProfilesChanged,
    Event,
    OcppVersion,
    SessionEnded,
    SessionStarted,
)
from domain.site import Charger
from proxy.protocol.capability import Capability
from proxy.protocol.charger_clock import ChargerClock
from proxy.protocol.composite import Purpose
from proxy.protocol.composite_reply import CompositeReply
from proxy.protocol.csms_profiles import CsmsProfiles
from proxy.protocol.csms_requests import CsmsRequests, Wants
from proxy.protocol.device_model import DeviceModel
from proxy.protocol.dialects import dialect_of, read_status
from proxy.protocol.exchange import Call, Exchange, OwnOutcome, Side
from proxy.protocol.features import FEATURES_SLOT, Features, ask_features
from proxy.protocol.interception import Answered, Order, Verdict
from proxy.protocol.limit_notices import LimitNotices
from proxy.protocol.placing import Placing
from proxy.protocol.profile_reports import PROFILES_SLOT, ProfileReports
from proxy.protocol.profiles import Profiles
from proxy.protocol.shadow import Book, Shadow
from proxy.protocol.tolerant import as_int, as_object, read_object
from proxy.protocol.transactions import Transactions

BEFORE_S = 120.0
"""A schedule of ours that has too few periods is written again so long before it stops being exact."""

AGAIN_S = 30.0
"""And no sooner than this after the last time."""

TELLING = frozenset({"NotifyPriorityCharging"})
"""What a charger says of smart charging by itself (`SmartCharging.on_charger`)."""


class SmartCharging:
    """One charger's. `stored` are the CSMS's profiles as an earlier run told them (`CsmsProfilesChanged`);
    `notify_limits`: the CSMS wants to hear of ours.
    """

    def __init__(
        self,
        charger: Charger,
        version: OcppVersion,
        new_token: Callable[[], str],
        clock: ChargerClock,
        transactions: Transactions,
        *,
        line_to_line_v: float,
        capability: Capability,
        stored: Sequence[Mapping[str, Any]] = (),
        notify_limits: bool = False,
    ) -> None:
        self._charger, self._version, self._new_token = charger, version, new_token
        dialect = dialect_of(version)
        self.features = Features(max_level=capability.max_level)
        self.shadow = Shadow(dialect, stored)
        self.csms = CsmsProfiles(charger, line_to_line_v, transactions, clock, self.shadow)
        self.profiles = Profiles(
            charger,
            dialect,
            new_token,
            clock,
            transactions,
            self.csms,
            self.features,
            capability,
            line_to_line_v,
        )
        self.placing = Placing(charger, self.profiles, self.features, transactions)
        self._requests = CsmsRequests(charger, dialect, self.shadow, self.profiles, self.placing, new_token)
        self._model = DeviceModel(version, self.features, self.placing, self._learnt)
        self._composite = CompositeReply(charger, self.profiles, self.csms, clock, line_to_line_v)
        self._reports = ProfileReports(dialect, self.shadow, self.profiles, new_token)
        self._notices = LimitNotices(charger, new_token) if notify_limits and version != "ocpp1.6" else None
        self._answered: set[str] = set()
        self._renewed_at: datetime | None = None
        self._told_revision = -1
        self._next_change: datetime | None = None
        self._expiry: datetime | None = None

    # What is intercepted.

    def intercepts(self, side: Side, action: str) -> bool:
        """Whether CALLs of this action, or the replies to them, may have to be changed."""
        if side is Side.CSMS and (action in self._requests.actions or action == "GetCompositeSchedule"):
            return True
        pulls = side is Side.CHARGER and action == "PullDynamicScheduleUpdate"
        listed = self._version != "ocpp1.6" and (pulls or self._reports.intercepts(side, action))
        return listed or self._model.intercepts(side, action)

    def on_intercepted(self, call: Call) -> tuple[Verdict | None, list[Order]]:
        """What becomes of a CALL."""
        if call.origin is Side.CSMS:
            if call.action in self._requests.actions:
                return self._requests.rule(call)
            if call.action == "GetChargingProfiles":
                self._reports.asked(call)
            return None, []
        if call.action == "NotifyReport":
            return self._model.report(call), []
        if call.action == "PullDynamicScheduleUpdate":
            return self._pulled(call), []
        verdict, orders, book = self._reports.page(call)
        return verdict, orders if book is None else [*orders, *self._adopted(book, call.at)]

    def on_reply(self, call: Call, ok: bool, payload: bytes) -> Answered | None:
        """What to answer instead of what the charger did."""
        if not ok:
            return None
        if call.action == "GetCompositeSchedule":
            return self._composite.on_reply(call, payload)
        if call.action == "GetChargingProfiles":
            return self._reports.on_reply(call, payload)
        return self._model.on_reply(payload) if self._model.intercepts(call.origin, call.action) else None

    # What is heard.

    def on_exchange(self, exchange: Exchange) -> Wants:
        """A request of the CSMS's was answered."""
        call = exchange.call
        if call.action == "GetChargingProfiles":
            return [*self._reports.replied(call, exchange.ok, exchange.reply)]
        wants = self._requests.answered(exchange) if call.action in self._requests.actions else []
        return [*wants, *self._news(exchange.at)]

    def on_charger(self, call: Call) -> Wants:
        """A message of the charger's that tells of smart charging."""
        if call.action not in TELLING:
            return []
        payload = read_object(call.payload) or {}
        if payload.get("activated") is not True or not self.placing.holds(Purpose.TX):
            return []
        why = "priority charging was begun at the charger and overrules our limits"
        return [CsmsCommandWithheld(self._charger.id, call.at, call.action, why, by_charger=True)]

    def follow(self, events: Sequence[Event], at: datetime) -> Wants:
        """Sessions and boots of the charger's, as they were understood."""
        before = self.shadow.revision
        for event in events:
            if isinstance(event, SessionStarted):
                self.shadow.started(event.connector, event.transaction_id)
            elif isinstance(event, SessionEnded):
                self.shadow.ended(event.transaction_id)
            elif isinstance(event, ChargerBooted) and event.accepted:
                self.profiles.booted(event.firmware)
                self.shadow.complete = False
                self._answered.clear()
        wants: Wants = [*self.profiles.remerge(at)] if self.shadow.revision != before else []
        if any(isinstance(event, ChargerBooted) and event.accepted for event in events):
            # Some forget their profiles over a boot: ours are written, theirs are read again.
            wants += [*self.profiles.remerge(at), *self._questions()]
        if any(isinstance(event, SessionStarted | SessionEnded) for event in events):
            self._next_change = at
        return [*wants, *self._news(at)]

    def has_news(self, at: datetime) -> bool:
        """Whether `follow` would tell anything where nothing but a measurement came."""
        due = self._next_change is not None and at >= self._next_change
        return due or self.shadow.revision != self._told_revision or self._requests.has_news

    def connected(self) -> list[Order]:
        """A new socket: first the fall-backs, so that no EVSE is without a limit."""
        self._requests.connected()
        return [*self.profiles.connected(), *self._questions()]

    def on_outcome(self, outcome: OwnOutcome) -> Wants:
        """What became of a CALL of ours."""
        if outcome.kind == "sent":
            events, calls = self.profiles.on_outcome(outcome)
            return [*events, *calls]
        events, calls = self.profiles.on_outcome(outcome)
        wants: Wants = [*events, *calls, *self._requests.progress(outcome)]
        if self._notices is not None:
            wants += self._notices.about(events)
        if outcome.call.slot in (FEATURES_SLOT, PROFILES_SLOT) and outcome.kind not in ("lost", "superseded"):
            self._answered.add(outcome.call.slot)  # or never will be: it is not asked again before the next boot
        if outcome.call.slot == FEATURES_SLOT and outcome.kind == "result":
            self.features.read_variables(read_object(outcome.payload) or {})
        if outcome.call.slot == PROFILES_SLOT:
            book = self._reports.nothing_there(read_status(outcome.payload), outcome.at)
            if book is not None:
                wants += self._adopted(book, outcome.at)
        return [*wants, *self._requests.evict(outcome.at), *self._news(outcome.at)]

    @property
    def due_at(self) -> datetime | None:
        """When `tick` is due; None: time alone changes nothing."""
        dues = (self._requests.due_at, self._next_change, self._expiry, self._renewal, self.profiles.lapses_at)
        return min((due for due in dues if due is not None), default=None)

    def tick(self, now: datetime) -> Wants:
        """Time has passed."""
        before = self.shadow.revision
        self._expiry = self.shadow.expire(now)
        wants = self._requests.tick(now)
        late = any(due is not None and now >= due for due in (self._renewal, self.profiles.lapses_at))
        if late or self.shadow.revision != before:
            self._renewed_at = now
            wants += self.profiles.remerge(now)
        return [*wants, *self._news(now)]

    # Inside.

    @property
    def _renewal(self) -> datetime | None:
        """When schedules with too few periods are to be written anew: not over and over, where that cannot help."""
        exact_until = self.profiles.exact_until
        if exact_until is None:
            return None
        soon = exact_until - timedelta(seconds=BEFORE_S)
        return soon if self._renewed_at is None else max(soon, self._renewed_at + timedelta(seconds=AGAIN_S))

    def _questions(self) -> list[Order]:
        """2.x: which profiles stand there, if that is not known; 2.1: what the station offers besides."""
        if self._version == "ocpp1.6":
            return []
        features = [ask_features(self._new_token())] if self._version == "ocpp2.1" else []
        return [call for call in (*self._reports.ask(), *features) if call.slot not in self._answered]

    def _news(self, at: datetime) -> list[Event]:
        """What is to be told: limits that lead now, the shadow where it changed, and what was withheld."""
        news: list[Event] = self._requests.take_news()
        changed = self.shadow.revision != self._told_revision
        if changed or (self._next_change is not None and at >= self._next_change):
            news += self.csms.changes(at)
            self._next_change = self.csms.next_change(at)
        if changed:
            self._told_revision = self.shadow.revision
            self._expiry = self.shadow.expire(at)
            rows = self.shadow.news()
            if rows is not None:
                news.append(CsmsProfilesChanged(self._charger.id, at, self._version, rows))
        return news

    def _learnt(self) -> None:
        """The charger may have said how many levels it has."""
        level = self.features.max_level
        if level is not None and level != self.profiles.capability.max_level:
            self.profiles.capability = self.profiles.capability.told_max_level(level)

    def _adopted(self, book: Book, at: datetime) -> list[Order]:
        """The charger told which profiles of the CSMS's it has."""
        self.shadow.put(book)
        wants = [*self.profiles.remerge(at), *self._requests.evict(at)]
        return [want for want in wants if isinstance(want, Order)]

    def _pulled(self, call: Call) -> Answered | None:
        """2.1: a station asks for the limit of a dynamic profile. None of ours is to be pulled: they are pushed."""
        number = as_int(as_object(read_object(call.payload)).get("chargingProfileId"))
        return Answered(b'{"status":"Rejected"}') if number in self.profiles.own_ids else None
