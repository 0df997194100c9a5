"""Fig. 3.1: four EVs on a 12 kW feeder, asked of the live scheduler minute by minute."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import numpy as np

from domain.ids import EvseId
from domain.rotation import RotationState
from domain.site import SchedulerSettings
from headroom.studies.drr_nights import Floats
from headroom.studies.drr_year import Policy
from scheduler.admission import admit
from scheduler.contender import Contender

FEEDER_KW, NEED_KWH, MINUTES = 12.0, 12.0, 240
STAYS: Mapping[str, tuple[int, int]] = {"EV1": (0, 240), "EV2": (0, 240), "EV3": (0, 240), "EV4": (60, 180)}
"""Minutes of arrival and departure. The thesis counts hours from 1: "joins at hour 2, departs at hour 4"."""
_OPENS = datetime(2026, 1, 5, tzinfo=UTC)


def charged_kwh(policy: Policy) -> Floats:
    """[EV, minute] energy charged up to the end of each minute: one EV at a time, quantum one hour."""
    settings = SchedulerSettings(kind=policy, quantum_s=3600.0, min_on_s=300.0)
    left = dict.fromkeys(STAYS, NEED_KWH)
    state = RotationState()
    found = np.zeros((len(STAYS), MINUTES))
    for minute in range(MINUTES):
        now = _OPENS + timedelta(minutes=minute)
        asking = [
            Contender(EvseId(name), _OPENS + timedelta(minutes=begins))
            for name, (begins, ends) in STAYS.items()
            if begins <= minute < ends and left[name] > 1e-9
        ]
        answer = admit(settings, state, asking, lambda some: len(some) <= 1, now)
        state = answer.state
        for name in answer.admitted:
            left[name] -= FEEDER_KW / 60.0
        found[:, minute] = [NEED_KWH - max(0.0, left[name]) for name in STAYS]
    return found
