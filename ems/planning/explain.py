"""A plan in plain words, from its numbers alone: what moved, why, what it saved, what binds."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from ems.planning.horizon import Vector, clock


@dataclass(frozen=True)
class Facts:
    """What a plan is explained from; energies per slot in kWh, money in `currency`.

    `equal_saving_frac` is the saving at equal delivered energy; `unmet_kwh` and `unmet_cars` count what stays
    undelivered; `capacity_value` is what one more kWh of capacity would save per slot, `limit` names that capacity
    (None: the notes say what binds); `notes` are further sentences, `private_notes` those that name cars or sessions.
    """

    slot_h: float
    start_h: float
    price_per_kwh: Vector
    plan_kwh: Vector
    baseline_kwh: Vector
    cost: float
    baseline_cost: float
    currency: str = "EUR"
    signal: str = "price"
    equal_saving_frac: float | None = None
    unmet_kwh: float = 0.0
    unmet_cars: int = 0
    capacity_value: Vector | None = None
    limit: str | None = "the site's limit"
    notes: Sequence[str] = field(default_factory=tuple)
    private_notes: Sequence[str] = field(default_factory=tuple)


def explain(facts: Facts) -> tuple[str, ...]:
    """Sentences for a person, one fact each, in the order: moved, why, saved, unmet, binds."""
    said = [*_moved(facts), _saved(facts)]
    if facts.unmet_kwh > 5e-3:
        who = f" ({facts.unmet_cars} cars)" if facts.unmet_cars else ""
        at_equal = "not defined" if facts.equal_saving_frac is None else f"{facts.equal_saving_frac:.1%}"
        said.append(
            f"{facts.unmet_kwh:.1f} kWh stay undelivered{who}: part of the saving is energy that is not bought; at "
            f"equal delivered energy the saving is {at_equal}."
        )
    return (*said, *_binding(facts), *facts.notes, *facts.private_notes)


def saving_frac(cost: float, baseline_cost: float) -> float | None:
    """1 - cost / baseline; None where the baseline costs nothing or is paid for."""
    return 1.0 - cost / baseline_cost if baseline_cost > 1e-12 else None


def _moved(facts: Facts) -> tuple[str, ...]:
    change = facts.plan_kwh - facts.baseline_kwh
    moved = min(float(np.maximum(change, 0.0).sum()), float(np.maximum(-change, 0.0).sum()))
    total = float(np.abs(facts.baseline_kwh).sum())
    if moved < 5e-3:
        return ("No charging moved: the plan charges when unmanaged cars would.",)
    later, earlier = _hours(facts, change), _hours(facts, -change)
    share = f" ({moved / total:.0%} of all)" if total > 0 else ""
    moved_where = f"{moved:.1f} kWh{share} moved, most of it from {earlier} to {later}."
    paid = float(facts.price_per_kwh @ np.maximum(-change, 0.0)) / float(np.maximum(-change, 0.0).sum())
    pays = float(facts.price_per_kwh @ np.maximum(change, 0.0)) / float(np.maximum(change, 0.0).sum())
    if abs(paid - pays) < 5e-5:
        return (moved_where,)
    return (
        moved_where,
        f"The {facts.signal} averages {paid:.4f} {facts.currency}/kWh where charging was taken away and {pays:.4f} "
        f"where it was put.",
    )


def _hours(facts: Facts, change: Vector) -> str:
    """The clock hour, or the run of neighbouring hours, where most of the change lies."""
    hour = np.floor(facts.start_h + np.arange(change.shape[0]) * facts.slot_h + 1e-9).astype(np.int64)
    first = int(hour[0])
    per_hour = np.bincount(hour - first, weights=np.maximum(change, 0.0))
    best = int(np.argmax(per_hour))
    begin = end = best
    while begin > 0 and per_hour[begin - 1] >= 0.5 * per_hour[best]:
        begin -= 1
    while end + 1 < per_hour.shape[0] and per_hour[end + 1] >= 0.5 * per_hour[best]:
        end += 1
    return f"{clock(first + begin, 1.0)}-{clock(first + end + 1, 1.0)}"


def _saved(facts: Facts) -> str:
    saved = facts.baseline_cost - facts.cost
    frac = saving_frac(facts.cost, facts.baseline_cost)
    word = "saves" if saved > -5e-3 else "costs more by"
    share = "" if frac is None else f", {abs(frac):.1%}"
    return (
        f"It costs {facts.cost:.2f} {facts.currency} instead of {facts.baseline_cost:.2f}: "
        f"it {word} {abs(saved):.2f}{share}."
    )


def _binding(facts: Facts) -> tuple[str, ...]:
    value = facts.capacity_value
    if facts.limit is None:
        return ()
    if value is None or not (value > 1e-9).any():
        return (f"Nothing but the cars' own stays and power binds: {facts.limit} costs nothing.",)
    tight = np.flatnonzero(value > 1e-9)
    worst = int(np.argmax(value))
    return (
        f"In {tight.size} of {value.size} slots {facts.limit} binds; most at "
        f"{clock(worst, facts.slot_h, facts.start_h)}, where one more kWh would save {value[worst]:.4f} "
        f"{facts.currency}.",
    )
