"""GetCompositeSchedule as the CSMS is told it: with what is expected in the place of the dead-man step (pure).

The charger's own answer is true of its profiles; but the step to the fall-back, which is renewed before it comes, is
not what will be (2.0.1 SC.04; local-controller.md section 3, item 5).
"""

from datetime import datetime, timedelta
from math import floor, sqrt
from typing import Any

import msgspec

from domain.site import Charger, Evse
from proxy.protocol.charger_clock import EPOCH, ChargerClock
from proxy.protocol.composite import Allowed, Period
from proxy.protocol.csms_profiles import CsmsProfiles
from proxy.protocol.exchange import Call
from proxy.protocol.interception import Answered
from proxy.protocol.merge import Csms, merge
from proxy.protocol.profiles import Profiles
from proxy.protocol.schedules import wire_amps
from proxy.protocol.tolerant import Json, as_instant, as_int, as_object, as_objects, read_object

MOST_PERIODS = 1000
_DAY_S = 86_400


class CompositeReply:
    """One charger's."""

    def __init__(
        self, charger: Charger, profiles: Profiles, csms: CsmsProfiles, clock: ChargerClock, line_to_line_v: float
    ) -> None:
        self._charger, self._profiles, self._csms, self._clock = charger, profiles, csms, clock
        self._line_to_line_v = line_to_line_v

    def on_reply(self, call: Call, payload: bytes) -> Answered | None:
        """What to answer instead; None: the charger's answer shows no step of ours."""
        asked, reply = read_object(call.payload), read_object(payload)
        if asked is None or reply is None or reply.get("status") != "Accepted":
            return None
        is_16 = "connectorId" in asked
        connector = as_int(asked.get("connectorId" if is_16 else "evseId"))
        schedule = as_object(reply.get("chargingSchedule" if is_16 else "schedule"))
        begins = as_instant(reply.get("scheduleStart") if is_16 else schedule.get("scheduleStart"))
        begins = begins or self._clock.now(call.at)
        told_a, step_at = self._expected(connector)
        if step_at is None or step_at <= begins or connector is None:
            return None
        duration_s = as_int(schedule.get("duration")) or as_int(asked.get("duration")) or _DAY_S
        periods = self._periods(schedule, connector, begins, step_at, told_a, duration_s)
        if periods is None:
            return None
        told: dict[str, Any] = {**schedule, "chargingSchedulePeriod": periods}
        if is_16:
            told.pop("startSchedule", None)  # errata 1.6 3.57
        return Answered(msgspec.json.encode({**reply, "chargingSchedule" if is_16 else "schedule": told}))

    def _expected(self, connector: int | None) -> tuple[float, datetime | None]:
        """What the EMS allows for now at a connector, and when the charger would step from it."""
        plans = [(evse, self._profiles.plan_of(evse.id)) for evse in self._charger.evses]
        found = [(evse, plan) for evse, plan in plans if plan is not None and connector in (0, evse.connector)]
        steps = [plan.step_at for _, plan in found if plan.step_at is not None]
        phases = {phase for evse, _ in found for phase in evse.phases}
        sums = [sum(plan.told_a for evse, plan in found if phase in evse.phases) for phase in phases]
        return max(sums, default=0.0), min(steps, default=None)

    def _periods(
        self, schedule: Json, connector: int, begins: datetime, step_at: datetime, told_a: float, duration_s: int
    ) -> list[Json] | None:
        """The charger's periods up to the step, then those that are expected; None where there is nothing to change."""
        theirs = as_objects(schedule.get("chargingSchedulePeriod"), MOST_PERIODS)
        cut_s = max(1, floor((step_at - begins).total_seconds()) - 1)
        if not theirs or cut_s >= duration_s:
            return None
        kept = [period for period in theirs if (as_int(period.get("startPeriod")) or 0) < cut_s]
        evse = next((one for one in self._charger.evses if one.connector == connector), None)
        scale = self._volts(evse) if schedule.get("chargingRateUnit") == "W" else 1.0
        last = kept[-1].get("limit") if kept else None
        for period in self._from(begins + timedelta(seconds=cut_s), connector, evse, told_a):
            start_s, limit = cut_s + period.start_s, round(period.limit * scale, 1)
            if start_s < duration_s and limit != last:
                kept.append({"startPeriod": start_s, "limit": limit})
                last = limit
        return kept[:MOST_PERIODS]

    def _from(self, since: datetime, connector: int, evse: Evse | None, told_a: float) -> tuple[Period, ...]:
        """What is expected from an instant on: the EMS's limit, and the CSMS's own where that is lower."""

        def allowed(at: datetime) -> Allowed | None:
            limit_a = self._csms.leading_at(connector, at)
            return None if limit_a is None else Allowed(limit_a)

        def written(amps: float) -> float:
            return amps if evse is None else wire_amps(amps, evse)

        csms = Csms(allowed, self._csms.any_edge, Allowed(0.0))
        return merge([(EPOCH, told_a)], csms, since, since, MOST_PERIODS, written).periods

    def _volts(self, evse: Evse | None) -> float:
        conductors = 3 if evse is None else evse.conductors
        return self._line_to_line_v if conductors == 2 else self._line_to_line_v / sqrt(3.0) * conductors
