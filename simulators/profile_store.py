"""The profiles that a charger holds: what it accepts, what replaces what, what a clear removes; pure."""

from collections.abc import Callable, Container, Iterator

from simulators.behaviour import Behaviour
from simulators.charging_profiles import Kind, Profile, Purpose
from simulators.composite import Charge


class ProfileStore:
    """Installed profiles in order of arrival. They outlive links and reboots, as 1.6's errata 3.37 and K01.FR.27 ask.

    Attributes:
        version: grows with every change, and with every accepted write.
        writes: accepted SetChargingProfile messages since the beginning.
    """

    def __init__(self, behaviour: Behaviour, connectors: Container[int], *, ocpp16: bool) -> None:
        self.version = 0
        self.writes = 0
        self._behaviour, self._connectors, self._ocpp16 = behaviour, connectors, ocpp16
        self._profiles: list[Profile] = []

    def __iter__(self) -> Iterator[Profile]:
        return iter(self._profiles)

    def __len__(self) -> int:
        return len(self._profiles)

    def install(self, profile: Profile, charge: Charge | None, *, with_start: bool = False) -> str | None:
        """Take a profile in.

        Args:
            profile: what was sent.
            charge: the transaction that runs on the profile's connector.
            with_start: it came inside a remote start, hence without a transaction id (1.6 section 5.16.2).

        Returns:
            None when installed, else why it is rejected.
        """
        why = self._objection(profile) or self._transaction_objection(profile, charge, with_start)
        if why is not None:
            return why
        replaced = [one for one in self._profiles if self._replaces(profile, one)]
        room = self._behaviour.max_profiles - len(self._profiles)
        if room + (0 if self._behaviour.counts_replacement else len(replaced)) < 1:
            return "no room for another profile"
        self._profiles = [one for one in self._profiles if one not in replaced]
        self._profiles.append(profile)
        self.writes += 1
        self.version += 1
        return None

    def clear(self, matches: Callable[[Profile], bool]) -> int:
        """Remove what matches; returns how many that were."""
        stay = self._behaviour.level_zero_stays
        gone = [one for one in self._profiles if matches(one) and not (stay and one.stack_level == 0)]
        if gone:
            self._profiles = [one for one in self._profiles if one not in gone]
            self.version += 1
        return len(gone)

    def end_transaction(self, connector: int) -> None:
        """A TxProfile ends with its transaction."""
        gone = [one for one in self._profiles if one.purpose is Purpose.TX and one.connector == connector]
        if gone:
            self._profiles = [one for one in self._profiles if one not in gone]
            self.version += 1

    def boot(self) -> None:
        """Power returns."""
        if self._behaviour.forgets_profiles_on_boot:
            self._profiles.clear()
            self.version += 1

    def _replaces(self, new: Profile, old: Profile) -> bool:
        if new.profile_id == old.profile_id:
            return True
        # 1.6 section 5.16.3: the same purpose and level on the same connector is replaced in silence.
        return self._ocpp16 and self._behaviour.replaces_same_slot and new.slot == old.slot

    def _objection(self, profile: Profile) -> str | None:
        """Why no charger like this would take the profile, whatever it is doing."""
        quirks = self._behaviour
        checks = (
            (profile.connector != 0 and profile.connector not in self._connectors, "unknown connector"),
            (profile.purpose is Purpose.EXTERNAL, "external constraints are not the CSMS's to set (K01.FR.22)"),
            (profile.purpose in quirks.refused_purposes, "purpose not supported"),
            (profile.kind in quirks.refused_kinds, "kind not supported"),
            (profile.unit not in quirks.rate_units, "unit not supported"),
            (profile.stack_level > quirks.max_stack_level, "stack level too high"),
            (len(profile.periods) > quirks.max_periods, "too many periods"),
            (profile.purpose is Purpose.STATION_MAX and profile.connector != 0, "a station cap is for connector 0"),
            (
                not self._ocpp16 and profile.purpose is Purpose.STATION_MAX and profile.kind is Kind.RELATIVE,
                "a station cap is never Relative (K01.FR.38)",
            ),
            (not self._ocpp16 and any(self._clashes(profile, old) for old in self._profiles), "the slot is taken"),
        )
        return next((why for wrong, why in checks if wrong), None)

    def _clashes(self, new: Profile, old: Profile) -> bool:
        """2.x: another id in the same slot (K01.FR.06, 39), or defaults for evse 0 and n at one level (FR.52, 53)."""
        if new.profile_id == old.profile_id:
            return False
        if new.slot == old.slot:
            return True
        both_defaults = new.purpose is old.purpose is Purpose.TX_DEFAULT and new.stack_level == old.stack_level
        return both_defaults and (new.connector == 0) != (old.connector == 0)

    def _transaction_objection(self, profile: Profile, charge: Charge | None, with_start: bool) -> str | None:
        if profile.purpose is not Purpose.TX:
            return None
        if profile.connector == 0:
            return "a TxProfile needs a connector"
        if with_start:
            return None
        if charge is None or charge.transaction_id is None:
            return "no transaction is running"
        if profile.transaction_id != charge.transaction_id:
            return "the transaction id is missing or of another transaction"
        return None
