"""The year in numpy against the live scheduler, asked at every instant of sampled nights of sampled cells."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from domain.ids import EvseId
from domain.rotation import RotationState
from headroom.studies.drr_nights import STEP_S, STEPS, STEPS_PER_H, Floats, Nights, draw_nights
from headroom.studies.drr_year import FULL_KWH, POLICIES, SETTINGS, Policy, delivered_kwh
from scheduler.admission import admit
from scheduler.contender import Contender

OPENS = datetime(2026, 1, 5, 18, 0, tzinfo=UTC)
CELLS = ((3, 5, "none"), (5, 9, "none"), (8, 7, "ems"), (7, 8, "ems"), (10, 2, "ems"), (1, 6, "none"))


def live_kwh(policy: Policy, seats: int, nights: Nights, night: int, power_kw: float | Floats) -> Floats:
    """One night as the live scheduler runs it."""
    count = nights.arrival.shape[1]
    names = [EvseId(f"E{number:02d}") for number in range(count)]
    left, state = nights.need_kwh[night].copy(), RotationState()
    settings = replace(SETTINGS, kind=policy)
    for step in range(STEPS):
        now = OPENS + timedelta(seconds=STEP_S * step)
        here = [
            n
            for n in range(count)
            if nights.arrival[night, n] <= step < nights.departure[night, n] and left[n] > FULL_KWH
        ]
        contenders = [
            Contender(names[n], OPENS + timedelta(seconds=STEP_S * int(nights.arrival[night, n]))) for n in here
        ]
        answer = admit(settings, state, contenders, lambda some: len(some) <= seats, now)
        state = answer.state
        for name in answer.admitted:
            n = names.index(name)
            kw = power_kw if isinstance(power_kw, float) else power_kw[night, step // STEPS_PER_H, n]
            left[n] -= kw / STEPS_PER_H
    return np.asarray(nights.need_kwh[night] - np.maximum(left, 0.0))


@pytest.mark.parametrize("policy", POLICIES)
def test_sampled_cells_are_what_the_live_scheduler_does(policy: Policy) -> None:
    year = draw_nights(40, 56, seed=11)
    for cell, (seats, queue, setting) in enumerate(CELLS):
        asking = year.first(min(56, seats * queue))
        power_kw = asking.ems_kw if setting == "ems" else 15.0 / seats
        found = delivered_kwh(policy, seats, asking, power_kw)
        for night in (cell, 20 + cell):
            np.testing.assert_allclose(found[night], live_kwh(policy, seats, asking, night, power_kw), atol=1e-6)


def test_nobody_gets_more_than_was_needed_or_could_flow() -> None:
    year = draw_nights(20, 30, seed=2)
    most = 1.875 * (year.departure - year.arrival) / STEPS_PER_H
    for policy in POLICIES:
        found = delivered_kwh(policy, 6, year, 1.875)
        assert (found <= np.minimum(year.need_kwh, most) + 1e-6).all()
        assert (found.sum(axis=1) <= 6 * 1.875 * 15 + 1e-6).all()
