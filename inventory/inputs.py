"""What a decision looked at, small enough to keep with every one: idle EVSEs and defaults are left out."""

from collections.abc import Mapping
from datetime import datetime
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
    """A snapshot as JSON values: `at`, `feeders`, `evses` (those with a session, current or an unsettled limit),
    `limits`. The site itself is known by its digest, the rotation is in the decision.
    """
    return {
        "at": snapshot.at.isoformat(),
        "feeders": {view.feeder: _feeder(view) for view in snapshot.feeders.values()},
        "evses": {view.evse: _evse(view) for view in snapshot.evses.values() if not _idle(view)},
        "limits": plain(list(snapshot.limits)),
    }


def _feeder(view: FeederView) -> dict[str, Any]:
    found: dict[str, Any] = plain(view)
    return {name: value for name, value in found.items() if name != "feeder" and value not in (None, {})}


def _idle(view: EvseView) -> bool:
    drawing = view.sample is not None and bool(view.sample.current_a)
    return view.session is None and view.linked and view.ledger.settled and not drawing


def _evse(view: EvseView) -> dict[str, Any]:
    sample = view.sample
    found: dict[str, Any] = {
        "state": view.state.value,
        "linked": view.linked,
        "session": _session(view.session) if view.session is not None else None,
        "ledger": _ledger(view.ledger),
        "csms_limit_a": view.csms_limit_a,
        "seen_max_a": view.seen_max_a,
        "measured_a": sample.current_a if sample is not None else None,
        "measured_at": sample.received_at.isoformat() if sample is not None else None,
    }
    return {name: value for name, value in found.items() if value is not None}


def _session(session: Session) -> dict[str, Any]:
    found: dict[str, Any] = plain(session)
    return {name: value for name, value in found.items() if value is not None and name not in {"evse", "id_tag_hash"}}


def _ledger(entry: LedgerEntry) -> dict[str, Any]:
    found: dict[str, Any] = plain(entry)
    listed = {name: list(value) if isinstance(value, tuple) else value for name, value in found.items()}
    return {name: value for name, value in listed.items() if value not in (None, [])}


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
