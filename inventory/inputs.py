"""What a decision looked at, small enough to keep with every one: idle EVSEs and defaults are left out."""

from typing import Any

from domain.ledger import LedgerEntry
from domain.session import Session
from domain.snapshot import EvseView, FeederView, SiteSnapshot
from inventory.rows import plain


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
    return {name: value for name, value in found.items() if value is not None}
