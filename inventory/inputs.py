"""What a decision looked at, small enough to keep with every one: idle EVSEs and defaults are left out."""

from collections.abc import Collection, Mapping
from dataclasses import fields
from datetime import datetime
from operator import attrgetter
from typing import Any

from domain.ids import EvseId
from domain.ledger import LedgerEntry
from domain.metering import EvseSample
from domain.rotation import RotationState
from domain.session import EvseState, Session
from domain.site import Site
from domain.snapshot import EvseView, FeederView, SiteSnapshot, TemporaryLimit
from inventory.spelling import plain, typed


def inputs_of(snapshot: SiteSnapshot) -> dict[str, Any]:
    """A snapshot, ready for `dump_json`: `at`, `feeders`, `evses` (those with a session, current or an unsettled
    limit), `limits`. The site itself is known by its digest, the rotation is in the decision.
    """
    return {
        "at": snapshot.at,
        "feeders": {view.feeder: _FEEDER.of(view) for view in snapshot.feeders.values()},
        "evses": {view.evse: _evse(view) for view in snapshot.evses.values() if not _idle(view)},
        "limits": list(snapshot.limits),
    }


def _idle(view: EvseView) -> bool:
    drawing = view.sample is not None and bool(view.sample.current_a)
    return view.session is None and view.linked and view.ledger.settled and not drawing


def _evse(view: EvseView) -> dict[str, Any]:
    sample = view.sample
    found: dict[str, Any] = {
        "state": view.state,
        "linked": view.linked,
        "session": _SESSION.of(view.session) if view.session is not None else None,
        "ledger": _LEDGER.of(view.ledger),
        "csms_limit_a": view.csms_limit_a,
        "seen_max_a": view.seen_max_a,
        "measured_a": sample.current_a if sample is not None else None,
        "measured_at": sample.received_at if sample is not None else None,
    }
    return {name: value for name, value in found.items() if value is not None}


_NOTHING: tuple[object, ...] = ((), {})


class _Facts:
    """Takes what is said by some of the fields of a class."""

    def __init__(self, kind: type, left_out: Collection[str] = ()) -> None:
        self._names = tuple(one.name for one in fields(kind) if one.name not in left_out)
        self._values = attrgetter(*self._names)

    def of(self, one: object) -> dict[str, Any]:
        """By name; what is not known is left out."""
        told = zip(self._names, self._values(one), strict=True)
        return {name: value for name, value in told if value is not None and value not in _NOTHING}


_SESSION, _LEDGER = _Facts(Session, ("evse", "id_tag_hash")), _Facts(LedgerEntry)
_FEEDER = _Facts(FeederView, ("feeder",))


def snapshot_of(site: Site, inputs: Mapping[str, Any], rotation: RotationState) -> SiteSnapshot:
    """The inverse of `inputs_of`: what a decision looked at, as far as it was kept.

    An EVSE that was idle stands free at 0 A, settled. Things that the site file no longer has are left out, and a
    feeder that is new carries nothing.
    """
    at = datetime.fromisoformat(inputs["at"])
    evses, feeders = inputs.get("evses", {}), inputs.get("feeders", {})
    return SiteSnapshot(
        site=site,
        at=at,
        evses={evse.id: _evse_view(evse.id, evses.get(evse.id), at) for evse in site.evses},
        feeders={one.id: typed({"feeder": one.id, **feeders.get(one.id, {})}, FeederView) for one in site.feeders},
        rotation=rotation,
        limits=tuple(
            limit
            for limit in typed(inputs.get("limits", []), tuple[TemporaryLimit, ...])
            if any(feeder.id == limit.feeder for feeder in site.feeders)
        ),
    )


def _evse_view(evse: EvseId, kept: Mapping[str, Any] | None, at: datetime) -> EvseView:
    if kept is None:
        return EvseView(evse, EvseState.AVAILABLE, True, None, LedgerEntry(limit_a=0.0, upper_a=0.0, settled_at=at))
    measured_at = kept.get("measured_at")
    sample = None
    if measured_at is not None:
        received_at = datetime.fromisoformat(measured_at)
        sample = EvseSample(at=received_at, received_at=received_at, current_a=kept.get("measured_a"))
    known = {"evse", "sample", "session", "measured_a", "measured_at"}
    session = kept.get("session")
    return typed(
        {
            "evse": evse,
            **{name: value for name, value in kept.items() if name not in known},
            "session": None if session is None else {"evse": evse, **session},
            "sample": None if sample is None else plain(sample),
        },
        EvseView,
    )
