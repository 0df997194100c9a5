"""The settling ledger: what an EVSE may be drawing, whatever it was told (ems.md 6.2, 6.3 and 6.9).

An EVSE counts as max(measured, previous limit, new limit) until the newest limit is settled: acknowledged, and seen to
be obeyed. Accepted is not applied, so an acknowledgement alone settles nothing: either the draw is seen to fall from
above the new limit to it, or it is at or below the limit once the settle time has passed, or, where nothing is
measured, twice the response time has passed; one that was just seen above the new limit has `SAMPLED_WITHIN_S` to be
seen again, as samples come every minute. The settle time is the response time of the site file. For a draw that
comes down from above the limit it is learned: once the present car has been seen to follow `LEAST_FOLLOWED` lower
limits, twice the slowest of the last ones, if that is less; so a pause at 0 A settles as soon as any other. A reduction
that nobody acknowledged never settles.

Every function is a transition: entry in, entry out. Increases count from the instant they are decided (`sent` is stored
before the frame leaves), reductions when they are settled.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from domain.ledger import LedgerEntry
from domain.site import Evse

UNACKNOWLEDGED_S = 5.0
"""A reduction without acknowledgement for this long counts as not made."""

CLOCK_ERROR_S = 60.0
"""How wrong a charger's clock may be: the dead-man step of a slow one comes that much late."""

FOLLOWED_WITHIN_A = 2.0
"""A fall to no further than this below the new limit is the limit's work, not the car's."""


SAMPLED_WITHIN_S = 90.0
"""An EVSE that reports has told a sample within this: it is asked where the CSMS wants none every minute."""

LEAST_FOLLOWED, REMEMBERED = 3, 8
SOONEST_S = 5.0
"""No settle time is learned below this: J1772 gives a car five seconds to follow the pilot."""


def settle_after_s(entry: LedgerEntry, evse: Evse) -> float:
    """How long after its acknowledgement a lower draw proves a limit: learned from the present car, never longer than
    the response time of the site file.
    """
    if len(entry.followed_s) < LEAST_FOLLOWED:
        return evse.response_s
    return min(evse.response_s, max(SOONEST_S, 2.0 * max(entry.followed_s)))


def new_car(entry: LedgerEntry) -> LedgerEntry:
    """Another car is plugged in: how soon the last one followed says nothing of it."""
    return replace(entry, followed_s=()) if entry.followed_s else entry


def tolerance_a(limit_a: float) -> float:
    """How far a draw may be above a limit and still count as obeying: 0.5 A or 5 %, for meters and ripple."""
    return max(0.5, 0.05 * limit_a)


def unknown(evse: Evse) -> LedgerEntry:
    """An EVSE of which nothing is known: it may draw its full rating."""
    return LedgerEntry(limit_a=evse.max_a, upper_a=evse.max_a)


def sent(entry: LedgerEntry, limit_a: float, now: datetime) -> LedgerEntry:
    """A limit is about to be sent. Repeating the newest one changes nothing once it is acknowledged."""
    if limit_a == entry.limit_a and entry.sent_at is not None and not entry.refused:
        return entry if entry.trusted else replace(entry, sent_at=now, acknowledged_at=None)
    upper_a = max(entry.upper_a, entry.limit_a, limit_a)
    return replace(
        entry,
        limit_a=limit_a,
        upper_a=upper_a,
        sent_at=now,
        acknowledged_at=None,
        settled_at=None,
        raised_at=now if limit_a > entry.limit_a else entry.raised_at,
    )


def acknowledged(entry: LedgerEntry, limit_a: float, now: datetime) -> LedgerEntry:
    """The charger accepted `limit_a`; an acknowledgement of anything but the newest limit is ignored."""
    if limit_a != entry.limit_a:
        return entry
    return replace(entry, acknowledged_at=entry.acknowledged_at or now, refused=False)


def refused(entry: LedgerEntry, limit_a: float, failsafe_a: float = 0.0) -> LedgerEntry:
    """The charger rejected `limit_a` or did not answer: what was in force before may still be, or by now the fall-back.

    Said of anything but the newest limit, it is ignored.
    """
    if limit_a != entry.limit_a:
        return entry
    upper_a = max(entry.upper_a, failsafe_a)
    return replace(entry, upper_a=upper_a, refused=True, acknowledged_at=None, settled_at=None)


def voided(entry: LedgerEntry, evse: Evse) -> LedgerEntry:
    """A limit that was accepted is in force no more: the EVSE may draw its full rating until one is again."""
    return replace(entry, upper_a=max(entry.upper_a, evse.max_a), refused=True, acknowledged_at=None, settled_at=None)


def measured(entry: LedgerEntry, evse: Evse, current_a: float, now: datetime) -> LedgerEntry:
    """The EVSE was measured at `now` (when the sample was taken; an older one than the newest is ignored).

    Settles the newest limit when the draw proves it, takes trust away when a draw is above the limit although the
    response time since the acknowledgement has passed, or at once when it is above all limits that may still be
    obeyed, and gives trust back when a limit that was sent and acknowledged after that is obeyed.
    """
    if entry.measured_at is not None and now < entry.measured_at:
        return entry
    previous = entry
    entry = replace(entry, measured_a=current_a, measured_at=now)
    if entry.acknowledged_at is None or now <= entry.acknowledged_at:
        return entry
    since_s = (now - entry.acknowledged_at).total_seconds()
    late = since_s >= evse.response_s
    if current_a > entry.limit_a + tolerance_a(entry.limit_a):
        # Above every limit that may still be in force it is no matter of time.
        if late or current_a > entry.upper_a + tolerance_a(entry.upper_a):
            return replace(entry, trusted=False, upper_a=evse.max_a, settled_at=None, acknowledged_at=None)
        return entry
    follows = _followed(previous, current_a)
    fell = _was_above(previous) and since_s >= settle_after_s(entry, evse)
    if entry.settled or not (follows or fell or late):
        return entry
    followed_s = (*entry.followed_s, since_s)[-REMEMBERED:] if follows else entry.followed_s
    return replace(entry, settled_at=now, upper_a=entry.limit_a, trusted=True, followed_s=followed_s)


def _followed(before: LedgerEntry, current_a: float) -> bool:
    """Whether the draw was seen to come down to the new limit: from above it, to it.

    Not where the limit is near 0: a car that stops by itself, or leaves, looks the same.
    """
    if before.limit_a <= FOLLOWED_WITHIN_A:
        return False
    return _was_above(before) and current_a >= before.limit_a - FOLLOWED_WITHIN_A


def _was_above(before: LedgerEntry) -> bool:
    """Whether the sample before was above the newest limit, of an EVSE that obeys."""
    seen_a = before.measured_a
    return seen_a is not None and before.trusted and seen_a > before.limit_a + tolerance_a(before.limit_a)


def elapsed(entry: LedgerEntry, evse: Evse, now: datetime) -> LedgerEntry:
    """Time alone settles a limit that was acknowledged twice the response time ago and that no sample contradicts.

    Called whenever the entry is looked at; does not wait for an EVSE without a meter to be measured.
    """
    if entry.settled or (at := settles_at(entry, evse)) is None or now < at:
        return entry
    sampled_since = (
        entry.measured_at is not None and entry.acknowledged_at and entry.measured_at > entry.acknowledged_at
    )
    if sampled_since and (entry.measured_a or 0.0) > entry.limit_a + tolerance_a(entry.limit_a):
        return entry
    return replace(entry, settled_at=now, upper_a=entry.limit_a)


def settles_at(entry: LedgerEntry, evse: Evse) -> datetime | None:
    """When time alone will settle the newest limit; None where it is settled, unacknowledged or not trusted."""
    if entry.settled or entry.acknowledged_at is None or not entry.trusted or entry.refused:
        return None
    wait_s = 2.0 * evse.response_s
    if _is_to_be_seen(entry, entry.acknowledged_at):
        wait_s = max(wait_s, SAMPLED_WITHIN_S)
    return entry.acknowledged_at + timedelta(seconds=wait_s)


def _is_to_be_seen(entry: LedgerEntry, acknowledged_at: datetime) -> bool:
    """Whether it was above the newest limit when it was last seen, and reports often enough to be seen again soon."""
    if entry.measured_at is None or entry.measured_at > acknowledged_at or not _was_above(entry):
        return False
    return (acknowledged_at - entry.measured_at).total_seconds() <= SAMPLED_WITHIN_S


def disconnected(entry: LedgerEntry, evse: Evse, *, accept_unproven: bool = False) -> LedgerEntry:
    """The link is lost. The last limit holds until the dead-man step, then the fall-back: the higher of the two counts.

    At full rating where the fall-back was never proven, unless the site accepts that in writing.
    """
    return _unconfirmed(entry, evse, lost=not (evse.failsafe_proven or accept_unproven))


def rebooted(entry: LedgerEntry, evse: Evse, *, accept_unproven: bool = False) -> LedgerEntry:
    """The charger booted: it may have forgotten the limit. As `disconnected`, until a limit is confirmed again."""
    return _unconfirmed(entry, evse, lost=not (evse.failsafe_proven or accept_unproven))


def reconnected(entry: LedgerEntry, evse: Evse) -> LedgerEntry:
    """The link is back: the last limit or the fall-back is in force, and the limit must be confirmed again."""
    return _unconfirmed(entry, evse, lost=False)


def restarted(entry: LedgerEntry, evse: Evse) -> LedgerEntry:
    """This service restarted with `entry` from the store: max(last durable limit, fall-back) until confirmed again."""
    return _unconfirmed(entry, evse, lost=False)


def silent(
    entry: LedgerEntry,
    evse: Evse,
    since: datetime,
    deadman_s: float,
    now: datetime,
    *,
    accept_unproven: bool = False,
) -> LedgerEntry:
    """No link since `since`: once the dead-man step must have come, a proven fall-back is what is in force.

    That is `deadman_s` + the clock's error + the response time after `since`. An unproven one is never relied on. What
    was measured before the link was lost says nothing any more.
    """
    done_s = deadman_s + CLOCK_ERROR_S + evse.response_s
    if not (evse.failsafe_proven or accept_unproven) or (now - since).total_seconds() < done_s:
        return entry
    entry = replace(
        entry, limit_a=evse.failsafe_a, upper_a=evse.failsafe_a, sent_at=None, acknowledged_at=None, settled_at=None
    )
    seen_before = entry.measured_at is not None and entry.measured_at <= since
    return replace(entry, measured_a=None, measured_at=None) if seen_before else entry


def _unconfirmed(entry: LedgerEntry, evse: Evse, *, lost: bool) -> LedgerEntry:
    upper_a = evse.max_a if lost else max(entry.upper_a, entry.limit_a, evse.failsafe_a)
    return replace(entry, upper_a=upper_a, sent_at=None, acknowledged_at=None, settled_at=None)


def counted_a(entry: LedgerEntry, evse: Evse, now: datetime) -> float:
    """What the EVSE counts as when others are to rise: max(measured, previous limit until settled, new limit), A."""
    entry = elapsed(entry, evse, now)
    if not entry.trusted:
        return max(evse.max_a, entry.measured_a or 0.0)
    return max(entry.limit_a, entry.upper_a, _measured_now_a(entry))


def holding_a(entry: LedgerEntry, evse: Evse, now: datetime) -> float:
    """What the EVSE will draw once what is on its way has arrived, A: limits are held or lowered by it.

    The new limit where it was acknowledged or may still be within `UNACKNOWLEDGED_S`; else what `counted_a` says:
    a reduction that is not acknowledged by then counts as not made.
    """
    entry = elapsed(entry, evse, now)
    if entry.trusted and not entry.refused and (entry.settled or _under_way(entry, now)):
        return entry.limit_a
    return counted_a(entry, evse, now)


def not_made(entry: LedgerEntry, evse: Evse, now: datetime) -> bool:
    """Whether the newest limit is a reduction that counts as not made: sent, and not acknowledged in time."""
    late = entry.sent_at is not None and entry.acknowledged_at is None and not _under_way(entry, now)
    return late and entry.trusted and counted_a(entry, evse, now) > entry.limit_a


def not_made_at(entry: LedgerEntry) -> datetime | None:
    """When a reduction on its way will count as not made, unless acknowledged; None where none is on its way."""
    if entry.sent_at is None or entry.acknowledged_at is not None or entry.upper_a <= entry.limit_a or entry.refused:
        return None
    return entry.sent_at + timedelta(seconds=UNACKNOWLEDGED_S)


def _under_way(entry: LedgerEntry, now: datetime) -> bool:
    if entry.acknowledged_at is not None:
        return True
    return entry.sent_at is not None and (now - entry.sent_at).total_seconds() < UNACKNOWLEDGED_S


def _measured_now_a(entry: LedgerEntry) -> float:
    """The newest sample, unless it is older than a limit that has settled since without one."""
    if entry.measured_a is None or entry.measured_at is None:
        return 0.0
    if entry.settled and entry.sent_at is not None and entry.measured_at <= entry.sent_at:
        return 0.0
    return entry.measured_a
