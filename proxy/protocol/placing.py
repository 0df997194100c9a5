"""Where a profile of the CSMS's may stand beside ours: at the charger, only in the shadow, or nowhere (pure)."""

from collections.abc import Iterator
from dataclasses import dataclass

from domain.site import Charger
from proxy.protocol.capability import Capability
from proxy.protocol.composite import ChargingProfile, Purpose
from proxy.protocol.dialects import ClearCriteria
from proxy.protocol.features import Features
from proxy.protocol.profiles import Profiles
from proxy.protocol.shadow import Book, Kept, held_at_charger, with_profile
from proxy.protocol.transactions import Transactions

_OF_TRANSACTIONS = (Purpose.TX, Purpose.DEFAULT)


@dataclass(frozen=True, slots=True)
class Pass:
    """It goes to the charger as it is: ours stand above it, or beside it where the lower of both holds."""


@dataclass(frozen=True, slots=True)
class Own:
    """It stays in the shadow, and ours respect it: at the charger it would stand above ours or take a place of ours."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """It cannot be obeyed together with ours. `code` is 2.x's reason code."""

    why: str
    code: str = "NotEnabled"


@dataclass(frozen=True, slots=True)
class Placing:
    """The rules for one charger, as it is known now."""

    charger: Charger
    profiles: Profiles
    features: Features
    transactions: Transactions

    @property
    def top(self) -> int:
        """The stack level that is kept for us; the CSMS has those below."""
        return self._capability.level

    @property
    def reported_level(self) -> int:
        """The highest stack level that the CSMS is told of."""
        return max(0, min(self.top, self.profiles.fallback_level or self.top) - 1)

    @property
    def reserved(self) -> int:
        """How many profiles are kept for us: our places and one, because some refuse a replacement when full."""
        if self._capability.mode == "cap":
            return 2 + 1
        group = 1 if self.holds(Purpose.CAP) else 0
        return 3 * len(self.charger.evses) + group + 1

    def reported_profiles(self, installed: int) -> int:
        """How many profiles the CSMS is told that the charger keeps."""
        return max(1, installed - self.reserved)

    def holds(self, purpose: Purpose) -> bool:
        """Whether profiles of ours stand above the CSMS's of this purpose."""
        if self._capability.mode == "cap":
            return purpose is Purpose.CAP
        group = len(self.charger.evses) > 1 and self._capability.group_cap
        return purpose in _OF_TRANSACTIONS or (purpose is Purpose.CAP and group)

    def of(self, profile: ChargingProfile, book: Book) -> Pass | Own | Refuse:
        """What becomes of a profile that the CSMS sets."""
        objection = self._objection(profile)
        if objection is not None:
            return objection
        ours = profile.id in self.profiles.own_ids
        if not self.holds(profile.purpose):
            if ours and self._capability.mode == "cap" and profile.purpose in _OF_TRANSACTIONS:
                return Own()
            if ours:
                return Refuse("the id is used for a profile of the building's", "DuplicateProfile")
            return Pass() if self._has_room(profile, book) else Refuse("no room for another profile", "TooManyElements")
        untaken = profile.purpose is Purpose.TX and not self._capability.tx_profile
        if ours or untaken or self._is_above_ours(profile) or not self._has_room(profile, book):
            return Own()
        return Pass()

    def evicted(self, book: Book) -> list[Kept]:
        """Profiles at the charger that stand above ours, or where ours have to: since a level was given up."""
        return [k for k in book if not k.owned and self.holds(k.profile.purpose) and self._is_above_ours(k.profile)]

    def may_hit_ours(self, criteria: ClearCriteria) -> bool:
        """Whether a ClearChargingProfile without an id could clear one of ours at the charger."""
        purposes = [p for p in (Purpose.CAP, *_OF_TRANSACTIONS) if criteria.purpose in (None, p)]
        levels = {self.top, self.profiles.fallback_level}
        return any(self.holds(purpose) for purpose in purposes) and criteria.level in {None, *levels}

    def pieces(self, criteria: ClearCriteria) -> Iterator[ClearCriteria]:
        """Criteria without an id as those that clear the same but none of ours, by purpose and level."""
        for purpose in (Purpose.CAP, *_OF_TRANSACTIONS):
            if criteria.purpose not in (None, purpose):
                continue
            if not self.holds(purpose):
                yield ClearCriteria(None, criteria.connector, purpose, criteria.level)
                continue
            for level in range(self.top):
                if criteria.level in (None, level) and not self._is_fallback(purpose, level):
                    yield ClearCriteria(None, criteria.connector, purpose, level)

    @property
    def _capability(self) -> Capability:
        return self.profiles.capability

    def _is_above_ours(self, profile: ChargingProfile) -> bool:
        return profile.level >= self.top or self._is_fallback(profile.purpose, profile.level)

    def _is_fallback(self, purpose: Purpose, level: int) -> bool:
        """Whether our fall-back stands there; what is between it and ours, where it stands high, is ours as well."""
        fallback = Purpose.CAP if self._capability.mode == "cap" else Purpose.DEFAULT
        return purpose is fallback and self._capability.fallback and level == self.profiles.fallback_level

    def _objection(self, profile: ChargingProfile) -> Refuse | None:
        """Why a profile cannot be obeyed together with ours."""
        by_transaction = self.holds(Purpose.TX)
        if profile.purpose is Purpose.LOCAL:
            return Refuse("local generation would add to the building's limit instead of keeping to it")
        if profile.purpose is Purpose.PRIORITY and by_transaction:
            return Refuse(
                "priority charging would overrule the building's limit at a charger that takes no station cap"
            )
        if profile.purpose in _OF_TRANSACTIONS and by_transaction and not profile.charges:
            return Refuse("the building's limit would replace its operation mode", "UnsupportedParam")
        if profile.purpose is not Purpose.TX or not by_transaction:
            return None
        running = self.transactions.at(profile.connector)
        if running is None or profile.transaction_id not in (None, running.transaction_id):
            return Refuse("no such transaction is running at this connector", "TxNotFound")
        return None

    def _has_room(self, profile: ChargingProfile, book: Book) -> bool:
        if self.features.max_profiles is None:
            return True
        after = held_at_charger(with_profile(book, Kept(profile, {})))
        return len(after) <= self.reported_profiles(self.features.max_profiles)
