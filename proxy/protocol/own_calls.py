"""A profile of ours as the CALL that brings it to the charger (pure)."""

from collections.abc import Mapping
from dataclasses import dataclass

from domain.site import Charger
from proxy.protocol.composite import ChargingProfile, Kind
from proxy.protocol.dialects import Dialect
from proxy.protocol.schedules import Slot, in_watts


@dataclass(frozen=True, slots=True)
class Writer:
    """How one charger is written to."""

    charger: Charger
    dialect: Dialect
    line_to_line_v: float

    def message(
        self, slot: Slot, profile: ChargingProfile, held: ChargingProfile | None, *, watts: bool
    ) -> tuple[str, Mapping[str, object]]:
        """The action and the payload. A dynamic profile that the charger surely has (`held`) only gets a new limit."""
        written = in_watts(profile, self._conductors(slot), self.line_to_line_v) if watts else profile
        if held is not None and is_update(held, profile):
            update = {"limit": written.periods[0].limit}
            return "UpdateDynamicSchedule", {"chargingProfileId": profile.id, "scheduleUpdate": update}
        return "SetChargingProfile", self.dialect.write(written)

    def _conductors(self, slot: Slot) -> int:
        """Of the EVSE; of the whole charger the fewest, so that watts never allow more."""
        return min(e.conductors for e in self.charger.evses if slot.connector in (0, e.connector))


def is_update(held: ChargingProfile, profile: ChargingProfile) -> bool:
    """Whether only the limit of a dynamic profile changes (2.1, K28)."""
    if held.kind is not Kind.DYNAMIC or profile.kind is not Kind.DYNAMIC:
        return False
    one, other = held.periods[0], profile.periods[0]
    return (held.id, held.level, held.transaction_id, held.max_offline_s, one.number_phases, one.phase_to_use) == (
        profile.id,
        profile.level,
        profile.transaction_id,
        profile.max_offline_s,
        other.number_phases,
        other.phase_to_use,
    )
